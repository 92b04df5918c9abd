"""What exercises of this chapter share: two small adversaries, and the probe of a loss.

generator       TinyGenerator, z (B, 3) -> (B, 1, 6, 5); in training mode each depends on its batch
discriminator   TinyDiscriminator, (B, 1, 6, 5) -> logits (B,), mostly below 0; likewise
optimizer       SGD: Adam would blow up the rounding of the smallest gradients
steps           int: how often the answer is called in a row

One of the two adversaries is trained; the other one is the bystander, which has to stay as it is.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Answer, Case, ToyModel
from course_utils.exercises.toys import toy_shapes

LATENT, HEIGHT, WIDTH, HIDDEN = 3, 6, 5, 7
TWO_STEPS = "two steps in a row"
GRADIENTS = "gradients reach the logits"


def draw_generator(draw: Draw, gradients: bool = False) -> ToyModel:
    """The small generator; with the gradients that an update of its own would have left, if asked for."""
    config = {"latent_dim": LATENT, "hidden": HIDDEN, "height": HEIGHT, "width": WIDTH}
    model = _draw_model(draw, "tiny_generator", config)
    left = {name: draw.normal(*weight.shape) for name, weight in model.weights.items()} if gradients else {}
    return ToyModel(model.name, model.weights, config, left)


def draw_discriminator(draw: Draw) -> ToyModel:
    """The small discriminator, which takes most images for fakes."""
    model = _draw_model(draw, "tiny_discriminator", {"hidden": HIDDEN, "height": HEIGHT, "width": WIDTH})
    return ToyModel(
        model.name, {**model.weights, "last.bias": torch.tensor([-draw.real(1.5, 2.5)])}, model.config
    )


def _draw_model(draw: Draw, name: str, config: dict[str, int]) -> ToyModel:
    shapes = toy_shapes(name, config)
    return ToyModel(name, {key: draw.normal(*s) * (2 / s[-1]) ** 0.5 for key, s in shapes.items()}, config)


def update(loss: Tensor, optimizer: Optimizer) -> None:
    """The right update, for answers that are wrong elsewhere."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


Snapshot = dict[str, tuple[Tensor, Tensor | None]]


def snapshot(model: nn.Module) -> Snapshot:
    """Every parameter with its gradient, copied."""
    return {
        name: (parameter.detach().clone(), None if parameter.grad is None else parameter.grad.clone())
        for name, parameter in model.named_parameters()
    }


def changes(model: nn.Module, before: Snapshot, nth: str) -> Iterator[tuple[str, Tensor]]:
    """How far each weight moved."""
    for name, parameter in model.named_parameters():
        yield f"change{nth} of {name}", parameter.detach() - before[name][0]


def bystander(
    model: nn.Module, before: Snapshot, whose: str, nth: str, gradients: bool
) -> Iterator[tuple[str, Any]]:
    """What happened to the adversary that is not trained, in counts of its parameters.

    Args:
        whose: "generator's".
        gradients: whether new ones count; an old one may stay, or be cleared.
    """
    now = snapshot(model)
    moved = sum(not torch.equal(now[name][0], old) for name, (old, _) in before.items())
    yield f"number of the {whose} weights that moved{nth}", moved
    frozen = sum(not parameter.requires_grad for parameter in model.parameters())
    yield f"number of the {whose} weights that are frozen{nth}", frozen
    if gradients:
        new = sum(_is_new(now[name][1], old) for name, (_, old) in before.items())
        yield f"number of the {whose} weights with a new gradient{nth}", new


def _is_new(gradient: Tensor | None, old: Tensor | None) -> bool:
    if gradient is None or not gradient.any():
        return False
    return old is None or not torch.equal(gradient, old)


def probe_loss(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss; in cases about gradients also its gradient by each logit."""
    if case.kind != GRADIENTS:
        yield "result", answer(*case.inputs.values())
        return
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in case.inputs.items()
        if isinstance(value, Tensor)
    }
    # An answer gets copies, since nothing may be written into a leaf.
    loss = answer(*(leaves[name].clone() if name in leaves else v for name, v in case.inputs.items()))
    yield "result", loss
    if isinstance(loss, Tensor) and loss.requires_grad:
        loss.sum().backward()
    for name, leaf in leaves.items():
        yield f"gradient by {name}", torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
