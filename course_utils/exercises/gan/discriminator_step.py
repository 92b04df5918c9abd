"""One training step of the discriminator, watched on two small adversaries; see common.py.

real   (B, 1, 6, 5) float in [-1, 1]
z      (B, 3) float
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
    HEIGHT,
    LATENT,
    TWO_STEPS,
    WIDTH,
    bystander,
    changes,
    draw_discriminator,
    draw_generator,
    snapshot,
    update,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyOptimizer, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Single steps; in the second one the generator still carries the gradients of a step of its own. Then
    two in a row: gradients may be cleared before a step or after it, but in between.
    """

    def case(words: str, lr: float, kind: str = ORDINARY, steps: int = 1) -> Case:
        b = draw.integer(4, 7)
        inputs = {
            "generator": draw_generator(draw, gradients=lr > 1),
            "discriminator": draw_discriminator(draw),
            "real": 2 * draw.uniform(b, 1, HEIGHT, WIDTH) - 1,
            "z": draw.normal(b, LATENT),
            "optimizer": ToyOptimizer("sgd", lr, "discriminator"),
            "steps": steps,
        }
        return Case(f"{words}, {b} real images and {b} fakes", inputs, kind)

    return [
        case("a step", 0.5),
        case("a larger step", 2.0),
        case("two steps", 0.5, TWO_STEPS, steps=2),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss that comes back, how far each weight moved, and what became of the generator."""
    *arguments, steps = case.inputs.values()
    generator, discriminator = arguments[:2]
    for step in range(1, steps + 1):
        nth = f" in step {step}" if step > 1 else ""
        before, generator_before = snapshot(discriminator), snapshot(generator)
        yield f"loss{nth}", answer(*arguments)
        yield from changes(discriminator, before, nth)
        yield from bystander(generator, generator_before, "generator's", nth, gradients=True)


def loss_on(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The right loss, for answers that are wrong elsewhere."""
    return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()


def fakes_not_detached(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your update is right, but backward() runs on through the generator and leaves gradients there. They are
    work for nothing, and the generator's next step may add to them. In this step fakes are data: look for a
    way to cut the graph behind them."""
    loss = loss_on(discriminator, real, generator(z))
    update(loss, optimizer)
    return loss.item()


def generator_updated_as_well(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your generator moves, too, and along the discriminator's gradient: it learns to be recognised. The
    optimizer that you are given holds the discriminator's parameters only. Look for another one, or for a
    change of weights by hand."""
    loss = loss_on(discriminator, real, generator(z))
    update(loss, optimizer)
    torch.optim.SGD(generator.parameters(), lr=0.1).step()
    return loss.item()


def only_the_real_half(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your discriminator sees real images only, and learns to call everything real. Its loss has a second
    part, for fakes. Look for what becomes of z."""
    loss = F.softplus(-discriminator(real)).mean()
    update(loss, optimizer)
    return loss.item()


def real_and_fake_in_one_batch(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Real images and fakes pass through your discriminator in one batch. Where it compares the images of a
    batch, as BatchNorm does, each half then tells about the other. Call it once for each batch."""
    with torch.no_grad():
        fake = generator(z)
    for_real, for_fake = discriminator(torch.cat([real, fake])).split([len(real), len(fake)])
    loss = F.softplus(-for_real).mean() + F.softplus(for_fake).mean()
    update(loss, optimizer)
    return loss.item()


def an_update_for_each_half(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your discriminator is updated twice: on real images, then on fakes, which it meets with other weights.
    One update follows the sum of both losses. Look at how often the optimizer steps."""
    for_real = F.softplus(-discriminator(real)).mean()
    update(for_real, optimizer)
    for_fake = F.softplus(discriminator(generator(z).detach())).mean()
    update(for_fake, optimizer)
    return (for_real + for_fake).item()


def generator_in_evaluation_mode(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your fakes are made in evaluation mode. There BatchNorm uses running averages, and the discriminator
    trains on other images than those that the generator's own step makes. Leave the mode as it is."""
    with torch.no_grad():
        fake = generator.eval()(z)
    generator.train()
    loss = loss_on(discriminator, real, fake)
    update(loss, optimizer)
    return loss.item()


def loss_after_the_update(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your update is right; the loss you return was computed after it. The curve shows how good the
    discriminator was when it met the batch, and that number costs no second pass."""
    with torch.no_grad():
        fake = generator(z)
    update(loss_on(discriminator, real, fake), optimizer)
    return loss_on(discriminator, real, fake).item()


def no_zero_grad(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """Your first step is right; the next one uses the gradients of both, because backward() adds to what is
    there. The generator's step leaves gradients on the discriminator as well. Look for the call that clears
    them."""
    loss = loss_on(discriminator, real, generator(z).detach())
    loss.backward()
    optimizer.step()
    return loss.item()


DISCRIMINATOR_STEP = Exercise(
    id="gan.discriminator_step",
    title="One training step of the discriminator",
    signature="discriminator_step(generator, discriminator, real, z, optimizer)",
    returns="float: the discriminator's loss before the update",
    reference="course_utils.gan:discriminator_step",
    cases=cases,
    criteria=(
        agree("type", 0, outputs="loss", stages=TYPE, gate=True),
        draws_nothing(),
        agree(
            "update",
            2,
            outputs="change",
            gate=True,
            advice="Fakes come from the generator as it is, in training mode. Real images and fakes go "
            "through the discriminator in two calls; discriminator_loss makes one loss of the logits; one "
            "update follows it. Which of these differs?",
        ),
        agree(
            "loss",
            0.5,
            outputs="loss",
            advice="It is the sum of both parts, each the mean over its batch, before the update.",
        ),
        agree(
            "the generator is left alone",
            1,
            outputs="number",
            advice="Weights of the generator do not move, no new gradient arrives there, and they can be "
            "trained afterwards. Look for how the fakes are cut from the graph.",
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
        fakes_not_detached,
        generator_updated_as_well,
        only_the_real_half,
        real_and_fake_in_one_batch,
        an_update_for_each_half,
        generator_in_evaluation_mode,
        loss_after_the_update,
        no_zero_grad,
    ),
    probe=probe,
    may_change=frozenset({"generator", "discriminator", "optimizer"}),
)
