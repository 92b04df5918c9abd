"""The players: networks of images and of points (notation in course_utils.gan)."""

import math

from torch import Tensor, nn

from course_utils.validation import require_dims, require_float_tensor, require_int

IMAGE_SHAPE = (1, 28, 28)
SLOPE, DROPOUT = 0.2, 0.3


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
        _require_images("Discriminator", x)
        logits: Tensor = self.layers(x)
        return logits


class SmallGenerator(nn.Module):
    """z -> hidden -> hidden -> image, with LeakyReLU 0.2: small enough to be trained in seconds.

    Args:
        latent_dim, hidden: int >= 1.
    """

    def __init__(self, latent_dim: int = 64, hidden: int = 256):
        super().__init__()
        require_int("SmallGenerator", 1, latent_dim=latent_dim, hidden=hidden)
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            _perceptron(latent_dim, hidden, math.prod(IMAGE_SHAPE)), nn.Tanh(), nn.Unflatten(1, IMAGE_SHAPE)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [-1, 1]."""
        _require_rows("SmallGenerator", self.latent_dim, z=z)
        images: Tensor = self.layers(z)
        return images


class SmallDiscriminator(nn.Module):
    """image -> hidden -> hidden -> logit, with LeakyReLU 0.2.

    Args:
        hidden: int >= 1.
    """

    def __init__(self, hidden: int = 256):
        super().__init__()
        require_int("SmallDiscriminator", 1, hidden=hidden)
        self.layers = nn.Sequential(
            nn.Flatten(), _perceptron(math.prod(IMAGE_SHAPE), hidden, 1), nn.Flatten(0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of images (B, 1, 28, 28)."""
        _require_images("SmallDiscriminator", x)
        logits: Tensor = self.layers(x)
        return logits


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
    """Discriminator of points in a plane: (B, 2) -> logits (B,), or one for each pack.

    Args:
        hidden: int >= 1, units of each of its two hidden layers.
        pack: int >= 1, points that it judges at once: all real, or all fake. In evaluation mode each point is
            judged as if all of its pack lay there.
        scale: float > 0, what the logits are multiplied with: where each layer is held to a slope of 1, it
            says how steep all of them together may be.
    """

    def __init__(self, hidden: int = 128, pack: int = 1, scale: float = 1.0):
        super().__init__()
        require_int("PointDiscriminator", 1, hidden=hidden, pack=pack)
        self.pack, self.scale = pack, scale
        self.layers = _perceptron(2 * pack, hidden, 1)

    def forward(self, points: Tensor) -> Tensor:
        """The logits: (B / pack,) in training mode, (B,) in evaluation mode.

        Raises:
            ValueError: points are not (B, 2), or do not divide into packs.
        """
        _require_rows("PointDiscriminator", 2, points=points)
        if self.training and len(points) % self.pack:
            raise ValueError(
                f"PointDiscriminator: points must divide into packs of {self.pack}, got {len(points)}."
            )
        packs = points.view(-1, 2 * self.pack) if self.training else points.repeat(1, self.pack)
        logits: Tensor = self.scale * self.layers(packs).squeeze(1)
        return logits


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(inputs, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, hidden), nn.LeakyReLU(SLOPE)),
        nn.Linear(hidden, outputs),
    )


def _require_rows(function: str, size: int, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 2, f"(B, {size})", **named)
    for name, rows in named.items():
        if rows.shape[1] != size:
            raise ValueError(f"{function}: {name} must be (B, {size}), got {tuple(rows.shape)}.")


def _require_images(function: str, x: Tensor) -> None:
    require_float_tensor(function, x=x)
    if x.shape[1:] != IMAGE_SHAPE or x.dim() != 4:
        raise ValueError(
            f"{function}: x must be (B, 1, 28, 28), got {tuple(x.shape)}. "
            "Images of 32 pixels come from load(..., size=32)."
        )
