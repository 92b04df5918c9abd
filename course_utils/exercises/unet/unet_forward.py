"""The wiring of a U-Net, watched on small blocks.

x           (B, C, H, W) float, H != W
temb        (B, TIME_DIM) float
down, up    lists of TinyBlock; middle: one TinyBlock

In ordinary cases no block changes a size, and every block takes any number of channels: whatever way skips
are joined, something comes out, and it shows which way it was.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyModel, misconceptions
from course_utils.exercises.toys import toy_shapes

TIME_DIM = 4
RESOLUTIONS = "blocks that change the resolution"
DEPTHS = "more blocks, and fewer"
GRADIENTS = "gradients reach every block"

Blocks = Sequence[Callable[[Tensor, Tensor], Tensor]]


def cases(draw: Draw) -> list[Case]:
    """Equal blocks, so that every wiring runs; then a real U-Net's sizes; then other depths."""

    def case(words: str, widths: Sequence[int], resamples: Sequence[int], kind: str = ORDINARY) -> Case:
        b, start = draw.integer(2, 3), widths[0] if kind != RESOLUTIONS else 2
        x = draw.normal(b, start, 4, 8)
        before = [start, *widths[:-1]]
        matching = list(zip(widths, before, resamples, strict=True))
        down = [draw_block(draw, i, o, -r) for o, i, r in matching]
        up = [draw_block(draw, 2 * i, o, r) for i, o, r in reversed(matching)]
        middle = draw_block(draw, widths[-1], widths[-1], 0)
        inputs = {"x": x, "temb": draw.normal(b, TIME_DIM), "down": down, "middle": middle, "up": up}
        return Case(f"{words}: {len(down)} down, {len(up)} up", inputs, kind)

    return [
        case("blocks that keep every size", [3] * 3, [0] * 3),
        case("blocks that keep every size", [3] * 4, [0] * 4),
        case("blocks that halve and double", [3, 4, 5], [0, 1, 1], RESOLUTIONS),
        case("blocks that keep every size", [3] * 6, [0] * 6, DEPTHS),
        case("blocks that keep every size", [3], [0], DEPTHS),
    ]


def draw_block(draw: Draw, channels: int, out_channels: int, resample: int) -> ToyModel:
    """A block with random weights, for at most so many channels as could come in by mistake."""
    config = {"channels": max(2 * channels, 12), "out_channels": out_channels, "time_dim": TIME_DIM}
    config["resample"] = resample
    shapes = toy_shapes("tiny_block", config)
    weights = {
        "mix": draw.normal(*shapes["mix"]) / channels**0.5,
        "time": draw.normal(*shapes["time"]) / TIME_DIM**0.5,
    }
    return ToyModel("tiny_block", weights, config)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The result, and its gradients by the weights of each block."""
    inputs = case.inputs
    blocks = {f"down[{i}]": block for i, block in enumerate(inputs["down"])} | {"middle": inputs["middle"]}
    blocks |= {f"up[{i}]": block for i, block in enumerate(inputs["up"])}
    result = answer(*inputs.values())
    yield "result", result
    weights = [block.mix for block in blocks.values()]
    found: Sequence[Tensor | None] = [None] * len(weights)
    if isinstance(result, Tensor) and result.requires_grad:
        found = torch.autograd.grad(result.square().sum(), weights, allow_unused=True)
    for name, weight, gradient in zip(blocks, weights, found, strict=True):
        yield f"gradient at {name}", torch.zeros_like(weight) if gradient is None else gradient


def descend(x: Tensor, temb: Tensor, down: Blocks) -> list[Tensor]:
    """x and the outputs of the down blocks, for answers that are wrong later on."""
    states = [x]
    for block in down:
        states.append(block(states[-1], temb))
    return states


def first_in_first_out(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your skips come in the order in which they were made: the first up block, at the lowest resolution,
    gets that of the first down block, at the highest. Turn round what you take from the list."""
    _, *skips = descend(x, temb, down)
    x = middle(skips[-1], temb)
    for block, skip in zip(up, skips, strict=False):
        x = block(torch.cat([x, skip], dim=1), temb)
    return x


def skips_left_out(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your up blocks get no skips: all detail has to pass through the smallest feature map, as in an
    autoencoder. Look at what each up block is called on."""
    x = middle(descend(x, temb, down)[-1], temb)
    for block in up:
        x = block(x, temb)
    return x


def skip_before_x(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your skips are right, and they come before x in the channels. Weights that expect x first then meet the
    wrong channels. Look at the order inside cat."""
    _, *skips = descend(x, temb, down)
    x = middle(skips[-1], temb)
    for block in up:
        x = block(torch.cat([skips.pop(), x], dim=1), temb)
    return x


def sum_instead_of_cat(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your skips are added to x, as inside a residual block. Between the two sides of a U-Net they are set
    side by side, and the next block decides what to do with each. Look at how x and the skip are joined."""
    _, *skips = descend(x, temb, down)
    x = middle(skips[-1], temb)
    for block in up:
        x = block(x + skips.pop(), temb)
    return x


def skips_are_the_inputs(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your skips are what the down blocks were given. They should be what the blocks made of it. Look at when
    you remember x: before the call or after it."""
    *skips, x = descend(x, temb, down)
    x = middle(x, temb)
    for block in up:
        x = block(torch.cat([x, skips.pop()], dim=1), temb)
    return x


def one_skip_for_all(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your up blocks all get the same skip, the last one. Each should get its own, and a skip that was used
    is done with. Look at how you take skips from the list."""
    _, *skips = descend(x, temb, down)
    x = middle(skips[-1], temb)
    for block in up:
        x = block(torch.cat([x, skips[-1]], dim=1), temb)
    return x


def middle_left_out(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your result does not depend on the middle block. Look at what happens between the way down and the way
    up: does its output have a name that somebody reads?"""
    _, *skips = descend(x, temb, down)
    x = skips[-1]
    for block in up:
        x = block(torch.cat([x, skips.pop()], dim=1), temb)
    return x


def time_not_handed_on(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """Your result does not depend on temb: the blocks are not told the level. They take two arguments, on the
    way down, in the middle and on the way up. Look at your calls."""
    return right(x, torch.zeros_like(temb), down, middle, up)


def right(x: Tensor, temb: Tensor, down: Blocks, middle: Any, up: Blocks) -> Tensor:
    """The right wiring, for answers that are wrong elsewhere."""
    _, *skips = descend(x, temb, down)
    x = middle(skips[-1], temb)
    for block in up:
        x = block(torch.cat([x, skips.pop()], dim=1), temb)
    return x


UNET_FORWARD = Exercise(
    id="unet.unet_forward",
    title="The wiring of a U-Net",
    signature="unet_forward(x, temb, down, middle, up)",
    returns="what the last up block returns",
    reference="course_utils.diffusion.unet:unet_forward",
    cases=cases,
    criteria=(
        agree(
            "type",
            0,
            outputs="result",
            stages=TYPE,
            gate=True,
            advice="Asked for is what the last up block returns. Each up block is called on one tensor, in "
            "which x and its skip are joined along the channels, and on temb.",
        ),
        agree("shape", 0, outputs="result", stages=STAGES[:2], gate=True),
        agree("dtype", 0, outputs="result", stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        agree(
            "values",
            2,
            outputs="result",
            gate=True,
            advice="Take one block down and one up, and write by hand what each is called on. An up block's "
            "input has the channels of x first, then those of the skip.",
        ),
        agree(
            RESOLUTIONS,
            0.5,
            kind=RESOLUTIONS,
            outputs="result",
            advice="Here blocks change sizes and numbers of channels: x and its skip fit only if they are "
            "of one level.",
        ),
        agree(
            DEPTHS,
            0.5,
            kind=DEPTHS,
            outputs="result",
            advice="There are other numbers of blocks here. Look for a number in your code that should come "
            "from the lists.",
        ),
        agree(
            GRADIENTS,
            0.5,
            outputs="gradient",
            advice="Where a gradient is too small or 0, something cuts the graph that backward() follows: "
            "detach(), .data or no_grad().",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        first_in_first_out,
        skips_left_out,
        skip_before_x,
        sum_instead_of_cat,
        skips_are_the_inputs,
        one_skip_for_all,
        middle_left_out,
        time_not_handed_on,
    ),
    probe=probe,
)
