"""Two guesses of the noise, combined.

noise_uncond, noise_cond   (B, C, H, W) float, unbounded
scale                      float, 1 = no guidance
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Weak guidance, strong guidance, a scale between 0 and 1; then float64."""

    def case(scale: float, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        shape = draw.integer(2, 3), draw.integer(4, 5), draw.integer(6, 7), draw.integer(8, 9)
        inputs = {
            "noise_uncond": draw.normal(*shape, dtype=dtype),
            "noise_cond": draw.normal(*shape, dtype=dtype),
            "scale": scale,
        }
        return Case(f"{shape[0]} guesses of shape {shape[1:]}, scale {scale:.3g}", inputs, kind)

    return [
        case(draw.real(2, 4)),
        case(draw.real(6, 9)),
        case(draw.real(0.3, 0.7)),
        case(draw.real(2, 4), FLOAT64, torch.float64),
    ]


def scale_of_the_paper(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """Your guidance is stronger by 1 than asked for: at scale 0 you return the conditional guess. That is the
    paper's w, which counts from there. The scale of this course is 1 where there is no guidance. Look at the
    guess that you start from."""
    return noise_cond + scale * (noise_cond - noise_uncond)


def scale_reduced_by_1(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """Your guidance is weaker by 1 than asked for: at scale 1 you return the unconditional guess. It is the
    scale of the paper that is smaller by 1. Check what you return at scale 1."""
    return noise_uncond + (scale - 1) * (noise_cond - noise_uncond)


def roles_swapped(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """You go from the conditional guess towards the unconditional one, and beyond: away from the class. Check
    what you return at scale 1."""
    return noise_cond + scale * (noise_uncond - noise_cond)


def difference_alone(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """You return the scaled difference of the guesses. It is the direction in which to go. Check what you
    return at scale 0: it should be the unconditional guess."""
    return scale * (noise_cond - noise_uncond)


def sum_without_difference(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """You add the scaled conditional guess to the unconditional one: at scale 1 that is two guesses of noise,
    and twice the noise. Check what you return at scale 1."""
    return noise_uncond + scale * noise_cond


def weighted_mean(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """You return a weighted mean, which lies between the two guesses at any scale. Guidance goes beyond the
    conditional one. Check what you return at scale 1."""
    return (noise_uncond + scale * noise_cond) / (1 + scale)


def clamps_the_noise(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """You clamp the result to [-1, 1], which is the range of images. Noise has none. Look at the last
    step."""
    return (noise_uncond + scale * (noise_cond - noise_uncond)).clamp(-1, 1)


def changes_its_input(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """Your result is right, but it overwrites one of the guesses. Look for an assignment in place."""
    noise_uncond += scale * (noise_cond - noise_uncond)
    return noise_uncond


GUIDED_NOISE = Exercise(
    id="sampling.guided_noise",
    title="Guidance",
    signature="guided_noise(noise_uncond, noise_cond, scale)",
    returns="like noise_uncond: the unconditional guess at scale 0, the conditional one at scale 1, beyond "
    "it above",
    reference="course_utils.diffusion.guidance:guided_noise",
    cases=cases,
    criteria=ladder(
        1,
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="The results for all scales lie on one line. At scale 0 it passes through the unconditional "
        "guess, at scale 1 through the conditional one. Try both.",
    ),
    misconceptions=misconceptions(
        scale_of_the_paper,
        scale_reduced_by_1,
        roles_swapped,
        difference_alone,
        sum_without_difference,
        weighted_mean,
        clamps_the_noise,
        changes_its_input,
    ),
)
