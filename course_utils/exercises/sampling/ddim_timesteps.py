"""Which levels to visit, when there is no time for all.

    num_train_steps   int, T
    num_steps         int, 2..T

Evenly spaced levels are mostly no whole numbers. Rounding them to the nearest, down or up is right: what is
asked is that each lies within 1 of the exact place, and that none comes twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE, first
from course_utils.exercises.criteria import agree
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Criterion, Exercise, Finding, Trial, misconceptions

EXTREMES = "all levels, and two of them"
Rule = Callable[[Tensor, int], Finding | None]


def cases(draw: Draw) -> list[Case]:
    """In the first case a step is a whole number of levels, T / num_steps, and a range that counts by it has
    the right length; in the others nothing fits. Then as many steps as levels, and two."""

    def case(timesteps: int, steps: int, kind: str = ORDINARY) -> Case:
        inputs = {"num_train_steps": timesteps, "num_steps": steps}
        return Case(f"{steps} of {timesteps} levels", inputs, kind)

    steps = draw.integer(12, 20)
    few = draw.integer(7, 11)
    return [
        case(draw.integer(5, 20) * steps, steps),
        case(few * draw.integer(9, 30) + draw.integer(2, few - 2), few),
        case(draw.integer(8, 16), 6),
        case(steps, steps, EXTREMES),
        case(draw.integer(40, 400), 2, EXTREMES),
    ]


def falls(levels: Tensor, timesteps: int) -> Finding | None:
    """Each level lies below the one before."""
    for i, (before, after) in enumerate(zip(levels.tolist(), levels.tolist()[1:], strict=False)):
        if after >= before:
            return Finding(
                "",
                f"Your result[{i}] is {before}, and result[{i + 1}] is {after}.",
                "Levels are visited from the noisiest down, and none of them twice.",
            )
    return None


def has_both_ends(levels: Tensor, timesteps: int) -> Finding | None:
    """The first is T-1, the last 0."""
    first_level, last_level = int(levels[0]), int(levels[-1])
    if (first_level, last_level) == (timesteps - 1, 0):
        return None
    return Finding(
        "",
        f"Your levels begin with {first_level} and end with {last_level}.",
        f"Expected {timesteps - 1} and 0.",
    )


def is_even(levels: Tensor, timesteps: int) -> Finding | None:
    """Each lies within 1 of where an even spacing between T-1 and 0 puts it."""
    exact = [(timesteps - 1) * (1 - i / (len(levels) - 1)) for i in range(len(levels))]
    off = [abs(level - place) for level, place in zip(levels.tolist(), exact, strict=True)]
    i = off.index(max(off))
    if off[i] <= 1 + 1e-9:
        return None
    return Finding(
        "",
        f"Your result[{i}] is {int(levels[i])}.",
        f"Evenly spaced, it would be {exact[i]:.4g}; rounded either way is right.",
    )


def holds(
    name: str, points: float, *rules: Rule, kind: str = ORDINARY, gate: bool = False, advice: str = ""
) -> Criterion:
    """In every case of a kind the result is of the right type, shape and dtype, and the rules hold."""
    basics = agree(name, 0, kind=kind, stages=STAGES[:3])

    def broken(trial: Trial) -> Finding | None:
        levels, timesteps = trial.observed.values["result"], trial.case.inputs["num_train_steps"]
        finding = first(rule(levels, timesteps) for rule in rules if isinstance(levels, Tensor))
        return finding and replace(finding, case=trial.case.name)

    def find(trials: Sequence[Trial]) -> Finding | None:
        return basics.find(trials) or first(broken(trial) for trial in trials if trial.case.kind == kind)

    return Criterion(name, points, find, gate, advice)


def misses_the_first_level(num_train_steps: int, num_steps: int) -> Tensor:
    """You count up from 0 in whole steps, and the last count falls short of T-1: sampling would start at a
    level that is less noisy than pure noise, or the list is longer than asked for. Look at how far your range
    gets."""
    return torch.arange(0, num_train_steps, num_train_steps // num_steps).flip(0)


def misses_level_0(num_train_steps: int, num_steps: int) -> Tensor:
    """You count down from T-1 in whole steps, and the last count stays above 0: some noise would be left, or
    the list is longer than asked for. Look at how far your range gets."""
    return torch.arange(num_train_steps - 1, -1, -(num_train_steps // num_steps))


def ascending(num_train_steps: int, num_steps: int) -> Tensor:
    """Your levels are right, in ascending order. Sampling starts from noise, at T-1. Look at the order."""
    return torch.linspace(0, num_train_steps - 1, num_steps, dtype=torch.float64).round().long()


def not_rounded(num_train_steps: int, num_steps: int) -> Tensor:
    """Your levels are floating-point numbers. They will be indices into a schedule, and the model was trained
    on whole levels. Look at the dtype of what you return."""
    return torch.linspace(num_train_steps - 1, 0, num_steps)


def one_too_many(num_train_steps: int, num_steps: int) -> Tensor:
    """Your list has num_steps + 1 levels. A fence of n posts has n - 1 gaps; here the posts are counted: each
    level is one call of the model. Look at how many you ask for."""
    return torch.linspace(num_train_steps - 1, 0, num_steps + 1, dtype=torch.float64).round().long()


def counts_from_1(num_train_steps: int, num_steps: int) -> Tensor:
    """Your levels run from T to 1, as in the papers. Arrays count from 0 here: entry T does not exist. Look
    at both ends."""
    return torch.linspace(num_train_steps, 1, num_steps, dtype=torch.float64).round().long()


def visits_minus_1(num_train_steps: int, num_steps: int) -> Tensor:
    """Your list ends with -1. That is where the last step leads, the clean image; the model is never called
    there. Look at the last entry, and at the length."""
    return torch.linspace(num_train_steps - 1, -1, num_steps + 1, dtype=torch.float64).round().long()


def lowest_levels_only(num_train_steps: int, num_steps: int) -> Tensor:
    """Your levels are the lowest ones, one by one, and far from T-1. The image is made at the noisy levels;
    all of the range should be visited, in longer steps. Look at the distance between two entries."""
    return torch.arange(num_steps - 1, -1, -1)


DDIM_TIMESTEPS = Exercise(
    id="sampling.ddim_timesteps",
    title="Fewer steps, evenly spaced",
    signature="ddim_timesteps(num_train_steps, num_steps)",
    returns="(num_steps,) int64: levels, strictly descending and evenly spaced, the first T-1, the last 0",
    reference="course_utils.diffusion.samplers:ddim_timesteps",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree(
            "dtype",
            0,
            stages=STAGES[:3],
            gate=True,
            advice="Levels are indices: whole numbers, and torch.int64.",
        ),
        holds("strictly descending", 0, falls, gate=True, advice="Print what you return, and look at it."),
        holds(
            "both ends",
            1,
            has_both_ends,
            gate=True,
            advice="T-1 is almost pure noise, where sampling starts; from 0 one step leads to the clean "
            "image.",
        ),
        holds(
            "evenly spaced",
            1.5,
            is_even,
            gate=True,
            advice="First find num_steps evenly spaced numbers with both ends included, whole or not. Then "
            "make them whole; rounding to the nearest, down or up all count as right.",
        ),
        holds(
            EXTREMES,
            0.5,
            falls,
            has_both_ends,
            is_even,
            kind=EXTREMES,
            advice="With as many steps as levels every level is visited once; with two steps only both ends "
            "are.",
        ),
    ),
    misconceptions=misconceptions(
        misses_the_first_level,
        misses_level_0,
        ascending,
        not_rounded,
        one_too_many,
        counts_from_1,
        visits_minus_1,
        lowest_levels_only,
    ),
)
