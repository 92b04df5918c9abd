"""The negative log-likelihood of an image whose pixels are independent coins, in nats.

logits   (B, C, H, W) float, all four sizes different
x        like logits, each pixel 0 or 1: for grey ones it would be no likelihood
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

SURE = "logits of 50 and -50"
ONE_IMAGE = "a batch of one image"


def cases(draw: Draw) -> list[Case]:
    """The images of a batch differ in how much white they hold. Sure logits are right as well as wrong."""

    def case(
        b: int, c: int, h: int, w: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32
    ) -> Case:
        inputs = draw_pixels(draw, b, c, h, w, dtype=dtype)
        return Case(f"{b} image{'s' if b > 1 else ''} of shape {(c, h, w)}", inputs, kind)

    b, h, w = draw.integer(5, 7), draw.integer(8, 10), draw.integer(11, 13)
    return [
        case(b, 1, h, w),
        case(4, 3, w, h),
        Case(
            f"4 images of shape {(1, h, w)}, a third of the logits 50 or -50", draw_sure(draw, 4, h, w), SURE
        ),
        case(1, 1, h, w, ONE_IMAGE),
        case(b, 1, w, h, FLOAT64, torch.float64),
    ]


def draw_pixels(draw: Draw, *shape: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Logits and binary pixels; from image to image the share of white grows."""
    share = torch.linspace(0.2, 0.8, shape[0]).view(-1, *(1 for _ in shape[1:]))
    x = (draw.uniform(*shape) < share).to(dtype)
    return {"logits": 1.5 * draw.normal(*shape, dtype=dtype), "x": x}


def draw_sure(draw: Draw, b: int, h: int, w: int) -> dict[str, Tensor]:
    """As above, but a third of the logits are 50 or -50; each goes with white and with black pixels."""
    pixels = draw_pixels(draw, b, 1, h, w)
    third = pixels["logits"].flatten(1)[:, ::3]
    third.copy_(torch.tensor([50.0, 50.0, -50.0, -50.0]).repeat(h * w)[: third.shape[1]])
    pixels["x"].flatten(1)[:, :12:3] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    return pixels


def of_each_pixel(logits: Tensor, x: Tensor) -> Tensor:
    """Like x, for answers that are wrong elsewhere."""
    return F.softplus(logits) - x * logits


def mean_over_pixels(logits: Tensor, x: Tensor) -> Tensor:
    """Your numbers are averages over the pixels. Pixels are independent given z, so their log-likelihoods add
    up; beside the mean, the KL would weigh hundreds of times too much. Look at the reduction."""
    return of_each_pixel(logits, x).flatten(1).mean(dim=1)


def one_number_for_the_batch(logits: Tensor, x: Tensor) -> Tensor:
    """Your result is one number, summed over the images as well. Each image has its own likelihood: look at
    the dimensions over which you sum, or at the `reduction` of the function that you call."""
    return of_each_pixel(logits, x).sum()


def logits_taken_for_probabilities(logits: Tensor, x: Tensor) -> Tensor:
    """Your result is NaN: you take logarithms of the logits as if they were probabilities, and logits can be
    negative. What turns a logit into a probability? And which function of torch does that by itself?"""
    return -(x * logits.log() + (1 - x) * (1 - logits).log()).flatten(1).sum(dim=1)


def sigmoid_twice(logits: Tensor, x: Tensor) -> Tensor:
    """The sigmoid is applied twice: you turn logits into probabilities, and then call something that takes
    them for logits. All your probabilities lie between 0.5 and 0.73. Look at what each call expects."""
    return of_each_pixel(logits.sigmoid(), x).flatten(1).sum(dim=1)


def sign_reversed(logits: Tensor, x: Tensor) -> Tensor:
    """Your numbers are the log-likelihoods: negative, and best when large. A loss is asked for, the negative
    of them."""
    return -of_each_pixel(logits, x).flatten(1).sum(dim=1)


def black_pixels_left_out(logits: Tensor, x: Tensor) -> Tensor:
    """Only white pixels count in your sum. A black pixel has a probability as well, and the model should be
    charged for calling it white: as it is, all white would be the best reconstruction of everything."""
    return -(x * F.logsigmoid(logits)).flatten(1).sum(dim=1)


def logarithm_of_a_rounded_probability(logits: Tensor, x: Tensor) -> Tensor:
    """Your numbers are right until a logit gets large: from 17 on the sigmoid rounds to exactly 1 in float32,
    1 - 1 is 0, and its logarithm is minus infinity. Stay with the logits: torch has functions that go from a
    logit to the loss in one step."""
    p = logits.sigmoid()
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(dim=1)


def clamped_logarithm(logits: Tensor, x: Tensor) -> Tensor:
    """Your numbers are right until a logit gets large: the sigmoid rounds to exactly 1, and where the pixel
    is black binary_cross_entropy puts 100 nats for the logarithm of 0, whatever the logit. torch has a
    version of that function that takes the logits themselves."""
    return F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").flatten(1).sum(dim=1)


BERNOULLI_NLL = Exercise(
    id="vae.bernoulli_nll",
    title="How unlikely an image is, given the decoder's logits",
    signature="bernoulli_nll(logits, x)",
    returns="(B,) float, nats: -log p(x|z) of each image, summed over all its pixels",
    reference="course_utils.vae:bernoulli_nll",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            SURE,
            1,
            "A pixel that is black where the logit is 50 costs 50 nats: neither infinitely many, nor the "
            "logarithm of a small constant. Once the sigmoid is rounded to 1, nothing can tell 50 from 60: "
            "look for a way that does not go through it.",
        ),
        edge(ONE_IMAGE, 0.5, "A batch of one image gives a tensor of shape (1,). Look for squeeze()."),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Try one pixel: at logit 0 it costs log 2 = 0.69 nats, black or white. At logit 2 a white "
        "one costs 0.13, a black one 2.13. All pixels and channels of an image add up. binary_cross_entropy "
        "takes probabilities, not logits.",
    ),
    misconceptions=misconceptions(
        mean_over_pixels,
        one_number_for_the_batch,
        logits_taken_for_probabilities,
        sigmoid_twice,
        sign_reversed,
        black_pixels_left_out,
        logarithm_of_a_rounded_probability,
        clamped_logarithm,
    ),
)
