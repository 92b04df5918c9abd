"""How badly each image is reconstructed.

x, x_hat   (B, C, H, W) float, all four sizes different
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

ONE_IMAGE = "a batch of one image"


def cases(draw: Draw) -> list[Case]:
    """Within a batch the errors differ much in size, and the last image is perfect."""

    def case(
        b: int, c: int, h: int, w: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32
    ) -> Case:
        x, noise = draw.uniform(b, c, h, w, dtype=dtype), draw.normal(b, c, h, w, dtype=dtype)
        x_hat = x + torch.linspace(1, 0, b, dtype=dtype).view(b, 1, 1, 1) * noise
        return Case(f"{b} image{'s' if b > 1 else ''} of shape {(c, h, w)}", {"x_hat": x_hat, "x": x}, kind)

    b, h, w = draw.integer(5, 7), draw.integer(8, 10), draw.integer(11, 13)
    return [
        case(b, 1, h, w),
        case(4, 3, w, h),
        case(1, 1, h, w, ONE_IMAGE),
        case(b, 1, w, h, FLOAT64, torch.float64),
    ]


def mean_over_everything(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your result is one number for the whole batch. To say which image is odd, you need one number per
    image: look at the dimensions over which you average."""
    return F.mse_loss(x_hat, x)


def mean_over_the_batch(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your result has a number per pixel, averaged over images. It should have a number per image, averaged
    over pixels: look at the dimensions over which you average."""
    return (x_hat - x).square().mean(dim=0)


def sum_instead_of_mean(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your errors grow with the number of pixels: they are sums. Means can be compared between image sizes.
    Look at the last step."""
    return (x_hat - x).square().flatten(1).sum(dim=1)


def root_of_the_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your errors are the square roots of the expected ones. The mean squared error is asked for: look at
    the last step."""
    return (x_hat - x).square().flatten(1).mean(dim=1).sqrt()


def absolute_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your errors are means of absolute differences. Squares weigh one large error more than many small
    ones, which is what makes an odd image stand out. Look at what you do to the difference."""
    return (x_hat - x).abs().flatten(1).mean(dim=1)


def signed_errors_cancel(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your errors are close to 0 even where the reconstruction is bad: pixels that are too bright and pixels
    that are too dark cancel, because the mean comes before the square. Look at their order."""
    return (x_hat - x).flatten(1).mean(dim=1).square()


def dimensions_kept(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your numbers are right, in a tensor that still has the dimensions of an image, each of size 1. One
    number per image is a tensor of one dimension."""
    return (x_hat - x).square().mean(dim=(1, 2, 3), keepdim=True)


def changes_its_input(x_hat: Tensor, x: Tensor) -> Tensor:
    """Your errors are right, but the reconstructions are overwritten by the difference: who looks at them
    next sees wrong images. Look for an assignment in place."""
    x_hat -= x
    return x_hat.square().flatten(1).mean(dim=1)


RECONSTRUCTION_ERROR = Exercise(
    id="autoencoders.reconstruction_error",
    title="How badly each image is reconstructed",
    signature="reconstruction_error(x_hat, x)",
    returns="(B,) float: the mean squared error of each image",
    reference="course_utils.autoencoders:reconstruction_error",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(ONE_IMAGE, 0.5, "A batch of one image gives a tensor of shape (1,). Look for squeeze()."),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Difference, square, and the mean over everything that belongs to one image.",
    ),
    misconceptions=misconceptions(
        mean_over_everything,
        mean_over_the_batch,
        sum_instead_of_mean,
        root_of_the_error,
        absolute_error,
        signed_errors_cancel,
        dimensions_kept,
        changes_its_input,
    ),
)
