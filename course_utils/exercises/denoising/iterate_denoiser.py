"""A denoiser applied to its own output, watched on a small model with shapes unlike the chapter's.

model   TinyAutoencoder on (B, 1, 6, 5)
x       (B, 1, 6, 5) float, the start
n       int, how often the model is applied; B, n + 1, 6 and 5 all differ
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.autoencoders.train_step import CONFIG
from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, draws_nothing, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyModel, misconceptions
from course_utils.exercises.toys import toy_shapes

ONLY_THE_START = "n = 0: the start alone"
GRAPH = "keeps no graph"


def cases(draw: Draw) -> list[Case]:
    """Two and three images, some iterations; then none; then in float64."""

    def case(b: int, n: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        x = draw.uniform(b, 1, CONFIG["height"], CONFIG["width"], dtype=dtype)
        inputs = {"model": draw_contrast_model(draw, dtype), "x": x, "n": n}
        return Case(f"{b} images, n = {n}", inputs, kind)

    return [
        case(2, 3),
        case(3, draw.integer(6, 8)),
        case(3, 0, ONLY_THE_START),
        case(2, 3, FLOAT64, torch.float64),
    ]


def draw_contrast_model(draw: Draw, dtype: torch.dtype) -> ToyModel:
    """The small model with weights so large that images still change after some iterations."""
    shapes = toy_shapes("tiny_autoencoder", CONFIG)
    weights = {
        name: 3 * draw.normal(*shape, dtype=dtype) / shape[-1] ** 0.5 for name, shape in shapes.items()
    }
    return ToyModel("tiny_autoencoder", weights, CONFIG)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The states, and whether their computation is remembered."""
    result = answer(*case.inputs.values())
    yield "result", result
    yield "requires_grad of the result", isinstance(result, Tensor) and result.requires_grad


@torch.no_grad()
def iterates(model: nn.Module, x: Tensor, n: int) -> list[Tensor]:
    """The right states, for answers that are wrong elsewhere."""
    states = [x]
    for _ in range(n):
        states.append(model(states[-1]))
    return states


def start_missing(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your result begins with the first output. The start belongs to it, so that state i is what i
    applications make of it. Look at what you collect before the loop."""
    return torch.stack(iterates(model, x, n)[1:])


def one_state_too_few(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your result ends one application early. There are n applications, and the start comes on top of them.
    Look at how often your loop runs."""
    return torch.stack(iterates(model, x, n - 1))


def always_denoises_the_start(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your states are all equal from the second one on: the model is applied to the start again and again. It
    should go on from its own last output. Look at what you call it on."""
    with torch.no_grad():
        return torch.stack([x] + [model(x) for _ in range(n)])


def only_the_last_state(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your result is the last state alone. The way there is asked for too, for it shows where the images
    drift. Look at what you keep in each turn of the loop."""
    return iterates(model, x, n)[-1]


def joined_along_the_batch(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your states are right, but joined along the batch: states and images share a dimension. A new first
    dimension keeps them apart. Look at how you put the states together."""
    return torch.cat(iterates(model, x, n))


def returns_a_list(model: nn.Module, x: Tensor, n: int) -> list[Tensor]:
    """Your states are right, in a list. One tensor with a new first dimension is asked for. Look at the last
    step."""
    return iterates(model, x, n)


def keeps_the_graph(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your states are right, but each of them still holds the computation that led to it, as if gradients
    were to come. Nothing is trained here, and over many iterations that fills the memory. PyTorch can be told
    not to record what it computes."""
    states = [x]
    for _ in range(n):
        states.append(model(states[-1]))
    return torch.stack(states)


def overwrites_the_start(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Your states are all equal to the last one: each output is written over the tensor before it, and your
    result holds that tensor many times. Look for an assignment in place."""
    states = [x]
    with torch.no_grad():
        for _ in range(n):
            states.append(x.copy_(model(x)))
    return torch.stack(states)


ITERATE_DENOISER = Exercise(
    id="denoising.iterate_denoiser",
    title="A denoiser applied to its own output",
    signature="iterate_denoiser(model, x, n)",
    returns="(n + 1, *x.shape) float: the start and the n states after it, without a computation graph",
    reference="course_utils.denoising:iterate_denoiser",
    cases=cases,
    criteria=(
        agree("type", 0, outputs="result", stages=TYPE, gate=True),
        agree("shape", 0, outputs="result", stages=STAGES[:2], gate=True),
        agree("dtype", 0, outputs="result", stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            2,
            outputs="result",
            gate=True,
            advice="Check the states one by one: result[0] is the start, result[1] is what the model makes "
            "of result[0], result[2] what it makes of result[1]. Nothing else happens in between.",
        ),
        agree(
            ONLY_THE_START,
            0.5,
            kind=ONLY_THE_START,
            outputs="result",
            advice="Nothing is applied, and one state remains: a first dimension of size 1, and in it the "
            "start. Look for an application of the model outside of the loop.",
        ),
        agree(
            GRAPH,
            0.5,
            outputs="requires_grad",
            advice="A result that requires gradients holds every computation that led to it, and that fills "
            "the memory as n grows. Nothing is trained here: look for PyTorch's way not to record.",
        ),
        agree(FLOAT64, 0.5, kind=FLOAT64, outputs="result", advice=SAME_DTYPE),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        start_missing,
        one_state_too_few,
        always_denoises_the_start,
        only_the_last_state,
        joined_along_the_batch,
        returns_a_list,
        keeps_the_graph,
        overwrites_the_start,
    ),
    probe=probe,
)
