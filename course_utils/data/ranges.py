"""Value ranges of images, converted by name.

uint8         0..255, as files hold them
value_range   (low, high) floats: what 0 and 255 stand for. Chapters 1-3 use (0, 1), chapters 4-9 use (-1, 1)
"""

import torch
from torch import Tensor

from course_utils.validation import describe, require_float_tensor

ValueRange = tuple[float, float]


def to_float(x: Tensor, value_range: ValueRange) -> Tensor:
    """Images as float32: 0 becomes low, 255 becomes high.

    Args:
        x: any shape, uint8.
        value_range: (low, high), low < high.

    Raises:
        TypeError: x is not uint8.
    """
    low, high = _checked("to_float", value_range)
    if not isinstance(x, Tensor) or x.dtype != torch.uint8:
        raise TypeError(
            f"to_float: x must be a uint8 tensor, got {describe(x)}. Floats change range by rescale."
        )
    return x.to(torch.float32).mul_((high - low) / 255).add_(low)


def to_uint8(x: Tensor, value_range: ValueRange) -> Tensor:
    """Images as uint8 for display: low becomes 0, high 255, what lies outside is clamped, the rest rounded.

    Args:
        x: any shape, float, meant to lie in value_range.
        value_range: (low, high), low < high.

    Raises:
        TypeError: x is not floating point.
        ValueError: x holds NaN, which no grey value stands for.
    """
    low, high = _checked("to_uint8", value_range)
    require_float_tensor("to_uint8", x=x)
    if x.isnan().any():
        raise ValueError(
            f"to_uint8: {int(x.isnan().sum())} of {x.numel()} values are NaN. The model may have diverged."
        )
    return ((x - low) * (255 / (high - low))).round().clamp(0, 255).to(torch.uint8)


def rescale(x: Tensor, source: ValueRange, target: ValueRange) -> Tensor:
    """The linear map that takes the range `source` to the range `target`; nothing is clamped.

    Args:
        x: any shape, float.

    Returns:
        like x.
    """
    low, high = _checked("rescale", source)
    new_low, new_high = _checked("rescale", target)
    require_float_tensor("rescale", x=x)
    return (x - low) * ((new_high - new_low) / (high - low)) + new_low


def _checked(function: str, value_range: ValueRange) -> ValueRange:
    low, high = value_range
    if not low < high:
        raise ValueError(f"{function}: a value range is (low, high) with low < high, got {value_range}.")
    return low, high
