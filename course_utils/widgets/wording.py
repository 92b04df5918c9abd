"""Numbers and classes as legends, axes and captions show them; the browser gets texts and formats nothing."""

from collections.abc import Sequence
from math import floor, log10

import numpy as np
from matplotlib.ticker import MaxNLocator

from course_utils.plots import CLASS_COLOURS
from course_utils.widgets.pictures import Card


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


def fixed(values: Sequence[float] | np.ndarray, step: float) -> list[str]:
    """Numbers with one count of decimals: as many as give `step`, the difference that matters, two digits.

    step 0.75: [-8, 0.25] -> "-8.00", "0.25"; step 0.002: [0.02084] -> "0.0208"; step 20: [250.4] -> "250".
    """
    decimals = max(0, 1 - floor(log10(step)))
    return [f"{value:.{decimals}f}" for value in values]


def ticks(low: float, high: float, count: int = 5) -> list[tuple[float, float]]:
    """About `count` round numbers from low to high, each with its share (0..1) of the way."""
    values = MaxNLocator(count).tick_values(low, high)
    return [(float(value), (value - low) / (high - low)) for value in values if low <= value <= high]
