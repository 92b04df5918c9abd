"""An exponential moving average of weights, watched on a small model with buffers.

ema_model, model   TinyTracker: parameters, and buffers; a case may add an integer among the buffers
decay              float in 0..1, the weight of the old average

The average has requires_grad off, as averages do: what is left of a computation in it then shows. Whether
model is left alone is watched by the probe, since it knows buffers.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from course_utils.exercises.criteria import agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Criterion, Exercise, ToyModel, misconceptions
from course_utils.exercises.toys import toy_shapes

COUNTER = "a counter among the buffers"
GRAPH = "keeps no graph"
IN_PLACE = "in place"


def cases(draw: Draw) -> list[Case]:
    """A slow average and a fast one; then buffers that hold whole numbers."""

    def case(decay: float, kind: str = ORDINARY) -> Case:
        models = {name: draw_model(draw, counter=kind == COUNTER) for name in ("ema_model", "model")}
        return Case(f"decay {decay:.3f}", {**models, "decay": decay}, kind)

    return [
        case(draw.real(0.8, 0.9)),
        case(draw.real(0.2, 0.3)),
        case(draw.real(0.6, 0.7), COUNTER),
    ]


def draw_model(draw: Draw, counter: bool) -> ToyModel:
    """The small model with random weights, and with a count far from another's."""
    config = {"inputs": 3, "outputs": 4, "counter": int(counter)}
    shapes = toy_shapes("tiny_tracker", config)
    weights = {name: draw.normal(*shape) for name, shape in shapes.items() if name != "count"}
    if counter:
        weights["count"] = torch.tensor(draw.integer(1, 10**6))
    return ToyModel("tiny_tracker", weights, config)


class Watch(TorchFunctionMode):
    """Notices whether anything is done to tensors at all."""

    busy = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.busy = True
        return func(*args, **(kwargs or {}))


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Both models after the update, and the average once more after model has moved on.

    Raises:
        NotImplementedError: nothing was done, or even tried.
    """
    average, model, decay = case.inputs.values()
    average.requires_grad_(False)
    parameters = dict(average.named_parameters())
    before, model_before = snapshot(average), snapshot(model)
    with Watch() as watch:
        result = answer(average, model, decay)
    after, model_after = snapshot(average), snapshot(model)
    if result is Ellipsis or (result is None and not watch.busy and same(before, after)):
        raise NotImplementedError
    for name, tensor in after.items():
        yield f"{'parameter' if name in parameters else 'buffer'} {name} of ema_model", tensor
    another = isinstance(result, nn.Module) and result is not average
    yield "result", "another model" if another else "nothing new"
    yield "set of parameters in ema_model", "the same" if same_objects(parameters, average) else "new"
    yield "requires_grad of ema_model's parameters", any(p.requires_grad for p in average.parameters())
    yield "input model", "as it was" if same(model_before, model_after) else "changed"
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor += 1
    alone = same(after, snapshot(average))
    yield "buffers' memory", "ema_model's own" if alone else "shared with model"


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copies of parameters and buffers, by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether the tensors are equal, name by name."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same_objects(parameters: dict[str, nn.Parameter], model: nn.Module) -> bool:
    """Whether the model still has these very parameters."""
    now = dict(model.named_parameters())
    return now.keys() == parameters.keys() and all(now[name] is parameters[name] for name in now)


@torch.no_grad()
def mix(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """The right average of the parameters, for answers that are wrong elsewhere."""
    for old, new in zip(ema_model.parameters(), model.parameters(), strict=True):
        old.mul_(decay).add_(new, alpha=1 - decay)


@torch.no_grad()
def copy_buffers(ema_model: nn.Module, model: nn.Module) -> None:
    """The right buffers, for answers that are wrong elsewhere."""
    for old, new in zip(ema_model.buffers(), model.buffers(), strict=True):
        old.copy_(new)


def roles_swapped(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """You change model, the one that is being trained, and ema_model stays as it was. The average follows the
    model, never the other way round. Look at which of the two you write to."""
    mix(model, ema_model, decay)
    copy_buffers(model, ema_model)


def decay_on_the_wrong_term(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your average forgets almost everything at each update: decay is the weight of the old average, close to
    1, and the model gets the rest. Look at which factor belongs to which."""
    mix(ema_model, model, 1 - decay)
    copy_buffers(ema_model, model)


def buffers_forgotten(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your parameters are right, and the buffers of ema_model stay as they were on the first day: a BatchNorm
    in it would go on normalising by statistics from before training. parameters() leaves buffers out. Look
    for what lists them."""
    mix(ema_model, model, decay)


def buffers_averaged(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your parameters are right, and the buffers are averaged like them. Buffers are copied: running
    statistics are averages already, and a count of batches has no half. A state_dict holds both kinds. Look
    at how you tell them apart."""
    state, new = ema_model.state_dict(), model.state_dict()
    ema_model.load_state_dict({name: decay * state[name] + (1 - decay) * new[name] for name in state})


def graph_kept(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your numbers are right, but autograd watches: each parameter of ema_model now holds the computation
    that led to it, which grows with every update until the memory is full. Nothing is trained here. Look for
    PyTorch's way not to record."""
    for old, new in zip(ema_model.parameters(), model.parameters(), strict=True):
        old.mul_(decay).add_(new, alpha=1 - decay)
    copy_buffers(ema_model, model)


def new_parameters(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your numbers are right, but ema_model got new parameters in place of its own. Whoever held the old
    ones, an optimizer or a list, holds tensors that are no longer in use. Look for a way to write into a
    tensor."""
    updated = dict(model.named_parameters())
    for name, old in list(ema_model.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        mixed = decay * old.detach() + (1 - decay) * updated[name].detach()
        setattr(ema_model.get_submodule(owner), leaf, nn.Parameter(mixed))
    copy_buffers(ema_model, model)


def returns_a_new_model(ema_model: nn.Module, model: nn.Module, decay: float) -> nn.Module:
    """You give back a new model, and ema_model itself stays as it was. It is meant to be changed in place:
    the caller goes on using it, and expects nothing back. Look for a copy at the beginning."""
    fresh = copy.deepcopy(ema_model)
    mix(fresh, model, decay)
    copy_buffers(fresh, model)
    return fresh


def names_rebound(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Your ema_model stays as it was: you compute averages and write them nowhere. An assignment to a name,
    such as a loop's, gives the name another tensor; the model keeps its own. Or does a condition skip every
    parameter? Look for a way to write into a tensor."""
    averages = dict(ema_model.named_parameters())
    for name, new in model.named_parameters():
        averages[name] = nn.Parameter(decay * averages[name] + (1 - decay) * new)


def leaves_the_model_alone(points: float) -> Criterion:
    """Parameters and buffers of model, modes and global state are what they were."""
    advice = "Only ema_model changes. Look for what you write to."
    watched, shared = agree("", 0, outputs="input model"), leaves_alone(points)
    return replace(shared, find=lambda trials: watched.find(trials) or shared.find(trials), advice=advice)


EMA_UPDATE = Exercise(
    id="unet.ema_update",
    title="An average of the weights",
    signature="ema_update(ema_model, model, decay)",
    returns="None: ema_model is changed in place",
    reference="course_utils.diffusion.unet:ema_update",
    cases=cases,
    criteria=(
        agree(
            "parameters",
            1.5,
            outputs="parameter ",
            gate=True,
            advice="Take one number by hand: decay times its old value in ema_model, plus the rest of 1 "
            "times its value in model. Every parameter has to move.",
        ),
        agree(
            "buffers",
            0.5,
            outputs="buffer",
            advice="Buffers are the tensors of a state_dict that parameters() does not list. They are "
            "copied.",
        ),
        agree(
            COUNTER,
            0.5,
            kind=COUNTER,
            outputs="buffer",
            advice="One buffer here counts batches, in whole numbers. It is copied, not mixed.",
        ),
        agree(
            IN_PLACE,
            0.5,
            outputs="set of",
            advice="Write into the parameters that are there: methods that end in `_`, or copy_.",
        ),
        agree(
            GRAPH,
            0.5,
            outputs="requires_grad",
            advice="The parameters of ema_model did not require gradients, and should not now. Look for "
            "PyTorch's way not to record what it computes.",
        ),
        leaves_the_model_alone(0.5),
    ),
    misconceptions=misconceptions(
        names_rebound,
        roles_swapped,
        decay_on_the_wrong_term,
        buffers_forgotten,
        buffers_averaged,
        graph_kept,
        new_parameters,
        returns_a_new_model,
    ),
    probe=probe,
    may_change=frozenset({"ema_model", "model"}),
)
