"""Numbers and classes as legends, axes and captions show them; the browser gets texts and formats nothing."""

from collections.abc import Sequence
from math import floor, log10

import numpy as np
from matplotlib.ticker import MaxNLocator

from course_utils.plots import CLASS_COLOURS
from course_utils.widgets.pictures import Card

PLAIN = (1, 2, 5, 10)  # steps of ticks that are counted by


def classes(labels: np.ndarray) -> tuple[list[dict[str, str]], list[int]]:
    """The classes that occur, as {"name", "colour"}, and for each label its position among them."""
    present, positions = np.unique(labels, return_inverse=True)
    return [{"name": str(k), "colour": CLASS_COLOURS[k]} for k in present], positions.tolist()


def colours(labels: np.ndarray) -> list[str]:
    """The colour of each label."""
    return [CLASS_COLOURS[label] for label in labels]


def draw_classes(card: Card, labels: np.ndarray, left: int, top: int) -> None:
    """The classes that occur, on a still: coloured dots with their names, in one row from (left, top) on."""
    for at, entry in enumerate(classes(labels)[0]):
        card.text(left + 48 * at, top, "●", color=entry["colour"])
        card.text(left + 48 * at + 17, top, entry["name"])


def decimals(step: float) -> int:
    """How many decimals give `step`, the difference that matters, two digits."""
    return max(0, 1 - floor(log10(step)))


def fixed(values: Sequence[float] | np.ndarray, step: float) -> list[str]:
    """Numbers with one count of decimals: as many as give `step`, the difference that matters, two digits.

    step 0.75: [-8, 0.25] -> "-8.00", "0.25"; step 0.002: [0.02084] -> "0.0208"; step 20: [250.4] -> "250".
    """
    return [f"{value:.{decimals(step)}f}" for value in values]


def shortest(values: Sequence[float] | np.ndarray, most: int = 3) -> list[str]:
    """Numbers with one count of decimals: as few as tell them exactly, at most `most`.

    [0.5, 0.55] -> "0.50", "0.55"; [-2, 0.1] -> "-2.0", "0.1"; [0.123456, 1] -> "0.123", "1.000".
    """
    array = np.asarray(values)
    count = next((count for count in range(most) if np.allclose(array.round(count), array, 0, 1e-6)), most)
    return [f"{value + 0.0:.{count}f}" for value in array.round(count)]


def stops(values: Sequence[float | str]) -> list[str]:
    """What a slider shows at each of its stops: texts as they are, numbers short."""
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]


def ticks(
    low: float, high: float, count: int = 5, steps: Sequence[float] | None = None
) -> list[tuple[float, float]]:
    """About `count` round numbers from low to high, each with its share (0..1) of the way.

    Args:
        steps: what may lie between two of them, times a power of ten, from 1 to 10; None leaves it open.
    """
    values = MaxNLocator(count, steps=steps).tick_values(low, high)
    return [(float(value), (value - low) / (high - low)) for value in values if low <= value <= high]


def tick_texts(
    low: float, high: float, count: int = 5, steps: Sequence[float] | None = None
) -> list[tuple[float, str]]:
    """Like `ticks`, as the browser gets them: share of the way, text."""
    return [(share, f"{value:g}") for value, share in ticks(low, high, count, steps)]
