"""The networks of a DCGAN: their layers, and their first weights (notation in course_utils.dcgan)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from course_utils.validation import describe, require_float_tensor, require_int

INIT_STD = 0.02
SLOPE = 0.2


class GeneratorConfig(TypedDict):
    """Arguments of Generator beside nz."""

    channels: Sequence[int]
    image_channels: int
    start: int


class DiscriminatorConfig(TypedDict):
    """Arguments of Discriminator."""

    channels: Sequence[int]
    image_channels: int
    size: int


GENERATOR_64: GeneratorConfig = {"channels": (512, 256, 128, 64), "image_channels": 3, "start": 4}
DISCRIMINATOR_64: DiscriminatorConfig = {"channels": (64, 128, 256, 512), "image_channels": 3, "size": 64}


class Generator(nn.Module):
    """Latents to images in (-1, 1); the layers are listed in course_utils.dcgan.

    Args:
        nz: int >= 1, numbers in a latent.
        channels: what each transposed convolution reads, from the small image to the large one.
        image_channels: 1 for grey images, 3 for colours.
        start: side of the smallest image, pixels; each transposed convolution doubles it.
    """

    def __init__(
        self, nz: int = 100, channels: Sequence[int] = (256, 128), image_channels: int = 1, start: int = 7
    ):
        super().__init__()
        require_int("Generator", 1, nz=nz, image_channels=image_channels, start=start)
        _require_channels("Generator", channels)
        self.nz = nz
        self.layers = nn.Sequential(
            nn.Linear(nz, channels[0] * start**2), nn.Unflatten(1, (channels[0], start, start))
        )
        for before, after in pairwise(channels):
            self.layers.extend([_doubling(before, after), nn.BatchNorm2d(after), nn.ReLU()])
        self.layers.extend([_doubling(channels[-1], image_channels), nn.Tanh()])

    def forward(self, z: Tensor) -> Tensor:
        """(B, nz) -> (B, image_channels, size, size), with size = start * 2 ** len(channels)."""
        require_float_tensor("Generator", z=z)
        if z.dim() != 2 or z.shape[1] != self.nz:
            raise ValueError(
                f"Generator: z must be (B, {self.nz}), got {tuple(z.shape)}. "
                "Latents with a class embedding are longer: nz counts both."
            )
        images: Tensor = self.layers(z)
        return images


class RecordedGenerator(Generator):
    """A Generator together with what it drew from the same latents while it was trained.

    Args:
        stops: after how many updates images were kept.
        count: how many images each time.
        nz, config: see Generator.
    """

    history: Tensor  # (len(stops), count, image_channels, size, size) float in [-1, 1]

    def __init__(
        self,
        stops: Sequence[int],
        count: int,
        nz: int = 100,
        channels: Sequence[int] = (256, 128),
        image_channels: int = 1,
        start: int = 7,
    ):
        super().__init__(nz, channels, image_channels, start)
        self.stops = tuple(stops)
        size = start * 2 ** len(channels)
        self.register_buffer("history", torch.zeros(len(self.stops), count, image_channels, size, size))


class Discriminator(nn.Module):
    """Images in [-1, 1] to logits; the layers are listed in course_utils.dcgan.

    Args:
        channels: what each convolution writes.
        image_channels: 1 for grey images, 3 for colours; one more for each label map.
        size: side of the images, pixels; each convolution halves it.
        batch_norm: whether all convolutions but the first are followed by one. Critics go without: there an
            image's score depends on that image alone.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256),
        image_channels: int = 1,
        size: int = 28,
        batch_norm: bool = True,
    ):
        super().__init__()
        require_int("Discriminator", 1, image_channels=image_channels, size=size)
        _require_channels("Discriminator", channels)
        side = size // 2 ** len(channels)
        if not side:
            raise ValueError(
                f"Discriminator: {len(channels)} convolutions halve {size} pixels to nothing. "
                "Take larger images or fewer channels."
            )
        self.image_shape = (image_channels, size, size)
        self.layers = nn.Sequential()
        for before, after in zip((image_channels, *channels), channels, strict=False):
            self.layers.append(_halving(before, after))
            if batch_norm and len(self.layers) > 1:
                self.layers.append(nn.BatchNorm2d(after))
            self.layers.append(nn.LeakyReLU(SLOPE))
        self.layers.extend([nn.Flatten(), nn.Linear(channels[-1] * side**2, 1)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, image_channels, size, size) -> (B, 1), unbounded."""
        require_float_tensor("Discriminator", x=x)
        if x.dim() != 4 or x.shape[1:] != self.image_shape:
            channels, height, width = self.image_shape
            raise ValueError(
                f"Discriminator: x must be (B, {channels}, {height}, {width}), got {tuple(x.shape)}. "
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


def add_spectral_norm(network: nn.Module) -> None:
    """Divide every weight of convolutions and linear layers by its spectral norm, whenever it is read.

    In place, by torch.nn.utils.parametrizations.spectral_norm: one power iteration in each forward pass of
    training. Draws its starts from torch's global stream. First weights are drawn before, not after it.

    Args:
        network: any module whose layers have no such norm yet.
    """
    layers = [x for x in network.modules() if isinstance(x, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    for layer in layers:
        parametrizations.spectral_norm(layer)


def _doubling(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=False)


def _halving(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=False)


def _require_channels(function: str, channels: Sequence[int]) -> None:
    if not channels:
        raise ValueError(f"{function}: channels must name one layer or more, got {describe(channels)}.")
    for count in channels:
        require_int(function, 1, channels=count)
