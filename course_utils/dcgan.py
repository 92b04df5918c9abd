"""Chapter 5: convolutional and conditional GANs, and tests of their failures.

    x, real, fake    (B, C, H, W) float in [-1, 1]   images; 1 x 28 x 28 for the networks of this module
    z                (B, nz) float                   latents, standard normal
    labels           (B,) int64                      classes, 0..K-1; E numbers in the embedding of each
    logits           (B, 1) float                    of "this image is real"
    critic           images -> scores                a discriminator without the meaning of a probability
    mix              (B, 1, 1, 1) float in [0, 1]    share of the real image in each mixture
    sigma            float >= 0                      the largest singular value of a matrix

The networks (Radford et al. 2016, arXiv:1511.06434, for 28 x 28 pixels). Every convolution, transposed or
not, has kernel 4, stride 2, padding 1 and no bias.

    Generator        z                                                    nz
                     Linear with bias, reshaped                           256 x 7 x 7
                     ConvTranspose2d, BatchNorm2d, ReLU                   128 x 14 x 14
                     ConvTranspose2d, Tanh                                1 x 28 x 28
    Discriminator    x                                                    1 x 28 x 28
                     Conv2d, LeakyReLU 0.2                                64 x 14 x 14
                     Conv2d, BatchNorm2d, LeakyReLU 0.2                   128 x 7 x 7
                     Conv2d, BatchNorm2d, LeakyReLU 0.2                   256 x 3 x 3
                     flattened, Linear with bias                          1 logit
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.validation import (
    describe,
    require_dims,
    require_float_tensor,
    require_int,
    require_same_shape,
)

IMAGE_SHAPE = (1, 28, 28)
INIT_STD = 0.02


class Generator(nn.Module):
    """Latents to images in (-1, 1); the layers are listed at the top of this module.

    Args:
        nz: int >= 1, numbers in a latent.
    """

    def __init__(self, nz: int = 100):
        super().__init__()
        require_int("Generator", 1, nz=nz)
        self.nz = nz
        self.layers = nn.Sequential(
            nn.Linear(nz, 256 * 7 * 7),
            nn.Unflatten(1, (256, 7, 7)),
            nn.ConvTranspose2d(256, 128, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.ConvTranspose2d(128, 1, kernel_size=4, stride=2, padding=1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, nz) -> (B, 1, 28, 28)."""
        require_float_tensor("Generator", z=z)
        if z.dim() != 2 or z.shape[1] != self.nz:
            raise ValueError(
                f"Generator: z must be (B, {self.nz}), got {tuple(z.shape)}. "
                "Latents with a class embedding are longer: nz counts both."
            )
        images: Tensor = self.layers(z)
        return images


class Discriminator(nn.Module):
    """Images in [-1, 1] to logits; the layers are listed at the top of this module."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, kernel_size=4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(256 * 3 * 3, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 28, 28) -> (B, 1), unbounded."""
        require_float_tensor("Discriminator", x=x)
        if x.shape[1:] != IMAGE_SHAPE:
            raise ValueError(
                f"Discriminator: x must be (B, 1, 28, 28), got {tuple(x.shape)}. "
                "Grey images have a dimension for their one channel."
            )
        logits: Tensor = self.layers(x)
        return logits


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """First weights of a DCGAN, in place: the module itself and everything in it.

    Weights of convolutions, transposed convolutions and linear layers: N(0, 0.02^2). BatchNorm: weights
    N(1, 0.02^2), biases 0. All else stays as it is. Draws from torch's global stream: see training.seeded.

    Args:
        module: any. A whole network, or one layer after the other by network.apply(init_weights).

    Raises:
        TypeError: it is no nn.Module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"init_weights: module must be an nn.Module, got {describe(module)}.")
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, INIT_STD)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, INIT_STD)
            nn.init.zeros_(layer.bias)


def condition_latent(z: Tensor, labels: Tensor, embedding: Callable[[Tensor], Tensor]) -> Tensor:
    """Latents that say which class to draw (Mirza & Osindero 2014, arXiv:1411.1784).

    Args:
        z: (B, nz) float.
        labels: (B,) int64.
        embedding: (B,) int64 -> (B, E) float, learned: an nn.Embedding.

    Returns:
        (B, nz + E): z first.

    Raises:
        ValueError: labels is not (B,), or the embedding returns another shape than (B, E).
        TypeError: labels are not int64.
    """
    require_float_tensor("condition_latent", z=z)
    require_dims("condition_latent", 2, "(B, nz)", z=z)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(f"condition_latent: labels must be an int64 tensor, got {describe(labels)}.")
    if labels.shape != z.shape[:1]:
        raise ValueError(
            f"condition_latent: labels must be ({len(z)},), a class for each latent, "
            f"got {tuple(labels.shape)}."
        )
    embedded = embedding(labels)
    require_float_tensor("condition_latent", embedded=embedded)
    if embedded.dim() != 2 or len(embedded) != len(z):
        raise ValueError(
            f"condition_latent: embedding(labels) must be ({len(z)}, E), got {tuple(embedded.shape)}."
        )
    return torch.cat([z, embedded], dim=1)


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


def patch_receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Side of the patch of the input that one number of the output sees (PatchGAN; Isola et al. 2017).

    From the last layer back to the first: size = (size - 1) stride + kernel, beginning with 1.

    Args:
        layers: (kernel, stride) of each convolution, from the input on; dilation 1. Padding plays no part.

    Returns:
        int, pixels.

    Raises:
        ValueError: a layer is no pair.
    """
    size = 1
    for layer in reversed(layers):
        if len(layer) != 2:
            raise ValueError(f"patch_receptive_field: a layer is (kernel, stride), got {describe(layer)}.")
        kernel, stride = layer
        require_int("patch_receptive_field", 1, kernel=kernel, stride=stride)
        size = (size - 1) * stride + kernel
    return size
