"""What the exercises on both networks share: the case's weights go into the answer's module by shape.

layer    [role, kind, weight, bias or None], as in exercises/layers.py, but a layer may be without a bias

A bias where there should be none is set to 0 and reported: it changes no result, so the rest is judged too.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from course_utils.exercises.criteria import agree
from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import (
    Layer,
    Slot,
    build,
    draw_layer,
    gradients,
    has_layers,
    part,
    require_layers,
    slots,
    wake,
)
from course_utils.exercises.spec import Answer, Criterion

SINGLE = "evaluation mode, a batch of one"
GRADIENTS = "gradients reach every layer"
BIASES = "biases where they belong"
EXTRA_BIAS, NO_BIAS = "has a bias", "has no bias"


def draw_conv(draw: Draw, role: str, kind: str, *shape: int, fan_in: int) -> Layer:
    """A convolution without a bias."""
    return [*draw_layer(draw, role, kind, *shape, fan_in=fan_in)[:3], None]


def draw_norm(draw: Draw, role: str, channels: int) -> Layer:
    """A BatchNorm that scales its channels by about 1."""
    return [role, "BatchNorm2d", 1 + 0.3 * draw.normal(channels), 0.3 * draw.normal(channels)]


def probe_network(
    answer: Answer,
    arguments: Sequence[int],
    inputs: dict[str, Any],
    fit: Callable[[list[Layer], list[Slot]], list[Layer]],
) -> Iterator[tuple[str, Any]]:
    """Build the network, put the case's weights in, run it.

    Args:
        arguments: of the constructor.
        inputs: the case's: layers, x, whether to train, and for gradients an upstream.
        fit: (layers, slots) -> the layers in the form that the answer gave them.
    """
    x = inputs["x"]
    model: Any = build(answer, *arguments)
    require_layers(model, lambda: model.forward(x))
    wake(model, x)
    forget_batches(model)
    placed, missing, extra, biases = place(fit(inputs["layers"], slots(model)), model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    yield "biases", biases
    model.train(inputs["train"])
    if "upstream" in inputs:
        yield from gradients(model(x), inputs["upstream"], placed)
    else:
        yield "network's output", model(x)


def forget_batches(model: nn.Module) -> None:
    """Running statistics as at first: a constructor, or waking lazy layers, may have run the model."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()


def place(
    layers: Sequence[Layer], model: nn.Module
) -> tuple[dict[str, Slot], list[str], list[str], list[str]]:
    """Put the case's weights into the module.

    Returns:
        the slot of each role; in words: layers without a slot, slots without a layer, biases gone wrong.
    """
    free, placed, missing, biases = slots(model), dict[str, Slot](), list[str](), list[str]()
    for role, kind, weight, bias in layers:
        fitting = [slot for slot in free if slot.weight.shape == weight.shape]
        if not fitting:
            missing.append(f"{role}, {kind} with weight {tuple(weight.shape)}")
            continue
        slot = placed[role] = min(fitting, key=lambda slot: slot.kind != kind)
        free = [other for other in free if other is not slot]
        slot.weight.data.copy_(weight)
        if slot.bias is not None:
            slot.bias.data.copy_(torch.zeros_like(slot.bias) if bias is None else bias)
        if (slot.bias is None) != (bias is None):
            biases.append(f"{role} {NO_BIAS if slot.bias is None else EXTRA_BIAS}")
    return placed, missing, [str(slot) for slot in free], biases


def network_criteria(sizes: str, values: str, biases: str) -> tuple[Criterion, ...]:
    """The ladder of both networks, worth 4 points.

    Args:
        sizes, values, biases: where to look.
    """
    return (
        has_layers(sizes),
        agree("values", 2.5, outputs="network", gate=True, advice=values),
        part(BIASES, 0.5, outputs="biases", advice=biases),
        part(
            SINGLE,
            0.5,
            kind=SINGLE,
            outputs="network",
            advice="A batch of one keeps its batch dimension: look for squeeze(). In evaluation mode "
            "BatchNorm uses its running statistics; nn.BatchNorm2d does so by itself.",
        ),
        part(
            GRADIENTS,
            0.5,
            kind=GRADIENTS,
            outputs="gradient",
            advice="Where a gradient is 0, something cuts the graph that backward() follows: detach(), "
            ".data, no_grad(), numpy.",
        ),
    )
