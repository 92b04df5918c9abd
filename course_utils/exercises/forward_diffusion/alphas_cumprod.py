"""The share of the signal's variance left after each step.

betas   (T,) float, in no order, large enough for sums and products to differ
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, edge
from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import (
    call_in_either_precision,
    on_schedules,
    rising_betas,
)
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Two lengths in float32, then float64."""

    def case(timesteps: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        betas = draw.shuffled(rising_betas(draw, timesteps)).to(dtype)
        words = f"{timesteps} variances from {betas.min():.3f} to {betas.max():.3f}, in no order"
        return Case(words, {"betas": betas}, kind)

    return [
        case(draw.integer(5, 7)),
        case(draw.integer(9, 12)),
        case(draw.integer(5, 7), FLOAT64, torch.float64),
    ]


def cumsum_for_cumprod(betas: Tensor) -> Tensor:
    """Your numbers grow beyond 1. Each step multiplies what is left by what it keeps, so shares are
    multiplied up, not added. Look at the name of the function."""
    return (1 - betas).cumsum(dim=0)


def cumprod_of_the_betas(betas: Tensor) -> Tensor:
    """Your numbers vanish within a few steps: you multiply what the steps add, not what they keep. Look at
    what your product runs over."""
    return betas.cumprod(dim=0)


def one_minus_the_product_of_betas(betas: Tensor) -> Tensor:
    """Your numbers grow towards 1, as if noise gave signal back. 1 minus a product is not the product of 1
    minus each. Look at the order of the two operations."""
    return 1 - betas.cumprod(dim=0)


def not_cumulated(betas: Tensor) -> Tensor:
    """Your numbers are what each single step keeps. What is left after all steps up to t is asked for. Look
    for where the steps are joined."""
    return 1 - betas


def one_minus_the_sum(betas: Tensor) -> Tensor:
    """Your numbers subtract the variances of all steps, and end below 0. That is close for small ones, but a
    step takes its part of what is left, not of the whole. Look at how the steps are joined."""
    return 1 - betas.cumsum(dim=0)


def padded_with_one(betas: Tensor) -> Tensor:
    """Your numbers come a step late: the first one is 1, as if nothing had happened yet. Entry 0 belongs to
    the first step, after which some noise is in the image. Look at the first entry."""
    kept = (1 - betas).cumprod(dim=0)
    return torch.cat([torch.ones_like(kept[:1]), kept[:-1]])


def of_the_square_roots(betas: Tensor) -> Tensor:
    """Your numbers are the factors of the signal itself. Its share of the variance is the square of that; the
    root is taken where an image is noised. Look for a root."""
    return (1 - betas).sqrt().cumprod(dim=0)


def changes_its_input(betas: Tensor) -> Tensor:
    """Your numbers are right, but the betas are overwritten by them, and every later step of the chapter
    would use them as variances. Look for methods that end in an underscore."""
    return betas.neg_().add_(1).cumprod_(dim=0)


ALPHAS_CUMPROD = Exercise(
    id="forward_diffusion.alphas_cumprod",
    title="What is left of the signal",
    signature="alphas_cumprod(betas)",
    returns="(T,) float: the product of 1 - beta over all steps up to t",
    reference="course_utils.diffusion.schedules:alphas_cumprod",
    cases=cases,
    criteria=on_schedules(
        1,
        edge(
            FLOAT64,
            0.5,
            "Schedules are float64, and stay so: a product of a thousand numbers near 1 collects every "
            "rounding. Look for a conversion, or for a tensor created on the way.",
        ),
        unchanged=0.5,
        advice="Do the first three by hand: what the first step keeps; that times what the second one keeps; "
        "and once more.",
    ),
    misconceptions=misconceptions(
        cumsum_for_cumprod,
        cumprod_of_the_betas,
        one_minus_the_product_of_betas,
        not_cumulated,
        one_minus_the_sum,
        padded_with_one,
        of_the_square_roots,
        changes_its_input,
    ),
    probe=call_in_either_precision,
)
