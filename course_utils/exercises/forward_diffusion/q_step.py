"""One step of noising, from level t-1 to level t.

x_prev, noise   (B, C, H, W) float
t               (B,) int64, a different level for each image
betas           (T,) float
"""

from torch import Tensor

from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import (
    batches,
    on_batches,
    rising_betas,
    take,
    take_first,
)
from course_utils.exercises.spec import Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Images as they are in the middle of the process, with numbers beyond -1 and 1."""
    return [
        Case(b.words, {"x_prev": b.x, "t": b.t, "betas": b.schedule, "noise": b.noise}, b.kind)
        for b in batches(draw, rising_betas, spread=2.0)
    ]


def beta_as_the_standard_deviation(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """Your noise is too weak: its standard deviation is beta. Beta is the variance that a step adds, and a
    factor of the noise is a standard deviation. Look at the factor of the noise."""
    beta = take(betas, t)
    return (1 - beta).sqrt() * x_prev + beta * noise


def without_roots(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """Your factors add up to 1; it is their squares that should, so that data of variance 1 keeps it. Beta
    and 1 - beta are variances. Look at both factors."""
    beta = take(betas, t)
    return (1 - beta) * x_prev + beta * noise


def jump_applied_to_x_prev(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """You apply the jump from x_0 to the image of one step ago: the noise of all steps so far is added once
    more. A single step knows its own beta alone. Look for a cumulative product."""
    share = take((1 - betas).cumprod(dim=0), t)
    return share.sqrt() * x_prev + (1 - share).sqrt() * noise


def image_not_shrunk(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """Your variance grows with every step, for noise is added and nothing taken away. A step shrinks the
    image first, by just as much as the noise brings. Look at the factor of x_prev."""
    return x_prev + take(betas, t).sqrt() * noise


def one_level_for_all(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """You noise all images at the level of the first one. Each image has its own entry in t. Look at what you
    take from the schedule: it should hold a number for each image."""
    beta = take_first(betas, t)
    return (1 - beta).sqrt() * x_prev + beta.sqrt() * noise


def broadcasts_over_the_columns(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """Your numbers from the schedule have shape (B,), and PyTorch lines shapes up from the right: they meet
    the columns of the images. Where a batch has as many images as columns, no error tells. Look at the shape
    in which they meet (B, C, H, W)."""
    beta = betas[t]
    return (1 - beta).sqrt() * x_prev + beta.sqrt() * noise


def off_by_one(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """You take the entry before the one for t, and at t = 0 the last one of the schedule, for -1 counts from
    the end. Papers count steps from 1; here t is the index already. Look at the index."""
    beta = take(betas, t - 1)
    return (1 - beta).sqrt() * x_prev + beta.sqrt() * noise


def result_in_float64(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """Your numbers are right, but float32 images come back as float64 where the schedule is float64: twice
    the memory, and the chapter's networks refuse them. Look at the dtype of what you take from the
    schedule."""
    beta = take(betas, t)
    return (1 - beta).sqrt() * x_prev + beta.sqrt() * noise


Q_STEP = Exercise(
    id="forward_diffusion.q_step",
    title="One step of noising",
    signature="q_step(x_prev, t, betas, noise)",
    returns="like x_prev: each image one step noisier, at its own level t",
    reference="course_utils.diffusion.forward:q_step",
    cases=cases,
    criteria=on_batches(
        "Take one image of the batch and do it by hand: print its t, the beta for that t, the factor of "
        "x_prev and the factor of the noise. The squares of the two factors add up to 1. For the whole "
        "batch each factor needs the shape (B, 1, 1, 1).",
    ),
    misconceptions=misconceptions(
        beta_as_the_standard_deviation,
        without_roots,
        jump_applied_to_x_prev,
        image_not_shrunk,
        one_level_for_all,
        broadcasts_over_the_columns,
        off_by_one,
        result_in_float64,
    ),
)
