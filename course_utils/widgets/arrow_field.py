"""ArrowField: dots and arrows in a plane, one picture at each stop of a slider.

    points    (K, N, 2) float              dots at each stop
    places    (G, 2) float                 where the arrows begin, at every stop
    fields    {name: (K, G, 2) float}      one or two: at each stop the arrows' lengths along x and y
    extent    (x0, x1, y0, y1)             the part of the plane that is drawn
    index     int, 0..K-1                  the stop that is shown
    shown     str                          the arrows that are shown: "both", or the name of a field

Arrows have their true length, in the units of the axes. Of two fields the second is thinner and on top:
where both agree, one arrow lies inside the other.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.plots import DATA, MODEL, REFERENCE
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    Extent,
    require_equal,
    require_extent,
    require_name,
    require_numbers,
    require_position,
)
from course_utils.widgets.base import CourseWidget, in_plane, module

COLOURS = (REFERENCE, MODEL)  # of the first and the second field
WIDTHS = (0.009, 0.0035)  # of their arrows on a still, as shares of the plot's width
BOTH = "both"
SIDE = 560  # pixels of a still's square plot


def render(
    points: np.ndarray, starts: np.ndarray, fields: Mapping[str, np.ndarray], shown: str, extent: Extent
) -> np.ndarray:
    """A still of one stop: (H, W, 3) uint8.

    Args:
        points: (N, 2) float.
        starts: (G, 2) float.
        fields: name -> (G, 2) float; all names, whichever are shown.
        shown: "both" or a name.
        extent: (x0, x1, y0, y1).
    """
    x0, x1, y0, y1 = extent
    card = pictures.Card(SIDE + 240, SIDE + 72)
    axes = card.axes(72, 16, SIDE, SIDE, xlim=(x0, x1), ylim=(y0, y1))
    axes.spines[:].set_visible(True)
    axes.scatter(points[:, 0], points[:, 1], c=DATA, s=8, alpha=0.6, linewidths=0)
    card.text(SIDE + 96, 30, "●  points", color=DATA)
    for at, (name, arrows) in enumerate(fields.items()):
        if shown in (name, BOTH):
            axes.quiver(
                *(*starts.T, *arrows.T),
                color=COLOURS[at],
                width=WIDTHS[at],
                angles="xy",
                scale_units="xy",
                scale=1,
                zorder=3 + at,
            )
            card.text(SIDE + 96, 60 + 30 * at, f"→  {name}", color=COLOURS[at])
    return card.pixels()


class ArrowField(CourseWidget):
    """A slider through pictures of dots and arrows, and a choice of the arrows.

    Args:
        points: (K, N, 2) float; those outside of extent are not drawn.
        places: (G, 2) float.
        fields: name -> (K, G, 2) float, one or two, e.g. {"exact": ..., "learned": ...}.
        stops: K numbers or texts, what the slider shows at each stop.
        captions: K sentences, what each stop shows.
        title: heading of the widget.
        label: name of the slider, e.g. "noise σ".
        unit: what the stops count; screen readers say it after each of them.
        extent: (x0, x1, y0, y1): the range of x, then the range of y.
        index: the stop that is shown first.

    Raises:
        ValueError: numbers are not finite, lengths or shapes differ, extent is empty, there is no field or
            more than two, or one is named "both".
        TraitError: index lies outside of 0..K-1 or shown names nothing, here or when they are assigned.
    """

    FAMILY = "arrow_field"
    PARTS = ("axes",)
    STATE = ("index", "shown")
    _esm = module(FAMILY, *PARTS)

    index = traitlets.Int().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        points: ArrayLike,
        places: ArrayLike,
        fields: Mapping[str, ArrayLike],
        stops: Sequence[float | str],
        captions: Sequence[str],
        *,
        title: str,
        label: str,
        unit: str = "",
        extent: Extent,
        index: int = 0,
    ) -> None:
        name = "ArrowField"
        self._points = require_numbers(name, "points", points, ("K", "N", 2))
        self._places = require_numbers(name, "places", places, ("G", 2))
        count = len(self._points)
        require_equal(name, "lengths", points=count, stops=len(stops), captions=len(captions))
        self._fields = _one_or_two(fields, (count, len(self._places), 2))
        self._names = (BOTH, *self._fields) if len(self._fields) > 1 else tuple(self._fields)
        self._extent = x0, x1, y0, y1 = require_extent(name, extent)
        texts = wording.stops(stops)
        looks = zip(self._fields, COLOURS, strict=False)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": list(captions),
            "points": [in_plane(dots, self._extent) for dots in self._points],
            "starts": in_plane(self._places, self._extent),
            "ends": [
                [in_plane(self._places + arrows, self._extent) for arrows in field]
                for field in self._fields.values()
            ],
            "names": self._names,
            "legend": [
                {"name": "points", "colour": DATA},
                *({"name": field, "colour": colour} for field, colour in looks),
            ],
            "xTicks": wording.tick_texts(x0, x1, 5, wording.PLAIN),
            "yTicks": wording.tick_texts(y0, y1, 5, wording.PLAIN),
        }
        super().__init__(content, index=index, shown=self._names[0])

    @traitlets.validate("index")
    def _within_stops(self, proposal: traitlets.Bunch) -> int:
        return require_position("ArrowField", "index", proposal["value"], len(self._points))

    @traitlets.validate("shown")
    def _known_arrows(self, proposal: traitlets.Bunch) -> str:
        return require_name("ArrowField", "shown", proposal["value"], self._names)

    @property
    def caption(self) -> str:
        return self.content["captions"][self.index]

    def still(self) -> np.ndarray:
        fields = {name: field[self.index] for name, field in self._fields.items()}
        return render(self._points[self.index], self._places, fields, self.shown, self._extent)


def _one_or_two(fields: Mapping[str, ArrayLike], shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    if len(fields) not in (1, 2) or BOTH in fields:
        raise ValueError(
            f"ArrowField: fields must be one or two, none named {BOTH!r}, got {list(fields)}; "
            f"{BOTH!r} is what the widget calls two fields that are shown together."
        )
    return {
        name: require_numbers("ArrowField", f"fields[{name!r}]", field, shape)
        for name, field in fields.items()
    }
