"""The jump from an image to level t.

x0, noise        (B, C, H, W) float, x0 in [-1, 1]
t                (B,) int64, a different level for each image
alphas_cumprod   (T,) float
"""

import torch
from torch import Tensor

from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import (
    batches,
    falling_shares,
    on_batches,
    take,
    take_first,
)
from course_utils.exercises.spec import Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """See batches."""
    return [
        Case(b.words, {"x0": b.x, "t": b.t, "alphas_cumprod": b.schedule, "noise": b.noise}, b.kind)
        for b in batches(draw, falling_shares)
    ]


def without_roots(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Your factors add up to 1; it is their squares that should. alphas_cumprod is a share of the variance,
    and a factor of an image scales its standard deviation. Look at both factors."""
    share = take(alphas_cumprod, t)
    return share * x0 + (1 - share) * noise


def variance_for_standard_deviation(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Your signal is right and your noise too weak: its factor is a variance. Look at the factor of the
    noise."""
    share = take(alphas_cumprod, t)
    return share.sqrt() * x0 + (1 - share) * noise


def factors_swapped(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Your images start as noise and get clearer as t grows. The share in alphas_cumprod is the signal's.
    Look at which factor goes with which tensor."""
    share = take(alphas_cumprod, t)
    return (1 - share).sqrt() * x0 + share.sqrt() * noise


def single_step_for_the_jump(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """You add the noise of step t alone, with beta where alphas_cumprod belongs: even at the last level the
    image stays visible. The jump makes all steps up to t at once. Look at both factors."""
    before = torch.cat([torch.ones_like(alphas_cumprod[:1]), alphas_cumprod[:-1]])
    kept = take(alphas_cumprod / before, t)
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise


def one_level_for_all(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """You noise all images to the level of the first one. Each image has its own entry in t. Look at what you
    take from the schedule: it should hold a number for each image."""
    share = take_first(alphas_cumprod, t)
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


def broadcasts_over_the_columns(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Your numbers from the schedule have shape (B,), and PyTorch lines shapes up from the right: they meet
    the columns of the images. Where a batch has as many images as columns, no error tells. Look at the shape
    in which they meet (B, C, H, W)."""
    share = alphas_cumprod[t]
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


def off_by_one(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """You take the entry before the one for t, and at t = 0 the last one of the schedule, for -1 counts
    from the end: the first level is almost pure noise. Papers count steps from 1; here t is the index
    already. Look at the index."""
    share = take(alphas_cumprod, t - 1)
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


def result_in_float64(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Your numbers are right, but float32 images come back as float64 where the schedule is float64: twice
    the memory, and the chapter's networks refuse them. Look at the dtype of what you take from the
    schedule."""
    share = take(alphas_cumprod, t)
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


Q_SAMPLE = Exercise(
    id="forward_diffusion.q_sample",
    title="The jump to level t",
    signature="q_sample(x0, t, alphas_cumprod, noise)",
    returns="like x0: each image noised to its own level t",
    reference="course_utils.diffusion.forward:q_sample",
    cases=cases,
    criteria=on_batches(
        "Take one image of the batch and do it by hand: print its t, alphas_cumprod for that t, the factor "
        "of x0 and the factor of the noise. The squares of the two factors add up to 1. For the whole batch "
        "each factor needs the shape (B, 1, 1, 1).",
    ),
    misconceptions=misconceptions(
        without_roots,
        variance_for_standard_deviation,
        factors_swapped,
        single_step_for_the_jump,
        one_level_for_all,
        broadcasts_over_the_columns,
        off_by_one,
        result_in_float64,
    ),
)
