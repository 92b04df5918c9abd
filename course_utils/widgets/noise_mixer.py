"""NoiseMixer: images and noise, mixed as forward diffusion mixes them, at any step of one or more schedules.

    x0           (N, h, w) float in [-1, 1]    -1 = the page's background, 1 = full ink
    noise        (N, h, w) float               standard normal
    schedules    name -> (T,) float in 0..1    alphas_cumprod: the share of the signal's variance left at t
    index        int, 0..T-1                   the step t that is shown
    shown        str                           the schedule whose curves and histogram are shown

    x_t = sqrt(alphas_cumprod[t]) x0 + sqrt(1 - alphas_cumprod[t]) noise

x0 is sent once, a byte a number, and noise once, two bytes a number: steps of one byte would show in the
histogram. Noise is clipped to -4..4: 1 number in 16,000 lies beyond. The browser mixes anew for every t,
one row of images for each schedule.
"""

from collections.abc import Iterable, Mapping
from math import ceil, inf, log10
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.plots import DATA, MODEL, NOISE
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_equal, require_name, require_numbers, require_position
from course_utils.widgets.base import CourseWidget, module

SENTENCES = {  # of one schedule and of several; shares are those of data of variance 1
    "one": "{label} = {t}: {signal} of the variance is signal, {noise} is noise; "
    "signal-to-noise ratio {snr} ({name}).",
    "several": "{label} = {t}: noise makes up {shares} of the variance.",
}
MOST_SCHEDULES = 4
NOISE_REACH = 4.0  # standard deviations that noise spans on either side when it is sent
MILLION = 1_000_000  # alphas_cumprod is sent in millionths
GAP = 2  # image pixels between images
REACH = 3.0  # of the histogram, on either side of 0
BINS = 50  # its edges then miss -1 and 1, where the pixels of x0 gather
TOP = 0.8  # density at the histogram's upper edge, twice the peak of N(0, 1): higher bars are cut, and marked
FACTORS = ("signal √ᾱ", "noise √(1 - ᾱ)")
PIXELS = "pixels of x_t"
NORMAL = "N(0, 1)"
COLOURS = {"signal": DATA, "noise": NOISE, "pixels": MODEL}
ROOM = (1088, 420)  # pixels that the enlarged images of a still may take


def mix(x0: np.ndarray, noise: np.ndarray, kept: float) -> np.ndarray:
    """x_t where the share `kept` of the signal's variance is left; like x0."""
    return kept**0.5 * x0 + (1 - kept) ** 0.5 * noise


def as_ink(values: np.ndarray) -> np.ndarray:
    """Numbers as uint8: 0..255 for -1..1, clipped beyond."""
    return ((values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)


def as_two_bytes(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower uint8 of 0..65535 for -NOISE_REACH..NOISE_REACH, clipped beyond."""
    shares = noise.clip(-NOISE_REACH, NOISE_REACH) / NOISE_REACH
    steps = ((shares + 1) * 32767.5).round().astype(np.uint16)
    return (steps >> 8).astype(np.uint8), (steps & 255).astype(np.uint8)


def lay_out(rows: np.ndarray) -> np.ndarray:
    """Images (S, N, h, w) as one picture: S rows of N with gaps between, (S h + gaps, N w + gaps)."""
    spaced = np.pad(rows, ((0, 0), (0, 0), (0, GAP), (0, GAP)))
    count, columns, height, width = spaced.shape
    return spaced.swapaxes(1, 2).reshape(count * height, columns * width)[:-GAP, :-GAP]


def normal_density(values: np.ndarray) -> np.ndarray:
    """The density of N(0, 1)."""
    return np.exp(-0.5 * values**2) / np.sqrt(2 * np.pi)


def render(
    x0: np.ndarray,
    noise: np.ndarray,
    schedules: Mapping[str, np.ndarray],
    index: int,
    shown: str,
    label: str = "t",
) -> np.ndarray:
    """A still of one step: a row of images for each schedule, below it curves and histogram: (H, W, 3) uint8.

    Args:
        x0, noise: (N, h, w) float.
        schedules: name -> (T,) float.
        index: 0..T-1.
        shown: the schedule whose curves and histogram are drawn.
        label: name of the steps.
    """
    rows = {name: mix(x0, noise, float(kept[index])) for name, kept in schedules.items()}
    names = list(schedules) if len(schedules) > 1 else []
    left = 16 + 14 * max(map(len, names), default=0)
    ink = pictures.fewer_greys(as_ink(np.stack(list(rows.values()))))
    picture = pictures.enlarge(lay_out(ink), (ROOM[0] + 16 - left, ROOM[1]))
    height, width = picture.shape
    card = pictures.Card(max(1120, left + width + 16), height + 400)
    card.image(picture, left, 16)
    for row, name in enumerate(names):
        card.text(left - 8, 16 + height * (row + 0.5) / len(names), name, ha="right")
    _draw_curves(card, height + 70, schedules[shown], index, label)
    _draw_histogram(card, height + 70, rows[shown], f"{PIXELS}, {shown}" if names else PIXELS)
    return card.pixels()


def _draw_curves(card: pictures.Card, top: int, kept: np.ndarray, index: int, label: str) -> None:
    axes = card.axes(
        84, top, 450, 250, xlabel=label, ylabel="factor", xlim=(0, len(kept) - 1), ylim=(0, 1.04)
    )
    axes.axvline(index, color="black", linewidth=1)
    for name, part, shares in zip(FACTORS, ("signal", "noise"), (kept, 1 - kept), strict=True):
        factor = shares**0.5
        axes.plot(factor, color=COLOURS[part], label=f"{name} = {factor[index]:.3f}")
        axes.plot(index, factor[index], "o", color=COLOURS[part], clip_on=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)


def _draw_histogram(card: pictures.Card, top: int, values: np.ndarray, name: str) -> None:
    limits = (-REACH, REACH)
    axes = card.axes(
        card.width - 466, top, 450, 250, xlabel="pixel value", ylabel="density", xlim=limits, ylim=(0, TOP)
    )
    counts, edges = np.histogram(values, BINS, limits)
    heights = counts * (BINS / (2 * REACH * values.size))
    axes.stairs(heights, edges, color=MODEL, alpha=0.6, fill=True, label=name)
    for middle in ((edges[1:] + edges[:-1]) / 2)[heights > TOP]:
        axes.text(middle, TOP, "▲", ha="center", va="bottom", color=MODEL, fontsize=7)
    axes.plot(edges, normal_density(edges), "--", color="black", linewidth=1.5, label=NORMAL)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)


class NoiseMixer(CourseWidget):
    """A slider through forward diffusion: noisy images of each schedule, its curves, its pixel values.

    Args:
        x0: (N, h, w) float in [-1, 1].
        noise: (N, h, w) float, standard normal; clipped to -4..4.
        schedules: name -> (T,) float, alphas_cumprod, one to four of equal length T >= 2.
        title: heading of the widget.
        label: name of the slider and of what it counts.
        index: the step that is shown first.

    Raises:
        ValueError: x0 leaves [-1, 1], shapes or lengths differ, numbers are not finite, there is no schedule
            or more than four, or one leaves 0..1 or rises.
        TraitError: index lies outside of 0..T-1 or shown names nothing, here or when they are assigned.
    """

    FAMILY = "noise_mixer"
    PARTS = ("axes",)
    STATE: tuple[str, ...] = ("index",)
    _esm = module(FAMILY, *PARTS)

    index = traitlets.Int().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        x0: ArrayLike,
        noise: ArrayLike,
        schedules: Mapping[str, ArrayLike],
        *,
        title: str,
        label: str = "t",
        index: int = 0,
    ) -> None:
        self._x0 = _signal(x0)
        self._noise = require_numbers("NoiseMixer", "noise", noise, ("N", "h", "w"))
        require_equal("NoiseMixer", "shapes", x0=self._x0.shape, noise=self._noise.shape)
        self._schedules = _one_to_four(schedules)
        if len(self._schedules) > 1:
            self.STATE = ("index", "shown")
        self._label = label
        sheet, tiles = pictures.sheet(np.concatenate([as_ink(self._x0), *as_two_bytes(self._noise)]))
        content = {"title": title, "label": label, "names": list(self._schedules), "tiles": tiles, "gap": GAP}
        content |= {"count": len(self._x0), "noiseReach": NOISE_REACH, "colours": COLOURS}
        super().__init__(
            content | self._texts() | self._curves() | _histogram(),
            pictures.png(sheet),
            index=index,
            shown=next(iter(self._schedules)),
        )

    def _texts(self) -> dict[str, Any]:
        """What captions are made of. Of each schedule one text holds all steps, with spaces between."""
        rows = list(self._schedules.values())
        if len(rows) > 1:
            return {"sentence": SENTENCES["several"], "shares": [_joined(_share(1 - kept)) for kept in rows]}
        parts = {"signal": _share(rows[0]), "noise": _share(1 - rows[0]), "snr": _ratios(rows[0])}
        return {
            "sentence": SENTENCES["one"],
            "parts": {name: _joined(texts) for name, texts in parts.items()},
        }

    def _curves(self) -> dict[str, Any]:
        """The schedules, in millionths, and both factors of each step in words."""
        rows = self._schedules.values()
        last = len(next(iter(rows))) - 1
        return {
            "kept": [(MILLION * kept).round().astype(int).tolist() for kept in rows],
            "million": MILLION,
            "factors": [
                [_joined(f"{factor:.3f}" for factor in part**0.5) for part in (kept, 1 - kept)]
                for kept in rows
            ],
            "factorNames": FACTORS,
            "stepTicks": wording.tick_texts(0, last, 5, wording.PLAIN),
            "factorTicks": wording.tick_texts(0, 1, 5, wording.PLAIN),
        }

    @traitlets.validate("index")
    def _within_steps(self, proposal: traitlets.Bunch) -> int:
        count = len(next(iter(self._schedules.values())))
        return require_position("NoiseMixer", "index", proposal["value"], count)

    @traitlets.validate("shown")
    def _known_schedule(self, proposal: traitlets.Bunch) -> str:
        return require_name("NoiseMixer", "shown", proposal["value"], self._schedules)

    @property
    def caption(self) -> str:
        at, content = self.index, self.content
        fields = {"label": self._label, "t": at}
        if len(self._schedules) > 1:
            noise = [texts.split(" ")[at] for texts in content["shares"]]
            pairs = zip(noise, self._schedules, strict=True)
            fields["shares"] = ", ".join(f"{share} ({name})" for share, name in pairs)
        else:
            fields |= {name: texts.split(" ")[at] for name, texts in content["parts"].items()}
            fields["name"] = self.shown
        return content["sentence"].format(**fields)

    def still(self) -> np.ndarray:
        return render(self._x0, self._noise, self._schedules, self.index, self.shown, self._label)


def _histogram() -> dict[str, Any]:
    """The histogram's bins, axes and curve; places as shares of the plot's width and height."""
    values = np.linspace(-REACH, REACH, BINS + 1)
    return {
        "reach": REACH,
        "bins": BINS,
        "top": TOP,
        "normal": (normal_density(values) / TOP).round(4).tolist(),
        "pixelsName": PIXELS,
        "normalName": NORMAL,
        "valueTicks": wording.tick_texts(-REACH, REACH, 6, wording.PLAIN),
        "densityTicks": wording.tick_texts(0, TOP, 4, wording.PLAIN),
    }


def _joined(texts: Iterable[str]) -> str:
    return " ".join(texts)


def _share(shares: np.ndarray) -> list[str]:
    """Shares as percentages: whole ones, but near 0 and 1 with as many decimals as the smaller part needs."""
    return [f"{share:.{_places(share)}%}" for share in shares]


def _places(share: float) -> int:
    percent = round(100 * min(share, 1 - share), 9)  # 1 - 0.9999 is a little less than 0.0001
    return min(4, max(0, ceil(-log10(percent)))) if percent >= 0.00005 else 0


def _ratios(kept: np.ndarray) -> list[str]:
    """Signal-to-noise ratios, of variances, with three digits; infinite where there is no noise."""
    return [_ratio(share / (1 - share) if share < 1 else inf) for share in kept.tolist()]


def _ratio(ratio: float) -> str:
    if ratio == inf:
        return "infinite"
    if ratio >= 1000:
        return f"{ratio:,.0f}"
    return np.format_float_positional(ratio, 3, unique=False, fractional=False).rstrip(".")


def _signal(x0: ArrayLike) -> np.ndarray:
    array = require_numbers("NoiseMixer", "x0", x0, ("N", "h", "w"))
    if array.min() < -1 or array.max() > 1:
        raise ValueError(
            f"NoiseMixer: x0 must lie in -1..1, got {array.min():.6g}..{array.max():.6g}; "
            "its images may have another value range, (0, 1) or (0, 255), or bear noise already."
        )
    return array


def _one_to_four(schedules: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """The schedules as float64, each a row in 0..1 that never rises, all equally long."""
    if not 1 <= len(schedules) <= MOST_SCHEDULES:
        raise ValueError(
            f"NoiseMixer: schedules must be one to {MOST_SCHEDULES}, got {len(schedules)}; "
            "each has a row of images, which shrink with their number."
        )
    rows = {name: _schedule(f"schedules[{name!r}]", kept) for name, kept in schedules.items()}
    require_equal(
        "NoiseMixer", "lengths", **{f"schedules[{name!r}]": len(kept) for name, kept in rows.items()}
    )
    return rows


def _schedule(name: str, kept: ArrayLike) -> np.ndarray:
    row = require_numbers("NoiseMixer", name, kept, ("T",)).astype(np.float64)
    if len(row) < 2:
        raise ValueError(f"NoiseMixer: {name} must hold two steps or more, got 1; alphas_cumprod has all T.")
    if row.min() < 0 or row.max() > 1:
        raise ValueError(
            f"NoiseMixer: {name} must lie in 0..1, got {row.min():.4g}..{row.max():.4g}; "
            "alphas_cumprod are shares of a variance: these may be logarithms or signal-to-noise ratios."
        )
    if (np.diff(row) > 0).any():
        raise ValueError(
            f"NoiseMixer: {name} must not rise from step to step, got {row[0]:.4g} at first and "
            f"{row[-1]:.4g} at last; these may be betas, or steps in reversed order."
        )
    return row
