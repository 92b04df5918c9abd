"""A residual block that is told the time.

    x                       (B, in_channels, H, W) float, all sizes different
    temb                    (B, time_dim) float
    layers                  the weights that the answer is run with, see exercises/layers.py
    upstream                like the result: what its gradient is multiplied by

Where both convolutions have one shape, and both norms, a case gives them the same weights: which is which
cannot be told from outside.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import (
    Layer,
    build,
    draw_layer,
    gradients,
    has_layers,
    part,
    place,
    require_layers,
    wake,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

TIME_DIM = 10
EQUAL = "as many channels out as in"
ONE_IMAGE = "a batch of one image"
GRADIENTS = "gradients reach every layer"


def cases(draw: Draw) -> list[Case]:
    """More channels, fewer channels, as many; each image has a level of its own."""

    def case(words: str, b: int, channels: tuple[int, int], kind: str = ORDINARY) -> Case:
        before, after = channels
        h, w = draw.integer(4, 5), draw.integer(6, 7)
        inputs = {
            "channels": list(channels),
            "layers": draw_layers(draw, before, after),
            "x": draw.normal(b, before, h, w),
            "temb": draw.normal(b, TIME_DIM),
        }
        if kind == GRADIENTS:
            inputs["upstream"] = draw.normal(b, after, h, w)
        return Case(f"ResidualBlock({before}, {after}, {TIME_DIM}) {words}", inputs, kind)

    return [
        case("on 3 images", 3, (16, 24)),
        case("on 2 images", 2, (24, 16)),
        case("on 3 images", 3, (16, 16), EQUAL),
        case("on a single image", 1, (16, 24), ONE_IMAGE),
        case("on 2 images, backward()", 2, (16, 24), GRADIENTS),
    ]


def draw_layers(draw: Draw, before: int, after: int) -> list[Layer]:
    """The layers of a block; twins have one weight, see above."""
    equal = before == after
    norm2 = draw_norm(draw, "the second norm", after)
    conv2 = draw_conv(draw, "the second convolution", after, after)
    norm1 = ["the first norm", *norm2[1:]] if equal else draw_norm(draw, "the first norm", before)
    conv1 = (
        ["the first convolution", *conv2[1:]]
        if equal
        else draw_conv(draw, "the first convolution", before, after)
    )
    time = draw_layer(draw, "the time layer", "Linear", 2 * after, TIME_DIM, fan_in=TIME_DIM)
    skip = draw_layer(draw, "the skip's convolution", "Conv2d", after, before, 1, 1, fan_in=before)
    return [norm1, conv1, time, norm2, conv2, *([] if equal else [skip])]


def draw_norm(draw: Draw, role: str, channels: int) -> Layer:
    """A norm that scales its channels by about 1."""
    return [role, "GroupNorm", 1 + 0.3 * draw.normal(channels), 0.3 * draw.normal(channels)]


def draw_conv(draw: Draw, role: str, before: int, after: int) -> Layer:
    """A 3x3 convolution."""
    return draw_layer(draw, role, "Conv2d", after, before, 3, 3, fan_in=9 * before)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the block, put the case's weights in, run it."""
    inputs = case.inputs
    before, after = inputs["channels"]
    model: Any = build(answer, before, after, TIME_DIM)
    blank = torch.zeros(1, before, 2, 2), torch.zeros(1, TIME_DIM)
    require_layers(model, lambda: model.forward(*blank))
    wake(model, *blank)
    placed, missing, extra = place(inputs["layers"], model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    if "upstream" in inputs:
        yield from gradients(model.train()(inputs["x"], inputs["temb"]), inputs["upstream"], placed)
    else:
        yield "block(x, temb)", model.eval()(inputs["x"], inputs["temb"])


def altered(run: Callable[[Any, Tensor, Tensor], Tensor]) -> Answer:
    """The reference with another forward, looked up when called: an answer's process does without it."""

    def construct(in_channels: int, out_channels: int, time_dim: int) -> nn.Module:
        block: nn.Module = RESIDUAL_BLOCK.load_reference()(in_channels, out_channels, time_dim)
        block.forward = lambda x, temb: run(block, x, temb)
        return block

    return construct


def first_half(block: Any, x: Tensor) -> Tensor:
    """The right beginning, for answers that are wrong after it."""
    return block.conv1(F.silu(block.norm1(x)))


def scale_and_shift(block: Any, temb: Tensor) -> tuple[Tensor, ...]:
    """The right factors and offsets, for answers that use them wrongly."""
    return block.time(F.silu(temb))[:, :, None, None].chunk(2, dim=1)


def time_ignored(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """Your result does not depend on temb. A block that is not told the level treats faint and strong noise
    alike. Look for what becomes of the time layer's output."""
    return block.conv2(F.silu(block.norm2(first_half(block, x)))) + block.skip(x)


def scale_without_one(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """Your block multiplies by the scale itself, so a scale near 0, as every network starts with, erases the
    image. A scale of 0 should leave a channel as it is. Look at the factor."""
    scale, shift = scale_and_shift(block, temb)
    return block.conv2(F.silu(block.norm2(first_half(block, x)) * scale + shift)) + block.skip(x)


def scale_and_shift_swapped(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """Your block takes the shift for the scale and the scale for the shift. A network of its own would not
    mind; this one is run with given weights. The first half of the time layer's output is the scale. Look at
    how you take it apart."""
    shift, scale = scale_and_shift(block, temb)
    return block.conv2(F.silu(block.norm2(first_half(block, x)) * (1 + scale) + shift)) + block.skip(x)


def no_skip(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """Your result lacks the input: what the convolutions make is right, but it replaces x instead of being
    added to it. Without that path, deep networks train badly. Look at what you return."""
    return right(block, x, temb) - block.skip(x)


def activation_after_the_sum(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """Your result is the right one after another SiLU: almost nothing of it is negative. Then no block can
    hand on its input unchanged. Look at what comes after the sum."""
    return F.silu(right(block, x, temb))


def right(block: Any, x: Tensor, temb: Tensor) -> Tensor:
    """The block as it should be, for answers that spoil its result."""
    return type(block).forward(block, x, temb)


def with_other_layers(wrong: Callable[[int, int, int], dict[str, nn.Module]]) -> Answer:
    """The reference with layers of other shapes: the check stops there, before anything is run."""

    def construct(in_channels: int, out_channels: int, time_dim: int) -> nn.Module:
        block: nn.Module = RESIDUAL_BLOCK.load_reference()(in_channels, out_channels, time_dim)
        for name, layer in wrong(in_channels, out_channels, time_dim).items():
            setattr(block, name, layer)
        return block

    return construct


def time_added_to_the_input(in_channels: int, out_channels: int, time_dim: int) -> dict[str, nn.Module]:
    """Your time layer has in_channels outputs: it fits the block's input. There the first norm would take out
    again most of what it adds. In this block time comes in after the second norm. Look at how many channels
    there are at that point, and at how many numbers each of them needs."""
    return {"time": nn.Linear(time_dim, in_channels)}


def time_only_added(in_channels: int, out_channels: int, time_dim: int) -> dict[str, nn.Module]:
    """Your time layer gives one number per channel, as in the first diffusion models, which add it. Here
    every channel gets two: one makes it stronger or weaker, the other shifts it. Look at the size of the
    time layer's output."""
    return {"time": nn.Linear(time_dim, out_channels)}


def norm_after_the_convolution(in_channels: int, out_channels: int, time_dim: int) -> dict[str, nn.Module]:
    """Your first norm has out_channels: it comes after the first convolution. In this block each norm comes
    before the activation and the convolution that it prepares, so that nothing is normed at the end, where
    the sum is. Look at which tensor the first norm is given."""
    return {"norm1": nn.GroupNorm(8, out_channels)}


RESIDUAL_BLOCK = Exercise(
    id="unet.ResidualBlock",
    title="A residual block that is told the time",
    signature="ResidualBlock(in_channels, out_channels, time_dim)",
    returns="an nn.Module: (B, in_channels, H, W) and temb (B, time_dim) -> (B, out_channels, H, W)",
    reference="course_utils.diffusion.unet:ResidualBlock",
    cases=cases,
    criteria=(
        has_layers(
            "The time layer gives a scale and a shift for each of out_channels. The skip has a 1x1 "
            "convolution where the numbers of channels differ."
        ),
        part(
            "values",
            2.5,
            advice="The layers fit: go through the chapter's table line by line, and print the shape after "
            "each. Norm, SiLU, convolution; then norm, scale and shift, SiLU, convolution; then the sum. "
            "SiLU also comes before the time layer, and each norm has 8 groups.",
        ),
        part(
            EQUAL,
            1,
            kind=EQUAL,
            advice="Where nothing has to fit, the skip is x itself: a convolution there costs weights, and "
            "spoils what a residual block is for.",
        ),
        part(
            ONE_IMAGE,
            0.5,
            kind=ONE_IMAGE,
            advice="A batch of one keeps its batch dimension. Look for squeeze(), or a fixed batch size.",
        ),
        part(
            GRADIENTS,
            1,
            kind=GRADIENTS,
            outputs="gradient",
            advice="Where a gradient is 0, something cuts the graph that backward() follows: detach(), "
            ".data, no_grad(), numpy. Where it is another one, training mode changes something: dropout?",
        ),
    ),
    misconceptions=(
        *misconceptions(
            time_ignored,
            scale_without_one,
            scale_and_shift_swapped,
            no_skip,
            activation_after_the_sum,
            build=altered,
        ),
        *misconceptions(
            time_added_to_the_input, time_only_added, norm_after_the_convolution, build=with_other_layers
        ),
    ),
    probe=probe,
)
