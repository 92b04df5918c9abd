"""What keeps adversarial training upright, and what shows that it fell (notation in course_utils.dcgan)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.validation import require_dims, require_float_tensor, require_int, require_same_shape

PENALTY_WEIGHT = 10.0  # lambda


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """How far a critic's slope between real and fake images is from 1 (Gulrajani et al. 2017, eq. 3).

    Mean over the batch of (||gradient of critic(x) by x||_2 - 1)^2 at x = mix real + (1 - mix) fake.

    Args:
        critic: (B, C, H, W) -> scores, (B, 1) or (B,); an image's score depends on that image alone, so no
            BatchNorm in training mode.
        real, fake: (B, C, H, W) float.
        mix: (B, 1, 1, 1) float in [0, 1].

    Returns:
        scalar >= 0, differentiable by the critic's weights, without the factor lambda.

    Raises:
        ValueError: real and fake differ in shape, or mix is not (B, 1, 1, 1).
    """
    require_float_tensor("gradient_penalty", real=real, fake=fake, mix=mix)
    require_same_shape("gradient_penalty", real=real, fake=fake)
    require_dims("gradient_penalty", 4, "(B, C, H, W)", real=real)
    if mix.shape != (len(real), 1, 1, 1):
        raise ValueError(
            f"gradient_penalty: mix must be ({len(real)}, 1, 1, 1), got {tuple(mix.shape)}. "
            "Every image has a share of its own."
        )
    x = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_loss(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mix: Tensor,
    weight: float = PENALTY_WEIGHT,
) -> Tensor:
    """WGAN-GP, eq. 3: E[critic(fake)] - E[critic(real)] + weight * gradient penalty, to be MINIMISED.

    Without the last term it is minus an estimate of the Wasserstein distance, if the critic's slope is 1.

    Args:
        critic, real, fake, mix: see gradient_penalty.
        weight: float >= 0, the lambda of the paper.

    Returns:
        scalar, in units of the score.
    """
    penalty = gradient_penalty(critic, real, fake, mix)
    return critic(fake).mean() - critic(real).mean() + weight * penalty


def critic_step(
    generator: nn.Module, critic: nn.Module, real: Tensor, z: Tensor, mix: Tensor, optimizer: Optimizer
) -> float:
    """One update of the critic by critic_loss; the generator stays as it is.

    Args:
        generator: z -> images like real.
        real: (B, C, H, W) float.
        z: (B, nz) float.
        mix: (B, 1, 1, 1) float in [0, 1].
        optimizer: over the critic's parameters.

    Returns:
        the loss before the update.
    """
    with torch.no_grad():
        fake = generator(z)
    loss = critic_loss(critic, real, fake, mix)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def spectral_norm(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """The largest singular value of a layer's weight, by power iteration (Miyato et al. 2018, alg. 1).

    Each iteration sets v = W^T u / ||W^T u||, then u = W v / ||W v||; in the end sigma = u^T W v.

    Args:
        weight: (out, ...) float of rank >= 2; W is its reshape to (out, -1).
        u: (out,) float, the start; any length but 0.
        n_iter: int >= 1.

    Returns:
        scalar, never above the true value but for rounding. Gradients see u and v as constants.

    Raises:
        ValueError: weight has no second dimension, or u is not (out,).
    """
    require_float_tensor("spectral_norm", weight=weight, u=u)
    require_int("spectral_norm", 1, n_iter=n_iter)
    if weight.dim() < 2:
        raise ValueError(
            f"spectral_norm: weight must have 2 dimensions or more, got shape {tuple(weight.shape)}. "
            "A bias has no spectral norm."
        )
    if u.shape != weight.shape[:1]:
        raise ValueError(
            f"spectral_norm: u must be ({len(weight)},), a number for each output, got {tuple(u.shape)}."
        )
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(n_iter):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return u @ matrix @ v


def pairwise_diversity(x: Tensor) -> Tensor:
    """How different the images of a set are from each other: near 0 after a mode collapse.

    Args:
        x: (B, ...) float, B >= 2.

    Returns:
        scalar >= 0: the L2 distance over all pixels, averaged over the B (B - 1) / 2 distinct pairs.

    Raises:
        ValueError: there is no pair, or there are no pixels.
    """
    require_float_tensor("pairwise_diversity", x=x)
    if x.dim() < 2 or len(x) < 2:
        raise ValueError(
            f"pairwise_diversity: x must be (B, ...) with B >= 2, got {tuple(x.shape)}. "
            "A single image has nothing to differ from."
        )
    return F.pdist(x.flatten(1)).mean()
