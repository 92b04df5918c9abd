"""CurveScrubber: curves over one axis, at each stop of a slider; images beside them and dots that move along.

    x         (N,) float, ascending           where all curves are known
    curves    name -> (K, N) or (N,) float    heights at each stop, or the same at all; NaN: not drawn there
    marks     name -> (K, 2) float            x and y of a dot at each stop
    images    (K, H, W) uint8 or with 3 colours last
    index     int, 0..K-1                     the stop that is shown

Both axes stay as they are at all stops. Faint behind a curve is what it was at the first stop, behind a dot
its way through all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import traitlets
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plots import DATA, HIGHLIGHT, MODEL, NOISE, REFERENCE, STUDENT
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    require_ascending,
    require_equal,
    require_images,
    require_numbers,
    require_position,
)
from course_utils.widgets.base import SPAN, CourseWidget, module

NAME = "CurveScrubber"
COLOURS = (DATA, MODEL, NOISE, STUDENT, REFERENCE, HIGHLIGHT)  # in the order of the names
ROOM = (380, 420)  # pixels that the enlarged image of a still may take
PLOT = (1120, 440)  # pixels of a still's images and axes together, and their height
MARGIN = 0.04  # of the y axis, above and below what is drawn


@dataclass(frozen=True)
class Scale:
    """One axis: its name, and the range of what lies on it, as log10 where `log`."""

    label: str
    log: bool
    low: float
    high: float

    @classmethod
    def around(cls, label: str, log: bool, values: np.ndarray, margin: float = 0.0) -> "Scale":
        """The scale that holds all values, with a share of its length to spare on both sides."""
        numbers = values[~np.isnan(values)]
        places = np.log10(numbers) if log else numbers
        low, high = float(places.min()), float(places.max())
        spare = margin * (high - low) or (0.5 * abs(low) or 0.5) * (low == high)
        return cls(label, log, low - spare, high + spare)

    def shares(self, values: np.ndarray) -> np.ndarray:
        """How far along the axis the values lie, 0..1; NaN stays."""
        return ((np.log10(values) if self.log else values) - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Share of the way and text of each tick."""
        if not self.log:
            return wording.tick_texts(self.low, self.high, 6, wording.PLAIN)
        return _log_ticks(self.low, self.high)


def render(
    index: int,
    shares: tuple[np.ndarray, Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    scales: tuple[Scale, Scale],
    colours: Mapping[str, str],
    images: np.ndarray | None = None,
) -> np.ndarray:
    """A still of one stop: (H, W, 3) uint8.

    Args:
        index: 0..K-1.
        shares: x (N,), curves name -> (K, N) or (1, N), marks name -> (K, 2), all as shares of the axes.
        scales: of x and y.
        colours: name -> colour, of all curves and marks.
        images: None, or (K, H, W) or (K, H, W, 3) uint8.
    """
    x, curves, marks = shares
    picture = None if images is None else pictures.enlarge(images[index], ROOM)
    left = 16 if picture is None else picture.shape[1] + 48
    top = 20 + 26 * ceil(len(colours) / 3)
    below = top + max(PLOT[1], 0 if picture is None else picture.shape[0])
    card = pictures.Card(max(PLOT[0], left + 640), below + 80)
    if picture is not None:
        card.image(picture, 16, top)
    axes = card.axes(left + 90, top, card.width - left - 110, below - top, xlim=(0, 1), ylim=(0, 1))
    _name_axes(axes, scales)
    for name, rows in curves.items():
        if _moved(rows, index):
            axes.plot(x, rows[0], color=colours[name], alpha=0.3, linewidth=1.5, marker=_lonely(rows[0]))
        row = rows[index % len(rows)]
        axes.plot(x, row, color=colours[name], linewidth=2, marker=_lonely(row), label=name)
    for name, way in marks.items():
        axes.plot(*way.T, color=colours[name], alpha=0.35, linewidth=1, marker=".", clip_on=False)
        label = None if name in curves else name
        axes.plot(*way[index], "o", color=colours[name], markersize=8, clip_on=False, zorder=4, label=label)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    return card.pixels()


class CurveScrubber(CourseWidget):
    """A slider through curves over one axis.

    Args:
        x: (N,) float, ascending, two or more.
        curves: name -> (K, N) float, what is drawn at each stop, or (N,) float, drawn at all of them. NaN is
            not drawn; a number between two of them is a dot. May be empty where there are marks.
        stops: K numbers or texts, what the slider shows at each stop.
        captions: K sentences, what each stop shows.
        title: heading of the widget.
        label: name of the slider, e.g. "t".
        xlabel, ylabel: names of the axes, with their units.
        images: (K, H, W) or (K, H, W, 3) uint8, shown left of the axes.
        marks: name -> (K, 2) float, x and y of a dot at each stop. One named like a curve has its colour.
        unit: what the stops count; screen readers say it after each of them.
        index: the stop that is shown first.
        log_x, log_y: whether an axis is logarithmic; then all numbers along it are positive.

    Raises:
        ValueError: shapes or lengths do not fit, a number is infinite (or NaN in x and marks), x does not
            ascend, a logarithmic axis has a number that is not positive, there is nothing or too much to
            draw, or images are not uint8.
        TraitError: index lies outside of 0..K-1, here or when it is assigned.
    """

    FAMILY = "curve_scrubber"
    PARTS = ("axes",)
    STATE = ("index",)
    _esm = module(FAMILY, *PARTS)

    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        x: ArrayLike,
        curves: Mapping[str, ArrayLike],
        stops: Sequence[float | str],
        captions: Sequence[str],
        *,
        title: str,
        label: str,
        xlabel: str,
        ylabel: str,
        images: ArrayLike | None = None,
        marks: Mapping[str, ArrayLike] | None = None,
        unit: str = "",
        index: int = 0,
        log_x: bool = False,
        log_y: bool = False,
    ) -> None:
        places, self._count = _places(x), len(stops)
        require_equal(NAME, "lengths", stops=self._count, captions=len(captions))
        rows = {name: _rows(name, given, (self._count, len(places))) for name, given in curves.items()}
        ways = {
            name: require_numbers(NAME, f"marks[{name!r}]", way, (self._count, 2))
            for name, way in (marks or {}).items()
        }
        self._colours = _colours(rows, ways)
        self._images = None if images is None else _images(images, self._count)
        along = np.concatenate([places, *(way[:, 0] for way in ways.values())])
        up = np.concatenate([*(row.ravel() for row in rows.values()), *(way[:, 1] for way in ways.values())])
        for axis, log, values in (("log_x", log_x, along), ("log_y", log_y, up)):
            if log:
                _require_positive(axis, values)
        self._scales = Scale.around(xlabel, log_x, along), Scale.around(ylabel, log_y, up, MARGIN)
        across, height = self._scales
        self._shares = (
            across.shares(places),
            {name: height.shares(row) for name, row in rows.items()},
            {
                name: np.stack([across.shares(way[:, 0]), height.shares(way[:, 1])], axis=1)
                for name, way in ways.items()
            },
        )
        texts = wording.stops(stops)
        sheet, tiles = (b"", {}) if self._images is None else _sheet(self._images)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": list(captions),
            "note": _note(f"{label} = {texts[0]}", rows, ways),
            **tiles,
        }
        super().__init__(content | self._drawn(), sheet, index=index)

    def _drawn(self) -> dict[str, Any]:
        """Curves and marks as whole numbers 0..SPAN along each axis, None where there is nothing."""
        x, curves, marks = self._shares
        across, height = self._scales
        return {
            "x": _whole(x),
            "curves": [
                {"colour": self._colours[name], "rows": [_whole(row) for row in rows]}
                for name, rows in curves.items()
            ],
            "marks": [
                {"colour": self._colours[name], "x": _whole(way[:, 0]), "y": _whole(way[:, 1])}
                for name, way in marks.items()
            ],
            "legend": [{"name": name, "colour": colour} for name, colour in self._colours.items()],
            "xTicks": across.ticks(),
            "yTicks": height.ticks(),
            "xLabel": across.label,
            "yLabel": height.label,
        }

    @traitlets.validate("index")
    def _within_stops(self, proposal: traitlets.Bunch) -> int:
        return require_position(NAME, "index", proposal["value"], self._count)

    @property
    def caption(self) -> str:
        return self.content["captions"][self.index]

    def still(self) -> np.ndarray:
        return render(self.index, self._shares, self._scales, self._colours, self._images)


def _name_axes(axes: Axes, scales: tuple[Scale, Scale]) -> None:
    across, height = scales
    for set_ticks, scale in ((axes.set_xticks, across), (axes.set_yticks, height)):
        places, texts = zip(*scale.ticks(), strict=True)
        set_ticks(places, texts)
    axes.set(xlabel=across.label, ylabel=height.label)
    axes.spines[:].set_visible(True)


def _moved(rows: np.ndarray, index: int) -> bool:
    return len(rows) > 1 and not np.array_equal(rows[0], rows[index], equal_nan=True)


def _lonely(row: np.ndarray) -> str:
    """A marker, where some number lies between two that are not drawn."""
    drawn = np.pad(~np.isnan(row), 1)
    return "." if (drawn[1:-1] & ~drawn[:-2] & ~drawn[2:]).any() else ""


def _whole(shares: np.ndarray) -> list[int | None]:
    return [None if np.isnan(share) else round(float(share) * SPAN) for share in shares]


def _sheet(images: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    sheet, tiles = pictures.frame_sheet(images)
    return pictures.png(sheet), tiles


def _note(first: str, rows: Mapping[str, np.ndarray], ways: Mapping[str, np.ndarray]) -> str:
    """What the faint lines are."""
    moving = any(_moved(row, at) for row in rows.values() for at in range(len(row)))
    parts = [f"Faint curves: {first}."] * moving + ["Faint dots: the way through all stops."] * bool(ways)
    return " ".join(parts)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten; where fewer than three fit, also 2 and 5 times these; and round numbers if few."""
    every = max(1, round((high - low) / 6))
    exponents = range(floor(low), ceil(high) + 1)
    powers = _within(low, high, {float(e): _power(e) for e in exponents if e % every == 0})
    if len(powers) >= 3:
        return powers
    folds = [fold * 10.0**e for e in exponents for fold in (1, 2, 5)]
    finer = _within(low, high, {float(np.log10(value)): f"{value:g}" for value in folds})
    if len(finer) >= 3:
        return finer
    values = [value for value, _ in wording.ticks(10**low, 10**high)]
    return _within(low, high, {float(np.log10(value)): f"{value:g}" for value in values})


def _within(low: float, high: float, texts: Mapping[float, str]) -> list[tuple[float, str]]:
    shares = {(place - low) / (high - low): text for place, text in texts.items()}
    return [(share, text) for share, text in shares.items() if -1e-9 <= share <= 1 + 1e-9]


def _power(exponent: int) -> str:
    """10 to a power: 0.001 to 10000 in figures, others as powers."""
    if -3 <= exponent <= 4:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _places(x: ArrayLike) -> np.ndarray:
    places = require_ascending(NAME, "x", x, "N").astype(np.float64)
    if len(places) < 2:
        raise ValueError(f"{NAME}: x must hold two numbers or more, got 1; a curve needs a range.")
    return places


def _rows(name: str, values: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """A curve as (K, N), or as (1, N) where it is the same at all stops; float64, NaN stays."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.shape not in (shape, shape[1:]):
        raise ValueError(
            f"{NAME}: curves[{name!r}] must be numbers of shape (K, N) = {shape} or (N,) = {shape[1:]}, got "
            f"{array.dtype} of shape {array.shape}; K counts the stops, N the places x."
        )
    rows = np.atleast_2d(array.astype(np.float64))
    infinite, missing = int(np.isinf(rows).sum()), int(np.isnan(rows).sum())
    if infinite or missing == rows.size:
        raise ValueError(
            f"{NAME}: curves[{name!r}] must be finite, or NaN where nothing is drawn, got {infinite} infinite"
            f" and {missing} NaN of {rows.size} values; the model behind them may have diverged."
        )
    return rows


def _colours(curves: Mapping[str, object], marks: Mapping[str, object]) -> dict[str, str]:
    names = list(dict.fromkeys([*curves, *marks]))
    if not 1 <= len(names) <= len(COLOURS):
        raise ValueError(
            f"{NAME}: curves and marks must have one to {len(COLOURS)} names, got {len(names)}; "
            "each has a colour of its own, and more cannot be told apart."
        )
    return dict(zip(names, COLOURS, strict=False))


def _images(images: ArrayLike, count: int) -> np.ndarray:
    array = require_images(NAME, "images", images, "K H W", colour=True)
    require_equal(NAME, "lengths", images=len(array), stops=count)
    return array


def _require_positive(axis: str, values: np.ndarray) -> None:
    lowest = np.nanmin(values)
    if lowest <= 0:
        raise ValueError(
            f"{NAME}: with {axis} all numbers along the axis must be positive, got {lowest:.6g}; "
            "NaN leaves a number out."
        )
