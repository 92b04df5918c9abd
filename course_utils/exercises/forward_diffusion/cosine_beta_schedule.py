"""Variances that let the signal fade like a squared cosine.

timesteps   int, T
s           float, the offset, larger than the paper's where it should show
max_beta    float, the upper limit
f           (T + 1,) float64, f(i / T) = cos((i / T + s) / (1 + s) pi / 2)^2
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge
from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import call_in_either_precision, on_schedules
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

BUT_THE_LAST = "result[:-1]"
CLIPPED = "no variance above max_beta, and only those changed"


def cases(draw: Draw) -> list[Case]:
    """In ordinary cases the limit meets the last step alone, and that one is not looked at: so a wrong limit
    costs its own points only. Then limits that meet several steps, and many steps, whose first variances are
    far below those of any lower limit.
    """

    def case(timesteps: int, s: float, max_beta: float, kind: str = ORDINARY) -> Case:
        inputs = {"timesteps": timesteps, "s": s, "max_beta": max_beta}
        return Case(f"{timesteps} steps, s {s:.4g}, max_beta {max_beta:.4g}", inputs, kind)

    return [
        case(draw.integer(7, 12), draw.real(0.05, 0.1), 0.999),
        case(draw.integer(30, 60), draw.real(0.02, 0.04), 0.99),
        case(draw.integer(30, 60), 0.008, 0.999, CLIPPED),
        case(draw.integer(20, 30), draw.real(0.02, 0.04), draw.real(0.2, 0.4), CLIPPED),
        case(draw.integer(300, 350), draw.real(0.0005, 0.001), 0.999, CLIPPED),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The schedule, and once more without its last step."""
    for name, betas in call_in_either_precision(answer, case):
        yield name, betas
        if type(betas) is Tensor and betas.dim() == 1:
            yield BUT_THE_LAST, betas[:-1]


def angles(timesteps: int, s: float) -> Tensor:
    """(T + 1,) float64, up to pi / 2: what the cosine is taken of."""
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    return (u + s) / (1 + s) * math.pi / 2


def from_shares(f: Tensor) -> Tensor:
    """What each step adds, from what is left after it, for answers that are wrong elsewhere."""
    return 1 - f[1:] / f[:-1]


def not_squared(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your signal fades like a cosine. It is its share of the variance that is meant, which fades like the
    square of a cosine. Look at f."""
    return from_shares(angles(timesteps, s).cos()).clamp(max=max_beta)


def without_the_offset(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your schedule is the one for s = 0, and its first variances are smaller than asked for. Look for
    where s enters."""
    return from_shares(angles(timesteps, 0).cos() ** 2).clamp(max=max_beta)


def offset_on_one_side_only(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your angle passes pi / 2: the signal is gone before the last step, and comes back. The offset shifts
    the start; a division makes up for it, so that the end stays where it is. Look at the angle at u = 1."""
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    return from_shares(((u + s) * math.pi / 2).cos() ** 2).clamp(max=max_beta)


def not_clipped(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your last variance is 1: a step that leaves nothing at all of the image, which no step back can undo.
    Look for where max_beta enters."""
    return from_shares(angles(timesteps, s).cos() ** 2)


def clipped_at_the_wrong_side(timesteps: int, s: float, max_beta: float) -> Tensor:
    """None of your variances lies below max_beta; it should be the largest. "At most" and "maximum" are
    easily confused, for the smaller of two numbers is at most the other. Look at what keeps the limit."""
    return from_shares(angles(timesteps, s).cos() ** 2).clamp(min=max_beta)


def lower_limit_too(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your variances never fall below 0.0001. With many steps the first ones should: the last step alone
    needs a limit, and that from above. Look at the bounds of your clamp."""
    return from_shares(angles(timesteps, s).cos() ** 2).clamp(1e-4, max_beta)


def ratio_upside_down(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your variances are negative: you divide what was left before a step by what is left after it. That is
    more than 1. Look at which of the two neighbours is on top."""
    f = angles(timesteps, s).float().cos() ** 2  # the last one is rounding alone: float32, as most write it
    return (1 - f[:-1] / f[1:]).clamp(max=max_beta)


def one_step_late(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Your first variance is 0 and each of the others comes a step late: entry 0 belongs to the step from
    i = 0 to i = 1, which adds noise already. Look at the range of i, and at what stands before its first
    entry."""
    betas = from_shares(angles(timesteps, s).cos() ** 2)
    return torch.cat([torch.zeros_like(betas[:1]), betas[:-1]]).clamp(max=max_beta)


COSINE_BETA_SCHEDULE = Exercise(
    id="forward_diffusion.cosine_beta_schedule",
    title="The cosine schedule",
    signature="cosine_beta_schedule(timesteps, s, max_beta)",
    returns="(T,) float32 or float64: variances, none above max_beta",
    reference="course_utils.diffusion.schedules:cosine_beta_schedule",
    cases=cases,
    criteria=on_schedules(
        3,
        edge(
            CLIPPED,
            1,
            "A variance above max_beta becomes max_beta, and all others stay as they are, however small. Is "
            "a number written where max_beta belongs, or is something other than the variances limited?",
        ),
        advice="Print f(i / T) / f(0) for i = 0..T: T + 1 numbers from 1 down to 0. Then the share that each "
        "step keeps, which is one of them divided by the one before it: T numbers. A variance is what is "
        "missing from 1.",
        outputs=BUT_THE_LAST,
    ),
    misconceptions=misconceptions(
        not_squared,
        without_the_offset,
        offset_on_one_side_only,
        not_clipped,
        clipped_at_the_wrong_side,
        lower_limit_too,
        ratio_upside_down,
        one_step_late,
    ),
    probe=probe,
)
