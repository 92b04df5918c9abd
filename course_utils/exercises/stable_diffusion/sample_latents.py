"""Latents from what the encoder says.

moments          (B, 2C, h, w) float: means, then logs of variances, +3 and -3 among them
eps              (B, C, h, w) float
scaling_factor   float, well below 1
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

CLAMPED = "logvar is clamped"


def cases(draw: Draw) -> list[Case]:
    """Small and large variances; then logvars beyond the limits; then float64."""

    def case(kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        b, c, h, w = draw.integer(2, 3), draw.integer(4, 5), draw.integer(6, 7), draw.integer(8, 9)
        mean, logvar = draw.normal(b, c, h, w, dtype=dtype), draw.normal(b, c, h, w, dtype=dtype)
        logvar[:, 0], logvar[:, 1] = 3, -3
        if kind == CLAMPED:
            logvar[:, 0], logvar[:, 1] = draw.real(25, 35), draw.real(-60, -40)
        factor = draw.real(0.15, 0.4)
        inputs = {
            "moments": torch.cat([mean, logvar], dim=1),
            "eps": draw.normal(b, c, h, w, dtype=dtype),
            "scaling_factor": factor,
        }
        return Case(f"moments of shape {(b, 2 * c, h, w)}, scaling factor {factor:.3g}", inputs, kind)

    return [case(), case(), case(CLAMPED), case(FLOAT64, torch.float64)]


def halves(moments: Tensor) -> tuple[Tensor, Tensor]:
    """The right mean and logvar, for answers that are wrong elsewhere."""
    mean, logvar = moments.chunk(2, dim=1)
    return mean, logvar.clamp(-30, 20)


def variance_for_standard_deviation(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You multiply eps by the variance. Numbers scaled by a factor have their standard deviation scaled by
    it, and their variance by its square. Look at what you make of logvar."""
    mean, logvar = halves(moments)
    return scaling_factor * (mean + logvar.exp() * eps)


def log_of_the_standard_deviation(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You take half of logvar for the standard deviation itself. It is the log of it: where the variance is
    1, you add no noise at all, and elsewhere the sign can turn. Look at what is missing after the half."""
    mean, logvar = halves(moments)
    return scaling_factor * (mean + 0.5 * logvar * eps)


def not_scaled(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You return the codes as the autoencoder has them. The U-Net expects numbers of about unit variance, and
    the factor makes them so. Look for the argument that you do not use."""
    mean, logvar = halves(moments)
    return mean + (0.5 * logvar).exp() * eps


def divided_by_the_factor(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You divide by the scaling factor. That is the way back, before decoding. Look at the last step."""
    mean, logvar = halves(moments)
    return (mean + (0.5 * logvar).exp() * eps) / scaling_factor


def only_the_noise_scaled(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """Your factor reaches the noise and leaves the mean as it is. It scales the whole code. Look at the
    brackets."""
    mean, logvar = halves(moments)
    return mean + scaling_factor * (0.5 * logvar).exp() * eps


def halves_swapped(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You take the first half of the channels for logvar and the second for the mean. It is the other way
    round. Look at how you take moments apart."""
    logvar, mean = moments.chunk(2, dim=1)
    return scaling_factor * (mean + (0.5 * logvar.clamp(-30, 20)).exp() * eps)


def not_clamped(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """Your latents are right unless logvar is very large: there they explode, and with them everything that
    follows. The exercise names limits for it. Look for them."""
    mean, logvar = moments.chunk(2, dim=1)
    return scaling_factor * (mean + (0.5 * logvar).exp() * eps)


def mean_only(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """You return the scaled means, whatever eps is. They are one of the codes that stand for the image; eps
    chooses among all of them. Look for the argument that you do not use."""
    return scaling_factor * halves(moments)[0]


SAMPLE_LATENTS = Exercise(
    id="stable_diffusion.sample_latents",
    title="Latents from moments",
    signature="sample_latents(moments, eps, scaling_factor)",
    returns="like eps: a draw from the encoder's Gaussian, times the scaling factor; logvar clamped to "
    "[-30, 20]",
    reference="course_utils.stable_diffusion.autoencoder_kl:sample_latents",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            CLAMPED,
            0.5,
            "Some logvars are far beyond -30 and 20 here. What is beyond a limit counts as the limit, for "
            "logvar, before anything is made of it.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Three steps: take moments apart along the channels; draw, as in chapter 3, with mean and "
        "standard deviation; scale. Print the three for one pixel.",
    ),
    misconceptions=misconceptions(
        variance_for_standard_deviation,
        log_of_the_standard_deviation,
        not_scaled,
        divided_by_the_factor,
        only_the_noise_scaled,
        halves_swapped,
        not_clamped,
        mean_only,
    ),
)
