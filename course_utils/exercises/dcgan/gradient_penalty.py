"""The gradient penalty of WGAN-GP, watched on a small critic.

critic        TinyCritic: its slope differs from image to image
real, fake    (B, C, H, W) float, all four sizes different
mix           (B, 1, 1, 1) float, a share of its own for each image

In one case the slopes are below 1, in the others above.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyModel, misconceptions
from course_utils.exercises.toys import toy_shapes

ONE_IMAGE = "a batch of one image"
DIFFERENTIABLE = "gradients reach the critic"
HIDDEN = 5


def cases(draw: Draw) -> list[Case]:
    """A flat critic and a steep one; then one image; then float64."""

    def case(b: int, c: int, slope: float, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        h, w = draw.integer(4, 5), draw.integer(6, 7)
        shares = draw.shuffled(torch.linspace(0.1, 0.9, b, dtype=dtype)) + 0.05 * draw.uniform(b, dtype=dtype)
        inputs = {
            "critic": draw_critic(
                draw, {"channels": c, "height": h, "width": w, "hidden": HIDDEN}, slope, dtype
            ),
            "real": 2 * draw.uniform(b, c, h, w, dtype=dtype) - 1,
            "fake": 2 * draw.uniform(b, c, h, w, dtype=dtype) - 1,
            "mix": shares.view(b, 1, 1, 1),
        }
        words = f"{b} image{'s' if b > 1 else ''} of shape {(c, h, w)}, slopes about {slope:.2g}"
        return Case(words, inputs, kind)

    return [
        case(3, 1, draw.real(0.3, 0.5)),
        case(5, 2, draw.real(2.0, 3.0)),
        case(1, 3, draw.real(2.0, 3.0), ONE_IMAGE),
        case(3, 2, draw.real(2.0, 3.0), FLOAT64, torch.float64),
    ]


def draw_critic(draw: Draw, config: dict[str, int], slope: float, dtype: torch.dtype) -> ToyModel:
    """The small critic with random weights: activations of about 1, gradients of about `slope`."""
    shapes = toy_shapes("tiny_critic", config)
    weights = {name: draw.normal(*shape, dtype=dtype) for name, shape in shapes.items()}
    pixels = shapes["hidden.weight"][1]
    weights["hidden.weight"] *= pixels**-0.5
    weights["score.weight"] *= 2 * slope / weights["score.weight"].norm()
    return ToyModel("tiny_critic", weights, config)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The penalty, and its gradients by the critic's weights."""
    critic: nn.Module = case.inputs["critic"]
    penalty = answer(*case.inputs.values())
    yield "penalty", penalty
    named = dict(critic.named_parameters())
    found: Sequence[Tensor | None] = [None] * len(named)
    if isinstance(penalty, Tensor) and penalty.requires_grad:
        found = torch.autograd.grad(penalty.sum(), list(named.values()), allow_unused=True)
    for (name, weight), gradient in zip(named.items(), found, strict=True):
        yield f"gradient of {name}", torch.zeros_like(weight) if gradient is None else gradient


def mixture(real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """The right images, for answers that are wrong elsewhere."""
    return (mix * real + (1 - mix) * fake).requires_grad_()


def slopes(critic: nn.Module, x: Tensor) -> Tensor:
    """(B, pixels): the right gradients, for answers that are wrong elsewhere."""
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0].flatten(1)


def norm_over_the_batch(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """You take one norm over the whole batch: it grows with the number of images, and a steep slope at one
    image makes up for a flat one at another. Each image has a norm of its own. Look at the dimensions over
    which you take it."""
    return (slopes(critic, mixture(real, fake, mix)).norm() - 1) ** 2


def squared_norm(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """You compare the squared norm with 1: the root is missing. The penalty is then far too strong for steep
    critics. Look at what follows the sum of squares."""
    return (slopes(critic, mixture(real, fake, mix)).square().sum(dim=1) - 1).square().mean()


def not_differentiable(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Your number is right, but it does not depend on the critic's weights as far as autograd knows: as a
    loss it changes nothing. The gradient by the images has to be differentiated once more. Look at the
    arguments of the call that computes it, and for detach() or .data."""
    return (slopes(critic, mixture(real, fake, mix)).norm(dim=1) - 1).square().mean().detach()


def gradient_by_the_weights(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """You take the gradient by the critic's weights. The penalty is about its slope as a function of images:
    how much the score changes when a pixel does. Look at what you differentiate by."""
    scores = critic(mixture(real, fake, mix))
    found = torch.autograd.grad(scores.sum(), list(critic.parameters()), create_graph=True)
    return (torch.cat([one.flatten() for one in found]).norm() - 1) ** 2


def one_sided(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Your penalty is right for steep slopes and 0 for flat ones. That one-sided form exists, but here
    slopes below 1 are penalised too. Look for a clamp, a relu or a maximum."""
    return (slopes(critic, mixture(real, fake, mix)).norm(dim=1) - 1).relu().square().mean()


def one_mix_for_all(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """You mix every image with the same share. Each has its own, mix[i] for image i. Look for an index, a
    mean, or .item()."""
    return right(critic, real, fake, mix[:1].expand_as(mix))


def mean_of_the_gradient(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """You average the gradient over pixels where its length is asked for: positive and negative numbers
    cancel. Look at how you reduce it."""
    return (slopes(critic, mixture(real, fake, mix)).mean(dim=1) - 1).square().mean()


def lambda_included(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Your penalty is ten times too large: it holds the factor lambda. Here the penalty itself is asked for;
    the training loop multiplies it."""
    return 10 * right(critic, real, fake, mix)


def right(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """The right penalty, for answers that spoil it or what comes in."""
    return (slopes(critic, mixture(real, fake, mix)).norm(dim=1) - 1).square().mean()


GRADIENT_PENALTY = Exercise(
    id="dcgan.gradient_penalty",
    title="A critic of slope 1",
    signature="gradient_penalty(critic, real, fake, mix)",
    returns="scalar: the mean over the batch of (||gradient by the image|| - 1)^2, without lambda",
    reference="course_utils.dcgan:gradient_penalty",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, outputs="penalty", gate=True),
        agree("shape", 0, stages=STAGES[:2], outputs="penalty", gate=True),
        agree("dtype", 0, stages=STAGES[:3], outputs="penalty", gate=True, advice=SAME_DTYPE),
        agree(
            "values",
            2,
            outputs="penalty",
            gate=True,
            advice="Check the steps one by one. Each image is mix times the real one plus the rest times the "
            "fake one. The gradient belongs to the sum of the scores, not to their mean. It has the shape of "
            "the images: flatten it, so that the norm takes in channels, rows and columns. Then minus 1, "
            "squared, averaged.",
        ),
        agree(
            DIFFERENTIABLE,
            1.5,
            outputs="gradient",
            advice="The penalty is part of a loss: backward() goes through the gradient itself. Look at the "
            "arguments of the call that computes it, and for detach(), .data, .item().",
        ),
        agree(
            ONE_IMAGE,
            0.5,
            kind=ONE_IMAGE,
            outputs="penalty",
            advice="With a single image the norm still runs over its pixels. Look for squeeze().",
        ),
        agree(FLOAT64, 0.5, kind=FLOAT64, outputs="penalty", advice=SAME_DTYPE),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        norm_over_the_batch,
        squared_norm,
        not_differentiable,
        gradient_by_the_weights,
        one_sided,
        one_mix_for_all,
        mean_of_the_gradient,
        lambda_included,
    ),
    probe=probe,
)
