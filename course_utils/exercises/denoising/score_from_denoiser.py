"""The score of noisy data, from a denoiser.

denoised, noisy   (B, D) or (B, C, H, W) float
sigma             float, well below 1 or well above it: near 1 it is hard to tell from its square
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Points under weak noise and under strong noise, images, and float64."""

    def case(sigma: float, *shape: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        denoised = 1 + draw.normal(*shape, dtype=dtype)
        noisy = denoised + sigma * draw.normal(*shape, dtype=dtype)
        inputs = {"denoised": denoised, "noisy": noisy, "sigma": sigma}
        return Case(f"shape {shape}, sigma {sigma:.3f}", inputs, kind)

    def weak() -> float:
        return draw.real(0.2, 0.4)

    b = draw.integer(5, 9)
    return [
        case(weak(), b, 2),
        case(draw.real(2, 3), b + 1, 3),
        case(weak(), 2, 3, 4, b),
        case(weak(), b, 2, kind=FLOAT64, dtype=torch.float64),
    ]


def sign_flipped(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows point away from the data. The score points to where the density grows, and denoising goes
    there too. Look at which of the two points you start from."""
    return (noisy - denoised) / sigma**2


def divides_by_sigma(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows point the right way, with the wrong length: you divide by the standard deviation. Tweedie's
    formula has the variance of the noise in it. Look at the denominator."""
    return (denoised - noisy) / sigma


def not_divided(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows run from the noisy points to the denoised ones. The score points the same way and has
    another length, which depends on the noise level. Look for where sigma enters."""
    return denoised - noisy


def multiplies_by_the_variance(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows get shorter where they should get longer: you multiply by the variance. Tweedie's formula
    gives the denoised point from the score; here it is solved for the score. Look at what that does to the
    variance."""
    return (denoised - noisy) * sigma**2


def denoised_without_the_difference(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows depend on the denoised points alone. The score is a direction at the noisy point: it says
    where to go from there. Look at the numerator."""
    return denoised / sigma**2


def divides_twice(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your arrows point the right way, and the variance divides them twice. Is sigma squared in one line, and
    the result squared again in another? Look at the denominator."""
    return (denoised - noisy) / sigma**4


def returns_the_noise(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your result is the noise that the denoiser takes away, in units of sigma. It is related to the score
    and not equal to it: direction and length differ. Look at sign and denominator."""
    return (noisy - denoised) / sigma


def changes_its_input(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """Your scores are right, but the denoised points are overwritten by the difference: who plots them next
    sees wrong points. Look for an assignment in place."""
    denoised -= noisy
    return denoised / sigma**2


SCORE_FROM_DENOISER = Exercise(
    id="denoising.score_from_denoiser",
    title="The score, from a denoiser",
    signature="score_from_denoiser(denoised, noisy, sigma)",
    returns="like noisy: the gradient of the logarithm of the noisy data's density",
    reference="course_utils.denoising:score_from_denoiser",
    cases=cases,
    criteria=ladder(
        3,
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Tweedie's formula says: the denoised point is the noisy one plus sigma squared times the "
        "score. Solve it for the score on paper, then compare one number.",
    ),
    misconceptions=misconceptions(
        sign_flipped,
        divides_by_sigma,
        not_divided,
        multiplies_by_the_variance,
        denoised_without_the_difference,
        divides_twice,
        returns_the_noise,
        changes_its_input,
    ),
)
