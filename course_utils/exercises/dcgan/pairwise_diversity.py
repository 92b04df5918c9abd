"""The mean distance of the distinct pairs of a set of images.

x    (B, C, H, W) float in [-1, 1], all four sizes different

A Python float is accepted: the text asks for a scalar.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

TWINS = "images that occur twice"


def cases(draw: Draw) -> list[Case]:
    """Grey and coloured images; then some that are equal; then float64."""

    def case(b: int, c: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        h, w = draw.integer(4, 5), draw.integer(6, 8)
        x = (2 * draw.uniform(b, c, h, w, dtype=dtype) - 1) * torch.linspace(0.1, 1, b).to(dtype).view(
            -1, 1, 1, 1
        )
        if kind == TWINS:
            x = draw.shuffled(torch.cat([x, x[:2]]))
        return Case(f"{len(x)} images of shape {(c, h, w)}", {"x": x}, kind)

    return [
        case(draw.integer(4, 5), 1),
        case(draw.integer(6, 7), 3),
        case(3, 1, TWINS),
        case(3, 2, FLOAT64, torch.float64),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Call it; a Python float counts as a scalar tensor."""
    x = case.inputs["x"]
    yield "result", as_scalar(answer(x), x.dtype)


def as_scalar(result: Any, dtype: torch.dtype) -> Any:
    """A Python float as a tensor; all else as it is."""
    return torch.tensor(result, dtype=dtype) if type(result) is float else result


def distances(x: Tensor) -> Tensor:
    """The right distances, for answers that are wrong elsewhere."""
    return F.pdist(x.flatten(1))


def pairs_with_themselves(x: Tensor) -> Tensor:
    """Your mean runs over all B * B pairs, so every image also meets itself, at distance 0. Then the number
    depends on how many images there are. Look at what you divide by."""
    return 2 * distances(x).sum() / len(x) ** 2


def every_pair_twice(x: Tensor) -> Tensor:
    """Your number is twice what it should be: each pair is summed in both orders, and divided as if it came
    once. Look at sum and divisor together."""
    return 2 * distances(x).mean()


def squared_distances(x: Tensor) -> Tensor:
    """Your distances are squared: the mean of squares weighs far pairs more, and has another unit. Look at
    what follows the sum over pixels."""
    return distances(x).square().mean()


def mean_over_pixels(x: Tensor) -> Tensor:
    """Your distances are root mean squares: the squares are averaged over pixels where an L2 distance sums
    them. Look at how you reduce the pixels."""
    return distances(x).mean() / x[0].numel() ** 0.5


def deviation_of_each_pixel(x: Tensor) -> Tensor:
    """You average the standard deviation of each pixel over the images. It also falls when modes collapse,
    but it is no distance between images. Look at the order: first a distance for each pair, then the mean."""
    return x.std(dim=0).mean()


def city_block(x: Tensor) -> Tensor:
    """Your distances sum absolute differences, which is L1. L2 is asked for, the ordinary Euclidean length.
    Look at what you do with the differences before you sum."""
    return F.pdist(x.flatten(1), p=1).mean()


def neighbours_only(x: Tensor) -> Tensor:
    """You compare each image only with the next one. There are B (B - 1) / 2 distinct pairs, and the order
    of the images should not matter. Look at how you choose pairs."""
    return (x[1:] - x[:-1]).flatten(1).norm(dim=1).mean()


def rows_instead_of_images(x: Tensor) -> Tensor:
    """Your distances are between single rows of pixels, not between images: the norm or the distance runs
    over the last dimension alone. Look at the shape of what it is given."""
    rows = x.flatten(1, 2)
    pairs = torch.triu_indices(len(x), len(x), offset=1)
    return (rows[pairs[0]] - rows[pairs[1]]).norm(dim=-1).mean()


PAIRWISE_DIVERSITY = Exercise(
    id="dcgan.pairwise_diversity",
    title="How different samples are",
    signature="pairwise_diversity(x)",
    returns="scalar: the mean L2 distance over the B (B - 1) / 2 distinct pairs",
    reference="course_utils.dcgan:pairwise_diversity",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            TWINS,
            0.5,
            "Two images of these sets are equal. Their distance is 0, and their pair counts like any other.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Take three images and write down the three distances: each the root of a sum of squares over "
        "all channels and pixels. Then their mean.",
    ),
    misconceptions=misconceptions(
        pairs_with_themselves,
        every_pair_twice,
        squared_distances,
        mean_over_pixels,
        deviation_of_each_pixel,
        city_block,
        neighbours_only,
        rows_instead_of_images,
    ),
    probe=probe,
)
