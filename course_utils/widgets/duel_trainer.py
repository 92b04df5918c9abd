"""DuelTrainer: a generator G and a discriminator D, trained in turn by whoever presses the buttons.

A duel is what is trained; its view says how things stand:

    real, fake    (N, 2), (M, 2) float       points of the data, and of G
    heat          (g, g) float, 0..1         D's probability of "real", heat[i, j] at y_i and x_j of a grid
    arrows        (M, 2) float               where G is pushed at each fake, in units of the axes
    extent        (x0, x1, y0, y1)           what the grid covers, its ends included
    losses        L pairs (d_loss, g_loss)   so far, NaN where there is none; L = 0 before the first step
    steps         (d, g)                     how many each has made so far
    index         int, 0..recorded           the turn that the twin shows, after so many steps of each

Each press is one message to the kernel, which makes the steps and sends a new picture, of many steps several.
Where no kernel is, the first turns can be looked at: they are recorded when the widget is made.
"""

from collections.abc import Sequence
from math import isfinite, log10
from typing import Any, ClassVar, Protocol

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from numpy.typing import ArrayLike

from course_utils.plots import DATA, MODEL
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    Extent,
    require_equal,
    require_extent,
    require_numbers,
    require_position,
)
from course_utils.widgets.base import SPAN, in_plane, module
from course_utils.widgets.live import Answer, LiveWidget

PRESSES = {  # each button's steps, in batches after which the picture moves on
    "D step": ["D"],
    "G step": ["G"],
    "both": ["DG"],
    "both × 25": 5 * [5 * "DG"],
    "reset": [""],
}
SENTENCES = {
    "start": "Before the first step. D has seen nothing, and G has learned nothing.",
    "later": "D has made {d}, G {g}. Loss of D: {d_loss}, of G: {g_loss}.",
}
WITHOUT_KERNEL = "The first turns were recorded, one step of D and one of G each. More need a running kernel."
STRENGTH = 0.45  # opacity of the heat where D is sure
MOST_LOSSES = 300  # of each curve: no plot is much wider
SIDE = 560  # pixels of a still's square plot


class DuelView(Protocol):
    """How things stand; the module says what is what."""

    @property
    def real(self) -> ArrayLike: ...
    @property
    def fake(self) -> ArrayLike: ...
    @property
    def heat(self) -> ArrayLike: ...
    @property
    def arrows(self) -> ArrayLike: ...
    @property
    def extent(self) -> Extent: ...
    @property
    def losses(self) -> Sequence[tuple[float, float]]: ...
    @property
    def steps(self) -> tuple[int, int]: ...


class Duel(Protocol):
    """Two networks and their data; after a reset the same steps lead to the same views."""

    def reset(self) -> None: ...
    def discriminator_step(self) -> None: ...
    def generator_step(self) -> None: ...
    def view(self) -> DuelView: ...


def render(view: DuelView) -> np.ndarray:
    """A still of one view: the plane on the left, the losses on the right: (H, W, 3) uint8."""
    card = pictures.Card(SIDE + 500, SIDE + 72)
    x0, x1, y0, y1 = view.extent
    _draw_plane(card.axes(72, 16, SIDE, SIDE, xlim=(x0, x1), ylim=(y0, y1)), view)
    left = SIDE + 112
    for at, (mark, name, colour) in enumerate(
        [
            ("●", "real points, and where D says “real”", DATA),
            ("●", "fakes, and where D says “fake”", MODEL),
            ("→", "where G is pushed", "#333333"),
        ]
    ):
        card.text(left, 30 + 30 * at, f"{mark}  {name}", color=colour)
    (low, high), count = _loss_range(view.losses), _updates_axis(len(view.losses))
    axes = card.axes(left + 36, 190, 320, 290, xlim=(0, count), ylim=(low, high), xlabel="updates")
    losses = np.array(view.losses, float).reshape(-1, 2)
    for values, colour, name in zip(losses.T, (DATA, MODEL), ("loss of D", "loss of G"), strict=True):
        axes.plot(np.arange(1, len(losses) + 1), values, color=colour, label=name)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return card.pixels()


def _draw_plane(axes: Axes, view: DuelView) -> None:
    heat, real, fake, arrows = (np.asarray(part) for part in (view.heat, view.real, view.fake, view.arrows))
    x0, x1, y0, y1 = view.extent
    half = (x1 - x0) / (len(heat) - 1) / 2, (y1 - y0) / (len(heat) - 1) / 2
    corners = x0 - half[0], x1 + half[0], y0 - half[1], y1 + half[1]
    fake_side, real_side = (1 - STRENGTH * (1 - np.array(to_rgb(colour))) for colour in (MODEL, DATA))
    scale = LinearSegmentedColormap.from_list("heat", np.stack([fake_side, np.ones(3), real_side]))
    axes.imshow(
        heat, scale, vmin=0, vmax=1, extent=corners, origin="lower", interpolation="bilinear", aspect="auto"
    )
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
    axes.spines[:].set_visible(True)
    for points, colour in ((real, DATA), (fake, MODEL)):
        axes.scatter(points[:, 0], points[:, 1], c=colour, s=8, linewidths=0)
    axes.quiver(
        *(*fake.T, *arrows.T),
        color="#333333",
        width=0.0025,
        angles="xy",
        scale_units="xy",
        scale=1,
    )


class DuelTrainer(LiveWidget):
    """Buttons that train two networks in turn, and a picture of what they have come to.

    Args:
        duel: is reset now, and trained by the buttons from then on.
        title: heading of the widget.
        recorded: turns to record beforehand, each a step of D and one of G, >= 1.

    Raises:
        ValueError: recorded is too small, or a view's parts are not finite, do not fit together or, but for
            losses that do not exist yet, leave their ranges.
        TraitError: index lies outside of 0..recorded when it is assigned.
    """

    FAMILY = "duel_trainer"
    PARTS: ClassVar[tuple[str, ...]] = ("axes", "live")
    STATE = ("index",)
    _esm = module(FAMILY, *PARTS)

    index = traitlets.Int().tag(sync=True)
    now = traitlets.Dict().tag(sync=True)  # what a live view shows: a record, with "heat" as its bytes

    def __init__(self, duel: Duel, *, title: str, recorded: int = 40) -> None:
        self._duel = duel
        self._views = _record_turns(duel, recorded)
        x0, x1, y0, y1 = self._extent = require_extent("DuelTrainer", self._views[0].extent)
        records, heats = zip(*(self._looks(view) for view in self._views), strict=True)
        sheet, tiles = pictures.sheet(np.stack(heats))
        content = {
            "title": title,
            "label": "turns",
            "stops": [str(turn) for turn in range(recorded + 1)],
            "words": [f"{turn} steps of each" for turn in range(recorded + 1)],
            "recorded": _without_repeats(records),
            "presses": list(PRESSES),
            "turn": "both",
            "strength": STRENGTH,
            "tiles": tiles,
            "colours": {"data": DATA, "model": MODEL},
            "xTicks": wording.tick_texts(x0, x1, 5, wording.PLAIN),
            "yTicks": wording.tick_texts(y0, y1, 5, wording.PLAIN),
            "withoutKernel": WITHOUT_KERNEL,
        }
        super().__init__(content, pictures.png(sheet), index=recorded, now=self._now())

    def answer(self, request: dict[str, Any]) -> Answer:
        """Do what a button says; the picture moves on by itself."""
        if request["press"] == "reset":
            self._duel.reset()
        for batch in PRESSES[request["press"]]:
            for player in batch:
                _step(self._duel, player)
            self.now = self._now()
        return {}, []

    @traitlets.validate("index")
    def _within_turns(self, proposal: traitlets.Bunch) -> int:
        return require_position("DuelTrainer", "index", proposal["value"], len(self._views))

    @property
    def caption(self) -> str:
        return self.content["recorded"][self.index]["caption"]

    def still(self) -> np.ndarray:
        return render(self._views[self.index])

    def _now(self) -> dict[str, Any]:
        record, heat = self._looks(self._duel.view())
        return {**record, "heat": heat.tobytes(), "grid": len(heat)}

    def _looks(self, view: DuelView) -> tuple[dict[str, Any], np.ndarray]:
        """A view as the browser gets it: JSON, and its heat (g, g) as 0..254, the upper row first."""
        real, fake, arrows, heat = _checked(view)
        require_equal("DuelTrainer", "extents", first=self._extent, now=tuple(view.extent))
        places = in_plane(fake, self._extent)
        record = {
            "real": in_plane(real, self._extent),
            "fake": places,
            "arrows": (np.array(in_plane(fake + arrows, self._extent)) - places).tolist(),
            "losses": _loss_curves(view.losses),
            "caption": _caption(view),
        }
        return record, (254 * heat[::-1]).round().astype(np.uint8)


def _record_turns(duel: Duel, turns: int) -> list[DuelView]:
    """The views of the first turns, from none to all; the duel is reset before and afterwards."""
    if turns < 1:
        raise ValueError(f"DuelTrainer: recorded must be at least 1, got {turns}; the twin shows its turns.")
    duel.reset()
    views = [duel.view()]
    for _ in range(turns):
        _step(duel, "D")
        _step(duel, "G")
        views.append(duel.view())
    duel.reset()
    return views


def _step(duel: Duel, player: str) -> None:
    if player == "D":
        duel.discriminator_step()
    else:
        duel.generator_step()


def _checked(view: DuelView) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """real, fake, arrows and heat, if they fit together."""
    name = "DuelTrainer"
    real = require_numbers(name, "real", view.real, ("N", 2))
    fake = require_numbers(name, "fake", view.fake, ("M", 2))
    arrows = require_numbers(name, "arrows", view.arrows, (len(fake), 2))
    heat = require_numbers(name, "heat", view.heat, ("g", "g"))
    if heat.min() < 0 or heat.max() > 1 or heat.shape[0] != heat.shape[1] or len(heat) < 2:
        raise ValueError(
            f"DuelTrainer: heat must lie in 0..1 on a square grid of 2 x 2 places or more, got "
            f"{heat.min():.4g}..{heat.max():.4g} of shape {heat.shape}; D's logits become probabilities by "
            "a sigmoid."
        )
    return real, fake, arrows, heat


def _caption(view: DuelView) -> str:
    if not view.losses:
        return SENTENCES["start"]
    d, g = view.steps
    d_loss, g_loss = (f"{loss:.2f}" if isfinite(loss) else "none" for loss in view.losses[-1])
    return SENTENCES["later"].format(d=_counted(d), g=_counted(g), d_loss=d_loss, g_loss=g_loss)


def _counted(steps: int) -> str:
    return f"{steps} step" if steps == 1 else f"{steps} steps"


def _loss_curves(losses: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Both curves as the browser gets them: places 0..SPAN within the axes, None where there is no loss."""
    (low, high), count = _loss_range(losses), _updates_axis(len(losses))
    kept = range(0, len(losses), 1 + len(losses) // MOST_LOSSES)
    return {
        "x": [round(SPAN * (at + 1) / count) for at in kept],
        "y": [
            [
                round(SPAN * (losses[at][player] - low) / (high - low))
                if isfinite(losses[at][player])
                else None
                for at in kept
            ]
            for player in (0, 1)
        ],
        "xTicks": wording.tick_texts(0, count, 4, wording.PLAIN),
        "yTicks": wording.tick_texts(low, high, 4, wording.PLAIN),
    }


def _loss_range(losses: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What the losses' axis spans: 0 and 1 at least, else round numbers, so that it seldom moves."""
    values = [loss for pair in losses for loss in pair if isfinite(loss)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return (-_round_up(-low) if low < 0 else 0.0), max(_round_up(high), 1.0)


def _updates_axis(count: int) -> float:
    return max(20.0, _round_up(count))


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... and of 0.1, 0.2, ...; 0 for what is not positive."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** np.floor(log10(value))
    return float(next(unit * step for step in (1, 2, 5, 10) if unit * step >= value))


def _without_repeats(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of which all but the first lack "real" where it is the same as there."""
    first, *others = records
    return [
        first,
        *(
            {name: part for name, part in other.items() if name != "real" or part != first["real"]}
            for other in others
        ),
    ]
