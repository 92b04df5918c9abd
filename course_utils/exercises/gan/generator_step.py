"""One training step of the generator, watched on two small adversaries; see common.py.

z   (B, 3) float
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.exercises.compare import TYPE
from course_utils.exercises.criteria import agree, draws_nothing, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.gan.common import (
    LATENT,
    TWO_STEPS,
    bystander,
    changes,
    draw_discriminator,
    draw_generator,
    snapshot,
    update,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyOptimizer, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Single steps, then two in a row: gradients may be cleared before a step or after it, but in between."""

    def case(words: str, lr: float, kind: str = ORDINARY, steps: int = 1) -> Case:
        b = draw.integer(4, 7)
        inputs = {
            "generator": draw_generator(draw),
            "discriminator": draw_discriminator(draw),
            "z": draw.normal(b, LATENT),
            "optimizer": ToyOptimizer("sgd", lr, "generator"),
            "steps": steps,
        }
        return Case(f"{words}, {b} fakes", inputs, kind)

    return [
        case("a step", 0.5),
        case("a larger step", 2.0),
        case("two steps", 0.5, TWO_STEPS, steps=2),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss that comes back, how far each weight moved, and what became of the discriminator."""
    *arguments, steps = case.inputs.values()
    generator, discriminator = arguments[:2]
    for step in range(1, steps + 1):
        nth = f" in step {step}" if step > 1 else ""
        before, discriminator_before = snapshot(generator), snapshot(discriminator)
        yield f"loss{nth}", answer(*arguments)
        yield from changes(generator, before, nth)
        yield from bystander(discriminator, discriminator_before, "discriminator's", nth, gradients=False)


def fakes_detached(generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """Your loss is right, but no weight of the generator moves: the fakes are cut from the graph, as in the
    discriminator's step. Here the gradient has to come back through the discriminator into the generator.
    Look for detach() or no_grad()."""
    loss = F.softplus(-discriminator(generator(z).detach())).mean()
    update(loss, optimizer)
    return loss.item()


def discriminator_updated_as_well(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    """Your discriminator moves, too, and along the generator's gradient: it learns to be deceived. Gradients
    may stay on it, but the optimizer that you are given holds the generator's parameters only. Look for
    another one, or for a change of weights by hand."""
    loss = F.softplus(-discriminator(generator(z))).mean()
    discriminator.zero_grad()
    update(loss, optimizer)
    torch.optim.SGD(discriminator.parameters(), lr=0.1).step()
    return loss.item()


def minimax_loss(generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """Your generator uses the minimax loss, whose gradient vanishes where fakes are recognised: at the start,
    that is everywhere. The non-saturating loss is asked for. Look at the kind."""
    loss = -F.softplus(discriminator(generator(z))).mean()
    update(loss, optimizer)
    return loss.item()


def generator_helps_the_discriminator(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    """Your generator learns to be recognised: its loss has the label 0 of fakes, as in the discriminator's
    step. The generator wants its fakes to be called real. Look at the target, or at the sign."""
    loss = F.softplus(discriminator(generator(z))).mean()
    update(loss, optimizer)
    return loss.item()


def sum_for_mean(generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """Your loss is a sum over the batch, so your steps grow with it. The mean is asked for: look at the
    reduction of the loss."""
    loss = F.softplus(-discriminator(generator(z))).sum()
    update(loss, optimizer)
    return loss.item()


def discriminator_left_frozen(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    """Your update is right, but the discriminator stays frozen: its weights take no gradients any more, and
    its next step fails. You need not freeze it, since the optimizer does not hold it; if you do, undo it."""
    discriminator.requires_grad_(False)
    loss = F.softplus(-discriminator(generator(z))).mean()
    update(loss, optimizer)
    return loss.item()


def loss_after_the_update(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    """Your update is right; the loss you return was computed after it. The curve shows how good the generator
    was when it met the discriminator, and that number costs no second pass."""
    update(F.softplus(-discriminator(generator(z))).mean(), optimizer)
    return F.softplus(-discriminator(generator(z))).mean().item()


def no_zero_grad(generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer) -> float:
    """Your first step is right; the next one uses the gradients of both, because backward() adds to what is
    there. Look for the call that clears gradients, and at whose it clears."""
    loss = F.softplus(-discriminator(generator(z))).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


GENERATOR_STEP = Exercise(
    id="gan.generator_step",
    title="One training step of the generator",
    signature="generator_step(generator, discriminator, z, optimizer)",
    returns="float: the non-saturating loss before the update",
    reference="course_utils.gan:generator_step",
    cases=cases,
    criteria=(
        agree("type", 0, outputs="loss", stages=TYPE, gate=True),
        draws_nothing(),
        agree(
            "update",
            1.5,
            outputs="change",
            gate=True,
            advice="The generator makes fakes, the discriminator gives their logits, the non-saturating loss "
            "wants them called real, and backward() goes all the way. Both stay in training mode. Which of "
            "these differs?",
        ),
        agree(
            "loss", 0.5, outputs="loss", advice="It is the mean over the batch of fakes, before the update."
        ),
        agree(
            "the discriminator is left alone",
            0.5,
            outputs="number",
            advice="Weights of the discriminator do not move, and can be trained afterwards. Gradients may "
            "be left there.",
        ),
        agree(
            TWO_STEPS,
            1,
            kind=TWO_STEPS,
            outputs="change",
            advice="The second step starts from the weights after the first, and from nothing else. "
            "backward() adds to whatever gradients are there already.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        fakes_detached,
        discriminator_updated_as_well,
        minimax_loss,
        generator_helps_the_discriminator,
        sum_for_mean,
        discriminator_left_frozen,
        loss_after_the_update,
        no_zero_grad,
    ),
    probe=probe,
    may_change=frozenset({"generator", "discriminator", "optimizer"}),
)
