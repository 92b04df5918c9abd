"""Labels, of which some are hidden.

labels       (B,) int64, 0..K-1
drop_prob    float, 0..1
u            (B,) float in [0, 1)
null_label   int, K or more
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import draws_nothing, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

ENDS = "drop_prob 0 and 1, and u equal to drop_prob"


def cases(draw: Draw) -> list[Case]:
    """The first label always stays, and some later one is dropped; no dropped label is 0. Then the ends."""

    def case(drop_prob: float, u: Tensor, kind: str = ORDINARY) -> Case:
        classes = draw.integer(5, 12)
        labels = torch.tensor([draw.integer(1, classes - 1) for _ in u])
        labels[0] = 0
        inputs = {
            "labels": labels,
            "drop_prob": drop_prob,
            "u": u,
            "null_label": classes + draw.integer(0, 2),
        }
        return Case(f"{len(u)} labels, drop_prob {drop_prob:.3g}", inputs, kind)

    def ordinary(drop_prob: float) -> Case:
        dropped = torch.tensor([False, *(draw.integer(0, 2) == 0 for _ in range(draw.integer(6, 9)))])
        dropped[-2:] = torch.tensor([True, False])
        inside = 0.05 + 0.9 * draw.uniform(len(dropped))
        return case(drop_prob, torch.where(dropped, drop_prob * inside, drop_prob + (1 - drop_prob) * inside))

    return [
        ordinary(draw.real(0.1, 0.3)),
        ordinary(draw.real(0.4, 0.6)),
        case(0.0, torch.cat([torch.zeros(2), draw.uniform(4)]), ENDS),
        case(1.0, draw.uniform(5), ENDS),
        case(0.25, torch.tensor([0.5, 0.25, 0.125, 0.25, 0.75]), ENDS),
    ]


def drops_the_others(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You drop where u is large, and so nine labels of ten at drop_prob 0.1. Few numbers drawn from [0, 1)
    lie below 0.1. Look at the comparison."""
    return torch.where(u > drop_prob, null_label, labels)


def one_number_for_the_batch(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You drop the whole batch or nothing, by the first entry of u. Every label has a number of its own. Look
    at what you compare."""
    return torch.full_like(labels, null_label) if u[0] < drop_prob else labels.clone()


def changes_the_labels(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """Your result is right, but the labels that came in are overwritten: in the next epoch some are hidden
    already, and in the end all of them. Look for an assignment in place."""
    labels[u < drop_prob] = null_label
    return labels


def adds_the_null_label(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You add null_label to the labels that are dropped: they still tell the class, and point beyond the end
    of an embedding. A dropped label becomes null_label itself. Look at how you combine the two."""
    return labels + null_label * (u < drop_prob)


def zero_for_null(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """Your dropped labels become 0. That is a class, whose images would teach the network what no class is.
    Look for the argument that you do not use."""
    return labels * (u >= drop_prob)


def removes_labels(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You leave dropped labels out: the result is shorter, and labels no longer line up with their images. A
    dropped label keeps its place. Look at what you do with the comparison."""
    return labels[u >= drop_prob]


def drops_equal_ones_too(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You also drop where u equals drop_prob, and so, now and then, at drop_prob 0. Below is asked for. Look
    at the comparison."""
    return torch.where(u <= drop_prob, null_label, labels)


def drops_the_first_ones(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """You drop the first labels of the batch, as many as the rate says. Which ones, and how many, is up to u.
    Look for the argument that you do not use."""
    return torch.where(torch.arange(len(labels)) < round(drop_prob * len(labels)), null_label, labels)


DROP_LABELS = Exercise(
    id="sampling.drop_labels",
    title="Labels dropped in training",
    signature="drop_labels(labels, drop_prob, u, null_label)",
    returns="(B,) int64: the labels, with null_label where u < drop_prob; the labels that came in stay as "
    "they are",
    reference="course_utils.diffusion.guidance:drop_labels",
    cases=cases,
    criteria=(
        draws_nothing(),
        *ladder(
            1.5,
            edge(
                ENDS,
                0.5,
                "A label is dropped where u lies strictly below drop_prob: never at 0, always at 1.",
            ),
            unchanged=1,
            advice="Print labels, u < drop_prob and your result one below the other.",
        ),
    ),
    misconceptions=misconceptions(
        drops_the_others,
        one_number_for_the_batch,
        changes_the_labels,
        adds_the_null_label,
        zero_for_null,
        removes_labels,
        drops_equal_ones_too,
        drops_the_first_ones,
    ),
)
