"""The discriminator of a DCGAN.

    x         (B, 1, 28, 28) float in [-1, 1]
    layers    the weights that the answer is run with, see networks.py
    train     whether it runs in training mode, where BatchNorm uses the batch's statistics

The last layer may be linear, or a convolution over all 3 x 3 pixels, or one of kernel 4 like the others, of
which one row and one column meet padding only. The case's weights are reshaped to what the answer has. The
last bias is 0 in every case, so that an answer may have it or not.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
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
from course_utils.exercises.layers import Layer, Slot
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

HEAD = "the last layer"
SIZES = ((1, 64), (64, 128), (128, 256))


def cases(draw: Draw) -> list[Case]:
    """Two batches; a single image in evaluation mode; the way back."""
    convolutions = [
        draw_conv(draw, f"the {nth} convolution", "Conv2d", b, a, 4, 4, fan_in=16 * a)
        for nth, (a, b) in zip(("first", "second", "third"), SIZES, strict=True)
    ]
    norms = [
        draw_norm(draw, f"the BatchNorm after the {nth} convolution", channels)
        for nth, channels in (("second", 128), ("third", 256))
    ]
    head = [HEAD, "Linear", draw.normal(1, 2304) / 12, None]

    def case(b: int, kind: str = ORDINARY) -> Case:
        inputs = {
            "layers": [*convolutions, *norms, head],
            "x": 2 * draw.uniform(b, 1, 28, 28) - 1,
            "train": kind != SINGLE,
        }
        if kind == GRADIENTS:
            inputs["upstream"] = draw.normal(b, 1)
        mode = "training" if inputs["train"] else "evaluation"
        return Case(f"Discriminator() on {b} image{'s' if b > 1 else ''}, {mode} mode", inputs, kind)

    return [case(3), case(2), case(1, SINGLE), case(3, GRADIENTS)]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The logits; the gradient at the last layer is that of a linear one, and its bias is left open."""
    for name, value in probe_network(answer, [], case.inputs, fitted):
        if name == "biases":
            value = [words for words in value if not words.startswith(HEAD)]
        yield name, as_linear(value) if name.endswith(HEAD) else value


def fitted(layers: list[Layer], free: list[Slot]) -> list[Layer]:
    """The layers, with the last one in the form that the answer gave it."""
    *others, (role, _, weight, bias) = layers
    kernels = weight.view(1, 256, 3, 3)
    shapes = [slot.weight.shape for slot in free]
    forms = {"Linear": weight, "Conv2d": kernels, "Conv2d of kernel 4": F.pad(kernels, (1, 0, 1, 0))}
    form = next((form for form in forms.values() if form.shape in shapes), weight)
    return [*others, [role, "Linear" if form is weight else "Conv2d", form, bias]]


def as_linear(gradient: Tensor) -> Tensor:
    """The gradient at the last layer, of whatever form, as (1, 2304)."""
    return gradient if gradient.dim() == 2 else gradient[..., -3:, -3:].reshape(1, -1)


def altered(alter: Callable[[Any], None]) -> Answer:
    """The reference with something changed, looked up when called: an answer's process does without it."""

    def construct() -> nn.Module:
        model: nn.Module = DISCRIMINATOR.load_reference()()
        alter(model)
        return model

    return construct


def other_activation(model: Any, build: Callable[[], nn.Module]) -> None:
    """Another activation everywhere."""
    for i, layer in enumerate(model.layers):
        if isinstance(layer, nn.LeakyReLU):
            model.layers[i] = build()


def sigmoid_at_the_end(model: Any) -> None:
    """Your results are probabilities: a sigmoid comes last. Logits are asked for, the numbers before it; the
    loss has the sigmoid built in, without its rounding, and a critic must not have one. Look at the last
    step."""
    model.layers.append(nn.Sigmoid())


def batch_norm_after_the_first_convolution(model: Any) -> None:
    """You normalise after the first convolution too. There BatchNorm would take out what the images' own
    brightness and contrast say about being real. Look at the first line of the table."""
    model.layers.insert(1, nn.BatchNorm2d(64))


def no_batch_norm(model: Any) -> None:
    """Your discriminator has no BatchNorm at all. That is right for the critic of WGAN-GP, later in this
    chapter; the DCGAN has one after the second convolution and one after the third."""
    kept = (layer for layer in model.layers if not isinstance(layer, nn.BatchNorm2d))
    model.layers = nn.Sequential(*kept)


def relu(model: Any) -> None:
    """Your activations cut off negative numbers: a ReLU. Where it is 0 no gradient comes through, and the
    generator learns from those gradients alone. Look at the activations."""
    other_activation(model, nn.ReLU)


def slope_of_a_hundredth(model: Any) -> None:
    """Your LeakyReLU has slope 0.01, PyTorch's default. The table says 0.2. Look at its argument."""
    other_activation(model, nn.LeakyReLU)


def logits_without_a_dimension(model: Any) -> None:
    """Your logits have shape (B,). (B, 1) is asked for: compared with targets of shape (B, 1), a (B,) would
    be broadcast to B x B without a word. Look at the end for squeeze() or view(-1)."""
    model.layers.append(nn.Flatten(0))


def activation_before_the_norm(model: Any) -> None:
    """Your activations come before the BatchNorm, which then undoes part of them. The order here is
    convolution, BatchNorm, activation. Look at the second and third line of the table."""
    for i in (3, 6):
        model.layers[i], model.layers[i + 1] = model.layers[i + 1], model.layers[i]


def biases_in_convolutions(model: Any) -> None:
    """Your convolutions have biases. In front of a BatchNorm a bias is subtracted again with the mean, and
    here no convolution has one. Look at the arguments of your layers."""
    for i, (before, after) in zip((0, 2, 5), SIZES, strict=True):
        model.layers[i] = nn.Conv2d(before, after, 4, 2, 1)


DISCRIMINATOR = Exercise(
    id="dcgan.Discriminator",
    title="A convolutional discriminator",
    signature="Discriminator()",
    returns="an nn.Module: (B, 1, 28, 28) in [-1, 1] -> logits (B, 1)",
    reference="course_utils.dcgan:Discriminator",
    cases=cases,
    criteria=network_criteria(
        sizes="The sizes are those of the chapter's table: 2304 is 256 * 3 * 3.",
        values="The layers fit: print shapes line by line. Kernel 4, stride 2, padding 1: 28, 14, 7, 3 "
        "pixels. BatchNorm (with its default eps), then LeakyReLU with slope 0.2; the 256 x 3 x 3 numbers "
        "are flattened, channels first, and nothing follows the last layer.",
        biases="No convolution has a bias: `bias` is an argument of every layer.",
    ),
    misconceptions=misconceptions(
        sigmoid_at_the_end,
        batch_norm_after_the_first_convolution,
        no_batch_norm,
        relu,
        slope_of_a_hundredth,
        logits_without_a_dimension,
        activation_before_the_norm,
        biases_in_convolutions,
        build=altered,
    ),
    probe=probe,
)
