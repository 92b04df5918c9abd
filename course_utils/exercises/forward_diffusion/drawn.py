"""Schedules and noised batches for the cases of this chapter, and what is asked of results.

schedule   (T,) float, betas or alphas_cumprod
x, noise   (B, C, H, W) float, all four sizes different, unless a case says otherwise
t          (B,) int64, a different level for each image
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import (
    FLOAT64,
    SAME_DTYPE,
    agree,
    draws_nothing,
    edge,
    ladder,
    leaves_alone,
    runs,
)
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Criterion, call

ENDS = "the first and the last level"
MIXED = "a float64 schedule, float32 images"


@dataclass(frozen=True)
class Batch:
    """Images, their noise and their levels on a schedule, with the words and the kind of the case."""

    words: str
    x: Tensor
    noise: Tensor
    t: Tensor
    schedule: Tensor
    kind: str


def rising_betas(draw: Draw, timesteps: int) -> Tensor:
    """(T,) float64, from about 0.05 to about 0.45: neighbours differ, and so do roots, sums and products."""
    steps = torch.arange(timesteps) + 0.6 * draw.uniform(timesteps, dtype=torch.float64)
    return 0.05 + 0.4 * steps / timesteps


def falling_shares(draw: Draw, timesteps: int) -> Tensor:
    """(T,) float64, alphas_cumprod from about 0.95 to about 0.07: no level is all signal or all noise."""
    steps = torch.arange(timesteps) + 0.6 * draw.uniform(timesteps, dtype=torch.float64)
    return 0.96 - 0.9 * steps / timesteps


def batches(draw: Draw, schedule: Callable[[Draw, int], Tensor], spread: float = 1.0) -> list[Batch]:
    """Ordinary levels are neither the first nor the last. In the second batch the images are as many as
    columns, where a schedule that meets the wrong dimension raises nothing. Then both ends, and dtypes.

    Args:
        schedule: draws one of T numbers in float64.
        spread: x is uniform in [-spread, spread].
    """

    def batch(
        shape: tuple[int, int, int, int],
        kind: str = ORDINARY,
        x_dtype: torch.dtype = torch.float32,
        schedule_dtype: torch.dtype = torch.float32,
    ) -> Batch:
        timesteps = draw.integer(9, 12)
        t = draw.shuffled(torch.arange(1, timesteps - 1))[: shape[0]]
        if kind == ENDS:
            t = torch.cat([torch.tensor([timesteps - 1, 0]), t[2:]])
        words = f"{shape[0]} images of shape {shape[1:]}, t = {t.tolist()}, T = {timesteps}"
        x = spread * (2 * draw.uniform(*shape, dtype=x_dtype) - 1)
        noise = draw.normal(*shape, dtype=x_dtype)
        return Batch(words, x, noise, t, schedule(draw, timesteps).to(schedule_dtype), kind)

    b, h, w = draw.integer(5, 7), draw.integer(8, 10), draw.integer(11, 13)
    return [
        batch((b, 3, h, w)),
        batch((5, 2, 4, 5)),
        batch((4, 1, w, h), ENDS),
        batch((3, 1, h, w), MIXED, schedule_dtype=torch.float64),
        batch((3, 2, w, h), FLOAT64, torch.float64, torch.float64),
    ]


def on_batches(advice: str) -> tuple[Criterion, ...]:
    """The criteria of the exercises whose cases are `batches`: four points."""
    return (
        runs(
            "Print the shapes just before this line. A schedule is (T,) and t is (B,), so there is a "
            "number for each image: (B,) of them. Images of shape (B, C, H, W) are met by (B, 1, 1, 1).",
        ),
        draws_nothing(gate=True),
        *ladder(
            2,
            edge(
                ENDS,
                0.5,
                "Level t is entry t of the schedule, from 0 to T - 1 with both ends, and at t = 0 an image "
                "has been noised once. Look for 1 added to t or taken from it, and for a case of its own.",
            ),
            edge(
                MIXED,
                0.5,
                "The result has the dtype of the images. The schedule is kept in float64, and a float64 "
                "tensor makes float64 of what it is multiplied with: convert the numbers that you take from "
                "it.",
            ),
            edge(
                FLOAT64,
                0.5,
                "For float64 images nothing may be rounded to float32 on the way. " + SAME_DTYPE,
            ),
            unchanged=0.5,
            advice=advice,
        ),
    )


def on_schedules(
    points: float, *edges: Criterion, outputs: str = "", unchanged: float = 0.0, advice: str = ""
) -> tuple[Criterion, ...]:
    """The criteria of the exercises that return a schedule, with `call_in_either_precision` as the probe.

    Args:
        points: for the values of ordinary cases.
        edges: groups of edge cases.
        outputs: those whose values count in ordinary cases; default: all.
        unchanged: points for leaving inputs alone; 0 leaves this criterion out.
        advice: where to look if the values are wrong.
    """
    precision = "A schedule is float32 or float64. Look for a conversion, or for whole numbers at the start."
    return (
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=precision),
        agree("values", points, outputs=outputs, gate=True, advice=advice),
        *edges,
        *((leaves_alone(unchanged),) if unchanged else ()),
    )


def take_first(schedule: Tensor, t: Tensor) -> Tensor:
    """A number for all images: that of the first one."""
    return schedule[t[0]]


def take(schedule: Tensor, t: Tensor) -> Tensor:
    """(B, 1, 1, 1): the right number for each image, for answers that are wrong elsewhere."""
    return schedule[t].view(-1, 1, 1, 1)


def call_in_either_precision(answer: Answer, case: Case) -> Iterable[tuple[str, Any]]:
    """The probe of a schedule: call it, and let float64 pass for float32 unless an input is float64.

    A schedule from Python numbers alone may be float32, PyTorch's default, or float64, as this course has it.
    """
    precise = any(
        isinstance(value, Tensor) and value.dtype == torch.float64 for value in case.inputs.values()
    )
    for name, value in call(answer, case):
        converts = type(value) is Tensor and value.dtype == torch.float64 and not precise
        yield name, value.to(torch.float32) if converts else value
