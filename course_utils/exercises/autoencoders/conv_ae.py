"""A convolutional autoencoder.

    x        (B, 1, 32, 32) float in [0, 1]
    z        (B, D) float; D = latent_dim
    layers   the weights that the answer is run with, see exercises/layers.py
    parts    which of encode, decode and forward a case runs

The chapter does not say whether an activation follows the decoder's linear layer: both ways are accepted.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
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
from course_utils.exercises.spec import Answer, Case, Exercise, misconceptions

LATENT = 32
ONE_IMAGE = "a batch of one image"
OTHER_LATENT = "another latent size"
GRADIENTS = "gradients reach every layer"
BLANK = torch.zeros(1, 1, 32, 32)


def cases(draw: Draw) -> list[Case]:
    """The parts one by one, so that each is judged even where another one fails, then edge cases."""
    other = draw.integer(3, 20)
    layers = draw_layers(draw, LATENT)
    usual = {"latent_dim": LATENT, "layers": layers, "parts": ["encode", "decode", "forward"]}
    x, z = draw.uniform(3, 1, 32, 32), draw.normal(4, LATENT)
    upstream = draw.normal(*x.shape)
    one = {"x": draw.uniform(1, 1, 32, 32), "z": draw.normal(1, LATENT)}
    small = {"latent_dim": other, "layers": with_latent(draw, layers, other), "z": draw.normal(2, other)}
    return [
        Case("encode 3 images", {**usual, "parts": ["encode"], "x": x}),
        Case(f"decode 4 codes of {LATENT} numbers", {**usual, "parts": ["decode"], "z": z}),
        Case("reconstruct 3 images", {**usual, "parts": ["forward"], "x": x}),
        Case("a single image, and a single code", {**usual, **one}, ONE_IMAGE),
        Case(
            f"ConvAE(latent_dim={other}) on 3 images, and on 2 codes",
            {**usual, **small, "x": x},
            OTHER_LATENT,
        ),
        Case("backward() from 3 images", {**usual, "parts": [], "x": x, "upstream": upstream}, GRADIENTS),
    ]


def draw_layers(draw: Draw, latent_dim: int) -> list[Layer]:
    """The eight layers of the autoencoder."""
    ordinals = "first", "second", "third"
    down, up = [(1, 32), (32, 64), (64, 128)], [(128, 64), (64, 32), (32, 1)]
    convolutions = [
        draw_layer(draw, f"the encoder's {nth} convolution", "Conv2d", b, a, 3, 3, fan_in=9 * a)
        for nth, (a, b) in zip(ordinals, down, strict=True)
    ]
    transposed = [  # at stride 2, 4 of the 16 weights of a kernel meet in a pixel
        draw_layer(
            draw, f"the decoder's {nth} transposed convolution", "ConvTranspose2d", a, b, 4, 4, fan_in=4 * a
        )
        for nth, (a, b) in zip(ordinals, up, strict=True)
    ]
    return with_latent(draw, convolutions + transposed, latent_dim)


def with_latent(draw: Draw, layers: list[Layer], latent_dim: int) -> list[Layer]:
    """The layers, with linear ones for this size of the code."""
    return [
        *(layer for layer in layers if layer[1] != "Linear"),
        draw_layer(draw, "the encoder's linear layer", "Linear", latent_dim, 2048, fan_in=2048),
        draw_layer(draw, "the decoder's linear layer", "Linear", 2048, latent_dim, fan_in=latent_dim),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module, put the case's weights in, run its parts."""
    inputs = case.inputs
    model: Any = build(answer, inputs["latent_dim"])
    require_layers(model, lambda: model.encode(BLANK))
    wake(model, BLANK)
    placed, missing, extra = place(inputs["layers"], model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    if "upstream" in inputs:
        yield from gradients(model.train()(inputs["x"]), inputs["upstream"], placed)
    model.eval()
    runs: dict[str, Callable[[], Tensor]] = {
        "encode": lambda: model.encode(inputs["x"]),
        "decode": lambda: model.decode(inputs["z"]),
        "forward": lambda: model(inputs["x"]),
    }
    for name in inputs["parts"]:
        yield f"{name}({'z' if name == 'decode' else 'x'})", runs[name]()


def altered(alter: Answer) -> Answer:
    """The reference with something changed, looked up when called: an answer's process does without it."""

    def construct(latent_dim: int) -> nn.Module:
        model: nn.Module = CONV_AE.load_reference()(latent_dim)
        alter(model)
        return model

    return construct


def relu_after_the_decoders_linear(model: Any) -> None:
    """No misconception: the other way that the chapter leaves open."""
    model.decoder.insert(1, nn.ReLU())


def no_sigmoid(model: Any) -> None:
    """Your reconstructions leave the range of images: some numbers are below 0, some above 1. Pixels lie in
    [0, 1]. Look at what comes after the last transposed convolution."""
    model.decoder = model.decoder[:-1]


def tanh_instead_of_sigmoid(model: Any) -> None:
    """Your reconstructions lie in (-1, 1), the range of a Tanh. Images lie in [0, 1] in this chapter. Look
    at the last activation."""
    model.decoder[-1] = nn.Tanh()


def relu_before_sigmoid(model: Any) -> None:
    """Your reconstructions never fall below 0.5: a ReLU comes before the last activation, and what is never
    negative never gets dark. Look at the last two steps of the decoder."""
    model.decoder.insert(len(model.decoder) - 1, nn.ReLU())


def relu_on_the_code(model: Any) -> None:
    """Your codes are never negative: an activation follows the encoder's linear layer. Of all directions in
    latent space it leaves one corner. Look at the end of the encoder."""
    model.encoder.append(nn.ReLU())


def no_activations(model: Any) -> None:
    """Your layers are right, but nothing happens between them. Without activations they collapse into one
    linear map, and the network can do no more than PCA. Look at what follows each convolution."""
    for name in ("encoder", "decoder"):
        kept = (module for module in getattr(model, name) if not isinstance(module, nn.ReLU))
        setattr(model, name, nn.Sequential(*kept))


def forward_returns_the_code(model: Any) -> None:
    """Your forward(x) is the code, not the image: it stops half-way. What should happen to the code?"""
    model.forward = model.encode


def forward_returns_a_pair(model: Any) -> None:
    """Your forward(x) gives back two things. The training step compares it with x, so it has to be the
    reconstruction alone; whoever wants the code calls encode."""
    model.forward = lambda x: (model.decode(model.encode(x)), model.encode(x))


def code_is_detached(model: Any) -> None:
    """Your reconstructions are right, but no gradient arrives in the encoder: it would never learn. The code
    is cut off from the graph on its way to the decoder. Look at what your forward does with it."""
    model.forward = lambda x: model.decode(model.encode(x).detach())


CONV_AE = Exercise(
    id="autoencoders.ConvAE",
    title="A convolutional autoencoder",
    signature="ConvAE(latent_dim)",
    returns="an nn.Module: encode (B,1,32,32) -> (B,D), decode (B,D) -> (B,1,32,32) in (0,1), forward",
    reference="course_utils.autoencoders:ConvAE",
    cases=cases,
    criteria=(
        has_layers("2048 is 128 * 4 * 4: what three convolutions leave of 32 x 32 pixels."),
        part(
            "encode",
            2,
            outputs="encode",
            advice="The layers fit: look at what happens in and between them (stride, padding, activations).",
        ),
        part(
            "decode",
            2,
            outputs="decode",
            advice="The layers fit: look at what happens in and between them (the shape that the code is "
            "unfolded to, channels first; stride, padding, activations; what brings numbers into (0, 1)).",
        ),
        part(
            "forward", 1, outputs="forward", advice="It is the reconstruction: what decode makes of encode."
        ),
        part(
            ONE_IMAGE,
            1,
            kind=ONE_IMAGE,
            advice="A batch of one keeps its batch dimension. Look for squeeze(), or a fixed batch size.",
        ),
        part(OTHER_LATENT, 1, kind=OTHER_LATENT, advice="Look for a 32 that should be latent_dim."),
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
        no_sigmoid,
        tanh_instead_of_sigmoid,
        relu_before_sigmoid,
        relu_on_the_code,
        no_activations,
        forward_returns_the_code,
        forward_returns_a_pair,
        code_is_detached,
        build=altered,
    ),
    probe=probe,
    accepts=(altered(relu_after_the_decoders_linear),),
)
