"""WordMaps: the words of a prompt to choose among, and where in an image each of them is read.

    words       K texts                    as written in the prompt; one may occur twice
    maps        (K, h, w) float >= 0       how much of its attention each place gives to each word, any scale
    image       (n h, n w, 3) uint8        what was drawn meanwhile
    steps       (S, K, h, w) float >= 0    the same at S single steps of denoising
    selected    int, 0..K-1                the word whose map is shown
    index       int, 0..S                  0 = maps, k = the k-th of steps
    alone       bool                       the map without the image, in colours
    own         bool                       brightest at the word's own maximum, not at that of all words

The image is darkened where a word is not read; maps are enlarged bilinearly. The tint behind a word is its
share of all attention, on one scale for all steps. The browser gets each map in 255 parts of its own maximum.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib import colormaps
from numpy.typing import ArrayLike

from course_utils.plots import DATA, HIGHLIGHT
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_equal, require_images, require_numbers, require_position
from course_utils.widgets.base import CourseWidget, module

NAME = "WordMaps"
SENTENCES = {
    "word": "“{word}” (word {n} of {count}{when}): {share} of all attention, {place}.",
    "image": "Full brightness is {most}, the maximum of {whose}.",
    "alone": "The scale ends at {most}, the maximum of {whose}.",
    "all": "all words",
    "own": "this word",
}
SLIDER, ALL_STEPS = "step", "all steps"
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")  # thirds of the image
DARKEST = 0.15  # share of its brightness that the image keeps where a word is not read
COLOURS = (colormaps["cividis"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)  # of a map alone
ACROSS = 5  # maps in a row of a still
SIDE, TILE, NAMES = 400, 176, 56  # pixels of a still: its image, a map, and what stands below a map
LETTERS = 14  # of a word below its map


def spread(count: int, factor: int) -> np.ndarray:
    """(count * factor, count): how much each place counts at each place of a line `factor` times as fine."""
    at = ((np.arange(count * factor) + 0.5) / factor - 0.5).clip(0, count - 1)
    return (1 - np.abs(at[:, None] - np.arange(count))).clip(0)


def enlarged(values: np.ndarray, factor: int) -> np.ndarray:
    """(h, w) float, bilinearly enlarged, (factor h, factor w); constant beyond the outermost centres."""
    height, width = values.shape
    return spread(height, factor) @ values @ spread(width, factor).T


def lit(image: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The image, as bright as shares (H, W) in 0..1 say, at least DARKEST: (H, W, 3) uint8."""
    return (image * (DARKEST + (1 - DARKEST) * shares[..., None])).round().astype(np.uint8)


def coloured(shares: np.ndarray) -> np.ndarray:
    """Shares (H, W) in 0..1 as colours, (H, W, 3) uint8."""
    return COLOURS[(255 * shares).round().astype(int)]


def place_of_peak(values: np.ndarray) -> str:
    """Where in the image (h, w) the largest value lies, in words."""
    if values.min() == values.max():
        return "the same everywhere" if values.max() else "read nowhere"
    row, column = np.unravel_index(values.argmax(), values.shape)
    thirds = (int(3 * (at + 0.5) / n) for at, n in zip((row, column), values.shape, strict=True))
    down, across = (names[third] for names, third in zip((ROWS, COLUMNS), thirds, strict=True))
    if down or across:
        return f"peak at the {f'{down} {across}'.strip()}"
    return "peak in the centre"


def render(
    words: Sequence[str],
    maps: np.ndarray,
    image: np.ndarray,
    selected: int,
    alone: bool = False,
    own: bool = False,
) -> np.ndarray:
    """A still: the image, and beside it the maps of all words, the chosen one in bold: (H, W, 3) uint8.

    Args:
        words, maps, image: as in WordMaps.
        selected: position of the word.
        alone, own: as the traits of WordMaps.
    """
    picture, factor = _fitted(image, SIDE), image.shape[0] // maps.shape[1]
    most = maps.max(axis=(1, 2)) if own else np.full(len(maps), maps.max())
    tiles = []
    for values, top in zip(maps, most, strict=True):
        shares = enlarged(values / (top or 1), factor)
        tiles.append(_fitted(coloured(shares) if alone else lit(image, shares), TILE))
    left, wide, tall = picture.shape[1] + 48, max(TILE, tiles[0].shape[1]) + 16, tiles[0].shape[0] + NAMES
    rows = -(-len(tiles) // ACROSS)
    height = 32 + max(len(picture), rows * tall)
    card = pictures.Card(left + min(len(tiles), ACROSS) * wide, height)
    card.image(picture, 16, 16)
    for at, (tile, word, share) in enumerate(zip(tiles, words, _shares(maps), strict=True)):
        x, y = left + at % ACROSS * wide, 16 + at // ACROSS * tall
        card.image(tile, x, y)
        name = word if len(word) <= LETTERS else word[: LETTERS - 1] + "…"
        style = {"weight": "bold", "color": DATA} if at == selected else {}
        card.text(x, y + len(tile) + 14, name, parse_math=False, **style)
        card.text(x, y + len(tile) + 36, _percent(share), fontsize=7)
    return card.pixels()


class WordMaps(CourseWidget):
    """The words of a prompt, each with a map over an image that shows where it is read.

    Args:
        words: K texts, as the prompt has them.
        maps: (K, h, w) float >= 0, e.g. cross-attention, averaged over heads, layers and steps.
        image: (n h, n w, 3) uint8.
        title: heading of the widget.
        label: name of the line of words, e.g. "prompt".
        selected: the word that is chosen first.
        steps: (S, K, h, w) float >= 0, the maps of single steps; a slider offers them after "all steps".
        stops: S numbers or texts, what the slider shows at each of them.
        index: what the slider shows first: 0 = all steps.

    Raises:
        ValueError: words are none or no texts; maps or steps have another shape, are negative, not finite or
            nothing but 0; the image is no whole number of times as large; stops are too many or few.
        TraitError: selected or index names nothing, here or when they are assigned.
    """

    FAMILY = "word_maps"
    STATE: tuple[str, ...] = ("selected", "alone", "own")
    _esm = module(FAMILY)

    selected = traitlets.Int().tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    alone = traitlets.Bool().tag(sync=True)
    own = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        words: Sequence[str],
        maps: ArrayLike,
        image: ArrayLike,
        *,
        title: str,
        label: str,
        selected: int = 0,
        steps: ArrayLike | None = None,
        stops: Sequence[float | str] = (),
        index: int = 0,
    ) -> None:
        self._words = _texts(words)
        whole = _attention("maps", maps, (len(self._words), "h", "w"))
        single = np.empty((0, *whole.shape))
        if steps is not None:
            single = _attention("steps", steps, ("S", *whole.shape))
        require_equal(NAME, "lengths", steps=len(single), stops=len(stops))
        self._image = _image_for(image, whole)
        self._maps = np.concatenate([whole[None], single])
        if len(single):
            self.STATE = ("selected", "index", "alone", "own")
        files = [pictures.png(self._image), pictures.png(_sheet(self._maps))]
        content: dict[str, Any] = {"title": title, "label": label, "words": self._words}
        content |= {"slider": SLIDER, "stops": [ALL_STEPS, *wording.stops(stops)], "bytes": len(files[0])}
        content |= {"sentences": SENTENCES, "darkest": DARKEST, "tint": HIGHLIGHT}
        content["colours"] = COLOURS.tobytes().hex()
        super().__init__(content | self._measures(), b"".join(files), selected=selected, index=index)

    def _measures(self) -> dict[str, Any]:
        """What is known of each map, by step and word, and of each step; numbers are worded."""
        shares, most = np.stack([_shares(maps) for maps in self._maps]), self._maps.max(axis=(2, 3))
        return {
            "map": self._maps.shape[2:],
            "tints": (shares / shares.max()).round(3).tolist(),
            "largest": _percent(shares.max()),
            "shares": [[_percent(share) for share in row] for row in shares],
            "places": [[place_of_peak(values) for values in maps] for maps in self._maps],
            "ratios": (most / most.max(axis=1, keepdims=True)).tolist(),
            "most": [[_number(value) for value in row] for row in most],
            "mostOfAll": [_number(row.max()) for row in most],
        }

    @traitlets.validate("selected")
    def _within_words(self, proposal: traitlets.Bunch) -> int:
        return require_position(NAME, "selected", proposal["value"], len(self._words))

    @traitlets.validate("index")
    def _within_steps(self, proposal: traitlets.Bunch) -> int:
        return require_position(NAME, "index", proposal["value"], len(self._maps))

    @property
    def caption(self) -> str:
        content, at, word = self.content, self.index, self.selected
        fields = {"word": self._words[word], "n": word + 1, "count": len(self._words)}
        fields["when"] = f", {content['stops'][at]}" if len(self._maps) > 1 else ""
        fields |= {"share": content["shares"][at][word], "place": content["places"][at][word]}
        fields["whose"] = SENTENCES["own" if self.own else "all"]
        fields["most"] = content["most"][at][word] if self.own else content["mostOfAll"][at]
        scale = SENTENCES["alone" if self.alone else "image"]
        return f"{SENTENCES['word']} {scale}".format(**fields)

    def still(self) -> np.ndarray:
        maps = self._maps[self.index]
        return render(self._words, maps, self._image, self.selected, self.alone, self.own)


def _shares(maps: np.ndarray) -> np.ndarray:
    """Of maps (K, h, w) the share of each in the total, (K,)."""
    totals = maps.sum(axis=(1, 2))
    return totals / totals.sum()


def _sheet(maps: np.ndarray) -> np.ndarray:
    """Maps (S, K, h, w) as rows (S K, h w) uint8, each in parts of its own maximum."""
    most = maps.max(axis=(2, 3), keepdims=True)
    parts = 255 * maps / np.where(most > 0, most, 1)
    return parts.round().astype(np.uint8).reshape(maps.shape[0] * maps.shape[1], -1)


def _fitted(image: np.ndarray, side: int) -> np.ndarray:
    """The image enlarged by a whole factor, or with whole rows and columns left out, to fit a square."""
    every = -(-max(image.shape[:2]) // side)
    return pictures.enlarge(image[::every, ::every], (side, side))


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 or not share else f"{share:.1%}"


def _number(value: float) -> str:
    """With three digits, as few as needed."""
    return np.format_float_positional(value, 3, unique=False, fractional=False, trim="-")


def _texts(words: Sequence[str]) -> list[str]:
    listed = list(words)
    texts = not isinstance(words, str) and all(isinstance(word, str) and word.strip() for word in listed)
    if not listed or not texts:
        raise ValueError(
            f"{NAME}: words must be one text or more, none empty, got {words!r}; "
            "prompt.split() makes words of a prompt."
        )
    return listed


def _attention(name: str, maps: ArrayLike, shape: tuple[int | str, ...]) -> np.ndarray:
    array = require_numbers(NAME, name, maps, shape).astype(np.float64)
    if array.min() < 0:
        raise ValueError(
            f"{NAME}: {name} must not be negative, got {array.min():.4g}; "
            "attention is what softmax yields: these may be the scores before it."
        )
    totals = array.sum(axis=(-3, -2, -1))
    if not totals.all():
        raise ValueError(
            f"{NAME}: {name} must hold more than zeros at every step, got {np.sum(totals == 0)} of "
            f"{totals.size} without anything; they may not have been filled yet."
        )
    return array


def _image_for(image: ArrayLike, maps: np.ndarray) -> np.ndarray:
    """The image, if it has colours and is a whole number of times as large as the maps."""
    array = require_images(NAME, "image", image, "H W", colour=True)
    (height, width), (tall, wide) = array.shape[:2], maps.shape[1:]
    factor = height // tall
    if array.ndim != 3 or not factor or (height, width) != (factor * tall, factor * wide):
        raise ValueError(
            f"{NAME}: image must have the shape (n {tall}, n {wide}, 3) for maps of {tall} x {wide}, got "
            f"{array.shape}; it may have been cropped or resized, and greys need three colours."
        )
    return array
