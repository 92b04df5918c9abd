"""One training step, watched on a small model with shapes unlike the chapter's.

model       TinyAutoencoder on (B, 1, 6, 5)
x           (B, 1, 6, 5) float in [0, 1]
optimizer   SGD, where the size of a gradient shows, or Adam, where it does not
steps       int: how often the answer is called in a row
"""

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.exercises.compare import TYPE
from course_utils.exercises.criteria import agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import (
    ORDINARY,
    Answer,
    Case,
    Exercise,
    ToyModel,
    ToyOptimizer,
    misconceptions,
)
from course_utils.exercises.toys import toy_shapes

CONFIG = {"height": 6, "width": 5, "latent_dim": 4}
SGD, ADAM = ToyOptimizer("sgd", lr=2.0), ToyOptimizer("adam", lr=0.02)
TWO_STEPS = "two steps in a row"


def cases(draw: Draw) -> list[Case]:
    """Single steps, then two in a row: gradients may be cleared before a step or after it, but in between."""

    def case(words: str, optimizer: ToyOptimizer, kind: str = ORDINARY, steps: int = 1) -> Case:
        x = draw.uniform(draw.integer(3, 7), 1, CONFIG["height"], CONFIG["width"])
        inputs = {"model": draw_model(draw), "x": x, "optimizer": optimizer, "steps": steps}
        return Case(f"{words}, {len(x)} images", inputs, kind)

    return [
        case("an SGD step", SGD),
        case("an Adam step", ADAM),
        case("two SGD steps", SGD, TWO_STEPS, steps=2),
    ]


def draw_model(draw: Draw) -> ToyModel:
    """The small model with random weights."""
    shapes = toy_shapes("tiny_autoencoder", CONFIG)
    weights = {name: draw.normal(*shape) / shape[-1] ** 0.5 for name, shape in shapes.items()}
    return ToyModel("tiny_autoencoder", weights, CONFIG)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss that comes back, and how far each weight moved, step by step."""
    model, x, optimizer, steps = case.inputs.values()
    for step in range(1, steps + 1):
        nth = f" no. {step}" if step > 1 else ""
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        yield f"loss{nth}", answer(model, x, optimizer)
        for name, parameter in model.named_parameters():
            yield f"change{nth} of {name}", parameter.detach() - before[name]


def update(loss: Tensor, optimizer: Optimizer) -> None:
    """The right update, for answers that are wrong elsewhere."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def no_zero_grad(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your first step is right; the next one uses the gradients of both, because backward() adds to what is
    there. Look for the call that clears gradients."""
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


def no_update(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your loss is right, but no weight moves. Either the optimizer never steps, or the gradients are cleared
    between backward() and the step. Look at the order of the calls."""
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def step_before_backward(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your optimizer steps before backward() has run: it uses the gradients of the call before, or none.
    Look at the order of the calls."""
    loss = F.mse_loss(model(x), x)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


def loss_after_the_update(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your update is right; the loss you return was computed after it. The curve shows how good the model
    was when it met the batch, and that number costs no second pass."""
    update(F.mse_loss(model(x), x), optimizer)
    return F.mse_loss(model(x), x).item()


def returns_a_tensor(model: nn.Module, x: Tensor, optimizer: Optimizer) -> Tensor:
    """Your loss comes back as a tensor. A list of those keeps the graph of every step in memory; a curve
    needs a Python number."""
    loss = F.mse_loss(model(x), x)
    update(loss, optimizer)
    return loss


def sum_instead_of_mean(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your loss is a sum over pixels and images, so your steps grow with the batch and with the image. The
    mean is asked for: look at the reduction of the loss."""
    loss = F.mse_loss(model(x), x, reduction="sum")
    update(loss, optimizer)
    return loss.item()


def cross_entropy_instead_of_mse(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    """Your loss is the binary cross-entropy. It suits images too, and the chapter comes to it; this step
    takes the mean squared error."""
    loss = F.binary_cross_entropy(model(x), x)
    update(loss, optimizer)
    return loss.item()


TRAIN_STEP = Exercise(
    id="autoencoders.train_step",
    title="One training step",
    signature="train_step(model, x, optimizer)",
    returns="float: the mean squared error before the update",
    reference="course_utils.autoencoders:train_step",
    cases=cases,
    criteria=(
        agree("type", 0, outputs="loss", stages=TYPE, gate=True),
        agree(
            "update",
            2,
            outputs="change",
            gate=True,
            advice="Look at which loss is differentiated, and at the calls on loss and optimizer: in which "
            "order they come, and how often.",
        ),
        agree(
            "loss", 1, outputs="loss", advice="It is the mean over all pixels and images, before the update."
        ),
        agree(
            TWO_STEPS,
            1.5,
            kind=TWO_STEPS,
            outputs="change",
            advice="The second step starts from the weights after the first, and from nothing else. "
            "backward() adds to whatever gradients are there already.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        no_zero_grad,
        no_update,
        step_before_backward,
        loss_after_the_update,
        returns_a_tensor,
        sum_instead_of_mean,
        cross_entropy_instead_of_mse,
    ),
    probe=probe,
    may_change=frozenset({"model", "optimizer"}),
)
