"""Velocity: the third view of image and noise.

x0, noise        (B, C, H, W) float, x0 in [-1, 1]
t                (B,) int64, a different level for each image
alphas_cumprod   (T,) float
"""

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
        Case(b.words, {"x0": b.x, "t": b.t, "noise": b.noise, "alphas_cumprod": b.schedule}, b.kind)
        for b in batches(draw, falling_shares)
    ]


def sign_flipped(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your velocity has the right size and points back, from noise to image. v is counted in the direction of
    more noise. Look at both signs."""
    share = take(alphas_cumprod, t)
    return (1 - share).sqrt() * x0 - share.sqrt() * noise


def roles_swapped(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You have image and noise in each other's place. In v each of them has the factor that the other one has
    in x_t, and the image is the one that is subtracted. Look at which factor goes with which tensor."""
    share = take(alphas_cumprod, t)
    return share.sqrt() * x0 - (1 - share).sqrt() * noise


def factors_swapped(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your signs are right, and the factors are in each other's place: image and noise have those of x_t.
    In v they are exchanged, and early on, where x_t is almost x_0, v is almost the noise. Look at both
    factors."""
    share = take(alphas_cumprod, t)
    return (1 - share).sqrt() * noise - share.sqrt() * x0


def sum_for_difference(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your factors are right, and the terms are added. As noise comes in, signal goes out: v says how x_t
    changes, and one of its two parts shrinks. Look at the sign between the terms."""
    share = take(alphas_cumprod, t)
    return share.sqrt() * noise + (1 - share).sqrt() * x0


def difference_without_factors(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your velocity is the same at every level: noise minus image. That is the one of flow matching, where a
    straight line leads from one to the other. Here it depends on t. Look for the schedule."""
    return noise - x0


def without_roots(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your factors add up to 1; it is their squares that should, for v is x_t turned by a right angle in the
    plane of image and noise. Look at both factors."""
    share = take(alphas_cumprod, t)
    return share * noise - (1 - share) * x0


def one_level_for_all(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You treat all images as if they were at the level of the first one. Each image has its own entry in t.
    Look at what you take from the schedule: it should hold a number for each image."""
    share = take_first(alphas_cumprod, t)
    return share.sqrt() * noise - (1 - share).sqrt() * x0


def result_in_float64(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your numbers are right, but float32 images come back as float64 where the schedule is float64: twice
    the memory, and the chapter's networks refuse them. Look at the dtype of what you take from the
    schedule."""
    share = take(alphas_cumprod, t)
    return share.sqrt() * noise - (1 - share).sqrt() * x0


VELOCITY = Exercise(
    id="forward_diffusion.velocity",
    title="Velocity",
    signature="velocity(x0, t, noise, alphas_cumprod)",
    returns="like x0: v at each image's own level t",
    reference="course_utils.diffusion.forward:velocity",
    cases=cases,
    criteria=on_batches(
        "Take one image of the batch and do it by hand: print its t, alphas_cumprod for that t, the factor "
        "of the noise and the factor of x0. Early on v is almost the noise, late it is almost minus the "
        "image. For the whole batch each factor needs the shape (B, 1, 1, 1).",
    ),
    misconceptions=misconceptions(
        sign_flipped,
        roles_swapped,
        factors_swapped,
        sum_for_difference,
        difference_without_factors,
        without_roots,
        one_level_for_all,
        result_in_float64,
    ),
)
