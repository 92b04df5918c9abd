"""FrameScrubber: one frame out of K, chosen by a slider.

    frames    (K, H, W) uint8       drawn as ink: 0 = the page's background, 255 = full ink
              (K, H, W, 3) uint8    colours as they are
    index     int, 0..K-1           the frame that is shown

With choices, e.g. {"from": ("0", "1"), "to": ("0", "1", "2")}, each combination of names has K frames:

    frames    (*C, K, H, W) uint8, or with 3 colours last; C = the number of names of each choice, here (2, 3)
    chosen    a list of int         of each choice the position of its name

All frames are sent once, equal ones as one; afterwards only index and chosen move.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures, wording
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
    """A slider through frames, and selections among several rows of frames.

    Args:
        frames: (K, H, W) or (K, H, W, 3) uint8; with choices (*C, K, H, W) or (*C, K, H, W, 3).
        stops: K numbers or texts, what the slider shows at each frame.
        captions: K sentences, what each frame shows; with choices nested like frames, (*C, K), or K for all.
        title: heading of the widget.
        label: name of the slider, e.g. "latent numbers".
        unit: what the stops count; screen readers say it after each of them.
        index: the frame that is shown first.
        row_labels: names of the rows of images that are stacked in a frame, all equally high.
        choices: label -> names, e.g. {"trained at σ": ["0.2", "0.6"]}. The slider keeps its place meanwhile.
        chosen: of each choice the position of the name that is chosen first; the first names unless given.

    Raises:
        ValueError: frames are not uint8 images, stops or captions are not K, frames or captions do not
            follow the choices, or a name or label occurs twice.
        TraitError: index or a position in chosen names nothing, here or when they are assigned.
    """

    FAMILY = "frame_scrubber"
    STATE: tuple[str, ...] = ("index",)
    _esm = module(FAMILY)

    index = traitlets.Int().tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(
        self,
        frames: ArrayLike,
        stops: Sequence[float | str],
        captions: Sequence[Any],
        *,
        title: str,
        label: str,
        unit: str = "",
        index: int = 0,
        row_labels: Sequence[str] = (),
        choices: Mapping[str, Sequence[str]] | None = None,
        chosen: Sequence[int] = (),
    ) -> None:
        _require_distinct(label, choices or {})
        self._choices = {name: list(names) for name, names in (choices or {}).items()}
        shape = tuple(map(len, self._choices.values()))
        stack = _stack(frames, shape)
        sentences = _sentences(captions, shape)
        require_equal(
            "FrameScrubber",
            "lengths",
            frames=stack.shape[len(shape)],
            stops=len(stops),
            captions=sentences.shape[-1],
        )
        self._shape = (*shape, len(stops))
        self._frames = stack.reshape(-1, *stack.shape[len(shape) + 1 :])
        self._row_labels = tuple(row_labels)
        sheet, tiles = pictures.frame_sheet(self._frames)
        texts = wording.stops(stops)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": sentences.ravel().tolist(),
            "rowLabels": list(row_labels),
            **tiles,
        }
        if self._choices:
            self.STATE = ("index", "chosen")
            content["choices"] = [{"label": name, "names": names} for name, names in self._choices.items()]
        positions = list(map(int, chosen)) or [0] * len(shape)
        super().__init__(content, pictures.png(sheet), index=index, chosen=positions)

    @traitlets.validate("index")
    def _within_frames(self, proposal: traitlets.Bunch) -> int:
        return require_position("FrameScrubber", "index", proposal["value"], self._shape[-1])

    @traitlets.validate("chosen")
    def _within_choices(self, proposal: traitlets.Bunch) -> list[int]:
        chosen = proposal["value"]
        if len(chosen) != len(self._choices):
            raise traitlets.TraitError(
                f"FrameScrubber: chosen must hold one position for each of {len(self._choices)} choices, "
                f"got {chosen}; it counts names from 0, choice by choice."
            )
        for (label, names), position in zip(self._choices.items(), chosen, strict=True):
            require_position("FrameScrubber", f"chosen {label!r}", position, len(names))
        return chosen

    @property
    def _position(self) -> int:
        """Of the frame that is shown, among all."""
        return int(np.ravel_multi_index((*self.chosen, self.index), self._shape))

    @property
    def caption(self) -> str:
        captions = self.content["captions"]
        return captions[self._position % len(captions)]

    def still(self) -> np.ndarray:
        return render(self._frames, self._position, self._row_labels)


def _require_distinct(label: str, choices: Mapping[str, Sequence[str]]) -> None:
    """Each control has a label of its own, each choice two names or more of which none occurs twice."""
    if label in choices:
        raise ValueError(
            f"FrameScrubber: choices must not bear the slider's label, got {label!r} for both; "
            "screen readers tell controls apart by their labels."
        )
    for name, names in choices.items():
        if isinstance(names, str) or not names or len(set(names)) < len(names):
            raise ValueError(
                f"FrameScrubber: choices[{name!r}] must be a list of different names, got {names!r}; "
                'list("abc") makes names of letters.'
            )


def _stack(frames: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Frames as (*shape, K, H, W) or with 3 colours last."""
    axes = " ".join([*(f"C{at}" for at in range(1, len(shape) + 1)), "K H W"])
    array = require_images("FrameScrubber", "frames", frames, axes, colour=True)
    if array.shape[: len(shape)] != shape:
        raise ValueError(
            f"FrameScrubber: frames must have one axis for each choice, as long as its names: {shape} before "
            f"K, H, W, got shape {array.shape}; axes follow the order of the choices."
        )
    return array


def _sentences(captions: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Captions as an array (*shape, K), or (K,) where they are the same for all choices."""
    array = np.array(captions, dtype=object)
    if array.shape[:-1] not in ((), shape) or not all(isinstance(text, str) for text in array.flat):
        raise ValueError(
            f"FrameScrubber: captions must be sentences, (K) or nested like frames, got shape {array.shape} "
            f"beside choices of shape {shape}; lists inside may differ in length."
        )
    return array
