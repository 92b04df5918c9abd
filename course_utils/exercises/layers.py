"""Probing a module: any attribute names, nn.Sequential or not, any order of registration.

    layer    [role, kind, weight, bias]: "the encoder's first convolution", "Conv2d", two tensors

A case brings its layers. They are put into the answer's module where the shape of a weight says so; among
equal shapes the kind of layer decides, then the order of registration. A bias goes where its weight goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from course_utils.exercises.compare import first
from course_utils.exercises.criteria import agree, interrupted
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Criterion, Finding, Trial

Layer = list[Any]

MAX_SHOWN = 3
MISSING, EXTRA = "Missing", "Too many"
WEIGHT_SHAPES = (
    "A weight is (out, in) in Linear, (out, in, kernel, kernel) in Conv2d, (in, out, kernel, kernel) in "
    "ConvTranspose2d."
)


@dataclass
class Slot:
    """A layer of the answer's module: the kind of its module, its weight, its bias."""

    kind: str
    weight: nn.Parameter
    bias: nn.Parameter | None = None

    def __str__(self) -> str:
        bias = "" if self.bias is not None else " and no bias"
        return f"{self.kind} with weight {tuple(self.weight.shape)}{bias}"


def draw_layer(draw: Draw, role: str, kind: str, *shape: int, fan_in: int) -> Layer:
    """A layer with random weights that keep the size of a signal, and a random bias of comparable size."""
    out = shape[1] if kind.startswith("ConvTranspose") else shape[0]
    return [role, kind, draw.normal(*shape) * (2 / fan_in) ** 0.5, 0.3 * draw.normal(out)]


def build(answer: Answer, *arguments: Any) -> nn.Module:
    """The module; what its initialisation draws does not count as a change of the global random state.

    Raises:
        NotImplementedError: nothing came.
        TypeError: what came is no nn.Module, or the answer is one that is built already.
    """
    if isinstance(answer, nn.Module):
        raise TypeError("this is a module that is built already; hand over its class, without brackets")
    with torch.random.fork_rng(devices=[]):
        model = answer(*arguments)
    if model is None or model is Ellipsis:
        raise NotImplementedError
    if not isinstance(model, nn.Module):
        raise TypeError("what the call gave is no nn.Module: the class has to be derived from it")
    return model


def require_layers(model: nn.Module, run: Callable[[], object]) -> None:
    """A module without any layer is a stub, unless running it raises something that says more.

    Raises:
        NotImplementedError: it is one.
    """
    if not vars(model).get("_modules") and not vars(model).get("_parameters"):
        run()
        raise NotImplementedError


def wake(model: nn.Module, *inputs: Tensor) -> None:
    """Run the module once if layers of it, like nn.LazyLinear, take their sizes from their first input."""
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model(*inputs)


def slots(model: nn.Module) -> list[Slot]:
    """The layers of a module in order of registration: each weight with the bias that follows it."""
    found: list[Slot] = []
    for module in model.modules():
        mine: list[Slot] = []
        for parameter in module.parameters(recurse=False):
            if parameter.dim() == 1 and mine and mine[-1].bias is None:
                mine[-1].bias = parameter
            else:
                mine.append(Slot(type(module).__name__, parameter))
        found += mine
    return found


def place(layers: Sequence[Layer], model: nn.Module) -> tuple[dict[str, Slot], list[str], list[str]]:
    """Put the case's weights into the module.

    Returns:
        the slot of each role, the layers that found no slot and the slots that got no layer, both in words.
    """
    free, placed, missing = slots(model), dict[str, Slot](), list[str]()
    for role, kind, weight, bias in layers:
        fitting = [slot for slot in free if slot.weight.shape == weight.shape and slot.bias is not None]
        fitting.sort(key=lambda slot: slot.kind != kind)
        if not fitting:
            missing.append(f"{role}, {kind} with weight {tuple(weight.shape)} and a bias")
            continue
        slot = placed[role] = fitting[0]
        free = [other for other in free if other is not slot]
        for parameter, value in ((slot.weight, weight), (slot.bias, bias)):
            if parameter is not None:
                parameter.data.copy_(value)
    return placed, missing, [str(slot) for slot in free]


def gradients(output: Tensor, upstream: Tensor, placed: dict[str, Slot]) -> Iterator[tuple[str, Tensor]]:
    """The gradient of sum(output * upstream) by the weight of each role; zeros where none arrives."""
    if output.requires_grad:
        (output * upstream).sum().backward()
    for role, slot in placed.items():
        gradient = slot.weight.grad
        yield f"gradient at {role}", torch.zeros_like(slot.weight) if gradient is None else gradient


def has_layers(hint: str = "") -> Criterion:
    """In ordinary cases the module has the layers that the exercise names, and no others: a gate.

    Args:
        hint: on the sizes of layers, where some are missing.
    """
    causes = {
        MISSING: f"{WEIGHT_SHAPES} {hint}".rstrip(),
        EXTRA: "The exercise names every layer with weights.",
    }

    def find(trials: Sequence[Trial]) -> Finding | None:
        wrong = first(_wrong_layers(trial) for trial in trials if trial.case.kind == ORDINARY)
        return replace(wrong, cause=causes.get(wrong.seen.split(":")[0], wrong.cause)) if wrong else None

    return Criterion("layers", 0.0, find, gate=True)


def part(name: str, points: float, *, kind: str = ORDINARY, outputs: str = "", advice: str = "") -> Criterion:
    """The layers are there, and the outputs whose names start with `outputs` agree."""
    agreement = agree(name, points, kind=kind, outputs=outputs, advice=advice)

    def find(trials: Sequence[Trial]) -> Finding | None:
        wrong = first(_wrong_layers(trial) for trial in trials if trial.case.kind == kind)
        return wrong or agreement.find(trials)

    return Criterion(name, points, find, advice=advice)


def _wrong_layers(trial: Trial) -> Finding | None:
    match trial.observed.values.get("layers"):
        case [[], []]:
            return None
        case [list(missing), list(extra)]:
            seen = [_some(MISSING, missing), _some(EXTRA, extra)]
            return Finding(trial.case.name, " ".join(filter(None, seen)))
    return interrupted(trial, "module")


def _some(words: str, layers: Sequence[object]) -> str:
    more = [f"{len(layers) - MAX_SHOWN} more"] if len(layers) > MAX_SHOWN else []
    return f"{words}: {'; '.join([*map(str, layers[:MAX_SHOWN]), *more])}." if layers else ""
