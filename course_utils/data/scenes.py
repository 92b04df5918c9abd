"""Captioned scenes: one or two coloured handwritten digits on a coloured ground, rendered when asked for.

    digits       (N, 2) int64    0..9; the left or the upper one first; -1 second in a scene of one digit
    inks         (N, 2) int64    positions in INKS; -1 likewise
    grounds      (N,) int64      positions in GROUNDS; never the colour of an ink in it
    layouts      (N,) int64      positions in LAYOUTS
    images       (N, 3, 64, 64) float32 in [-1, 1]

Two kinds of scenes are kept from training, so that a model can be asked for what it has not seen: some pairs
of digit and ink (`unseen_pairs`), and, of those whose pairs were seen, one scene in eight (`held_out`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data.images import LabelledImages
from course_utils.validation import describe, require_dims, require_float_tensor, require_int

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = {  # far apart from each other; (red, green, blue), 0..255
    "red": (215, 25, 35),
    "green": (20, 150, 50),
    "blue": (35, 65, 225),
    "yellow": (250, 205, 0),
    "cyan": (0, 205, 225),
    "pink": (245, 80, 205),
    "white": (255, 255, 255),
    "black": (10, 10, 10),
    "grey": (128, 128, 128),
    "orange": (250, 120, 0),
}
INKS = ("red", "green", "blue", "yellow", "cyan", "pink", "white", "black", "orange")
NEW_INK = INKS.index("orange")  # in no scene that models are trained on
GROUNDS = ("black", "white", "blue", "grey")
LAYOUTS = ("one", "side by side", "stacked")
ONE, SIDE_BY_SIDE, STACKED = range(3)
SIZE = 64
PLACES = {SIDE_BY_SIDE: ("left of", "right of"), STACKED: ("above", "below")}
SHARE_OF_TWO = 0.6
FEWEST = 1_000  # scenes, of which some of each kind are found: one in ten is held out
FRAMES = {ONE: (46.0, 54.0), SIDE_BY_SIDE: (35.0, 40.0), STACKED: (35.0, 40.0)}  # pixels that 28 become
SOLID = 1.5  # strokes are made so much denser, so that most of their pixels bear the full colour


@dataclass(frozen=True)
class Scenes:
    """What N scenes show, see the module. ValueError: other shapes, dtypes or values than stated there."""

    digits: Tensor
    inks: Tensor
    grounds: Tensor
    layouts: Tensor

    def __post_init__(self) -> None:
        n = self.grounds.numel()
        wanted = {"digits": (n, 2), "inks": (n, 2), "grounds": (n,), "layouts": (n,)}
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value.dtype != torch.int64 or value.shape != shape:
                raise ValueError(
                    "Scenes: digits and inks must be (N, 2) int64, grounds and layouts (N,) int64, got for "
                    f"{name} {describe(value)}. One scene of many is a slice: scenes[3:4]."
                )
        if len(wrong := (~self._sensible()).nonzero()):
            at = int(wrong[0])
            first = {name: getattr(self, name)[at].tolist() for name in wanted}
            raise ValueError(
                f"Scenes: digits must lie in 0..{len(DIGITS) - 1}, inks in 0..{len(INKS) - 1}, grounds in "
                f"0..{len(GROUNDS) - 1}, layouts in 0..{len(LAYOUTS) - 1}, got in scene {at} {first}. "
                "Where the layout is 0, and only there, the second digit and the second ink are -1."
            )

    def _sensible(self) -> Tensor:
        """(N,) bool."""
        there = torch.stack([torch.ones_like(self.layouts), self.layouts != ONE], dim=1).bool()
        numbered = (self.digits < len(DIGITS)) & (self.inks < len(INKS))
        shown = torch.where(
            there, (self.digits >= 0) & (self.inks >= 0), (self.digits == -1) & (self.inks == -1)
        )
        ground = (self.grounds >= 0) & (self.grounds < len(GROUNDS))
        layout = (self.layouts >= 0) & (self.layouts < len(LAYOUTS))
        return (numbered & shown).all(dim=1) & ground & layout

    def __len__(self) -> int:
        return len(self.grounds)

    def __getitem__(self, chosen: Tensor | slice) -> "Scenes":
        return Scenes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["Scenes"]) -> "Scenes":
        """All of the parts, one after another."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def agreement(self, asked: "Scenes") -> dict[str, Tensor]:
        """(N,) bool for each thing that may be asked of a scene, and for "all" of them together."""
        parts = {
            "digits": (self.digits == asked.digits).all(dim=1),
            "inks": (self.inks == asked.inks).all(dim=1),
            "ground": self.grounds == asked.grounds,
            "places": self.layouts == asked.layouts,
        }
        return parts | {"all": torch.stack(list(parts.values())).all(dim=0)}

    def captions(self, *, generator: torch.Generator | None, ground_said: float = 0.85) -> list[str]:
        """A text for each scene: of two digits either may come first, and the ground may go unsaid.

        Args:
            generator: chooses among the texts of a scene; None is always the first digit's, ground said.
            ground_said: share of the texts that name the ground.

        Raises:
            ValueError: ground_said is no share.
        """
        if not 0 <= ground_said <= 1:
            raise ValueError(
                f"captions: ground_said must lie in 0..1, got {ground_said}. It is a share, not a percentage."
            )
        first, said = torch.zeros(len(self)).bool(), torch.ones(len(self)).bool()
        if generator is not None:
            first = torch.rand(len(self), generator=generator) < 0.5
            said = torch.rand(len(self), generator=generator) < ground_said
        rows = zip(
            *(x.tolist() for x in (self.digits, self.inks, self.grounds, self.layouts, first, said)),
            strict=True,
        )
        return [_caption(*row) for row in rows]


def _caption(
    digits: list[int], inks: list[int], ground: int, layout: int, swapped: bool, ground_said: bool
) -> str:
    named = [
        f"{'an' if INKS[ink][0] in 'aeiou' else 'a'} {INKS[ink]} {DIGITS[digit]}"
        for digit, ink in zip(digits, inks, strict=True)
        if digit >= 0
    ]
    if layout == ONE:
        text = named[0]
    else:
        text = f" {PLACES[layout][swapped]} ".join(named[::-1] if swapped else named)
    return f"{text} on a {GROUNDS[ground]} background" if ground_said else text


def draw_scenes(
    count: int, *, generator: torch.Generator, inks: Sequence[int] = range(NEW_INK), layout: int | None = None
) -> Scenes:
    """Scenes of all kinds, each choice uniform; SHARE_OF_TWO of them show two digits.

    Args:
        count: N.
        generator: draws.
        inks: which may occur.
        layout: of all of them; None is any.

    Raises:
        TypeError, ValueError: count is no int from 1 on, an ink or the layout is none.
    """
    require_int("draw_scenes", 1, count=count)
    _require_positions("inks", inks, INKS)
    if layout is not None:
        _require_positions("layout", [layout], LAYOUTS)
    allowed = torch.tensor(list(inks))
    digits = torch.randint(10, (count, 2), generator=generator)
    chosen = allowed[torch.randint(len(allowed), (count, 2), generator=generator)]
    layouts = torch.randint(SIDE_BY_SIDE, STACKED + 1, (count,), generator=generator)
    layouts[torch.rand(count, generator=generator) >= SHARE_OF_TWO] = ONE
    if layout is not None:
        layouts = torch.full_like(layouts, layout)
    digits[layouts == ONE, 1] = chosen[layouts == ONE, 1] = -1
    grounds = torch.randint(len(GROUNDS), (count,), generator=generator)
    clash = _clashes(chosen, grounds)
    while clash.any():
        grounds[clash] = torch.randint(len(GROUNDS), (int(clash.sum()),), generator=generator)
        clash = _clashes(chosen, grounds)
    return Scenes(digits, chosen, grounds, layouts)


def _require_positions(what: str, found: Sequence[int], names: Sequence[str]) -> None:
    if not len(found) or any(type(one) is not int or not 0 <= one < len(names) for one in found):
        got = ", ".join(map(repr, found)) or "none"
        raise ValueError(
            f"draw_scenes: {what} must be among 0..{len(names) - 1}, got {got}. They are positions in "
            f"{', '.join(names)}."
        )


def _clashes(inks: Tensor, grounds: Tensor) -> Tensor:
    """Where an ink would not be seen."""
    as_ink = torch.tensor([INKS.index(name) if name in INKS else -2 for name in GROUNDS])
    return (inks == as_ink[grounds][:, None]).any(dim=1)


def unseen_pairs(scenes: Scenes) -> Tensor:
    """(N,) bool: a digit bears an ink in which it is never trained, one for each digit."""
    kept_apart = scenes.inks == (3 * scenes.digits + 1) % NEW_INK
    return (kept_apart & (scenes.digits >= 0)).any(dim=1)


def held_out(scenes: Scenes) -> Tensor:
    """(N,) bool: not trained, though its pairs of digit and ink are; what it is said of a scene decides."""
    first, second = (scenes.digits + 3 * scenes.inks).unbind(dim=1)
    chosen = (first + 5 * second + 7 * scenes.grounds + scenes.layouts) % 8 == 0
    return chosen & ~unseen_pairs(scenes)


def training_scenes(count: int, *, generator: torch.Generator) -> Scenes:
    """Scenes that models may be trained on: draw_scenes without what is kept apart; errors as there."""
    require_int("training_scenes", 1, count=count)
    parts: list[Scenes] = []
    while sum(map(len, parts)) < count:
        drawn = draw_scenes(count, generator=generator)
        parts.append(drawn[~(unseen_pairs(drawn) | held_out(drawn))])
    return Scenes.joined(parts)[:count]


def test_scenes(seen: int, unseen: int, *, generator: torch.Generator) -> Scenes:
    """What models are asked for: so many scenes that were held out, then so many with an unseen pair.

    TypeError, ValueError: seen or unseen is no int from 0 on.
    """
    require_int("test_scenes", 0, seen=seen, unseen=unseen)
    drawn = draw_scenes(max(40 * (seen + unseen), FEWEST), generator=generator)
    parts = [drawn[held_out(drawn)][:seen], drawn[unseen_pairs(drawn)][:unseen]]
    return Scenes.joined(parts)


def render(scenes: Scenes, digits: LabelledImages, *, generator: torch.Generator) -> Tensor:
    """Images of the scenes, each digit by a hand of its own, a little moved and sized.

    Args:
        scenes: N of them.
        digits: MNIST, (M, 1, 28, 28) in [0, 1], with every digit that occurs.
        generator: chooses hands, places and sizes.

    Returns:
        (N, 3, 64, 64) float32 in [-1, 1].

    Raises:
        ValueError: digits are of another size or range, or lack one that occurs.
    """
    _require_hands(scenes, digits)
    images = palette(GROUNDS)[scenes.grounds][:, :, None, None].expand(-1, -1, SIZE, SIZE)
    inks = palette(INKS)
    for slot in range(2):
        shown = scenes.digits[:, slot] >= 0
        if not shown.any():
            continue
        some = scenes[shown]
        strokes = torch.zeros(len(scenes), 1, SIZE, SIZE)
        strokes[shown] = _strokes(some, slot, _hands(some.digits[:, slot], digits, generator), generator)
        colour = inks[scenes.inks[:, slot]][:, :, None, None]
        images = images + strokes * (colour - images)
    return 2 * images - 1


def palette(names: Sequence[str]) -> Tensor:
    """(len(names), 3) float32 in [0, 1]."""
    return torch.tensor([COLOURS[name] for name in names]) / 255


def _require_hands(scenes: Scenes, digits: LabelledImages) -> None:
    if digits.images.shape[1:] != (1, 28, 28) or digits.value_range != (0.0, 1.0):
        raise ValueError(
            "render: digits must be (M, 1, 28, 28) in (0, 1), got "
            f"{tuple(digits.images.shape)} in {digits.value_range}. Load them without size and value_range."
        )
    asked = scenes.digits[scenes.digits >= 0].unique()
    if lacking := asked[~torch.isin(asked, digits.labels)].tolist():
        raise ValueError(
            f"render: digits must hold every digit that occurs in the scenes, got none of {lacking}. A class "
            "may have been left out."
        )


def _hands(labels: Tensor, digits: LabelledImages, generator: torch.Generator) -> Tensor:
    """An image for each label, (N, 1, 28, 28)."""
    order = digits.labels.argsort(stable=True)
    counts = digits.labels.bincount(minlength=10)
    starts = counts.cumsum(0) - counts
    within = (torch.rand(len(labels), generator=generator) * counts[labels]).long()
    return digits.images[order[starts[labels] + within]]


def _strokes(scenes: Scenes, slot: int, hands: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 1, 64, 64) in [0, 1]: the digit of one slot, where it belongs."""
    n, layouts = len(scenes), scenes.layouts
    low, high = torch.tensor([FRAMES[layout] for layout in range(len(LAYOUTS))])[layouts].unbind(dim=1)
    size = low + (high - low) * torch.rand(n, generator=generator)
    moved = 2 * torch.rand(n, 2, generator=generator) - 1  # x, y
    along = F.one_hot(layouts, len(LAYOUTS))[:, [SIDE_BY_SIDE, STACKED]].float()  # the axis of two digits
    reach = torch.where(layouts[:, None] == ONE, torch.tensor(5.0), 8 - 6.5 * along)
    centre = SIZE / 2 + (slot - 0.5) * SIZE / 2 * along + reach * moved
    scale = SIZE / size
    shift = (SIZE - 2 * centre) / size[:, None]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, [n, 1, SIZE, SIZE], align_corners=False)
    return (SOLID * F.grid_sample(hands, grid, align_corners=False)).clamp(max=1)


def edges(images: Tensor) -> Tensor:
    """Where colours change, and how much: what a ControlNet of this course is shown.

    The largest difference between opposite neighbours, over both directions and all channels.

    Args:
        images: (N, C, H, W) float in [-1, 1].

    Returns:
        (N, 3, H, W) float in [0, 1], three equal channels: 1 is the step from black to white.

    Raises:
        TypeError, ValueError: images are no floats, or not (N, C, H, W).
    """
    require_float_tensor("edges", images=images)
    require_dims("edges", 4, "(N, C, H, W)", images=images)
    framed = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
    down = framed[:, :, 2:, 1:-1] - framed[:, :, :-2, 1:-1]
    strength = torch.maximum(across.abs(), down.abs()).amax(dim=1, keepdim=True) / 2
    return strength.clamp(max=1).expand(-1, 3, -1, -1)
