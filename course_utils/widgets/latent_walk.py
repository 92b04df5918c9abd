"""LatentWalk: a square of images to walk through, by two sliders or by itself.

    frames         (R, C, h, w) uint8     drawn as ink; or with 3 colours last, as they are
    row, column    int                    the frame that is shown
    path           every frame once: along the first row, down one, back along the second, ...

"Play" follows the path, one frame after the other, and then back to where it began.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_equal, require_images, require_position
from course_utils.widgets.base import CourseWidget, module

ROOM = (560, 560)  # pixels that the enlarged frame of a still may take
GUTTER = 16  # pixels around it


def render(frames: np.ndarray, row: int, column: int) -> np.ndarray:
    """A still: one frame, enlarged by a whole factor, (H, W, 3) uint8.

    Args:
        frames: (R, C, h, w) or (R, C, h, w, 3) uint8.
        row, column: 0..R-1, 0..C-1.
    """
    frame = pictures.enlarge(frames[row, column], ROOM)
    card = pictures.Card(frame.shape[1] + 2 * GUTTER, frame.shape[0] + 2 * GUTTER)
    card.image(frame, GUTTER, GUTTER)
    return card.pixels()


def snake(rows: int, columns: int) -> list[tuple[int, int]]:
    """All places of a grid, each next to the one before: there along one row, back along the next."""
    return [
        (row, column if row % 2 == 0 else columns - 1 - column)
        for row in range(rows)
        for column in range(columns)
    ]


class LatentWalk(CourseWidget):
    """Images on a grid, shown one at a time: a slider for each direction, and a button that walks.

    Args:
        frames: (R, C, h, w) or (R, C, h, w, 3) uint8, e.g. what a generator draws on a plane of latents.
        stops: R numbers or texts, then C: what the sliders show.
        captions: R lists of C sentences.
        title: heading of the widget.
        labels: names of the sliders, that of the rows first.
        row, column: the frame that is shown first.

    Raises:
        ValueError: frames are no grid of uint8 images, stops or captions do not fit it, or both sliders bear
            one name.
        TraitError: row or column names nothing, here or when it is assigned.
    """

    FAMILY = "latent_walk"
    STATE = ("row", "column")
    _esm = module(FAMILY)

    row = traitlets.Int().tag(sync=True)
    column = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike,
        stops: tuple[Sequence[float | str], Sequence[float | str]],
        captions: Sequence[Sequence[str]],
        *,
        title: str,
        labels: tuple[str, str],
        row: int = 0,
        column: int = 0,
    ) -> None:
        self._frames = require_images("LatentWalk", "frames", frames, "R C h w", colour=True)
        rows, columns = self._frames.shape[:2]
        down, across = stops
        require_equal("LatentWalk", "counts of rows", frames=rows, stops=len(down), captions=len(captions))
        for sentences in captions:
            require_equal(
                "LatentWalk", "counts of columns", frames=columns, stops=len(across), captions=len(sentences)
            )
        if labels[0] == labels[1]:
            raise ValueError(
                f"LatentWalk: labels must differ, got {labels[0]!r} twice; "
                "screen readers tell sliders apart by their labels."
            )
        sheet, tiles = pictures.frame_sheet(self._frames.reshape(-1, *self._frames.shape[2:]))
        content: dict[str, Any] = {
            "title": title,
            "labels": list(labels),
            "stops": [wording.stops(down), wording.stops(across)],
            "captions": [list(sentences) for sentences in captions],
            "path": snake(rows, columns),
            **tiles,
        }
        super().__init__(content, pictures.png(sheet), row=row, column=column)

    @traitlets.validate("row", "column")
    def _within_grid(self, proposal: traitlets.Bunch) -> int:
        name = proposal["trait"].name
        count = self._frames.shape[("row", "column").index(name)]
        return require_position("LatentWalk", name, proposal["value"], count)

    @property
    def caption(self) -> str:
        return self.content["captions"][self.row][self.column]

    def still(self) -> np.ndarray:
        return render(self._frames, self.row, self.column)
