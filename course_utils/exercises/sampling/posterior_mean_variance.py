"""The posterior of a step: where x_{t-1} lies, if x_t and x_0 are known.

x0, x_t    (B, C, H, W) float, all four sizes different
t          (B,) int64, 0..T-1, a level for each image
betas      (T,) float
mean       like x_t
variance   (B, 1, 1, 1)
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, leaves_alone, runs
from course_utils.exercises.draw import Draw
from course_utils.exercises.sampling.common import (
    DTYPES,
    SAME_DTYPE_AS_IMAGES,
    draw_betas,
    per_image,
    shares,
    shares_before,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

FIRST_LEVEL = "t = 0"


def cases(draw: Draw) -> list[Case]:
    """Levels from 1 to T-1, both among them; then level 0, before which there is none; then other dtypes."""

    def case(
        shape: tuple[int, int, int, int],
        lowest: int,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        timesteps = draw.integer(7, 9)
        levels = [timesteps - 1, lowest, *(draw.integer(2, timesteps - 2) for _ in range(shape[0] - 2))]
        inputs = {
            "x0": 2 * draw.uniform(*shape, dtype=dtype) - 1,
            "x_t": draw.normal(*shape, dtype=dtype),
            "t": draw.shuffled(torch.tensor(levels)),
            "betas": draw_betas(draw, timesteps, schedule),
        }
        dtypes = ", ".join(f"{name} {str(inputs[name].dtype)[6:]}" for name in ("x_t", "betas"))
        words = f"{shape[0]} images of shape {shape[1:]}, T = {timesteps}, t = {inputs['t'].tolist()}"
        return Case(words + (f", {dtypes}" if kind == DTYPES else ""), inputs, kind)

    b, h, w = draw.integer(5, 6), draw.integer(7, 8), draw.integer(9, 10)
    return [
        case((b, 1, h, w), 1),
        case((4, 3, w, h), 1),
        case((b, 2, h, w), 0, FIRST_LEVEL),
        case((b, 2, h, w), 1, DTYPES, torch.float32, torch.float64),
        case((4, 1, h, w), 1, DTYPES, torch.float64, torch.float64),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Both results together, for type and shape, and then one by one."""
    result = answer(*case.inputs.values())
    yield "result", result
    if isinstance(result, tuple | list) and len(result) == 2:
        yield "mean", result[0]
        yield "variance", result[1]


def mixture(
    x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor, of_x0: Tensor, of_x_t: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance from tables of (T,) that are still to be divided by 1 - abar."""
    a, b, v = (per_image(table / (1 - shares(betas)), t, x_t) for table in (of_x0, of_x_t, variance))
    return a * x0 + b * x_t, v


def with_previous(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The right formulas on a table of abar_{t-1} that may be wrong."""
    of_x_t = (1 - before) * (1 - betas).sqrt()
    return mixture(x0, x_t, t, betas, betas * before.sqrt(), of_x_t, betas * (1 - before))


def right(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """For answers that are wrong elsewhere."""
    return with_previous(x0, x_t, t, betas, shares_before(betas))


def pads_on_the_right(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your abar of level t-1 is that of level t+1: the table is moved the wrong way, and the 1 stands at its
    end. It belongs to the clean image, which comes before level 0. Look at the side on which you pad."""
    return with_previous(x0, x_t, t, betas, torch.cat([shares(betas)[1:], torch.ones_like(betas[:1])]))


def wraps_around_at_0(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your result is right for every t but 0. There t - 1 is -1, which Python reads as the last entry: the
    noisiest level instead of the clean image. Look at what stands before the first entry of your table."""
    return with_previous(x0, x_t, t, betas, shares(betas).roll(1))


def same_level_for_both(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """You use abar of level t where that of level t-1 belongs. The step leads from one level to the next, and
    both of them are in the formula. Look for the two different abars."""
    return with_previous(x0, x_t, t, betas, shares(betas))


def beta_for_the_variance(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your mean is right; your variance is beta_t, which is that of a step forward. Looking back, x_0 is
    known too, and knowing more leaves less variance. Look at the factor that comes on top of beta_t."""
    return right(x0, x_t, t, betas)[0], per_image(betas, t, x_t)


def coefficients_swapped(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your variance is right; in your mean x0 and x_t have each other's factors. At small t the mean lies
    near x0, at large t near x_t. Look at which factor goes with which."""
    return right(x_t, x0, t, betas)


def alpha_without_root(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your variance is right; in your mean the factor of x_t is too small: it has 1 - beta_t itself. Factors
    of images are roots, as in the step forward. Look at the factor of x_t."""
    before = shares_before(betas)
    of_x_t = (1 - before) * (1 - betas)
    return mixture(x0, x_t, t, betas, betas * before.sqrt(), of_x_t, betas * (1 - before))


def standard_deviation(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your mean is right; your second result is the standard deviation, the root of what is asked for. Look
    at the last step."""
    mean, variance = right(x0, x_t, t, betas)
    return mean, variance.sqrt()


def variance_without_dimensions(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Your numbers are right, but your variance is a row. A row meets an image along its width, and not along
    the batch. Give it three more dimensions of size 1."""
    mean, variance = right(x0, x_t, t, betas)
    return mean, variance.flatten()


POSTERIOR_MEAN_VARIANCE = Exercise(
    id="sampling.posterior_mean_variance",
    title="The posterior of a step",
    signature="posterior_mean_variance(x0, x_t, t, betas)",
    returns="(mean, variance): mean like x_t, variance (B, 1, 1, 1), of x_{t-1} where x_t and x_0 are known",
    reference="course_utils.diffusion.samplers:posterior_mean_variance",
    cases=cases,
    criteria=(
        runs(
            "What is taken from a schedule at t has shape (B,). It needs the shape (B, 1, 1, 1) to meet "
            "images along the batch."
        ),
        agree("type", 0, outputs="result", stages=TYPE, gate=True),
        agree("shape", 0, outputs="result", stages=STAGES[:2], gate=True),
        agree("dtype", 0, outputs="result", stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        agree(
            "mean",
            1.5,
            outputs="mean",
            gate=True,
            advice="Print the two factors for each level. That of x0 is 1 at t = 0 and small at T-1; the "
            "two add up to nearly 1, never to more.",
        ),
        agree(
            "variance",
            1,
            outputs="variance",
            advice="It is smaller than beta_t at every level, nearly beta_t at the last one, and 0 at the "
            "first. Print it beside betas.",
        ),
        agree(
            FIRST_LEVEL,
            0.5,
            kind=FIRST_LEVEL,
            advice="One step before level 0 the image is clean: abar is 1 there, the mean is x0, and the "
            "variance 0. Print your table of abar_{t-1} beside that of abar_t.",
        ),
        agree(DTYPES, 0.5, kind=DTYPES, outputs="mean", advice=SAME_DTYPE_AS_IMAGES),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        pads_on_the_right,
        wraps_around_at_0,
        same_level_for_both,
        beta_for_the_variance,
        coefficients_swapped,
        alpha_without_root,
        standard_deviation,
        variance_without_dimensions,
    ),
    probe=probe,
)
