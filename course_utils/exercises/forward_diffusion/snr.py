"""Signal-to-noise ratio at each level.

alphas_cumprod   (T,) float, falling
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, edge
from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import (
    call_in_either_precision,
    falling_shares,
    on_schedules,
)
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """Two lengths in float32, then float64."""

    def case(timesteps: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        shares = falling_shares(draw, timesteps).to(dtype)
        words = f"{timesteps} levels, alphas_cumprod from {shares[0]:.3f} to {shares[-1]:.3f}"
        return Case(words, {"alphas_cumprod": shares}, kind)

    return [
        case(draw.integer(5, 7)),
        case(draw.integer(9, 12)),
        case(draw.integer(5, 7), FLOAT64, torch.float64),
    ]


def inverted(alphas_cumprod: Tensor) -> Tensor:
    """Your ratio grows with t, as if images got clearer. It is noise to signal. Look at which of the two is
    on top."""
    return (1 - alphas_cumprod) / alphas_cumprod


def ratio_of_amplitudes(alphas_cumprod: Tensor) -> Tensor:
    """Your ratio is the square root of the one asked for: you divide the factors of image and noise. A
    signal-to-noise ratio compares variances. Look for roots."""
    return (alphas_cumprod / (1 - alphas_cumprod)).sqrt()


def squares_the_shares(alphas_cumprod: Tensor) -> Tensor:
    """Your ratio is the square of the one asked for. Factors have to be squared to become variances;
    alphas_cumprod is a share of the variance already. Look for squares."""
    return (alphas_cumprod / (1 - alphas_cumprod)).square()


def in_decibels(alphas_cumprod: Tensor) -> Tensor:
    """Your numbers are decibels, ten times the logarithm to base ten of the ratio. The ratio itself is asked
    for. Look at the last operation."""
    return 10 * torch.log10(alphas_cumprod / (1 - alphas_cumprod))


def natural_logarithm(alphas_cumprod: Tensor) -> Tensor:
    """Your numbers are the logarithm of the ratio. Plots show that one, for the ratio spans many powers of
    ten; here the ratio itself is asked for. Look at the last operation."""
    return torch.log(alphas_cumprod / (1 - alphas_cumprod))


def noise_rooted_signal_not(alphas_cumprod: Tensor) -> Tensor:
    """Your ratio has a variance on top and a standard deviation below. Compare like with like. Look at the
    denominator."""
    return alphas_cumprod / (1 - alphas_cumprod).sqrt()


def noise_of_the_last_step(alphas_cumprod: Tensor) -> Tensor:
    """Your ratio has below it the noise that the last step adds. The noise of all steps so far is in the
    image. Look at the denominator: signal and noise together have variance 1."""
    before = torch.cat([torch.ones_like(alphas_cumprod[:1]), alphas_cumprod[:-1]])
    return alphas_cumprod / (1 - alphas_cumprod / before)


SNR = Exercise(
    id="forward_diffusion.snr",
    title="Signal-to-noise ratio",
    signature="snr(alphas_cumprod)",
    returns="(T,) float: the signal's variance divided by the noise's",
    reference="course_utils.diffusion.schedules:snr",
    cases=cases,
    criteria=on_schedules(
        1,
        edge(
            FLOAT64,
            0.5,
            "In float64 the ratio is exact to nine digits. Look for a conversion, or for a small number that "
            "is added to the denominator.",
        ),
        unchanged=0.5,
        advice="Do one level by hand: where alphas_cumprod is 0.8, the signal has variance 0.8 and the noise "
        "0.2, so the ratio is 4.",
    ),
    misconceptions=misconceptions(
        inverted,
        ratio_of_amplitudes,
        squares_the_shares,
        in_decibels,
        natural_logarithm,
        noise_rooted_signal_not,
        noise_of_the_last_step,
    ),
    probe=call_in_either_precision,
)
