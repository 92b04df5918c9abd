"""Grey images painted in one colour each: what colourisation has to guess.

    grey    (N, 1, H, W) float in [0, 1]    0 = ground, 1 = ink
    hue     (N,) float, radians             0 red, 2 pi / 3 green, 4 pi / 3 blue
    rgb     (N, 3, H, W) float in [0, 1]    a dark ground, ink of one hue

All hues are equally bright: the mean of the three channels is grey / 2, whatever the hue. So nothing of the
hue is left in it.
"""

import math

import torch
from torch import Tensor

from course_utils.validation import require_dims, require_float_tensor


def paint(grey: Tensor, hue: Tensor) -> Tensor:
    """rgb, channel c = grey (1 + cos(hue - 2 pi c / 3)) / 2. ValueError: there is not one hue an image."""
    require_float_tensor("paint", grey=grey, hue=hue)
    if grey.dim() != 4 or grey.shape[1] != 1 or hue.shape != (len(grey),):
        raise ValueError(
            f"paint: grey must be (N, 1, H, W) and hue (N,), got {tuple(grey.shape)} and {tuple(hue.shape)}."
        )
    shares = (1 + torch.cos(hue[:, None] - _angles(hue))) / 2
    return grey * shares[:, :, None, None].to(grey)


def hue(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """The mean hue of each image, and how far its pixels agree on it.

    A pixel counts as the vector sum_c rgb_c e^(2 pi i c / 3): its angle is the hue, its length the strength.

    Returns:
        hue (N,) in -pi..pi, and concentration (N,) in 0..1: 1 where all pixels have one hue, 0 where none has
        any. float64.

    Raises:
        TypeError, ValueError: rgb is no float, or not (N, 3, H, W).
    """
    require_float_tensor("hue", rgb=rgb)
    require_dims("hue", 4, "(N, 3, H, W)", rgb=rgb)
    if rgb.shape[1] != 3:
        raise ValueError(f"hue: rgb must be (N, 3, H, W), got {tuple(rgb.shape)}. Grey images have no hue.")
    pixels = torch.einsum("nchw,c->nhw", rgb.to(torch.complex128), torch.exp(1j * _angles(rgb.double())))
    total = pixels.sum(dim=(1, 2))
    return total.angle(), total.abs() / pixels.abs().sum(dim=(1, 2)).clamp(min=1e-12)


def _angles(like: Tensor) -> Tensor:
    return torch.arange(3, device=like.device, dtype=like.dtype) * (2 * math.pi / 3)
