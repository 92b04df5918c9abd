"""The importance-weighted bound on log p(x), in nats.

    log_w   (K, B) float, K samples of each of B images; K and B differ

Ordinary weights lie around 1, so that the formula as it is printed works. Those of images do not: exp(-2000)
is 0 in every float, and from one image to the next they differ by factors of e^150.
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

OF_IMAGES = "log weights of images"
SINGLE = "one sample, or one image"


def cases(draw: Draw) -> list[Case]:
    """Weights that differ by factors of e^2; then an image's, below 1e-800, and a density's, above 1e200."""

    def case(
        k: int, b: int, kind: str = ORDINARY, around: float = 0.0, dtype: torch.dtype = torch.float32
    ) -> Case:
        of_each_image = draw.normal(b, dtype=dtype) + around
        if kind == OF_IMAGES:
            of_each_image += 150 * torch.arange(b)
        log_w = draw.shuffled(of_each_image) + 2 * draw.normal(k, b, dtype=dtype)
        words = f"{k} sample{'s' if k > 1 else ''} of {b} image{'s' if b > 1 else ''}"
        return Case(
            words + (f", log weights from about {around:.0f}" if around else ""), {"log_w": log_w}, kind
        )

    k, b = draw.integer(6, 8), draw.integer(3, 5)
    return [
        case(k, b),
        case(b, k + 3),
        case(k, b, OF_IMAGES, around=-draw.real(2400, 2600)),
        case(b, k, OF_IMAGES, around=draw.real(500, 600)),
        case(1, b, SINGLE),
        case(k, 1, SINGLE),
        case(b, k, FLOAT64, dtype=torch.float64),
    ]


def mean_of_the_logarithms(log_w: Tensor) -> Tensor:
    """You average the log weights: that estimates the ELBO, however many samples there are. The bound is the
    logarithm of the mean weight, and the two do not commute. Look at their order."""
    return log_w.mean(dim=0)


def number_of_samples_forgotten(log_w: Tensor) -> Tensor:
    """Your result grows with K even where all weights are equal: it is the logarithm of their sum. A mean is
    asked for. What does the division become under a logarithm?"""
    return log_w.logsumexp(dim=0)


def number_of_samples_added(log_w: Tensor) -> Tensor:
    """Your result exceeds the largest log weight, and no mean does that: log K has the wrong sign. A division
    inside a logarithm becomes what outside of it?"""
    return log_w.logsumexp(dim=0) + math.log(len(log_w))


def mean_over_images(log_w: Tensor) -> Tensor:
    """Your result has a number for each sample: you go over the images. The weights of one image belong
    together, and they stand in a column. Look at the dimension."""
    return log_w.logsumexp(dim=1) - math.log(log_w.shape[1])


def largest_weight(log_w: Tensor) -> Tensor:
    """Your result is the largest log weight. It often dominates the mean, but the others count too, and all K
    of them divide. It can lie above log p(x); the bound does not, on average."""
    return log_w.amax(dim=0)


def logarithm_left_out(log_w: Tensor) -> Tensor:
    """Your result is the mean weight itself, which is never negative. A bound on log p(x) is asked for, in
    nats."""
    return log_w.exp().mean(dim=0)


def one_maximum_for_all_images(log_w: Tensor) -> Tensor:
    """Your result is right while the images are about equally likely. You take out one number for the whole
    batch; beside the likeliest image the weights of the others are 0 all the same. Each image has a largest
    weight of its own."""
    return (log_w - log_w.max()).exp().mean(dim=0).log() + log_w.max()


def exp_underflows(log_w: Tensor) -> Tensor:
    """Your formula is right, but not in floating point: for an image of 784 pixels exp(log_w) is 0, and for a
    density it may be infinite. Only the differences between the log weights of an image matter: take out
    something that they have in common first, or look for a function of torch that does."""
    return log_w.exp().mean(dim=0).log()


IWAE_BOUND = Exercise(
    id="vae.iwae_bound",
    title="The importance-weighted bound",
    signature="iwae_bound(log_w)",
    returns="(B,) float, nats: the logarithm of the mean weight of each image",
    reference="course_utils.vae:iwae_bound",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            OF_IMAGES,
            1,
            "exp(-2000) is 0 in float32 and in float64, and exp(500) is infinite in float32. Where the "
            "largest weight of each image is taken out first, neither happens.",
        ),
        edge(SINGLE, 0.5, "With one sample the bound is its log weight. Look for squeeze()."),
        edge(FLOAT64, 0.5, f"{SAME_DTYPE} torch.tensor(3) has a logarithm of 7 digits, 3 one of 16."),
        unchanged=0.5,
        advice="Two checks: where all K log weights are equal, the bound is that number. Where one weight is "
        "far larger than the rest, it is log K below that one.",
    ),
    misconceptions=misconceptions(
        mean_of_the_logarithms,
        number_of_samples_forgotten,
        number_of_samples_added,
        mean_over_images,
        largest_weight,
        logarithm_left_out,
        one_maximum_for_all_images,
        exp_underflows,
    ),
)
