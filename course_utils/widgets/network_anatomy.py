"""NetworkAnatomy: a network drawn as a U, and the feature maps of the block that is chosen.

    blocks      in the order in which data flow through them, each with its place in the drawing
    maps        (K, M, h, w) uint8     M feature maps of a block at each of K stops; the larger, the more ink
    index       int, 0..K-1            the stop that is shown, e.g. a noise level
    selected    int                    position of the chosen block among blocks

Data flow along solid lines, from each block to the next; dashed ones are skips.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import copysign

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from course_utils.plots import MODEL
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_equal, require_images, require_position
from course_utils.widgets.base import CourseWidget, module

NAME = "NetworkAnatomy"
Path = list[tuple[float, float]]  # corners of a line: share of the width, CSS pixels from the top

# CSS pixels of the drawing
TALL, LEAST = 96.0, 16.0  # height of a block at full resolution, and at the lowest
NAME_ROOM = 18.0  # below a block, for its name
GAP = 16.0  # between two levels
BRIDGE = 9.0  # how far a skip passes above the blocks between its ends
HALF = 0.32  # half a block's width, as a share of its column's
FLOW, SKIP = 0.75, 0.3  # how far down a block's side lines end
SHEET = 512  # pixels; width of the sheet of all maps
STILL = (
    660,
    400,
    2,
)  # pixels of a still: its drawing's width, its maps' room, and how much larger it is drawn


@dataclass(frozen=True, eq=False)
class Block:
    """One block of a network, and what it puts out.

    Args:
        name: as in the code, e.g. "down[1]".
        level: where it lies from top to bottom: 0 = full resolution, each further one has half of it.
        column: where it lies from left to right, from 0.
        shape: of what it puts out, as a text, e.g. "96 x 16 x 16".
        role: one sentence: what it is for.
        maps: (K, M, h, w) uint8, M of its feature maps at each of K stops.
    """

    name: str
    level: int
    column: int
    shape: str
    role: str
    maps: ArrayLike


@dataclass(frozen=True)
class Box:
    """Where a block is drawn: middle and half its width as shares of the width, top and height in pixels."""

    middle: float
    half: float
    top: float
    height: float

    def side(self, towards: float, down: float) -> tuple[float, float]:
        """A place on the left (towards < 0) or right side, so far down."""
        return self.middle + copysign(self.half, towards), self.top + down * self.height

    @property
    def foot(self) -> float:
        """Below its name."""
        return self.top + self.height + NAME_ROOM


def boxes(blocks: Sequence[Block]) -> list[Box]:
    """The place of each block; levels lie below each other, half as high as the one above."""
    columns = 1 + max(block.column for block in blocks)
    heights = [max(LEAST, TALL / 2**level) for level in range(1 + max(block.level for block in blocks))]
    tops = GAP + np.cumsum([0, *(height + NAME_ROOM + GAP for height in heights)])
    return [
        Box((block.column + 0.5) / columns, HALF / columns, float(tops[block.level]), heights[block.level])
        for block in blocks
    ]


def line(start: Box, end: Box, down: float) -> Path:
    """From a block's side to the next one's, around one corner where levels differ; between columns only."""
    way = end.middle - start.middle
    if not way:
        below = end.top > start.top
        return [
            (start.middle, start.foot if below else start.top),
            (end.middle, end.top if below else end.foot),
        ]
    (x0, y0), (x1, y1) = start.side(way, down), end.side(-way, down)
    corner = x1 - copysign(start.half * (0.5 / HALF - 1), way)
    return [(x0, y0), (x1, y1)] if y0 == y1 else [(x0, y0), (corner, y0), (corner, y1), (x1, y1)]


def skip_line(start: Box, end: Box, others: Sequence[Box]) -> Path:
    """Like a line, but over the blocks that lie between both on their level."""
    low, high = sorted((start.middle, end.middle))
    if start.top != end.top or not any(box.top == start.top and low < box.middle < high for box in others):
        return line(start, end, SKIP)
    over = start.top - BRIDGE
    return [(start.middle, start.top), (start.middle, over), (end.middle, over), (end.middle, end.top)]


def columns_for(count: int, size: tuple[int, int], room: int, gap: int) -> tuple[int, int]:
    """How many columns let `count` maps of `size` (h, w) be largest in a square room, and how large."""

    def factor(columns: int) -> int:
        rows = -(-count // columns)
        free = ((room - (number - 1) * gap) // number for number in (rows, columns))
        return min(side // length for side, length in zip(free, size, strict=True))

    best = max(range(1, count + 1), key=lambda columns: (factor(columns), columns))
    return best, max(1, factor(best))


def render(
    blocks: Sequence[Block], skips: Sequence[tuple[int, int]], selected: int, index: int
) -> np.ndarray:
    """A still: the drawing, and the maps of one block at one stop beside it: (H, W, 3) uint8.

    Args:
        blocks: as in NetworkAnatomy.
        skips: positions of the blocks that each of them joins.
        selected: position of the block.
        index: 0..K-1.
    """
    width, room, scale = STILL
    places = boxes(blocks)
    height = max(box.foot for box in places)
    maps = np.asarray(blocks[selected].maps)[index]
    columns, factor = columns_for(len(maps), maps.shape[1:], room, 8)
    tiles = maps.repeat(factor, axis=1).repeat(factor, axis=2)
    rows = -(-len(tiles) // columns)
    tall, wide = tiles.shape[1] + 8, tiles.shape[2] + 8
    card = pictures.Card(width + 48 + max(room, columns * wide), 64 + max(round(scale * height), rows * tall))
    axes = card.axes(16, 16, width, round(scale * height), xlim=(0, 1), ylim=(height, 0))
    axes.set_axis_off()
    _draw(axes, blocks, places, _paths(places, skips), selected)
    card.text(width + 32, 28, f"{blocks[selected].name},  {blocks[selected].shape}")
    for at, tile in enumerate(tiles):
        card.image(tile, width + 32 + at % columns * wide, 56 + at // columns * tall)
    return card.pixels()


class NetworkAnatomy(CourseWidget):
    """A network as a U of blocks to choose among, and a slider through the chosen block's feature maps.

    Args:
        blocks: in the order in which data flow; their maps may differ in number and size, not in K.
        stops: K numbers or texts, what the slider shows at each stop.
        captions: K sentences, what each stop shows.
        title: heading of the widget.
        label: name of the slider, e.g. "t".
        skips: names of two blocks each: where a copy leaves, and where it arrives.
        unit: what the stops count; screen readers say it after each of them.
        selected: position of the block that is chosen first.
        index: the stop that is shown first.

    Raises:
        ValueError: maps are not uint8 of shape (K, M, h, w), there is no block, two have one name or one
            place, a level or column is negative, or a skip joins other than two blocks.
        TraitError: selected or index names nothing, here or when they are assigned.
    """

    FAMILY = "network_anatomy"
    STATE = ("selected", "index")
    _esm = module(FAMILY)

    selected = traitlets.Int().tag(sync=True)
    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        blocks: Sequence[Block],
        stops: Sequence[float | str],
        captions: Sequence[str],
        *,
        title: str,
        label: str,
        skips: Sequence[tuple[str, str]] = (),
        unit: str = "",
        selected: int = 0,
        index: int = 0,
    ) -> None:
        require_equal(NAME, "lengths", stops=len(stops), captions=len(captions))
        self._count = len(stops)
        _require_apart(blocks)
        self._blocks = [replace(block, maps=_maps(block, self._count)) for block in blocks]
        self._skips = [_ends(skip, [block.name for block in blocks]) for skip in skips]
        places = boxes(blocks)
        flow, jumps = _paths(places, self._skips)
        sheet, corners = pack([np.asarray(block.maps) for block in self._blocks])
        texts = wording.stops(stops)
        content = {
            "title": title,
            "label": label,
            "stops": texts,
            "words": [f"{text} {unit}".strip() for text in texts],
            "captions": list(captions),
            "blocks": [
                {
                    "name": block.name,
                    "shape": block.shape,
                    "role": block.role,
                    "maps": maps,
                    "box": asdict(box),
                }
                for block, maps, box in zip(self._blocks, corners, places, strict=True)
            ],
            "flow": flow,
            "skips": jumps,
            "height": max(box.foot for box in places),
            "pitch": places[0].half / HALF,
            "colour": MODEL,
            "tiles": {"width": sheet.shape[1], "height": sheet.shape[0], "columns": 1, "grey": True},
        }
        # A palette of all the greys there are loses nothing, and is a quarter smaller than pixels one by one.
        super().__init__(content, pictures.png(sheet, pictures.GREYS), selected=selected, index=index)

    @traitlets.validate("selected")
    def _within_blocks(self, proposal: traitlets.Bunch) -> int:
        return require_position(NAME, "selected", proposal["value"], len(self._blocks))

    @traitlets.validate("index")
    def _within_stops(self, proposal: traitlets.Bunch) -> int:
        return require_position(NAME, "index", proposal["value"], self._count)

    @property
    def caption(self) -> str:
        block = self._blocks[self.selected]
        return f"{block.name}, {block.shape}. {block.role} {self.content['captions'][self.index]}"

    def still(self) -> np.ndarray:
        return render(self._blocks, self._skips, self.selected, self.index)


def pack(stacks: Sequence[np.ndarray]) -> tuple[np.ndarray, list[dict[str, int]]]:
    """All maps in one sheet, in fewer greys; stack below stack, map after map from left to right.

    Args:
        stacks: (K, M, h, w) uint8 each.

    Returns:
        the sheet (H, W) uint8, and where each stack lies: its top, its maps in a row, their size and M.
    """
    width = max(SHEET, *(stack.shape[3] for stack in stacks))
    parts: list[np.ndarray] = []
    corners: list[dict[str, int]] = []
    for stack in stacks:
        _, count, tall, wide = stack.shape
        columns, top = width // wide, sum(map(len, parts))
        image, _ = pictures.sheet(pictures.fewer_greys(stack.reshape(-1, tall, wide)), columns)
        parts.append(np.pad(image, ((0, 0), (0, width - image.shape[1]))))
        corners.append({"top": top, "columns": columns, "width": wide, "height": tall, "count": count})
    return np.concatenate(parts), corners


def _paths(places: Sequence[Box], skips: Sequence[tuple[int, int]]) -> tuple[list[Path], list[Path]]:
    """The lines between blocks: those of the flow, and the skips."""
    flow = [line(start, end, FLOW) for start, end in pairwise(places)]
    return flow, [skip_line(places[start], places[end], places) for start, end in skips]


def _draw(
    axes: Axes,
    blocks: Sequence[Block],
    places: Sequence[Box],
    paths: tuple[list[Path], list[Path]],
    selected: int,
) -> None:
    for group, style in zip(paths, ("-", "--"), strict=True):
        for path in group:
            axes.plot(*zip(*path, strict=True), style, color="#888888", linewidth=1)
            arrow = {"arrowstyle": "-|>", "color": "#888888", "linewidth": 0, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", path[-1], path[-2], arrowprops=arrow)
    for at, (block, box) in enumerate(zip(blocks, places, strict=True)):
        chosen = at == selected
        corner = box.middle - box.half, box.top
        face, edge = (MODEL, MODEL) if chosen else ("#EEEEEE", "#888888")
        axes.add_patch(Rectangle(corner, 2 * box.half, box.height, facecolor=face, edgecolor=edge, zorder=3))
        below = box.foot - NAME_ROOM / 2
        axes.text(box.middle, below, block.name, ha="center", va="center", fontsize=7)


def _maps(block: Block, count: int) -> np.ndarray:
    name = f"maps of {block.name!r}"
    maps = require_images(NAME, name, block.maps, "K M h w")
    require_equal(NAME, "lengths", **{name: len(maps), "stops": count})
    return maps


def _require_apart(blocks: Sequence[Block]) -> None:
    """At least one block, each with a name and a place of its own."""
    names, places = [block.name for block in blocks], [(block.level, block.column) for block in blocks]
    if not blocks or len(set(names)) < len(blocks):
        raise ValueError(
            f"{NAME}: blocks must be one or more with different names, got {names}; "
            "skips and readers tell them apart by their names."
        )
    if len(set(places)) < len(blocks) or any(min(place) < 0 for place in places):
        raise ValueError(
            f"{NAME}: blocks must have different places (level, column) from 0 on, got {places}; "
            "the drawing would show one above the other."
        )


def _ends(skip: tuple[str, str], names: Sequence[str]) -> tuple[int, int]:
    """A skip as the positions of its blocks."""
    if len(set(skip)) != 2 or len(skip) != 2 or not set(skip) <= set(names):
        raise ValueError(
            f"{NAME}: each of skips must name two of the blocks {list(names)}, got {skip!r}; "
            "names must be spelt as in blocks."
        )
    return names.index(skip[0]), names.index(skip[1])
