"""LatentSweep: one slider over models, and for each of them images, encoded data and the use of its latents.

    frames    (K, H, W) uint8 or with 3 colours last    rows of images, as in FrameScrubber
    clouds    (K, N, 2) float      two numbers of the code of each of N images
    labels    (N,) int             0..9, they choose the colours
    bars      (K, D) float, >= 0   a number of each latent, in the caller's order
    active    (K, D) bool          the latents in use; the bars of others are faint
    index     int, 0..K-1          the model that is shown

All models share one range of codes, symmetric around 0, and one range of bars. What lies beyond is cut: dots
are left out, bars end in a mark.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.patches import Circle
from numpy.typing import ArrayLike

from course_utils.plots import MODEL
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    require_equal,
    require_images,
    require_labels,
    require_numbers,
    require_position,
)
from course_utils.widgets.base import CourseWidget, in_plane, module

RING = 2.0  # radius of the ring that stands for the prior: two standard deviations
RING_LABEL = "prior: 2 std"
INSIDE = 0.995  # share of a model's numbers that lie within the cloud's range, unless it is an outlier
OUTLIER = 3.0  # a model that needs so many times the room of any other is cut
SIDE = 460  # pixels of a still's square plot
ROOM = (1120, 420)  # pixels that the enlarged frame of a still may take


def cloud_reach(clouds: np.ndarray) -> float:
    """The range of both axes is -reach..reach: nearly all codes of most models, and at least the ring."""
    furthest = np.quantile(np.abs(clouds), INSIDE, axis=(1, 2))
    return float(max(largest_but_outlier(furthest), 1.15 * RING)) * 1.03


def bar_top(bars: np.ndarray) -> float:
    """The height of the bars' plot, in their unit: all bars of most models."""
    return 1.05 * largest_but_outlier(bars.max(axis=1)) or 1.0


def largest_but_outlier(values: np.ndarray) -> float:
    """The largest of a number of each model, or the next one where the largest exceeds that OUTLIER times."""
    *_, second, first = np.sort(np.append(values, 0.0))
    return float(second if 0 < OUTLIER * second < first else first)


def ring_label(cloud: np.ndarray, reach: float) -> str:
    """What the ring is, and how many of the codes (N, 2) do not show."""
    outside = (np.abs(cloud) > reach).any(axis=1).mean()
    return f"{RING_LABEL}; {outside:.0%} of the codes lie beyond" if outside >= 0.01 else RING_LABEL


def render(
    frame: np.ndarray,
    cloud: np.ndarray,
    labels: np.ndarray,
    bars: np.ndarray,
    active: np.ndarray,
    ranges: tuple[float, float],
    names: tuple[Sequence[str], str, tuple[str, str]],
) -> np.ndarray:
    """A still of one model: its images, below them its codes and its latents: (H, W, 3) uint8.

    Args:
        frame: (H, W) or (H, W, 3) uint8.
        cloud: (N, 2) float.
        labels: (N,) int, 0..9.
        bars: (D,) float.
        active: (D,) bool.
        ranges: reach of the cloud's axes, height of the bars' plot.
        names: of the rows of images, of the bars, of the cloud's axes.
    """
    row_labels, bar_label, (x_label, y_label) = names
    reach, top = ranges
    picture = pictures.enlarge(frame, ROOM)
    height, width = picture.shape[:2]
    left = 16 + 14 * max(map(len, row_labels), default=0)
    card = pictures.Card(max(1120, left + width + 16), height + SIDE + 180)
    card.image(picture, left, 16)
    for row, name in enumerate(row_labels):
        card.text(left - 8, 16 + height * (row + 0.5) / len(row_labels), name, ha="right")
    below, limits = height + 70, (-reach, reach)
    marks = [value for value, _ in wording.ticks(*limits, 5, wording.PLAIN)]
    card.text(84, below - 22, f"◌  {ring_label(cloud, reach)}")
    axes = card.axes(84, below, SIDE, SIDE, xlim=limits, ylim=limits, xticks=marks, yticks=marks)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.spines[:].set_visible(True)
    axes.scatter(cloud[:, 0], cloud[:, 1], c=wording.colours(labels), s=7, linewidths=0)
    axes.add_patch(Circle((0, 0), RING, fill=False, color="#666666", linewidth=1, linestyle="--"))
    wording.draw_classes(card, labels, 84, below + SIDE + 92)
    left = SIDE + 170
    chart = card.axes(left, below, card.width - left - 16, SIDE, ylim=(0, top), xticks=[])
    chart.bar(range(len(bars)), bars, color=[MODEL if used else f"{MODEL}40" for used in active])
    for at in np.flatnonzero(bars > top):
        chart.text(float(at), top, "▲", ha="center", va="bottom", color=MODEL, fontsize=7)
    card.text(left, below - 22, bar_label)
    return card.pixels()


class LatentSweep(CourseWidget):
    """A slider over models: images, a cloud of codes and a bar of each latent move together.

    Args:
        frames: (K, H, W) or (K, H, W, 3) uint8.
        clouds: (K, N, 2) float.
        labels: (N,) int, 0..9.
        bars: (K, D) float, >= 0.
        active: (K, D) bool.
        stops: K numbers or texts, what the slider shows at each model.
        captions: K sentences, what each model shows.
        title: heading of the widget.
        label: name of the slider, e.g. "β".
        unit: what the stops count; screen readers say it after each of them.
        index: the model that is shown first.
        row_labels: names of the rows of images that are stacked in a frame, all equally high.
        bar_label: name and unit of the bars.
        cloud_labels: names of the cloud's axes.

    Raises:
        ValueError: frames are not uint8 images, lengths or shapes differ, numbers are not finite, a bar is
            negative, active is not bool, or a label has no colour.
        TraitError: index lies outside of 0..K-1, here or when it is assigned.
    """

    FAMILY = "latent_sweep"
    PARTS = ("axes",)
    STATE = ("index",)
    _esm = module(FAMILY, *PARTS)

    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike,
        clouds: ArrayLike,
        labels: ArrayLike,
        bars: ArrayLike,
        active: ArrayLike,
        stops: Sequence[float | str],
        captions: Sequence[str],
        *,
        title: str,
        label: str,
        unit: str = "",
        index: int = 0,
        row_labels: Sequence[str] = (),
        bar_label: str = "KL of each latent, nats",
        cloud_labels: tuple[str, str] = ("", ""),
    ) -> None:
        name = "LatentSweep"
        self._frames = require_images(name, "frames", frames, "K H W", colour=True)
        self._labels = require_labels(name, labels)
        self._clouds = require_numbers(name, "clouds", clouds, ("K", len(self._labels), 2))
        self._bars = _not_negative(require_numbers(name, "bars", bars, ("K", "D")))
        self._active = _flags(active, self._bars.shape)
        require_equal(
            name,
            "lengths",
            frames=len(self._frames),
            clouds=len(self._clouds),
            bars=len(self._bars),
            stops=len(stops),
            captions=len(captions),
        )
        self._ranges = cloud_reach(self._clouds), bar_top(self._bars)
        self._names = tuple(row_labels), bar_label, cloud_labels
        sheet, tiles = pictures.sheet(self._frames)
        texts = wording.stops(stops)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": list(captions),
            "rowLabels": list(row_labels),
            "tiles": tiles,
            "barLabel": bar_label,
            "cloudLabels": list(cloud_labels),
        }
        super().__init__(content | self._cloud() | self._chart(), pictures.png(sheet), index=index)

    def _cloud(self) -> dict[str, Any]:
        """Places and classes of the codes, and the ring's radius as a share of the plot's width."""
        reach = self._ranges[0]
        entries, positions = wording.classes(self._labels)
        return {
            "clouds": [in_plane(cloud, (-reach, reach, -reach, reach)) for cloud in self._clouds],
            "classes": entries,
            "labels": positions,
            "cloudTicks": wording.tick_texts(-reach, reach, 5, wording.PLAIN),
            "ring": {
                "radius": round(RING / (2 * reach), 5),
                "labels": [ring_label(cloud, reach) for cloud in self._clouds],
            },
        }

    def _chart(self) -> dict[str, Any]:
        """Heights of the bars as shares of the plot's height; more than 1 where they are cut."""
        top = self._ranges[1]
        return {
            "bars": (self._bars / top).round(4).tolist(),
            "active": self._active.astype(int).tolist(),
            "barTicks": wording.tick_texts(0, top, 5, wording.PLAIN),
            "barColour": MODEL,
        }

    @traitlets.validate("index")
    def _within_models(self, proposal: traitlets.Bunch) -> int:
        return require_position("LatentSweep", "index", proposal["value"], len(self._frames))

    @property
    def caption(self) -> str:
        return self.content["captions"][self.index]

    def still(self) -> np.ndarray:
        at = self.index
        frame, cloud, bars, active = (
            stack[at] for stack in (self._frames, self._clouds, self._bars, self._active)
        )
        return render(frame, cloud, self._labels, bars, active, self._ranges, self._names)


def _not_negative(bars: np.ndarray) -> np.ndarray:
    if bars.min() < 0:
        raise ValueError(
            f"LatentSweep: bars must not be negative, got {bars.min():.6g}; "
            "a KL in closed form may fall below 0 by rounding: clip it there."
        )
    return bars


def _flags(active: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(active)
    if array.dtype != np.bool_ or array.shape != shape:
        raise ValueError(
            f"LatentSweep: active must be bool of shape {shape} like bars, got {array.dtype} of shape "
            f"{array.shape}; compare the bars with a threshold, e.g. bars > 0.05."
        )
    return array
