"""A critic in place of the discriminator: WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028).

critic        (B, ...) -> scores (B,) or (B, 1)   no probabilities; an example's score is its own alone
real, fake    (B, ...) float                      points or images
mix           (B, 1, ..., 1) float in [0, 1]      share of the real example in each mixture
weight        float >= 0                          of the gradient penalty, the paper's lambda
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.validation import require_float_tensor, require_same_shape

PENALTY_WEIGHT = 10.0

Critic = Callable[[Tensor], Tensor]


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """How far a critic's slope between real and fake examples is from 1 (eq. 3).

    Mean over the batch of (||gradient of critic(x) by x||_2 - 1)^2 at x = mix real + (1 - mix) fake.

    Args:
        critic, real, fake, mix: see the module. No BatchNorm in training mode: it mixes examples.

    Returns:
        scalar >= 0, differentiable by the critic's weights, without the weight.

    Raises:
        TypeError: no floats.
        ValueError: real and fake differ in shape, have no dimension beside the batch, or mix does not fit.
    """
    require_float_tensor("gradient_penalty", real=real, fake=fake, mix=mix)
    require_same_shape("gradient_penalty", real=real, fake=fake)
    if real.dim() < 2:
        raise ValueError(f"gradient_penalty: real must be (B, ...), got shape {tuple(real.shape)}.")
    shares = (len(real), *[1] * (real.dim() - 1))
    if mix.shape != shares:
        raise ValueError(
            f"gradient_penalty: mix must be {shares}, got {tuple(mix.shape)}. "
            "Every example has a share of its own."
        )
    x = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_loss(
    critic: Critic, real: Tensor, fake: Tensor, mix: Tensor, weight: float = PENALTY_WEIGHT
) -> Tensor:
    """E[critic(fake)] - E[critic(real)] + weight * gradient penalty (eq. 3), to be MINIMISED.

    Without the last term it is minus an estimate of the Wasserstein distance, if the critic's slope is 1.

    Returns:
        scalar, in units of the score.

    Raises:
        TypeError, ValueError: as gradient_penalty.
    """
    gap = critic(fake).mean() - critic(real).mean()
    return gap + weight * gradient_penalty(critic, real, fake, mix)


def critic_step(
    generator: nn.Module,
    critic: nn.Module,
    real: Tensor,
    z: Tensor,
    mix: Tensor,
    optimizer: Optimizer,
    weight: float = PENALTY_WEIGHT,
) -> float:
    """One update of the critic by critic_loss; the generator stays as it is.

    Args:
        generator: z -> examples like real.
        z: (B, latent_dim) float.
        optimizer: over the critic's parameters.

    Returns:
        the loss before the update.
    """
    with torch.no_grad():
        fake = generator(z)
    loss = critic_loss(critic, real, fake, mix, weight)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def critic_generator_step(generator: nn.Module, critic: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """One update of a generator against a critic; returns -E[score of fakes] before it.

    Args:
        z: (B, latent_dim) float.
        optimizer: over the generator's parameters.
    """
    loss = -critic(generator(z)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
