"""The Fréchet distance of two Gaussians.

mu1, mu2     (D,) float
cov1, cov2   (D, D) float, symmetric, no negative eigenvalues; the two do not commute
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

SINGULAR = "a covariance without an inverse"


def cases(draw: Draw) -> list[Case]:
    """Full covariances in float64 and in float32; then one that comes from fewer examples than features."""

    def case(size: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float64) -> Case:
        mu1, mu2 = draw.normal(size, dtype=dtype), draw.normal(size, dtype=dtype)
        mu2[0] = mu1[0] + draw.real(1.5, 2.5)
        missing = 2 if kind == SINGULAR else 0
        inputs = {
            "mu1": mu1,
            "cov1": draw_covariance(draw, size, missing, 1.0, dtype),
            "mu2": mu2,
            "cov2": draw_covariance(draw, size, 0, 2.0, dtype),
        }
        rank = f", cov1 of rank {size - missing}" if missing else ""
        return Case(f"{size} features, {str(dtype)[6:]}{rank}", inputs, kind)

    return [
        case(draw.integer(4, 6)),
        case(draw.integer(3, 5), dtype=torch.float32),
        case(draw.integer(5, 6), SINGULAR),
    ]


def draw_covariance(draw: Draw, size: int, missing: int, spread: float, dtype: torch.dtype) -> Tensor:
    """A covariance of rank size - missing: variances that differ much, along axes in any direction."""
    values = spread * torch.logspace(-1, 1, size, base=3, dtype=torch.float64)
    values[:missing] = 0
    axes = torch.linalg.qr(draw.normal(size, size, dtype=torch.float64)).Q
    return (axes * values @ axes.T).to(dtype)


def root(matrix: Tensor) -> Tensor:
    """The symmetric matrix whose square it is, for answers that are wrong elsewhere."""
    values, vectors = torch.linalg.eigh(matrix.double())
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def cross_trace(cov1: Tensor, cov2: Tensor) -> Tensor:
    """The trace of the root of the product, for answers that are wrong elsewhere."""
    return root(root(cov1) @ cov2.double() @ root(cov1)).trace()


def traces(cov1: Tensor, cov2: Tensor) -> Tensor:
    """For answers that are wrong elsewhere."""
    return cov1.double().trace() + cov2.double().trace()


def squared(mu1: Tensor, mu2: Tensor) -> Tensor:
    """The squared distance of the means, for answers that are wrong elsewhere."""
    return (mu1 - mu2).double().square().sum()


def no_root(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You take the trace of the product of the covariances itself. The distance of a Gaussian to itself is
    then not 0. Look for the root in the last term."""
    return (squared(mu1, mu2) + traces(cov1, cov2) - 2 * (cov1 @ cov2).trace()).item()


def root_of_each_entry(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You take the root of each entry of the product. The root of a matrix is the matrix whose product with
    itself gives it, which is something else unless it is diagonal. Look at what takes your root."""
    return (squared(mu1, mu2) + traces(cov1, cov2) - 2 * (cov1 @ cov2).sqrt().trace()).item()


def roots_multiplied(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You multiply the roots of the two covariances. That is the root of the product only where the order of
    the factors does not matter. Look at what comes first, root or product."""
    return (squared(mu1, mu2) + traces(cov1, cov2) - 2 * (root(cov1) @ root(cov2)).trace()).item()


def diagonals_only(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You use the diagonals of the covariances alone, as if no two features were correlated. Look at what
    becomes of the other entries."""
    std1, std2 = cov1.diagonal().sqrt(), cov2.diagonal().sqrt()
    return (squared(mu1, mu2) + (std1 - std2).double().square().sum()).item()


def means_not_squared(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """Your trace term is right; the distance of the means is not squared. All terms are in squared units of
    the features. Look at the first term."""
    return (squared(mu1, mu2).sqrt() + traces(cov1, cov2) - 2 * cross_trace(cov1, cov2)).item()


def cross_term_added(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You add the term with the root. It is what the two covariances have in common, and brings the distance
    of a Gaussian to itself down to 0. Look at its sign."""
    return (squared(mu1, mu2) + traces(cov1, cov2) + 2 * cross_trace(cov1, cov2)).item()


def factor_2_missing(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You take the term with the root away once. Try a Gaussian against itself, whose distance is 0: the
    trace of its covariance comes twice. Look at the factor of the last term."""
    return (squared(mu1, mu2) + traces(cov1, cov2) - cross_trace(cov1, cov2)).item()


def root_of_the_whole(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """You return the root of the right number. The name says distance, but what is computed and compared
    under it is the square. Look at the last step."""
    return (squared(mu1, mu2) + traces(cov1, cov2) - 2 * cross_trace(cov1, cov2)).sqrt().item()


FRECHET_DISTANCE = Exercise(
    id="sampling.frechet_distance",
    title="The distance of two clouds",
    signature="frechet_distance(mu1, cov1, mu2, cov2)",
    returns="float: the squared distance of the means, plus the trace of cov1 + cov2 - 2 (cov1 cov2)^(1/2)",
    reference="course_utils.metrics:frechet_distance",
    cases=cases,
    criteria=ladder(
        2.5,
        edge(
            SINGULAR,
            1,
            "A covariance from fewer examples than features has eigenvalues that are 0, and rounding can "
            "make them slightly negative: their roots are NaN, inverses are huge. Print the eigenvalues.",
        ),
        unchanged=0.5,
        tensors=False,
        advice="Compute the parts one by one: the squared distance of the means, two traces, and the trace "
        "of the root of the product. Check the root R of a matrix M first: R @ R is M. A Gaussian has "
        "distance 0 to itself.",
    ),
    misconceptions=misconceptions(
        no_root,
        root_of_each_entry,
        roots_multiplied,
        diagonals_only,
        means_not_squared,
        cross_term_added,
        factor_2_missing,
        root_of_the_whole,
    ),
)
