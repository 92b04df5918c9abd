"""Noise on images, within their range.

x       (B, C, H, W) float in [0, 1], all four sizes different
noise   like x, standard normal
sigma   float, the standard deviation of the noise in grey values
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, draws_nothing, edge, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

CLAMPED = "clamped to [0, 1]"


def cases(draw: Draw) -> list[Case]:
    """Ordinary images are grey and their noise is weak: nothing has to be clamped. Then images from black to
    white under strong noise, which leaves the range at both ends.
    """

    def case(
        shape: tuple[int, int, int, int],
        sigma: float,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        x, noise = draw_images(draw, shape, strong=kind == CLAMPED, dtype=dtype)
        words = f"{shape[0]} images of shape {shape[1:]}, sigma {sigma:.3f}"
        return Case(words, {"x": x, "sigma": sigma, "noise": noise}, kind)

    b, h, w = draw.integer(5, 7), draw.integer(8, 10), draw.integer(11, 13)
    return [
        case((b, 1, h, w), weak_sigma(draw)),
        case((4, 3, w, h), weak_sigma(draw)),
        case((b, 1, w, h), draw.real(0.5, 0.8), CLAMPED),
        case((2, 3, h, w), weak_sigma(draw), FLOAT64, torch.float64),
    ]


def weak_sigma(draw: Draw) -> float:
    """So small that it is told from its square and from its root, and leaves grey images grey."""
    return draw.real(0.1, 0.15)


def draw_images(
    draw: Draw, shape: Sequence[int], strong: bool = False, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Images and noise. Unless `strong`, x + sigma noise stays in [0, 1] for every weak sigma."""
    x, noise = draw.uniform(*shape, dtype=dtype), draw.normal(*shape, dtype=dtype)
    return (x, noise) if strong else (0.4 + 0.2 * x, noise.clamp(-2.5, 2.5))


def no_clamp(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noisy images leave the range from 0 to 1: some pixels are blacker than black or whiter than white.
    A screen hides that, a network sees it. Clamping the clean images does nothing, for they lie in the range
    already. Look at what happens after the noise has come in."""
    return x + sigma * noise


def clamps_at_minus_one(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noisy images reach down to -1. That is black in the range from -1 to 1 of later chapters; here
    black is 0. Look at the ends of your clamp."""
    return (x + sigma * noise).clamp(-1, 1)


def variance_for_standard_deviation(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noise is too weak: its standard deviation is sigma squared. Numbers scaled by a factor have their
    standard deviation scaled by that factor, and their variance by its square. Look at the factor."""
    return (x + sigma**2 * noise).clamp(0, 1)


def root_of_sigma(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noise is too strong: its standard deviation is the square root of sigma. A root is needed where a
    variance is given; sigma is a standard deviation already. Look at the factor."""
    return (x + sigma**0.5 * noise).clamp(0, 1)


def noise_not_scaled(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noise has standard deviation 1, whatever sigma is: more than the distance from black to white is
    common. The noise comes as standard normal numbers. Look for where sigma enters."""
    return (x + noise).clamp(0, 1)


def multiplies_by_the_noise(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noise is proportional to the image: black pixels stay black, and bright ones suffer most. The
    noise of this chapter is as strong on black as on white. Look at how image and noise are combined."""
    return (x * (1 + sigma * noise)).clamp(0, 1)


def fades_the_image(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """You make the image weaker as the noise gets stronger. Mixtures of that kind come in the chapters on
    diffusion; here the image keeps its full strength. Look at the factor of x."""
    return ((1 - sigma) * x + sigma * noise).clamp(0, 1)


def changes_its_input(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Your noisy images are right, but the clean ones are overwritten: a denoiser that needs them as its
    target finds noise there. Look for an assignment in place."""
    x += sigma * noise
    return x.clamp(0, 1)


ADD_NOISE = Exercise(
    id="denoising.add_noise",
    title="Noise on images",
    signature="add_noise(x, sigma, noise)",
    returns="like x: the images with noise of standard deviation sigma, clamped to [0, 1]",
    reference="course_utils.denoising:add_noise",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            2,
            gate=True,
            advice="Take one pixel and do it by hand: print its x, its noise and sigma, and compare with "
            "what you return there.",
        ),
        edge(
            CLAMPED,
            1,
            "Noise can push a pixel out of the range at either end. There the nearest end is returned: 0 is "
            "black, 1 is white, and pixels in between keep their value.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        no_clamp,
        clamps_at_minus_one,
        variance_for_standard_deviation,
        root_of_sigma,
        noise_not_scaled,
        multiplies_by_the_noise,
        fades_the_image,
        changes_its_input,
    ),
)
