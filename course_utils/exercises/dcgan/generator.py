"""The generator of a DCGAN.

    z         (B, nz) float; nz is small here, so that little is drawn and copied
    layers    the weights that the answer is run with, see networks.py
    train     whether it runs in training mode, where BatchNorm uses the batch's statistics

Between the linear layer and the first transposed convolution the chapter's table has nothing. An activation
there, or a BatchNorm and one, as in the original paper, is accepted too: the weights of such a BatchNorm come
with every case, and go in where the answer has it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.dcgan.networks import (
    GRADIENTS,
    SINGLE,
    draw_conv,
    draw_norm,
    network_criteria,
    probe_network,
)
from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import Layer, Slot, draw_layer
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

START = 256 * 7 * 7
OPTIONAL = "the BatchNorm after the linear layer"


def cases(draw: Draw) -> list[Case]:
    """Two sizes of latents; a single one in evaluation mode; the way back."""
    small, large = draw.integer(4, 6), draw.integer(7, 9)
    convolutions = [
        draw_conv(
            draw, "the first transposed convolution", "ConvTranspose2d", 256, 128, 4, 4, fan_in=4 * 256
        ),
        draw_conv(draw, "the second transposed convolution", "ConvTranspose2d", 128, 1, 4, 4, fan_in=4 * 128),
        draw_norm(draw, "the BatchNorm after the first transposed convolution", 128),
        draw_norm(draw, OPTIONAL, 256),
    ]
    layers = {nz: [draw_linear(draw, nz), *convolutions] for nz in (small, large)}

    def case(b: int, nz: int, kind: str = ORDINARY) -> Case:
        inputs = {"nz": nz, "layers": layers[nz], "x": draw.normal(b, nz), "train": kind != SINGLE}
        if kind == GRADIENTS:
            inputs["upstream"] = draw.normal(b, 1, 28, 28)
        mode = "training" if inputs["train"] else "evaluation"
        words = f"Generator(nz={nz}) on {b} latent{'s' if b > 1 else ''}, {mode} mode"
        return Case(words, inputs, kind)

    return [case(3, small), case(2, large), case(1, small, SINGLE), case(2, small, GRADIENTS)]


def draw_linear(draw: Draw, nz: int) -> Layer:
    """The first layer. Its bias is 0, so that an answer without one is judged in everything else."""
    return [*draw_layer(draw, "the linear layer", "Linear", START, nz, fan_in=nz)[:3], torch.zeros(START)]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The images."""
    return probe_network(answer, [case.inputs["nz"]], case.inputs, fitted)


def fitted(layers: list[Layer], free: list[Slot]) -> list[Layer]:
    """The layers; of the optional BatchNorm what the answer has: for 256 channels, for all numbers, none."""
    needed = [layer for layer in layers if layer[0] != OPTIONAL]
    role, kind, weight, bias = next(layer for layer in layers if layer[0] == OPTIONAL)
    repeats = {256: 1, START: 49}
    for slot in free:
        if slot.weight.dim() == 1 and len(slot.weight) in repeats:
            n = repeats[len(slot.weight)]
            return [*needed, [role, kind, weight.repeat_interleave(n), bias.repeat_interleave(n)]]
    return needed


def altered(alter: Callable[[Any], None]) -> Answer:
    """The reference with something changed, looked up when called: an answer's process does without it."""

    def construct(nz: int) -> nn.Module:
        model: nn.Module = GENERATOR.load_reference()(nz)
        alter(model)
        return model

    return construct


def activation_after_the_linear(model: Any) -> None:
    """No misconception: one other way that the exercise allows."""
    model.layers.insert(1, nn.ReLU())


def norm_of_channels_after_the_linear(model: Any) -> None:
    """No misconception: the way of the original paper."""
    model.layers.insert(2, nn.ReLU())
    model.layers.insert(2, nn.BatchNorm2d(256))


def norm_of_numbers_after_the_linear(model: Any) -> None:
    """No misconception: the same before the reshape."""
    model.layers.insert(1, nn.ReLU())
    model.layers.insert(1, nn.BatchNorm1d(START))


def no_tanh(model: Any) -> None:
    """Your images have no bounds: nothing follows the last transposed convolution. Data lies in [-1, 1], and
    any number outside tells the discriminator at once. Look at the last line of the table."""
    model.layers = model.layers[:-1]


def sigmoid_instead_of_tanh(model: Any) -> None:
    """Your images lie in (0, 1): that is the range of a sigmoid. Data lies in [-1, 1] in this chapter, so
    black could never be made. Look at the last activation."""
    model.layers[-1] = nn.Sigmoid()


def no_batch_norm(model: Any) -> None:
    """Your generator has no BatchNorm after its first transposed convolution. It keeps the size of signals
    from vanishing or growing while both networks move. Look at the table's third line."""
    del model.layers[3]


def batch_norm_on_the_output(model: Any) -> None:
    """You also normalise the last layer's output. Its mean and spread would then be the same for every batch,
    whatever the images should be; the authors of DCGAN saw samples oscillate. Look at what comes just before
    the tanh."""
    model.layers.insert(len(model.layers) - 1, nn.BatchNorm2d(1))


def leaky_relu(model: Any) -> None:
    """Your generator lets negative numbers through, at a fifth of their size: a LeakyReLU. That one belongs
    to the discriminator; the generator has a ReLU. Look at the activation in the middle."""
    model.layers[4] = nn.LeakyReLU(0.2)


def activation_before_the_norm(model: Any) -> None:
    """Your activation comes before the BatchNorm, which then undoes part of it. The order here is
    convolution, BatchNorm, activation. Look at the two lines in the middle."""
    model.layers[3], model.layers[4] = model.layers[4], model.layers[3]


def channels_last(model: Any) -> None:
    """You lay out the 12,544 numbers as 7 x 7 x 256 and then move the channels to the front. With weights of
    its own a network would not mind; this one is run with given weights, channels first. Look at the sizes
    in your reshape."""
    model.layers[1] = ChannelsLast()


class ChannelsLast(nn.Module):
    """(B, 12544) -> (B, 256, 7, 7), laid out in another order."""

    def forward(self, x: Tensor) -> Tensor:
        """The reshape."""
        return x.view(-1, 7, 7, 256).permute(0, 3, 1, 2)


def biases_in_convolutions(model: Any) -> None:
    """Your transposed convolutions have biases. In front of a BatchNorm a bias is subtracted again with the
    mean, and here no convolution has one. Look at the arguments of your layers."""
    model.layers[2] = nn.ConvTranspose2d(256, 128, 4, 2, 1)
    model.layers[5] = nn.ConvTranspose2d(128, 1, 4, 2, 1)


GENERATOR = Exercise(
    id="dcgan.Generator",
    title="A convolutional generator",
    signature="Generator(nz)",
    returns="an nn.Module: (B, nz) -> (B, 1, 28, 28) in (-1, 1)",
    reference="course_utils.dcgan:Generator",
    cases=cases,
    criteria=network_criteria(
        sizes="The sizes are those of the chapter's table, and nz is an argument.",
        values="The layers fit: print shapes and ranges line by line. 256 x 7 x 7, channels first; kernel 4, "
        "stride 2, padding 1; BatchNorm (with its default eps), then ReLU; at the end what brings numbers "
        "into (-1, 1).",
        biases="The linear layer has a bias, the transposed convolutions have none: `bias` is an argument of "
        "every layer.",
    ),
    misconceptions=misconceptions(
        no_tanh,
        sigmoid_instead_of_tanh,
        no_batch_norm,
        batch_norm_on_the_output,
        leaky_relu,
        activation_before_the_norm,
        channels_last,
        biases_in_convolutions,
        build=altered,
    ),
    probe=probe,
    accepts=tuple(
        altered(other)
        for other in (
            activation_after_the_linear,
            norm_of_channels_after_the_linear,
            norm_of_numbers_after_the_linear,
        )
    ),
)
