"""Attention among the pixels of a feature map.

    x          (B, C, H, W) float, H != W
    heads      int
    layers     the weights that the answer is run with, see exercises/layers.py
    upstream   like x: what the gradient of the result is multiplied by

Queries, keys and values may come from one layer or from three, and a 1x1 convolution may be written as a
linear layer: the case's weights are cut and reshaped to what the answer has.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import (
    Layer,
    Slot,
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
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions
from course_utils.exercises.unet.residual_block import GRADIENTS, ONE_IMAGE, draw_norm

NORM = "the norm"
LARGE = "large scores, in float64"


def cases(draw: Draw) -> list[Case]:
    """Two and three heads; then one image; then scores of thousands, whose exponentials overflow."""

    def case(b: int, channels: int, heads: int, kind: str = ORDINARY, sharpness: float = 1.0) -> Case:
        layers = draw_layers(draw, channels, sharpness)
        dtype = torch.float64 if kind == LARGE else torch.float32
        x = draw.normal(b, channels, draw.integer(3, 4), draw.integer(5, 6), dtype=dtype)
        inputs = {"channels": channels, "heads": heads, "layers": layers, "x": x}
        if kind == GRADIENTS:
            inputs["upstream"] = draw.normal(*x.shape)
        return Case(f"SelfAttention2d({channels}, {heads}) on x of shape {tuple(x.shape)}", inputs, kind)

    return [
        case(2, 16, 2),
        case(3, 24, 3),
        case(1, 16, 4, ONE_IMAGE),
        case(2, 16, 2, LARGE, sharpness=1000.0),
        case(2, 16, 2, GRADIENTS),
    ]


def draw_layers(draw: Draw, channels: int, sharpness: float) -> list[Layer]:
    """The layers of an attention; `sharpness` multiplies its scores."""
    qkv = draw_layer(draw, "the layer of q, k and v", "Conv2d", 3 * channels, channels, 1, 1, fan_in=channels)
    for weights in qkv[2:]:
        weights[:channels] *= sharpness
    out = draw_layer(draw, "the output layer", "Conv2d", channels, channels, 1, 1, fan_in=channels)
    return [draw_norm(draw, NORM, channels), qkv, out]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module, put the case's weights in, run it."""
    inputs = case.inputs
    x, channels = inputs["x"], inputs["channels"]
    model: Any = build(answer, channels, inputs["heads"])
    blank = torch.zeros(1, channels, 2, 2, dtype=x.dtype)
    require_layers(model, lambda: model.forward(blank))
    wake(model.to(x.dtype), blank)
    placed, missing, extra = place(fitted(inputs["layers"], slots(model)), model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    if "upstream" not in inputs:
        yield "attention(x)", model.eval()(x)
        return
    x = x.clone().requires_grad_()
    yield from gradients(model.train()(x), inputs["upstream"], {NORM: placed[NORM]})
    yield "gradient at x", torch.zeros_like(x) if x.grad is None else x.grad


def fitted(layers: list[Layer], free: list[Slot]) -> list[Layer]:
    """The layers in the shapes that the answer gave them: q, k and v apart, 1x1 kernels flat."""
    norm, qkv, out = layers
    parts = [qkv]
    if sum(slot.weight.numel() == out[2].numel() for slot in free) >= 4:
        names = [f"the layer of {name}" for name in ("the queries", "the keys", "the values")]
        pieces = zip(names, qkv[2].chunk(3), qkv[3].chunk(3), strict=True)
        parts = [[name, qkv[1], weight, bias] for name, weight, bias in pieces]
    shapes = [slot.weight.shape for slot in free]
    return [
        norm,
        *([role, kind, as_written(weight, shapes), bias] for role, kind, weight, bias in [*parts, out]),
    ]


def as_written(weight: Tensor, shapes: list[torch.Size]) -> Tensor:
    """The weight of a 1x1 convolution as the answer has it: that of nn.Conv2d, nn.Conv1d or nn.Linear."""
    written = (weight, weight[..., 0], weight[..., 0, 0])
    return next((form for form in written if form.shape in shapes), weight)


def altered(run: Callable[[Any, Tensor], Tensor]) -> Answer:
    """The reference with another forward, looked up when called: an answer's process does without it."""

    def construct(channels: int, heads: int) -> nn.Module:
        module: nn.Module = SELF_ATTENTION_2D.load_reference()(channels, heads)
        module.forward = lambda x: run(module, x)
        return module

    return construct


def split(module: Any, x: Tensor, heads: int) -> Tensor:
    """The right queries, keys and values, (3, B, heads, H W, C / heads)."""
    b, c, h, w = x.shape
    return (
        module.qkv(module.norm(x)).reshape(b, 3, heads, c // heads, h * w).transpose(-1, -2).transpose(0, 1)
    )


def joined(module: Any, attended: Tensor, x: Tensor) -> Tensor:
    """The right end without the residual: heads side by side, and the output layer."""
    return module.out(attended.transpose(-1, -2).reshape(x.shape))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The right middle."""
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def no_scale(module: Any, x: Tensor) -> Tensor:
    """Your scores are not divided by anything. A sum over a head's channels grows with their number, and the
    softmax becomes a hard choice whose gradient vanishes. Look at what the softmax is given."""
    q, k, v = split(module, x, module.heads)
    return x + joined(module, (q @ k.transpose(-1, -2)).softmax(dim=-1) @ v, x)


def scale_by_all_channels(module: Any, x: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of all channels. Each score is a sum over the
    channels of one head. Look at the scale."""
    q, k, v = split(module, x, module.heads)
    return x + joined(module, (q @ k.transpose(-1, -2) / x.shape[1] ** 0.5).softmax(dim=-1) @ v, x)


def softmax_over_queries(module: Any, x: Tensor) -> Tensor:
    """Your softmax runs over the queries: the weights with which a pixel looks at all others do not add up to
    1. It should run over the keys. Look at its dimension."""
    q, k, v = split(module, x, module.heads)
    return x + joined(module, (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-2) @ v, x)


def heads_mixed_up(module: Any, x: Tensor) -> Tensor:
    """Your heads get a jumble of channels and pixels: a reshape keeps the order in memory, where channels
    come before pixels, and renames what it finds. First split in the order in which things lie, then swap
    dimensions. Look at how q, k and v get their heads."""
    b, c, h, w = x.shape
    q, k, v = module.qkv(module.norm(x)).reshape(b, 3, module.heads, h * w, c // module.heads).unbind(dim=1)
    return x + joined(module, attend(q, k, v), x)


def heads_not_put_back(module: Any, x: Tensor) -> Tensor:
    """Your attention is right, and then its result is put into the wrong places: it still has pixels before
    channels when you reshape it to (B, C, H, W). Look at the order of its dimensions there."""
    q, k, v = split(module, x, module.heads)
    return x + module.out(attend(q, k, v).reshape(x.shape))


def one_head_only(module: Any, x: Tensor) -> Tensor:
    """Your attention has one head, whatever heads says: every pixel can look in one way only. Look for where
    heads enters."""
    q, k, v = split(module, x, 1)
    return x + joined(module, attend(q, k, v), x)


def no_residual(module: Any, x: Tensor) -> Tensor:
    """Your result lacks x: what the pixels gather replaces them instead of being added. Look at what you
    return."""
    q, k, v = split(module, x, module.heads)
    return joined(module, attend(q, k, v), x)


def residual_after_the_norm(module: Any, x: Tensor) -> Tensor:
    """Your result adds to the normalised x, not to x itself. Does one name stand for both? Look at what you
    add at the end."""
    q, k, v = split(module, x, module.heads)
    return module.norm(x) + joined(module, attend(q, k, v), x)


SELF_ATTENTION_2D = Exercise(
    id="unet.SelfAttention2d",
    title="Attention among pixels",
    signature="SelfAttention2d(channels, heads)",
    returns="an nn.Module: (B, channels, H, W) -> the same, x + attention",
    reference="course_utils.diffusion.unet:SelfAttention2d",
    cases=cases,
    criteria=(
        has_layers(
            "One layer with 3 * channels outputs gives q, k and v; or there are three layers in this order."
        ),
        part(
            "values",
            3,
            advice="The layers fit. Print shapes: q, k and v are (B, heads, H W, channels / heads), scores "
            "are (B, heads, H W, H W), and each row of the softmax adds up to 1. The outputs of the first "
            "layer are q, then k, then v; a head has consecutive channels; the norm has 8 groups.",
        ),
        part(
            ONE_IMAGE,
            0.5,
            kind=ONE_IMAGE,
            advice="A batch of one keeps its batch dimension. Look for squeeze(), or a fixed batch size.",
        ),
        part(
            LARGE,
            0.5,
            kind=LARGE,
            advice="Some scores are above 1,000 here, and exp(1000) is infinite; softmax() subtracts the "
            "largest score first. The numbers are float64: look for a conversion too.",
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
    misconceptions=misconceptions(
        no_scale,
        scale_by_all_channels,
        softmax_over_queries,
        heads_mixed_up,
        heads_not_put_back,
        one_head_only,
        no_residual,
        residual_after_the_norm,
        build=altered,
    ),
    probe=probe,
)
