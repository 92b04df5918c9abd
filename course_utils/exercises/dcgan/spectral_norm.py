"""The largest singular value of a weight, estimated.

weight    (out, in), (out, in, kernel, kernel) ... float
u         (out,) float, not of length 1
n_iter    int; small, so that the estimate is not yet the true value, or large

A Python float is accepted: the text asks for a scalar, and gradients are not required.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.dcgan.pairwise_diversity import as_scalar
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

MANY = "many iterations"


def cases(draw: Draw) -> list[Case]:
    """A matrix and kernels after few iterations; then after many; then float64."""

    def case(
        shape: tuple[int, ...], n_iter: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32
    ) -> Case:
        inputs = {
            "weight": draw.normal(*shape, dtype=dtype),
            "u": 3 * draw.normal(shape[0], dtype=dtype),
            "n_iter": n_iter,
        }
        words = f"weight of shape {shape}, {n_iter} iteration{'s' if n_iter > 1 else ''}"
        return Case(words, inputs, kind)

    return [
        case((draw.integer(6, 7), draw.integer(8, 9)), 1),
        case((draw.integer(8, 9), draw.integer(6, 7)), 3),
        case((5, 3, 4, 4), 2),
        case((7, 2, 5), 2),
        case((5, 3, 4, 4), 200, MANY),
        case((6, 8), 2, FLOAT64, torch.float64),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Call it; a Python float counts as a scalar tensor."""
    yield "result", as_scalar(answer(*case.inputs.values()), case.inputs["weight"].dtype)


def iterate(matrix: Tensor, u: Tensor, n_iter: int) -> tuple[Tensor, Tensor]:
    """The right u and v, for answers that are wrong elsewhere."""
    for _ in range(n_iter):
        v = normalize(matrix.T @ u, dim=0)
        u = normalize(matrix @ v, dim=0)
    return u, v


def no_normalisation(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your vectors are never brought back to length 1: the numbers grow with every iteration, and with the
    length of the u that comes in. Look at what each product is divided by."""
    matrix = weight.flatten(1)
    for _ in range(n_iter):
        v = matrix.T @ u
        u = matrix @ v
    return u @ matrix @ v


def first_row_only(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your number is the length of the weight's first row: one output of the layer. The matrix has a row for
    each output, and all of them take part. Look at an index 0."""
    return weight[0].flatten().norm()


def sigma_squared(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your estimate is the square of the right one: the matrix comes in twice, as in W W^T, whose eigenvalues
    are squares of singular values. Look at the last line."""
    u, v = iterate(weight.flatten(1), u, n_iter)
    return (u @ weight.flatten(1) @ v) ** 2


def frobenius_norm(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your number is the root of the sum of all squared weights, the Frobenius norm. It counts every
    direction; the spectral norm is the stretch along the strongest one. Look at which norm you call."""
    return weight.norm()


def flattened_to_the_inputs(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your code is right for a matrix, and breaks where the weight has more dimensions: its rows no longer
    belong to the outputs. u has a number for each output. Look at how you flatten the weight."""
    matrix = weight.reshape(-1, weight.shape[1])
    u, v = iterate(matrix, u, n_iter)
    return u @ matrix @ v


def u_not_used(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your iteration starts from a vector of its own, so after few iterations it is somewhere else. In
    training, u is kept from step to step; that is why one iteration a step suffices. Look at what you start
    from."""
    u, v = iterate(weight.flatten(1), torch.ones_like(u), n_iter)
    return u @ weight.flatten(1) @ v


def exact_value(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your number is the exact singular value. It is what the iteration ends at, and it costs a
    decomposition of the whole matrix in every training step. The estimate after n_iter iterations from u is
    asked for. Look for where these two enter."""
    return torch.linalg.matrix_norm(weight.flatten(1), ord=2)


def always_one_iteration(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """Your estimate is that of a single iteration, whatever n_iter says. Look at what your loop hands on from
    one round to the next."""
    u, v = iterate(weight.flatten(1), u, 1)
    return u @ weight.flatten(1) @ v


SPECTRAL_NORM = Exercise(
    id="dcgan.spectral_norm",
    title="How much a layer stretches",
    signature="spectral_norm(weight, u, n_iter)",
    returns="scalar: the largest singular value, estimated by n_iter iterations from u",
    reference="course_utils.dcgan:spectral_norm",
    cases=cases,
    criteria=ladder(
        2,
        edge(
            MANY,
            0.5,
            "After many iterations the estimate is the spectral norm itself. Look for numbers that grow, or "
            "shrink, from round to round.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=1,
        advice="Do one round by hand: v is W transposed times u, brought to length 1; u is W times v, "
        "brought to length 1. In the end u, W and v give one number. W has shape (out, everything else).",
    ),
    misconceptions=misconceptions(
        no_normalisation,
        first_row_only,
        sigma_squared,
        frobenius_norm,
        flattened_to_the_inputs,
        u_not_used,
        exact_value,
        always_one_iteration,
    ),
    probe=probe,
)
