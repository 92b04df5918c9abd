"""FrameScrubber: one frame out of K, chosen by a slider.

    frames    (K, H, W) uint8       drawn as ink: 0 = the page's background, 255 = full ink
              (K, H, W, 3) uint8    colours as they are
    index     int, 0..K-1           the frame that is shown

All frames are sent once; afterwards only the index moves.
"""

from collections.abc import Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures
from course_utils.widgets.arguments import require_equal, require_images, require_position
from course_utils.widgets.base import CourseWidget, module

ROOM = (1120, 640)  # pixels that the enlarged frame of a still may take
GUTTER = 16  # pixels around it


def render(frames: np.ndarray, index: int, row_labels: Sequence[str] = ()) -> np.ndarray:
    """A still of one frame, enlarged by a whole factor, the names of its rows to the left: (H', W', 3) uint8.

    Args:
        frames: (K, H, W) or (K, H, W, 3) uint8.
        index: 0..K-1.
        row_labels: names of the rows of images that are stacked in a frame, all equally high.
    """
    frame = pictures.enlarge(frames[index], ROOM)
    height, width = frame.shape[:2]
    left = GUTTER + 14 * max(map(len, row_labels), default=0)
    card = pictures.Card(left + width + GUTTER, height + 2 * GUTTER)
    card.image(frame, left, GUTTER)
    for row, name in enumerate(row_labels):
        card.text(left - GUTTER / 2, GUTTER + height * (row + 0.5) / len(row_labels), name, ha="right")
    return card.pixels()


class FrameScrubber(CourseWidget):
    """A slider through frames.

    Args:
        frames: (K, H, W) or (K, H, W, 3) uint8.
        stops: K numbers or texts, what the slider shows at each frame.
        captions: K sentences, what each frame shows.
        title: heading of the widget.
        label: name of the slider, e.g. "latent numbers".
        unit: what the stops count; screen readers say it after each of them.
        index: the frame that is shown first.
        row_labels: names of the rows of images that are stacked in a frame, all equally high.

    Raises:
        ValueError: frames are not uint8 images, or stops or captions are not K.
        TraitError: index lies outside of 0..K-1, here or when it is assigned.
    """

    FAMILY = "frame_scrubber"
    STATE = ("index",)
    _esm = module(FAMILY)

    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike,
        stops: Sequence[float | str],
        captions: Sequence[str],
        *,
        title: str,
        label: str,
        unit: str = "",
        index: int = 0,
        row_labels: Sequence[str] = (),
    ) -> None:
        self._frames = require_images("FrameScrubber", "frames", frames, "K H W", colour=True)
        require_equal(
            "FrameScrubber", "lengths", frames=len(self._frames), stops=len(stops), captions=len(captions)
        )
        self._row_labels = tuple(row_labels)
        texts = [f"{stop:.6g}" if isinstance(stop, float) else str(stop) for stop in stops]
        sheet, tiles = pictures.sheet(self._frames)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": list(captions),
            "rowLabels": list(row_labels),
            "tiles": tiles,
        }
        super().__init__(content, pictures.png(sheet), index=index)

    @traitlets.validate("index")
    def _within_frames(self, proposal: traitlets.Bunch) -> int:
        return require_position("FrameScrubber", "index", proposal["value"], len(self._frames))

    @property
    def caption(self) -> str:
        return self.content["captions"][self.index]

    def still(self) -> np.ndarray:
        return render(self._frames, self.index, self._row_labels)
