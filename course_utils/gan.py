"""Chapter 4: adversarial training, after Goodfellow et al. 2014 (arXiv:1406.2661).

    x, real, fake       (B, 1, 28, 28) float in [-1, 1]   images of the data, and images of the generator
    z                   (B, latent_dim) float             standard normal; fake = G(z)
    logits              (B,) float                        D(x) = sigmoid(logit): probability that x is real
    p_data, p_generator any shape, float >= 0             densities at the same places
    p, q                any shape, float >= 0             probabilities that sum to 1
    labels              (N,) int64, 0..n_classes-1        the mode that each sample belongs to

Every loss is to be MINIMISED: papers that maximise write the negative. 1 - D(x) = sigmoid(-logit), so that no
probability has to be rounded before its logarithm is taken.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.denoising import GaussianMixture
from course_utils.validation import (
    describe,
    require_dims,
    require_float_tensor,
    require_int,
    require_same_shape,
)

IMAGE_SHAPE = (1, 28, 28)
SLOPE, DROPOUT = 0.2, 0.3
TOLERANCE = 1e-3  # how far from 1 the sum of probabilities may be: float32, many of them

Kind = Literal["non_saturating", "minimax"]


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss: -E[log D(x)] - E[log(1 - D(G(z)))].

    Args:
        real_logits, fake_logits: float, one number for each image; the batches may differ in size.

    Returns:
        scalar, nats: each expectation is the mean over its own batch. 2 log 2 = 1.386 for logits of 0.

    Raises:
        ValueError: a batch is empty.
    """
    _require_logits("discriminator_loss", real_logits=real_logits, fake_logits=fake_logits)
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()


def generator_loss(fake_logits: Tensor, kind: Kind) -> Tensor:
    """The generator's loss. Both kinds push the logits of fakes up; they differ in which fakes they push.

    Args:
        fake_logits: float, one number for each fake.
        kind: "non_saturating", -E[log D(G(z))]: its gradient by a logit is D - 1, largest where D is right;
            "minimax", E[log(1 - D(G(z)))]: its gradient is -D, which vanishes there.

    Returns:
        scalar, nats. The minimax one is never positive.

    Raises:
        ValueError: the batch is empty, or there is no such kind.
    """
    _require_logits("generator_loss", fake_logits=fake_logits)
    if kind == "non_saturating":
        return -F.logsigmoid(fake_logits).mean()
    if kind == "minimax":
        return F.logsigmoid(-fake_logits).mean()
    raise ValueError(f"generator_loss: kind must be 'non_saturating' or 'minimax', got {kind!r}.")


class Generator(nn.Module):
    """z -> 256 -> 512 -> 1024 -> image; each hidden layer is linear, LeakyReLU 0.2, BatchNorm, in that order.

    Args:
        latent_dim: int >= 1.
    """

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        require_int("Generator", 1, latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            *(nn.Linear(latent_dim, 256), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(256)),
            *(nn.Linear(256, 512), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(512)),
            *(nn.Linear(512, 1024), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(1024)),
            *(nn.Linear(1024, math.prod(IMAGE_SHAPE)), nn.Tanh(), nn.Unflatten(1, IMAGE_SHAPE)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [-1, 1]. In training mode B >= 2: BatchNorm compares the fakes of a batch.

        Raises:
            ValueError: z is not (B, latent_dim).
        """
        _require_rows("Generator", self.latent_dim, z=z)
        images: Tensor = self.layers(z)
        return images


class Discriminator(nn.Module):
    """image -> 512 -> 256 -> logit; each hidden layer is linear, LeakyReLU 0.2, Dropout 0.3."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(math.prod(IMAGE_SHAPE), 512), nn.LeakyReLU(SLOPE), nn.Dropout(DROPOUT)),
            *(nn.Linear(512, 256), nn.LeakyReLU(SLOPE), nn.Dropout(DROPOUT)),
            *(nn.Linear(256, 1), nn.Flatten(0)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of images (B, 1, 28, 28).

        Raises:
            ValueError: x has another shape.
        """
        require_float_tensor("Discriminator", x=x)
        if x.shape[1:] != IMAGE_SHAPE or x.dim() != 4:
            raise ValueError(
                f"Discriminator: x must be (B, 1, 28, 28), got {tuple(x.shape)}. "
                "Images of 32 pixels come from load(..., size=32)."
            )
        logits: Tensor = self.layers(x)
        return logits


def discriminator_step(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """One update of the discriminator. Real and fake pass through it as batches of their own.

    Args:
        generator: makes the fakes; neither its weights nor their gradients change.
        discriminator: images -> logits.
        real: (B, ...) float.
        z: (B, latent_dim) float.
        optimizer: over the discriminator's parameters.

    Returns:
        discriminator_loss before the update.

    Raises:
        ValueError: fakes and real images differ in shape, the batch apart.
    """
    with torch.no_grad():
        fake = generator(z)
    if fake.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"discriminator_step: real and fake must be images of one shape, got real {tuple(real.shape)} "
            f"and fake {tuple(fake.shape)}. Shape alone would tell them apart."
        )
    return _update(discriminator_loss(discriminator(real), discriminator(fake)), optimizer)


def generator_step(generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """One update of the generator, by the non-saturating loss.

    Args:
        generator: z -> images.
        discriminator: images -> logits. Its weights stay; gradients are left on it, and the next
            discriminator_step clears them.
        z: (B, latent_dim) float.
        optimizer: over the generator's parameters alone.

    Returns:
        generator_loss before the update.
    """
    return _update(generator_loss(discriminator(generator(z)), "non_saturating"), optimizer)


def _update(loss: Tensor, optimizer: Optimizer) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def optimal_discriminator(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """The best answer to a fixed generator: D*(x) = p_data(x) / (p_data(x) + p_generator(x)) (prop. 1).

    Args:
        p_data, p_generator: same shape, float >= 0.

    Returns:
        like p_data, in [0, 1]; 1/2 where both are 0, where no sample ever asks.

    Raises:
        ValueError: shapes differ, or a density is negative.
    """
    _require_densities("optimal_discriminator", p_data=p_data, p_generator=p_generator)
    total = p_data + p_generator
    nowhere = (total == 0).to(total.dtype)
    return (p_data + nowhere / 2) / (total + nowhere)


def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence: JS(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2.

    Args:
        p, q: same shape, float: probabilities of the same outcomes.

    Returns:
        scalar, nats, from 0 (p = q) to log 2 (p and q never meet).

    Raises:
        ValueError: shapes differ, a probability is negative, or a sum is not 1.
    """
    _require_densities("js_divergence", p=p, q=q)
    for name, value in {"p": p, "q": q}.items():
        if not abs(value.sum().item() - 1) <= TOLERANCE:
            raise ValueError(
                f"js_divergence: {name} must sum to 1, got {value.sum():.4g}. Divide counts by their sum; "
                "multiply a density by the width of its cells."
            )
    return (_kl_to_mixture(p, q) + _kl_to_mixture(q, p)) / 2


def _kl_to_mixture(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || m), with p / m = 2 D*; an outcome of probability 0 adds nothing."""
    return torch.xlogy(p, 2 * optimal_discriminator(p, q)).sum()


def effective_modes(labels: Tensor, n_classes: int) -> float:
    """How many equally likely classes would be as varied: exp(entropy of the label histogram).

    Args:
        labels: (N,) int64, 0..n_classes-1; N >= 1.
        n_classes: int >= 1.

    Returns:
        from 1 (all samples in one class) to n_classes (all classes equally often).

    Raises:
        TypeError: labels are no int64.
        ValueError: there are no labels, or one is outside 0..n_classes-1.
    """
    require_int("effective_modes", 1, n_classes=n_classes)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(f"effective_modes: labels must be an int64 tensor, got {describe(labels)}.")
    if labels.dim() != 1 or not len(labels):
        raise ValueError(f"effective_modes: labels must be (N,) with N >= 1, got {tuple(labels.shape)}.")
    if not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"effective_modes: labels must lie in 0..{n_classes - 1}, got {labels.min()}..{labels.max()}. "
            "Classes count from 0."
        )
    shares = torch.bincount(labels, minlength=n_classes).double() / len(labels)
    return math.exp(torch.special.entr(shares).sum().item())


def ring_of_gaussians(modes: int = 8, radius: float = 2.0, std: float = 0.1) -> GaussianMixture:
    """Toy data in the plane: equally likely Gaussians at equal distances on a circle around the origin.

    Args:
        modes: int >= 1. Their centres are in the order of their angles; the first one is at (radius, 0).
        radius: float > 0.
        std: float > 0, of each Gaussian.

    Raises:
        ValueError: one of them is too small.
    """
    require_int("ring_of_gaussians", 1, modes=modes)
    if not radius > 0:
        raise ValueError(f"ring_of_gaussians: radius must be positive, got {radius}.")
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return GaussianMixture(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)


def optimal_discriminator_between(
    data: GaussianMixture, generator: GaussianMixture, points: Tensor
) -> Tensor:
    """(N,): D* at points (N, D) of the line or the plane, from logarithms of densities: right in the tails,
    where both densities round to 0.
    """
    return torch.sigmoid(data.log_density(points, 0.0) - generator.log_density(points, 0.0))


class PointGenerator(nn.Module):
    """Generator of points in a plane: z (B, latent_dim) -> (B, 2), unbounded.

    Args:
        latent_dim, hidden: int >= 1; units of each of its two hidden layers.
    """

    def __init__(self, latent_dim: int = 2, hidden: int = 128):
        super().__init__()
        require_int("PointGenerator", 1, latent_dim=latent_dim, hidden=hidden)
        self.latent_dim = latent_dim
        self.layers = _perceptron(latent_dim, hidden, 2)

    def forward(self, z: Tensor) -> Tensor:
        """The points."""
        _require_rows("PointGenerator", self.latent_dim, z=z)
        points: Tensor = self.layers(z)
        return points


class PointDiscriminator(nn.Module):
    """Discriminator of points in a plane: (B, 2) -> logits (B,).

    Args:
        hidden: int >= 1, units of each of its two hidden layers.
    """

    def __init__(self, hidden: int = 128):
        super().__init__()
        require_int("PointDiscriminator", 1, hidden=hidden)
        self.layers = _perceptron(2, hidden, 1)

    def forward(self, points: Tensor) -> Tensor:
        """The logits."""
        _require_rows("PointDiscriminator", 2, points=points)
        logits: Tensor = self.layers(points).squeeze(1)
        return logits


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(inputs, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, hidden), nn.LeakyReLU(SLOPE)),
        nn.Linear(hidden, outputs),
    )


def _require_logits(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    for name, logits in named.items():
        if not logits.numel():
            raise ValueError(
                f"{function}: {name} must not be empty, got shape {tuple(logits.shape)}. "
                "An empty batch has no mean."
            )


def _require_rows(function: str, size: int, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 2, f"(B, {size})", **named)
    for name, rows in named.items():
        if rows.shape[1] != size:
            raise ValueError(f"{function}: {name} must be (B, {size}), got {tuple(rows.shape)}.")


def _require_densities(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_same_shape(function, **named)
    for name, density in named.items():
        if not (density >= 0).all():
            raise ValueError(
                f"{function}: {name} must not be negative or NaN, got a minimum of {density.min():.4g}. "
                "Are these logarithms?"
            )
