"""The generator of images.

    z          (B, D) float; D = latent_dim
    layers     the weights that the answer is run with, see exercises/layers.py
    upstream   like the images: what their gradient is multiplied by

BatchNorm has two ways of working, so that a case says in which mode it runs the answer. In training mode the
fakes of a batch depend on each other; in evaluation mode the averages are still those of a new module.
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
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

LATENT, PIXELS = 100, 784
HIDDEN = {"first": 256, "second": 512, "third": 1024}
SINGLE = "a single code in evaluation mode"
OTHER_LATENT = "another latent size"
GRADIENTS = "gradients reach every layer"


def cases(draw: Draw) -> list[Case]:
    """A batch in training mode, a single code in evaluation mode, another latent size."""
    other = draw.integer(3, 20)
    layers = draw_layers(draw, LATENT)

    def case(words: str, b: int, d: int = LATENT, kind: str = ORDINARY) -> Case:
        mine = layers if d == LATENT else [draw_linear(draw, "first", HIDDEN["first"], d), *layers[1:]]
        inputs = {"latent_dim": d, "layers": mine, "training": b > 1, "z": draw.normal(b, d)}
        if kind == ORDINARY:
            inputs["upstream"] = draw.normal(b, 1, 28, 28)
        return Case(f"Generator({d}) on {words}", inputs, kind)

    b = draw.integer(4, 6)
    return [
        case(f"{b} codes, in training mode", b),
        case("a single code, in evaluation mode", 1, kind=SINGLE),
        case("3 codes, in training mode", 3, other, OTHER_LATENT),
    ]


def draw_layers(draw: Draw, latent_dim: int) -> list[Layer]:
    """The seven layers with weights, those of BatchNorm scaling by about 1."""
    sizes = [latent_dim, *HIDDEN.values()]
    linear = [
        draw_linear(draw, nth, after, before)
        for nth, before, after in zip(HIDDEN, sizes, sizes[1:], strict=False)
    ]
    norms = [
        [f"the {nth} BatchNorm", "BatchNorm1d", 1 + 0.3 * draw.normal(n), 0.3 * draw.normal(n)]
        for nth, n in HIDDEN.items()
    ]
    last = draw_layer(draw, "the last linear layer", "Linear", PIXELS, sizes[-1], fan_in=2 * sizes[-1])
    return [*linear, *norms, last]


def draw_linear(draw: Draw, nth: str, after: int, before: int) -> Layer:
    """A hidden linear layer."""
    return draw_layer(draw, f"the {nth} linear layer", "Linear", after, before, fan_in=before)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module, put the case's weights in, run it in the case's mode."""
    inputs = case.inputs
    model: Any = build(answer, inputs["latent_dim"])
    blank = torch.zeros(2, inputs["latent_dim"])
    require_layers(model, lambda: model.forward(blank))
    wake(model.eval(), blank)  # in training mode the running averages would move
    placed, missing, extra = place(inputs["layers"], model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    images = model.train(inputs["training"])(inputs["z"])
    yield "forward(z)", images
    if "upstream" in inputs and isinstance(images, Tensor) and images.shape == inputs["upstream"].shape:
        yield from gradients(images, inputs["upstream"], placed)


def altered(alter: Answer) -> Answer:
    """The reference with something changed, looked up when called: an answer's process does without it."""

    def construct(latent_dim: int) -> nn.Module:
        model: nn.Module = GENERATOR.load_reference()(latent_dim)
        alter(model)
        return model

    return construct


def replaced(model: Any, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    """Another module in place of each one of a kind."""
    model.layers = nn.Sequential(*(make(one) if isinstance(one, kind) else one for one in model.layers))


def batchnorm_before_the_activation(model: Any) -> None:
    """Your layers are right, in another order: BatchNorm comes before the LeakyReLU. That is just as common,
    but here the activation comes first, so that what the next layer sees is normalised. Look at the order
    within a hidden layer."""
    order = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 10, 11]
    model.layers = nn.Sequential(*(model.layers[i] for i in order))


def no_batchnorm(model: Any) -> None:
    """Your generator has no BatchNorm. The published one, which the chapter trains, has three: one follows
    each activation of a hidden layer."""
    replaced(model, nn.BatchNorm1d, lambda norm: nn.Identity())


def batchnorm_on_the_output(model: Any) -> None:
    """Your last layer has a BatchNorm as well: the grey value of a pixel is then set by the other fakes of
    the batch, up to the last step. The output has an activation and nothing else."""
    model.layers.insert(10, nn.BatchNorm1d(PIXELS))


def eps_for_momentum(model: Any) -> None:
    """Your BatchNorm divides by too much: its second argument is eps, which is added to the variance, and not
    the momentum. A well-known implementation writes 0.8 there. The size is the only argument needed."""
    replaced(model, nn.BatchNorm1d, lambda norm: nn.BatchNorm1d(norm.num_features, 0.8))


def relu_for_leaky_relu(model: Any) -> None:
    """Your activations are ReLUs: they pass nothing on below 0. The generator learns from gradients only, and
    a LeakyReLU lets them through on both sides. Look at the hidden layers."""
    replaced(model, nn.LeakyReLU, lambda activation: nn.ReLU())


def slope_of_one_hundredth(model: Any) -> None:
    """Your LeakyReLU has PyTorch's own slope of 0.01 below 0. The one of this chapter is 20 times as steep.
    Look at its argument."""
    replaced(model, nn.LeakyReLU, lambda activation: nn.LeakyReLU())


def sigmoid_for_tanh(model: Any) -> None:
    """Your images lie in (0, 1): a sigmoid is last. Data lie in [-1, 1] in this chapter, so that the
    discriminator would know every dark pixel by its sign. Look at the last activation."""
    replaced(model, nn.Tanh, lambda activation: nn.Sigmoid())


def flat_images(model: Any) -> None:
    """Your numbers are right, as rows of 784. Real images are (B, 1, 28, 28), and the discriminator takes
    both in one shape. Look at the end of forward."""
    model.layers = model.layers[:-1]


GENERATOR = Exercise(
    id="gan.Generator",
    title="The generator of images",
    signature="Generator(latent_dim)",
    returns="an nn.Module: z (B, latent_dim) -> images (B,1,28,28) in [-1,1]",
    reference="course_utils.gan:Generator",
    cases=cases,
    criteria=(
        has_layers("784 is 28 * 28. A BatchNorm1d has as many weights as the layer before it has outputs."),
        part(
            "images",
            3,
            outputs="forward",
            advice="The layers fit: look at what happens in and between them. Each hidden layer is linear, "
            "LeakyReLU with slope 0.2, BatchNorm, in this order; the last one is linear, Tanh, and the shape "
            "of images.",
        ),
        part(
            SINGLE,
            0.5,
            kind=SINGLE,
            advice="In evaluation mode BatchNorm uses its running averages, so that one code is enough, and "
            "it keeps its batch dimension. Look for squeeze(), or for statistics taken by hand.",
        ),
        part(OTHER_LATENT, 0.5, kind=OTHER_LATENT, advice="Look for a number that should be latent_dim."),
        part(
            GRADIENTS,
            1,
            outputs="gradient",
            advice="Where a gradient is 0, something cuts the graph that backward() follows: detach(), "
            ".data, no_grad(), numpy.",
        ),
    ),
    misconceptions=misconceptions(
        batchnorm_before_the_activation,
        no_batchnorm,
        batchnorm_on_the_output,
        eps_for_momentum,
        relu_for_leaky_relu,
        slope_of_one_hundredth,
        sigmoid_for_tanh,
        flat_images,
        build=altered,
    ),
    probe=probe,
)
