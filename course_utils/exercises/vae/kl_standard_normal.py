"""The divergence of q(z|x) from the prior N(0, I), in nats.

mu, logvar   (B, D) float; B and D differ; logvar lies around 3 and around -3
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions
from course_utils.exercises.vae.reparameterize import draw_logvar

NARROW = "very narrow posteriors"
SINGLE = "a batch of one, and a single latent"


def cases(draw: Draw) -> list[Case]:
    """Means and widths that differ from the prior's; the narrow ones have variances around 1e-10."""

    def case(
        b: int, d: int, kind: str = ORDINARY, shift: float = 0.0, dtype: torch.dtype = torch.float32
    ) -> Case:
        mu = 2 * draw.normal(b, d, dtype=dtype)
        inputs = {"mu": mu, "logvar": draw_logvar(draw, b, d, dtype) + shift}
        words = f"{b} code{'s' if b > 1 else ''} of {d} number{'s' if d > 1 else ''}"
        return Case(words + (f", logvar around {shift:.0f}" if shift else ""), inputs, kind)

    b, d = draw.integer(6, 8), draw.integer(3, 5)
    return [
        case(b, d),
        case(2, b + d),
        case(d, b, NARROW, shift=-draw.real(22, 25)),
        case(1, d, SINGLE),
        case(b, 1, SINGLE),
        case(d, b, FLOAT64, dtype=torch.float64),
    ]


def of_each_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """(B, D), for answers that are wrong elsewhere."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def mean_over_latents(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your divergences are averaged over the latents. The latents are independent, so their divergences add
    up; the mean makes the KL weaker by a factor D beside the reconstruction. Look at the reduction."""
    return of_each_latent(mu, logvar).mean(dim=1)


def mean_over_the_batch(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your result is one number, averaged over the batch. Here each example keeps its own; the loss averages
    later. Look at the last step."""
    return of_each_latent(mu, logvar).sum(dim=1).mean()


def sum_over_everything(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your result is one number, summed over latents and over the batch: it grows with the batch size. Each
    example has its own divergence. Look at the dimensions over which you sum."""
    return of_each_latent(mu, logvar).sum()


def sign_reversed(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your divergences are negative. A KL divergence never is: as a loss, yours would drive q away from the
    prior. Papers print its negative as a part of the ELBO, which is maximised. Look at the sign in front."""
    return -of_each_latent(mu, logvar).sum(dim=1)


def half_missing(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your divergences are twice what they should be. A Gaussian's log density has a factor in front of its
    square and of its logarithm. Which one?"""
    return 2 * of_each_latent(mu, logvar).sum(dim=1)


def logvar_read_as_log_deviation(mu: Tensor, logvar: Tensor) -> Tensor:
    """You take logvar for the logarithm of the standard deviation: your variance is its square. It is the
    logarithm of the variance already. Look at what you do to it before and inside exp."""
    return of_each_latent(mu, 2 * logvar).sum(dim=1)


def exp_missing(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your result does not depend on logvar: it stands where the variance belongs, and then cancels. Of the
    two places in which the width of q occurs, one takes the variance, the other one its logarithm."""
    return 0.5 * (mu.square() - 1 + 0 * logvar).sum(dim=1)


def constant_in_the_logarithm(mu: Tensor, logvar: Tensor) -> Tensor:
    """Your divergences are right unless q is very narrow: you take the logarithm of the variance plus a small
    constant, and there the constant is larger than the variance. A logarithm of an exponential need not be
    computed at all. Look at what the encoder hands you."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - (logvar.exp() + 1e-8).log()).sum(dim=1)


KL_STANDARD_NORMAL = Exercise(
    id="vae.kl_standard_normal",
    title="The divergence of q(z|x) from the prior",
    signature="kl_standard_normal(mu, logvar)",
    returns="(B,) float, nats: KL( N(mu, exp(logvar)) || N(0, I) ) of each example, summed over the latents",
    reference="course_utils.vae:kl_standard_normal",
    cases=cases,
    criteria=ladder(
        2,
        edge(
            NARROW,
            0.5,
            "A variance of 1e-11 is small, but its logarithm is an ordinary number, and you are given it. "
            "Look for a small constant, or for a logarithm that need not be taken.",
        ),
        edge(SINGLE, 0.5, "The result has one number for each example, always. Look for squeeze()."),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Three checks: it is 0 where mu and logvar are 0; where only one mu is not 0, it is half its "
        "square; it is never negative. Which of them fails?",
    ),
    misconceptions=misconceptions(
        mean_over_latents,
        mean_over_the_batch,
        sum_over_everything,
        sign_reversed,
        half_missing,
        logvar_read_as_log_deviation,
        exp_missing,
        constant_in_the_logarithm,
    ),
)
