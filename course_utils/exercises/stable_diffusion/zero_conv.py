"""A convolution that starts at nothing.

channels   int
layers     the weights that the answer is run with, see exercises/layers.py
x          (B, channels, H, W) float, all sizes different
upstream   like x: what the gradient of the result is multiplied by
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from course_utils.exercises.criteria import agree
from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import (
    build,
    draw_layer,
    gradients,
    has_layers,
    part,
    place,
    require_layers,
    slots,
    wake,
)
from course_utils.exercises.spec import Answer, Case, Exercise, misconceptions

LAYER = "the convolution"
AT_FIRST = "nothing at first"
LEARNS = "it can learn from the start"


def cases(draw: Draw) -> list[Case]:
    """Few channels and more."""

    def case(channels: int) -> Case:
        x = draw.normal(draw.integer(2, 3), channels, draw.integer(4, 5), draw.integer(6, 7))
        layer = draw_layer(draw, LAYER, "Conv2d", channels, channels, 1, 1, fan_in=channels)
        inputs = {"channels": channels, "layers": [layer], "x": x, "upstream": draw.normal(*x.shape)}
        return Case(f"ZeroConv2d({channels}) on x of shape {tuple(x.shape)}", inputs)

    return [case(draw.integer(8, 9)), case(draw.integer(10, 12))]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module; run it, forwards and backwards; put the case's weights in; run it again."""
    inputs = case.inputs
    x, channels = inputs["x"], inputs["channels"]
    model: Any = build(answer, channels)
    require_layers(model, lambda: model.forward(x))
    wake(model, x)
    starts = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    placed, missing, extra = place(fitted(inputs["layers"], model), model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    yield "module(x)", model(x)
    model.load_state_dict(starts, strict=False)
    at_first, of_nothing = model(x), model(torch.zeros_like(x))
    yield "first weights == 0", not (at_first - of_nothing).any()
    yield "first bias == 0", not of_nothing.any()
    for name, gradient in gradients(at_first, inputs["upstream"], placed):
        yield name, gradient.reshape(channels, channels)


def fitted(layers: list[Any], model: nn.Module) -> list[Any]:
    """The layer as the answer has it: that of nn.Conv2d, or of nn.Linear over channels."""
    [[role, kind, weight, bias]] = layers
    shapes = [slot.weight.shape for slot in slots(model)]
    return [[role, kind, weight if weight.shape in shapes else weight[..., 0, 0], bias]]


def altered(change: Callable[[Any], object]) -> Answer:
    """The reference, changed after it is built; looked up when called: an answer's process does without
    it."""

    def construct(channels: int) -> nn.Module:
        module: nn.Module = ZERO_CONV_2D.load_reference()(channels)
        change(module)
        return module

    return construct


def starts_at_random(module: Any) -> None:
    """Your convolution starts as every other does, at random: the first thing that a ControlNet then does is
    to disturb the network that it should help. Look at its parameters right after the start."""
    nn.init.ones_(module.weight)
    nn.init.ones_(module.bias)


def bias_forgotten(module: Any) -> None:
    """Your weights start at 0, and your bias does not: every pixel is shifted from the first step on. Look at
    the second parameter."""
    nn.init.ones_(module.bias)


def frozen(module: Any) -> None:
    """Your convolution is 0 and stays so: its parameters take no gradient. Only its start is to be 0. Look
    for requires_grad."""
    module.requires_grad_(False)


def adds_its_input(module: Any) -> None:
    """You add x to the result. A zero convolution is put where something is added to a network: alone it has
    to give 0. Look at what you return."""
    plain = type(module).forward
    module.forward = lambda x: x + plain(module, x)


def multiplied_by_zero(module: Any) -> None:
    """Your result is 0 whatever the weights are, and so are their gradients: a factor of 0 stays. What is to
    be 0 are the weights, and only at first. Look at how the zero comes about."""
    plain = type(module).forward
    module.forward = lambda x: 0 * plain(module, x)


def with_another_layer(wrong: Callable[[int], nn.Module]) -> Answer:
    """A module of another shape: the check stops there."""

    def construct(channels: int) -> nn.Module:
        return nn.Sequential(wrong(channels))

    return construct


def kernel_of_3(channels: int) -> nn.Module:
    """Your kernel is 3 x 3. This convolution looks at one pixel at a time: it is there to begin with nothing,
    not to see more. Look at kernel_size."""
    return nn.Conv2d(channels, channels, 3, padding=1)


def a_channel_for_itself(channels: int) -> nn.Module:
    """Your convolution keeps channels apart: one number for each. Each channel of the result should depend on
    all channels. Look at groups, or at the shape of your weight."""
    return nn.Conv2d(channels, channels, 1, groups=channels)


def without_bias(channels: int) -> nn.Module:
    """Your convolution has no bias. It has one, which starts at 0 too. Look at its arguments."""
    return nn.Conv2d(channels, channels, 1, bias=False)


ZERO_CONV_2D = Exercise(
    id="stable_diffusion.ZeroConv2d",
    title="A convolution that starts at nothing",
    signature="ZeroConv2d(channels)",
    returns="an nn.Module: (B, channels, H, W) -> the same shape, by a 1 x 1 convolution with bias whose "
    "parameters start at 0",
    reference="course_utils.stable_diffusion.adapters:ZeroConv2d",
    cases=cases,
    criteria=(
        has_layers("There is one convolution: channels in, channels out, a kernel of 1 x 1, with a bias."),
        agree(
            "values",
            0.5,
            outputs="module(x)",
            gate=True,
            advice="With weights that are not 0 it is an ordinary convolution of 1 x 1, and nothing else.",
        ),
        part(
            AT_FIRST,
            1,
            outputs="first",
            advice="Print both parameters right after the start.",
        ),
        part(
            LEARNS,
            0.5,
            outputs="gradient",
            advice="At 0, too, the weights have a gradient: it depends on x. Look for requires_grad, "
            "detach() and factors of 0.",
        ),
    ),
    misconceptions=(
        *misconceptions(
            starts_at_random, bias_forgotten, frozen, adds_its_input, multiplied_by_zero, build=altered
        ),
        *misconceptions(kernel_of_3, a_channel_for_itself, without_bias, build=with_another_layer),
    ),
    probe=probe,
)
