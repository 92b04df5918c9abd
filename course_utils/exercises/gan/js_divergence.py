"""How far apart two distributions are, by Jensen and Shannon.

p, q   (K,) float: probabilities of the same K outcomes
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

ZEROS = "outcomes of probability 0"


def cases(draw: Draw) -> list[Case]:
    """Two unlike distributions; then outcomes that one of them never has, or neither."""

    def case(k: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        p, q = draw_distribution(draw, k, dtype), draw_distribution(draw, k, dtype).flip(0)
        if kind == ZEROS:
            p[:2], q[1:3] = 0, 0
            p, q = p / p.sum(), q / q.sum()
        return Case(f"{k} outcomes" + (", some impossible" if kind == ZEROS else ""), {"p": p, "q": q}, kind)

    k = draw.integer(5, 9)
    apart = torch.zeros(2, k + 2)
    apart[0, :k] = draw_distribution(draw, k, torch.float32)
    apart[1, k:] = draw_distribution(draw, 2, torch.float32)
    return [
        case(k),
        case(3),
        case(k + 1, ZEROS),
        Case(f"{k + 2} outcomes, none of them common", dict(zip("pq", apart, strict=True)), ZEROS),
        case(k, FLOAT64, torch.float64),
    ]


def draw_distribution(draw: Draw, k: int, dtype: torch.dtype) -> Tensor:
    """(k,) probabilities, the last outcomes being more likely than the first."""
    weights = (0.2 + draw.uniform(k, dtype=dtype)) * torch.arange(1, k + 1, dtype=dtype).square()
    return weights / weights.sum()


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q), for answers that are wrong elsewhere: 0 where p is 0."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def kl_alone(p: Tensor, q: Tensor) -> Tensor:
    """Your result is KL(p || q): infinite where q misses an outcome of p, and another number if p and q are
    exchanged. Jensen and Shannon compare both of them with their mixture. Look at what p is divided by."""
    return kl(p, q)


def p_against_the_mixture_only(p: Tensor, q: Tensor) -> Tensor:
    """Your result is the divergence of p from the mixture, and q has none of its own: exchange p and q, and
    another number comes out. Look at how many terms there are."""
    return kl(p, (p + q) / 2)


def symmetrised_kl(p: Tensor, q: Tensor) -> Tensor:
    """You average KL(p || q) and KL(q || p). That is symmetric, but infinite where one misses an outcome of
    the other. Jensen and Shannon compare each with the mixture. Look at the second distribution of each
    term."""
    return (kl(p, q) + kl(q, p)) / 2


def half_missing(p: Tensor, q: Tensor) -> Tensor:
    """Your result is twice what it should be: two distributions that never meet are log 2 = 0.693 apart, not
    1.386. Both divergences are averaged. Look at the factor in front."""
    m = (p + q) / 2
    return kl(p, m) + kl(q, m)


def base_two(p: Tensor, q: Tensor) -> Tensor:
    """Your numbers are in bits: 1.44 times too large. The losses of this course are in nats, so that they can
    be compared. Look at the name of the logarithm."""
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2 / math.log(2)


def square_root(p: Tensor, q: Tensor) -> Tensor:
    """Your result is the square root of the divergence, which is called the Jensen-Shannon distance. SciPy
    computes that one. The divergence itself is asked for."""
    m = (p + q) / 2
    return ((kl(p, m) + kl(q, m)) / 2).sqrt()


def mean_for_sum(p: Tensor, q: Tensor) -> Tensor:
    """Your result shrinks with the number of outcomes: it is a mean over them. The probabilities are weights
    already, so that the sum is an expectation. Look at the reduction."""
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2 / p.numel()


def nan_at_zero(p: Tensor, q: Tensor) -> Tensor:
    """Your result is right as long as every outcome is possible, and NaN otherwise: 0 times the logarithm of
    0. An outcome that never happens adds nothing to an expectation. Look for a function of PyTorch that knows
    it, or leave such outcomes out."""
    m = (p + q) / 2
    return (p * (p / m).log() + q * (q / m).log()).sum() / 2


JS_DIVERGENCE = Exercise(
    id="gan.js_divergence",
    title="How far apart two distributions are",
    signature="js_divergence(p, q)",
    returns="a scalar tensor, nats, from 0 to log 2",
    reference="course_utils.gan:js_divergence",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            ZEROS,
            0.5,
            "Some outcomes have probability 0 under p, under q, or under both, and add nothing where they "
            "do. Print p log(p / m) for them.",
        ),
        edge(
            FLOAT64,
            0.5,
            SAME_DTYPE + " If the dtype is right, look for a small constant that is added somewhere.",
        ),
        unchanged=0.5,
        advice="Do it in steps: the mixture m, halfway between p and q; the divergence of p from m; that of "
        "q from m; their average. Then exchange p and q: the result must stay the same.",
    ),
    misconceptions=misconceptions(
        kl_alone,
        p_against_the_mixture_only,
        symmetrised_kl,
        half_missing,
        base_two,
        square_root,
        mean_for_sum,
        nan_at_zero,
    ),
)
