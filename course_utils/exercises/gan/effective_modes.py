"""How many modes a generator reaches.

labels      (N,) int64, 0..n_classes-1
n_classes   int
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

EMPTY = "classes without a sample"


def cases(draw: Draw) -> list[Case]:
    """Every class occurs, in unequal shares; then some do not, the first and the last one among them; then
    only one does.
    """

    def case(counts: list[int], kind: str = ORDINARY) -> Case:
        labels = draw.shuffled(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)))
        words = f"{len(labels)} samples, {sum(map(bool, counts))} of {len(counts)} classes"
        return Case(words, {"labels": labels, "n_classes": len(counts)}, kind)

    def many(classes: int) -> list[int]:
        return [draw.integer(1, 3), *(draw.integer(4, 20) for _ in range(classes - 2)), draw.integer(30, 40)]

    n = draw.integer(4, 6)
    alone = [0] * n
    alone[draw.integer(1, n - 2)] = draw.integer(5, 9)
    return [
        case(many(n)),
        case(many(n + 3)),
        case([0, *many(n), 0, 5, 0], EMPTY),
        case(alone, EMPTY),
    ]


def shares(labels: Tensor, n_classes: int) -> Tensor:
    """(n_classes,) float64, for answers that are wrong elsewhere."""
    return torch.bincount(labels, minlength=n_classes).double() / len(labels)


def entropy(labels: Tensor, n_classes: int) -> float:
    """In nats, for answers that are wrong elsewhere."""
    return torch.special.entr(shares(labels, n_classes)).sum().item()


def entropy_itself(labels: Tensor, n_classes: int) -> float:
    """Your result is the entropy, in nats: 0 where one class has everything. A number of classes is asked
    for, which is 1 there. Look at the last step."""
    return entropy(labels, n_classes)


def bits_raised_to_e(labels: Tensor, n_classes: int) -> float:
    """Your entropy is in bits, and you raise e to it: ten equal classes would count as 28. Logarithm and
    power need one base. Look at the name of the logarithm."""
    return math.exp(entropy(labels, n_classes) / math.log(2))


def sign_missing(labels: Tensor, n_classes: int) -> float:
    """Your result is below 1: one over the expected number. Logarithms of shares are negative, so entropy has
    a minus sign in front of its sum."""
    return math.exp(-entropy(labels, n_classes))


def counts_for_shares(labels: Tensor, n_classes: int) -> float:
    """Your result is 0, or close to it: you put the counts into the entropy. Its probabilities sum to 1. Look
    at what the counts have to be divided by."""
    counts = torch.bincount(labels, minlength=n_classes).double()
    return torch.special.entr(counts).sum().exp().item()


def nan_for_empty_classes(labels: Tensor, n_classes: int) -> float:
    """Your result is right while every class occurs, and NaN otherwise: 0 times the logarithm of 0. A class
    that never occurs adds nothing, and with a collapsed generator most do not. Look for a function that knows
    it, or leave such classes out."""
    p = shares(labels, n_classes)
    return (-(p * p.log()).sum()).exp().item()


def classes_counted(labels: Tensor, n_classes: int) -> float:
    """You count the classes that occur at all. One stray sample then counts as much as a thousand. Effective
    modes weigh each class by how often it occurs: look at the entropy of the histogram."""
    return float(len(labels.unique()))


def squares_of_shares(labels: Tensor, n_classes: int) -> float:
    """Your result is one over the sum of squared shares: another effective number, in which rare classes
    count for less. The one by entropy is asked for."""
    return 1 / shares(labels, n_classes).square().sum().item()


def share_of_the_largest_entropy(labels: Tensor, n_classes: int) -> float:
    """Your result is the entropy as a share of the largest possible one, between 0 and 1. A number of classes
    is asked for: n_classes does not enter it."""
    return entropy(labels, n_classes) / math.log(n_classes)


EFFECTIVE_MODES = Exercise(
    id="gan.effective_modes",
    title="How many modes a generator reaches",
    signature="effective_modes(labels, n_classes)",
    returns="float: exp of the entropy of the label histogram, from 1 to n_classes",
    reference="course_utils.gan:effective_modes",
    cases=cases,
    criteria=ladder(
        1,
        edge(
            EMPTY,
            0.5,
            "Some classes have no sample here. They add nothing to the entropy, and must not add NaN or an "
            "error. With one class left, the result is 1.",
        ),
        unchanged=0.5,
        tensors=False,
        advice="Do it in steps: the count of each class, its share of all samples, the entropy of the shares "
        "in nats, exp of that. Four equal classes give 4.",
    ),
    misconceptions=misconceptions(
        entropy_itself,
        bits_raised_to_e,
        sign_missing,
        counts_for_shares,
        nan_for_empty_classes,
        classes_counted,
        squares_of_shares,
        share_of_the_largest_entropy,
    ),
)
