"""A threshold for anomalies.

    scores   (N,) float, in no order
    rate     float in 0..1, the share of scores that may lie strictly above the threshold
    k        int, how many scores may; k = floor(rate * N) in exact arithmetic

A count is compared with the rate as k / N <= rate. That is safe where rate * N is not: a quotient is rounded
to the nearest float, and so is a rate written as a decimal: where the numbers are equal, so are the floats.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.exercises.compare import TYPE
from course_utils.exercises.criteria import agree, edge, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Criterion, Exercise, Finding, Trial, misconceptions

TIES = "equal scores"
LIMITS = "rates 0 and 1, and a single score"
EXACT = "a rate that is exactly k of n"
ROUNDED_DOWN = [(k, n) for n in range(20, 121) for k in range(2, n - 2) if int(k / n * n) < k]


def cases(draw: Draw) -> list[Case]:
    """Ordinary rates allow k + u of n scores, 0 < u < 1. Where the rate is small, u is large, and the other
    way round: so neither rounding nor any convention of quantiles finds all thresholds. Then ties, ends, and
    k / n.
    """

    def case(scores: Tensor, rate: float, kind: str = ORDINARY, words: str = "") -> Case:
        inputs = {"normal_scores": draw.shuffled(scores), "false_alarm_rate": rate}
        return Case(
            f"{len(scores)} score{'s' if len(scores) > 1 else ''}{words}, rate {rate:.4g}", inputs, kind
        )

    def ordinary(k: int, u: float, n: int) -> Case:
        return case(draw.uniform(n), (k + u) / n)

    tied = torch.cat([draw.uniform(12) / 2, torch.full((6,), draw.real(0.5, 0.7)), 0.8 + draw.uniform(2) / 5])
    k, n = draw.pick(ROUNDED_DOWN)
    return [
        ordinary(draw.integer(2, 4), draw.real(0.85, 0.95), draw.integer(30, 40)),
        ordinary(draw.integer(9, 11), draw.real(0.05, 0.15), draw.integer(21, 29)),
        ordinary(draw.integer(3, 5), draw.real(0.3, 0.7), draw.integer(11, 19)),
        case(tied, (draw.integer(3, 6) + 0.5) / 20, TIES, " (six of them equal)"),
        case(tied, 8.5 / 20, TIES, " (six of them equal)"),
        case(draw.uniform(17), 0.0, LIMITS),
        case(draw.uniform(17), 1.0, LIMITS),
        case(draw.uniform(1), 0.3, LIMITS),
        case(draw.uniform(30), 0.1, EXACT),
        case(draw.uniform(n), k / n, EXACT, f", {k} of which may lie above"),
    ]


def among_the_scores(trials: Sequence[Trial]) -> Finding | None:
    """The first ordinary case in which the result is a number that was not given."""
    for trial in trials:
        result, scores = trial.observed.values.get("result"), trial.case.inputs["normal_scores"]
        if trial.case.kind == ORDINARY and isinstance(result, float) and not (scores == result).any():
            return Finding(trial.case.name, f"Your result {result:.6g} is not one of the scores.")
    return None


def ascending(scores: Tensor) -> list[float]:
    """The scores, sorted."""
    values: list[float] = scores.sort().values.tolist()
    return values


def interpolated_quantile(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold lies between two scores: torch.quantile interpolates. One of the scores is asked for,
    so that the number of false alarms is exact. Count scores instead."""
    return torch.quantile(normal_scores, 1 - false_alarm_rate).item()


def mean_plus_two_deviations(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold is the mean plus two standard deviations, whatever the rate. That rule is for Gaussian
    scores; errors have a long tail on the right. Look at the ranks of the scores instead."""
    return (normal_scores.mean() + 2 * normal_scores.std()).item()


def counts_itself(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold raises one alarm fewer than the rate allows: it counts as lying above itself. Strictly
    above leaves it out. Look at the comparison."""
    n = len(normal_scores)
    fitting = [
        t for t in ascending(normal_scores) if (normal_scores >= t).sum().item() / n <= false_alarm_rate
    ]
    return fitting[0] if fitting else normal_scores.max().item()


def off_by_one(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold is the larger neighbour of the right one in the sorted scores, and at rate 0 it is the
    smallest score of all. How many entries of a list come before index i?"""
    return ascending(normal_scores)[::-1][int(false_alarm_rate * len(normal_scores)) - 1]


def lower_tail(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold leaves most of the normal scores above it: it cuts off the small ones. Large errors are
    the suspicious ones. Look at the direction of the sort."""
    return ascending(normal_scores)[min(int(false_alarm_rate * len(normal_scores)), len(normal_scores) - 1)]


def assumes_sorted_scores(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold would be right if the scores came sorted. They come in no order: look at what your index
    points to."""
    n = len(normal_scores)
    return normal_scores[max(n - 1 - int(false_alarm_rate * n), 0)].item()


def drops_duplicates(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold is right where all scores differ. Equal scores count as often as they occur; in yours
    they count once. Look at what happens to duplicates."""
    values = ascending(normal_scores.unique())
    return next(t for i, t in enumerate(values) if (len(values) - 1 - i) / len(values) <= false_alarm_rate)


def rank_rounded_down(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """Your threshold is right unless the rate is exactly k of n: then it is the next larger score, with one
    alarm fewer than allowed. Look at the index that (1 - rate) * n becomes in that case."""
    n = len(normal_scores)
    return ascending(normal_scores)[min(int((1 - false_alarm_rate) * n), n - 1)]


ANOMALY_THRESHOLD = Exercise(
    id="autoencoders.anomaly_threshold",
    title="A threshold for anomalies",
    signature="anomaly_threshold(normal_scores, false_alarm_rate)",
    returns="float: the smallest of the scores such that at most that share of them lies strictly above it",
    reference="course_utils.autoencoders:anomaly_threshold",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, gate=True),
        Criterion(
            "one of the scores",
            0,
            among_the_scores,
            gate=True,
            advice="Interpolating between scores, or computing with their mean, gives numbers in between.",
        ),
        agree(
            "values",
            2,
            gate=True,
            advice="Count how many scores lie strictly above your threshold, and how many may. Then do the "
            "same for the next smaller score.",
        ),
        edge(TIES, 0.5, "Equal scores lie on the same side of a threshold, and each of them counts."),
        edge(LIMITS, 0.5, "At rate 0 nothing may lie above the threshold, at rate 1 everything may."),
        edge(
            EXACT,
            0.5,
            "In floating point rate * n and (1 - rate) * n can fall just beside a whole number, and then "
            "rounding takes a whole step. Comparing a share, count / n in Python's floats, with the rate is "
            "safe.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        interpolated_quantile,
        mean_plus_two_deviations,
        counts_itself,
        off_by_one,
        lower_tail,
        assumes_sorted_scores,
        drops_duplicates,
        rank_rounded_down,
    ),
)
