"""The image in x_t, where its noise is known.

x_t, noise       (B, C, H, W) float, drawn apart: as good as a bad guess of the noise, which leaves [-1, 1]
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
        Case(b.words, {"x_t": b.x, "t": b.t, "noise": b.noise, "alphas_cumprod": b.schedule}, b.kind)
        for b in batches(draw, falling_shares, spread=2.0)
    ]


def sign_flipped(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You add the noise a second time. It is in x_t already, and has to be taken out. Look at the sign."""
    share = take(alphas_cumprod, t)
    return (x_t + (1 - share).sqrt() * noise) / share.sqrt()


def not_divided(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your images are right but pale, the more so the later t is: the noise is gone, and the signal is still
    as weak as the jump has made it. Look at what is left to undo."""
    return x_t - (1 - take(alphas_cumprod, t)).sqrt() * noise


def divides_by_the_share(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your images have too much contrast, the more so the later t is: you divide by alphas_cumprod, a share
    of the variance. The jump has multiplied x_0 by something larger. Look at the denominator."""
    share = take(alphas_cumprod, t)
    return (x_t - (1 - share).sqrt() * noise) / share


def divides_the_noise_alone(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You divide the noise alone, and x_t stays as it is: in Python a division comes before a subtraction.
    The whole difference is to be divided. Look for missing brackets."""
    share = take(alphas_cumprod, t)
    return x_t - (1 - share).sqrt() * noise / share.sqrt()


def variance_for_standard_deviation(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You take out too little noise: its factor is a variance. What the jump has put in is what has to come
    out. Look at the factor of the noise."""
    share = take(alphas_cumprod, t)
    return (x_t - (1 - share) * noise) / share.sqrt()


def clamped(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your images are right, but clamped to [-1, 1]. Samplers of later chapters do that afterwards, where it
    is wanted; an inverse of the jump has to give back what it finds. Look at the last step."""
    share = take(alphas_cumprod, t)
    return ((x_t - (1 - share).sqrt() * noise) / share.sqrt()).clamp(-1, 1).to(x_t.dtype)


def one_level_for_all(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You treat all images as if they were at the level of the first one. Each image has its own entry in t.
    Look at what you take from the schedule: it should hold a number for each image."""
    share = take_first(alphas_cumprod, t)
    return (x_t - (1 - share).sqrt() * noise) / share.sqrt()


def result_in_float64(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your numbers are right, but float32 images come back as float64 where the schedule is float64: twice
    the memory, and the chapter's networks refuse them. Look at the dtype of what you take from the
    schedule."""
    share = take(alphas_cumprod, t)
    return (x_t - (1 - share).sqrt() * noise) / share.sqrt()


PREDICT_X0 = Exercise(
    id="forward_diffusion.predict_x0",
    title="Back from x_t, with the noise known",
    signature="predict_x0(x_t, t, noise, alphas_cumprod)",
    returns="like x_t: the images from which the jump with this noise leads to x_t",
    reference="course_utils.diffusion.forward:predict_x0",
    cases=cases,
    criteria=on_batches(
        "Write down the jump from x_0 to x_t and solve it for x_0 on paper: which term moves to the other "
        "side, and what divides the rest? Then check one image by hand. For the whole batch each factor "
        "needs the shape (B, 1, 1, 1).",
    ),
    misconceptions=misconceptions(
        sign_flipped,
        not_divided,
        divides_by_the_share,
        divides_the_noise_alone,
        variance_for_standard_deviation,
        clamped,
        one_level_for_all,
        result_in_float64,
    ),
)
