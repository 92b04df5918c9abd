"""Peak signal-to-noise ratio of each image.

x, x_hat     (B, C, H, W) float, all four sizes different
data_range   float, the distance from black to white: 1 for [0, 1], 2 for [-1, 1]
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

ONE_IMAGE = "a batch of one image"
PERFECT = "infinite where the images are equal"


def cases(draw: Draw) -> list[Case]:
    """Within a batch the errors differ much in size. No image is as bright as the range allows, so that the
    range is not to be had from the data. Then a single image, and one that is perfect.
    """

    def case(
        b: int, c: int, h: int, w: int, low: float, kind: str = ORDINARY, dtype: torch.dtype = torch.float32
    ) -> Case:
        data_range = 1 - low
        x = low + data_range * (0.2 + 0.5 * draw.uniform(b, c, h, w, dtype=dtype))
        size = torch.linspace(0.0 if kind == PERFECT else 0.02, 0.2, b, dtype=dtype).view(b, 1, 1, 1)
        x_hat = x + data_range * size * draw.normal(b, c, h, w, dtype=dtype)
        perfect = ", the first one perfect" if kind == PERFECT else ""
        words = f"{b} image{'s' if b > 1 else ''} of shape {(c, h, w)}{perfect}, data_range {data_range}"
        return Case(words, {"x_hat": x_hat, "x": x, "data_range": data_range}, kind)

    b, h, w = draw.integer(5, 7), draw.integer(8, 10), draw.integer(11, 13)
    return [
        case(b, 1, h, w, low=0.0),
        case(4, 3, w, h, low=-1.0),
        case(1, 1, h, w, low=-1.0, kind=ONE_IMAGE),
        case(2, 1, w, h, low=0.0, kind=PERFECT),
        case(b, 1, w, h, low=-1.0, kind=FLOAT64, dtype=torch.float64),
    ]


def errors(x_hat: Tensor, x: Tensor) -> Tensor:
    """(B,): the mean squared error of each image, for answers that are wrong elsewhere."""
    return (x_hat - x).square().flatten(1).mean(dim=1)


def one_number_for_the_batch(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your result is one number for the whole batch, and its worst image decides it. One number per image is
    asked for: look at the dimensions over which you average."""
    return 10 * torch.log10(data_range**2 / (x_hat - x).square().mean())


def twenty_for_ten(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your decibels are twice too many. The factor 20 belongs to a ratio of amplitudes, which the root of the
    error would be; the squared error is a power. Look at factor and ratio together."""
    return 20 * torch.log10(data_range**2 / errors(x_hat, x))


def ratio_of_amplitudes(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your decibels are half of what they should be. You take the root of the error, which makes a ratio of
    amplitudes; the factor 10 belongs to a ratio of powers. Look at factor and ratio together."""
    return 10 * torch.log10(data_range / errors(x_hat, x).sqrt())


def natural_logarithm(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your numbers are 2.3 times too large: torch.log is the natural logarithm. Decibels count powers of ten.
    Look at the name of the function."""
    return 10 * torch.log(data_range**2 / errors(x_hat, x))


def range_not_squared(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your numbers are right for images from 0 to 1, and off by a constant for those from -1 to 1. The error
    is in squared grey values, and so must be what you compare it with. Look at the range."""
    return 10 * torch.log10(data_range / errors(x_hat, x))


def sign_flipped(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your numbers have the wrong sign: better images get smaller ones. The ratio has the signal on top. Look
    at which way round you divide."""
    return 10 * torch.log10(errors(x_hat, x) / data_range**2)


def peak_from_the_data(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """You take the brightest pixel of the batch as the peak: the same error then counts differently from
    batch to batch. The range is an argument. Look for where it enters."""
    return 10 * torch.log10(x.max() ** 2 / errors(x_hat, x))


def sum_instead_of_mean(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Your numbers fall as images get larger, by a constant for each size: the error is a sum. Means can be
    compared between image sizes. Look at how you reduce the squares."""
    return 10 * torch.log10(data_range**2 / (x_hat - x).square().flatten(1).sum(dim=1))


PSNR = Exercise(
    id="denoising.psnr",
    title="Peak signal-to-noise ratio",
    signature="psnr(x_hat, x, data_range)",
    returns="(B,) float: decibels of each image, infinite where the images are equal",
    reference="course_utils.denoising:psnr",
    cases=cases,
    criteria=ladder(
        2,
        edge(ONE_IMAGE, 0.5, "A batch of one image gives a tensor of shape (1,). Look for squeeze()."),
        edge(
            PERFECT,
            0.5,
            "Without an error there is no limit to the ratio, and PyTorch's division and logarithm say so by "
            "themselves. Look for a small number that is added, or for a bound.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Do it in steps, and print each for one image: the mean squared error, the squared range "
        "divided by it, the logarithm to base ten, ten times that.",
    ),
    misconceptions=misconceptions(
        one_number_for_the_batch,
        twenty_for_ten,
        ratio_of_amplitudes,
        natural_logarithm,
        range_not_squared,
        sign_flipped,
        peak_from_the_data,
        sum_instead_of_mean,
    ),
)
