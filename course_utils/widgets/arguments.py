"""What the widgets refuse. Each error names the widget, the rule, what came and the likely cause.

    widget    str    name of the class that was called, as the reader knows it
    name      str    name of the argument

What passes is returned, as an array.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from traitlets import TraitError

from course_utils.plots import CLASS_COLOURS

Extent = tuple[float, float, float, float]


def require_images(widget: str, name: str, images: ArrayLike, axes: str, colour: bool = False) -> np.ndarray:
    """`images` as a uint8 array.

    Args:
        axes: names of all axes, e.g. "N h w".
        colour: whether a last axis of 3 colours may follow.

    Raises:
        ValueError: another dtype or number of axes, or no pixel at all.
    """
    array = np.asarray(images)
    shape = f"({axes.replace(' ', ', ')})" + (" or with 3 colours last" if colour else "")
    if array.dtype != np.uint8:
        raise ValueError(
            f"{widget}: {name} must be uint8 {shape}, got {_describe(array)}; "
            "pass uint8: use course_utils.data.to_uint8."
        )
    extra = array.ndim - len(axes.split())
    if extra != 0 and not (colour and extra == 1 and array.shape[-1] == 3):
        raise ValueError(
            f"{widget}: {name} must have the shape {shape}, got {array.shape}; "
            "a channel axis of length 1 is dropped by images[:, 0]."
        )
    if not array.size:
        raise ValueError(
            f"{widget}: {name} must hold at least one image, got shape {array.shape}; "
            "the selection may be empty."
        )
    return array


def require_numbers(
    widget: str, name: str, values: ArrayLike, shape: tuple[int | str, ...], integer: bool = False
) -> np.ndarray:
    """`values` as an array of finite numbers.

    Args:
        shape: length of each axis; a letter stands for any length from 1 on.
        integer: whether only whole numbers will do.

    Raises:
        ValueError: another shape or kind, NaN or infinity.
    """
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(
        length == wanted or (isinstance(wanted, str) and length > 0)
        for length, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype.kind not in ("iu" if integer else "iuf") or not fits:
        wanted = ", ".join(map(str, shape))
        raise ValueError(
            f"{widget}: {name} must be {'integers' if integer else 'numbers'} of shape ({wanted}), "
            f"got {_describe(array)}; an axis may be missing, empty or swapped."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"{widget}: {name} must be finite, got {(~np.isfinite(array)).sum()} of {array.size} values "
            "NaN or infinite; the model behind them may have diverged."
        )
    return array


def require_ascending(widget: str, name: str, values: ArrayLike, axis: str) -> np.ndarray:
    """`values` as an array of finite numbers, each larger than the one before; `axis` names their count.

    Raises:
        ValueError: another shape or kind, NaN, infinity, or a number that does not exceed the one before.
    """
    array = require_numbers(widget, name, values, (axis,))
    if (np.diff(array) <= 0).any():
        raise ValueError(
            f"{widget}: {name} must ascend, got one that does not exceed the one before; "
            "np.unique sorts and thins them."
        )
    return array


def require_extent(widget: str, extent: Extent) -> Extent:
    """(x0, x1, y0, y1), the ranges of both axes of a plane.

    Raises:
        ValueError: not four finite numbers, or a range without length.
    """
    x0, x1, y0, y1 = require_numbers(widget, "extent", extent, (4,)).tolist()
    if not (x0 < x1 and y0 < y1):
        raise ValueError(
            f"{widget}: extent must be (x0, x1, y0, y1) with x0 < x1 and y0 < y1, got {(x0, x1, y0, y1)}; "
            "it may name two corners, (x0, y0, x1, y1)."
        )
    return x0, x1, y0, y1


def require_labels(widget: str, labels: ArrayLike) -> np.ndarray:
    """Labels as an integer array (N,), each with a colour of its own.

    Raises:
        ValueError: another shape or kind, or a label without a colour.
    """
    array = require_numbers(widget, "labels", labels, ("N",), integer=True)
    if array.min() < 0 or array.max() >= len(CLASS_COLOURS):
        raise ValueError(
            f"{widget}: labels must lie in 0..{len(CLASS_COLOURS) - 1}, got {array.min()}..{array.max()}; "
            "there is one colour for each digit."
        )
    return array


def require_equal(widget: str, what: str, **sizes: object) -> None:
    """Raise ValueError unless all sizes are equal; `what` says what they are, e.g. "lengths"."""
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(
            f"{widget}: {what} must be equal, got {listed}; one may have been cut without the others."
        )


def require_position(widget: str, name: str, value: int, count: int) -> int:
    """`value`, a position among `count` things; outside of 0..count-1 TraitError, and the trait stays."""
    if not 0 <= value < count:
        raise TraitError(f"{widget}: {name} must lie in 0..{count - 1}, got {value}; positions count from 0.")
    return value


def require_name(widget: str, name: str, value: str, names: Iterable[str]) -> str:
    """`value`, one of `names`; another one gives TraitError, and the trait stays."""
    known = tuple(names)
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise TraitError(f"{widget}: {name} must be one of {listed}, got {value!r}.")
    return value


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
