"""Sines and cosines of the noise level.

t            (B,) int64, small: in float32 the angle of a large t depends on how the formula is written
dim          int, even, unlike B
max_period   float, the chapter's in ordinary cases
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import agree, edge, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

USUAL = 10_000.0
ONE_LEVEL = "a batch of one"
OTHER_PERIOD = "another max_period"


def cases(draw: Draw) -> list[Case]:
    """Levels 0 to 5 in some order, so that no two rows are alike."""

    def case(b: int, dim: int, max_period: float = USUAL, kind: str = ORDINARY) -> Case:
        levels = draw.shuffled(torch.arange(1, 6))[:b]
        t = draw.shuffled(torch.cat([levels, torch.tensor([0])])) if b > 1 else levels
        inputs = {"t": t, "dim": dim, "max_period": max_period}
        return Case(f"t = {t.tolist()}, dim {dim}, max_period {max_period:g}", inputs, kind)

    dim = 2 * draw.integer(4, 6)
    return [
        case(3, dim),
        case(5, dim + 6),
        case(4, dim, float(draw.integer(50, 400)), OTHER_PERIOD),
        case(1, dim, kind=ONE_LEVEL),
    ]


def waves(angles: Tensor) -> Tensor:
    """The right end, for answers that are wrong before it."""
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def frequencies(dim: int, max_period: float) -> Tensor:
    """The right frequencies, for answers that are wrong elsewhere."""
    return torch.exp(-math.log(max_period) * torch.arange(dim // 2) / (dim // 2))


def cos_before_sin(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your waves are right, and their halves are swapped: at t = 0 your rows begin with ones. Some libraries
    do it so; weights that were trained one way do not fit the other. Look at the order in which you join."""
    angles = t[:, None] * frequencies(dim, max_period)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def interleaved(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your waves are right, but sines and cosines take turns, as in the first Transformer. Here all sines
    come first, then all cosines. Look at how you put them together."""
    angles = t[:, None] * frequencies(dim, max_period)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def t_divided_by_1000(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your rows hardly differ: t is divided by the number of levels before the waves see it, so that even the
    fastest one moves by a thousandth from level to level. The waves take t as it is. Look at the angles."""
    return waves(t[:, None] / 1000 * frequencies(dim, max_period))


def times_two_pi(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your angles are 2 pi times too large. For whole numbers t the fastest wave then always stands at the
    start of its period, and tells nothing. Look at what multiplies t."""
    return waves(2 * math.pi * t[:, None] * frequencies(dim, max_period))


def exponent_over_dim(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your slowest wave is too fast: your frequencies fall to the root of 1 / max_period only. There are
    dim/2 of them, and i runs over those. Look at what you divide i by."""
    return waves(t[:, None] * max_period ** (-torch.arange(dim // 2) / dim))


def last_frequency_reached(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your slowest frequency is exactly 1 / max_period, so your steps from one frequency to the next are a
    little too long. Some libraries do it so; in this chapter the formula divides i by their number. Look at
    the denominator of the exponent, or at the ends of your linspace."""
    half = dim // 2
    return waves(t[:, None] * max_period ** (-torch.arange(half) / (half - 1)))


def frequencies_grow(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your frequencies grow with i, up to thousands of radians from one level to the next: noise, to a
    network. They should fall from 1 towards 1 / max_period. Look at the sign of the exponent."""
    return waves(t[:, None] * max_period ** (torch.arange(dim // 2) / (dim // 2)))


def max_period_ignored(t: Tensor, dim: int, max_period: float) -> Tensor:
    """Your embedding is right for max_period = 10,000, and the same for every other one. Look for a number in
    your code that should be the argument."""
    return waves(t[:, None] * frequencies(dim, USUAL))


TIMESTEP_EMBEDDING = Exercise(
    id="unet.timestep_embedding",
    title="The noise level as waves",
    signature="timestep_embedding(t, dim, max_period)",
    returns="(B, dim) float32: the sines of t f_i, then their cosines",
    reference="course_utils.diffusion.unet:timestep_embedding",
    cases=cases,
    criteria=(
        agree(
            "type",
            0,
            stages=TYPE,
            gate=True,
            advice="Asked for is one tensor. On the way there is a table of angles: a row for each level, a "
            "column for each frequency.",
        ),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree(
            "dtype",
            0,
            stages=STAGES[:3],
            gate=True,
            advice="The levels are whole numbers, and a network's weights are float32: so is what it is "
            "given.",
        ),
        agree(
            "values",
            1.5,
            gate=True,
            advice="Print the frequencies first: dim/2 numbers that start at 1 and fall by one factor from "
            "each to the next. Then the angles: t = 0 gives a row of zeros, t = 1 gives the frequencies "
            "themselves.",
        ),
        edge(OTHER_PERIOD, 0.5, "max_period is an argument: look for a number that stands in its place."),
        edge(ONE_LEVEL, 0.5, "One level gives a tensor of shape (1, dim). Look for squeeze()."),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        cos_before_sin,
        interleaved,
        t_divided_by_1000,
        times_two_pi,
        exponent_over_dim,
        last_frequency_reached,
        frequencies_grow,
        max_period_ignored,
    ),
)
