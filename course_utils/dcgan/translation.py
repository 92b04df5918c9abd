"""From images to images: judges of patches, and translators held together by a cycle.

    x, y       (B, 1, H, W) float in [-1, 1]    images of two kinds, NOT pairs: digits here, outlines there
    logits     (B, 1, h, w) float               of "this patch is real": a number for each patch

PatchGAN: Isola et al. 2017 (arXiv:1611.07004). Cycle consistency: Zhu et al. 2017 (arXiv:1703.10593).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.gan import discriminator_step, generator_loss
from course_utils.validation import (
    describe,
    require_dims,
    require_float_tensor,
    require_int,
    require_same_shape,
)

SLOPE = 0.2
PATCH_LAYERS = ((4, 2), (3, 1), (3, 1))  # (kernel, stride): patches of 12 pixels
CYCLE_WEIGHT = 2.0


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


class PatchDiscriminator(nn.Module):
    """Convolutions only: a logit for each patch, from that patch alone.

    Args:
        layers: (kernel, stride) of each convolution, from the image on; see patch_receptive_field.
        width: channels between them.
        image_channels: 1 for grey images.
    """

    def __init__(
        self,
        layers: Sequence[tuple[int, int]] = PATCH_LAYERS,
        width: int = 32,
        image_channels: int = 1,
    ):
        super().__init__()
        require_int("PatchDiscriminator", 1, width=width, image_channels=image_channels)
        self.field = patch_receptive_field(layers)
        channels = [image_channels, *[width] * (len(layers) - 1), 1]
        self.layers = nn.Sequential()
        for (kernel, stride), before, after in zip(layers, channels, channels[1:], strict=False):
            self.layers.extend([nn.Conv2d(before, after, kernel, stride), nn.LeakyReLU(SLOPE)])
        del self.layers[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, image_channels, H, W) -> (B, 1, h, w), unbounded; no padding, so every patch is whole."""
        require_float_tensor("PatchDiscriminator", x=x)
        logits: Tensor = self.layers(x)
        return logits


def outlined(x: Tensor) -> Tensor:
    """The outline of what is white: of each pixel, by how much its brightest neighbour is brighter.

    Args:
        x: (B, C, H, W) float in [-1, 1].

    Returns:
        like x.
    """
    require_float_tensor("outlined", x=x)
    require_dims("outlined", 4, "(B, C, H, W)", x=x)
    return F.max_pool2d(x, 3, stride=1, padding=1) - x - 1


class Translator(nn.Module):
    """Images of one kind to images of another, of the same size: halved, looked at, doubled.

    Args:
        width: channels in between.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        require_int("Translator", 1, width=width)
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, width, 4, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) in [-1, 1] -> the same; H and W even."""
        require_float_tensor("Translator", x=x)
        if x.dim() != 4 or x.shape[1] != 1 or x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(
                f"Translator: x must be (B, 1, H, W) with even H and W, got {tuple(x.shape)}. "
                "An odd side would come back one pixel shorter."
            )
        images: Tensor = self.layers(x)
        return images


class Translators(nn.Module):
    """Both ways: `there` from the first kind of images to the second, `back` from the second to the first.

    Args:
        width: see Translator.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.there, self.back = Translator(width), Translator(width)


@dataclass(frozen=True)
class Judges:
    """A discriminator for each kind of image."""

    x: nn.Module
    y: nn.Module


def translation_loss(
    pair: Translators, judges: Judges, x: Tensor, y: Tensor, cycle_weight: float = CYCLE_WEIGHT
) -> Tensor:
    """What translators minimise: both judges fooled, and both kinds of images back where they came from.

    Args:
        pair: there(x) is to look like y, back(y) like x.
        judges: images -> logits, of any shape.
        x, y: (B, 1, H, W); row i of x has nothing to do with row i of y.
        cycle_weight: float >= 0, of the mean |back(there(x)) - x| plus the mean |there(back(y)) - y|.

    Returns:
        scalar.
    """
    require_same_shape("translation_loss", x=x, y=y)
    like_y, like_x = pair.there(x), pair.back(y)
    fooled = sum(generator_loss(logits, "non_saturating") for logits in (judges.y(like_y), judges.x(like_x)))
    cycle = F.l1_loss(pair.back(like_y), x) + F.l1_loss(pair.there(like_x), y)
    return fooled + cycle_weight * cycle


def translation_step(
    pair: Translators,
    judges: Judges,
    x: Tensor,
    y: Tensor,
    optimizers: tuple[Optimizer, Optimizer],
    cycle_weight: float = CYCLE_WEIGHT,
) -> float:
    """One update of both judges, then one of both translators.

    Args:
        optimizers: over the translators' parameters, and over those of both judges.

    Returns:
        translation_loss before the update of the translators.
    """
    moving, judging = optimizers
    discriminator_step(pair.there, judges.y, y, x, judging)
    discriminator_step(pair.back, judges.x, x, y, judging)
    loss = translation_loss(pair, judges, x, y, cycle_weight)
    moving.zero_grad()
    loss.backward()
    moving.step()
    return loss.item()
