"""PCA as a linear autoencoder.

x      (N, D) float, an example a row
k      int, components kept
axes   (k, D) float, orthonormal rows
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

ALL_COMPONENTS = "as many components as features"
DEFICIENT = "fewer rows than features, or a low rank"


def cases(draw: Draw) -> list[Case]:
    """From one component to the next the deviation falls by 0.6, so that every k has one right answer."""

    def case(
        n: int, d: int, k: int, rank: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32
    ) -> Case:
        scores = torch.linalg.qr(centred(draw.normal(n, rank, dtype=torch.float64))).Q * n**0.5
        axes = torch.linalg.qr(draw.normal(d, rank, dtype=torch.float64)).Q.T
        x = 2 * draw.normal(d, dtype=torch.float64) + scores * 0.6 ** torch.arange(rank) @ axes
        words = f", of rank {rank}," if rank < min(n - 1, d) else ","
        return Case(f"{n} rows of {d} features{words} k = {k}", {"x": x.to(dtype), "k": k}, kind)

    n, d = draw.integer(12, 15), draw.integer(5, 7)
    return [
        case(n, d, 2, rank=d),
        case(n + 5, d, d - 1, rank=d),
        case(n, d, d, rank=d, kind=ALL_COMPONENTS),
        case(5, 9, 2, rank=4, kind=DEFICIENT),
        case(n, d, 4, rank=3, kind=DEFICIENT),
        case(n, d, 3, rank=d, kind=FLOAT64, dtype=torch.float64),
    ]


def centred(x: Tensor) -> Tensor:
    """x with columns of mean 0."""
    return x - x.mean(dim=0)


def axes_of(x: Tensor) -> Tensor:
    """(D, D): right singular vectors as rows, by falling singular value."""
    return torch.linalg.svd(x).Vh


def not_centred(x: Tensor, k: int) -> Tensor:
    """Your reconstruction is the best one of rank k through the origin. PCA goes through the mean of the
    data: look at what you decompose."""
    axes = axes_of(x)[:k]
    return x @ axes.T @ axes


def mean_not_added_back(x: Tensor, k: int) -> Tensor:
    """Your reconstruction is right up to a shift: its columns have mean 0. What was taken away before the
    projection belongs back afterwards."""
    axes = axes_of(centred(x))[:k]
    return centred(x) @ axes.T @ axes


def centres_each_row(x: Tensor, k: int) -> Tensor:
    """You subtract from each row its own mean. The mean example is the mean over rows, a number per feature.
    Look at the dimension of the mean."""
    mean = x.mean(dim=1, keepdim=True)
    axes = axes_of(x - mean)[:k]
    return (x - mean) @ axes.T @ axes + mean


def standardises_features(x: Tensor, k: int) -> Tensor:
    """You divide each feature by its standard deviation first. That minimises another error, one in which a
    feature that hardly varies counts as much as the others. Only centring is asked for."""
    mean, std = x.mean(dim=0), x.std(dim=0)
    axes = axes_of((x - mean) / std)[:k]
    return (x - mean) / std @ axes.T @ axes * std + mean


def smallest_components(x: Tensor, k: int) -> Tensor:
    """You keep the components of smallest variance. Eigenvalues from eigh come in ascending order, singular
    values in descending order. Look at which end you take."""
    axes = axes_of(centred(x))[-k:]
    return centred(x) @ axes.T @ axes + x.mean(dim=0)


def columns_of_vh(x: Tensor, k: int) -> Tensor:
    """You take columns where the singular vectors are rows: torch.linalg.svd returns V transposed, which is
    what the h in Vh means. Look at what you slice."""
    axes = torch.linalg.svd(centred(x), full_matrices=False).Vh[:, :k]
    return centred(x) @ axes @ axes.T + x.mean(dim=0)


def one_component_too_many(x: Tensor, k: int) -> Tensor:
    """Your reconstruction has rank k + 1, a component more than asked for. Look at where your slice ends."""
    axes = axes_of(centred(x))[: k + 1]
    return centred(x) @ axes.T @ axes + x.mean(dim=0)


def rows_of_eigenvectors(x: Tensor, k: int) -> Tensor:
    """You take rows where the eigenvectors are columns: eigenvectors[:, i] belongs to eigenvalues[i]. Look
    at what you slice."""
    axes = torch.linalg.eigh(torch.cov(x.T)).eigenvectors[-k:]
    return centred(x) @ axes.T @ axes + x.mean(dim=0)


PCA_RECONSTRUCT = Exercise(
    id="autoencoders.pca_reconstruct",
    title="PCA as a linear autoencoder",
    signature="pca_reconstruct(x, k)",
    returns="(N, D) float: the reconstruction of rank k around the mean",
    reference="course_utils.autoencoders:pca_reconstruct",
    cases=cases,
    criteria=ladder(
        2,
        edge(ALL_COMPONENTS, 0.5, "With all components nothing is lost: the result is x."),
        edge(
            DEFICIENT,
            0.5,
            "Some variances are 0 here: look for a division by them, or a shape that needs N > D.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Check the steps one by one. Do the centred columns have mean 0? Are the axes orthonormal? Do "
        "the variances along them fall? Is the mean back in the end?",
    ),
    misconceptions=misconceptions(
        not_centred,
        mean_not_added_back,
        centres_each_row,
        standardises_features,
        smallest_components,
        one_component_too_many,
        columns_of_vh,
        rows_of_eigenvectors,
    ),
)
