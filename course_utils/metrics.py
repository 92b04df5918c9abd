"""Measures of quality.

normal, anomalous    (N,), (M,) float    scores; a higher score is more suspicious
threshold            an example is flagged where its score lies strictly above it
mu, cov              (D,), (D, D) float    mean and covariance of features, see frechet_distance
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.training import in_batches
from course_utils.validation import require_dims, require_float_tensor


def roc_auc(normal: Tensor, anomalous: Tensor) -> float:
    """Area under the ROC curve: how often an anomaly scores above a normal example, ties counting half.

    Returns:
        0..1; 0.5 is guessing, 1 is a perfect order.
    """
    _require_scores("roc_auc", normal=normal, anomalous=anomalous)
    ordered = normal.sort().values
    below = torch.searchsorted(ordered, anomalous, right=False)
    not_above = torch.searchsorted(ordered, anomalous, right=True)
    return ((below + not_above).double().mean() / (2 * len(normal))).item()


def confusion_counts(normal: Tensor, anomalous: Tensor, thresholds: Tensor) -> Tensor:
    """What a detector gets right and wrong at each threshold.

    Args:
        thresholds: (K,) float.

    Returns:
        (K, 4) int64: anomalies flagged (true positives), normals flagged (false positives),
        normals passed (true negatives), anomalies passed (false negatives).
    """
    _require_scores("confusion_counts", normal=normal, anomalous=anomalous, thresholds=thresholds)
    false_positives, true_positives = (
        len(scores) - torch.searchsorted(scores.sort().values, thresholds, right=True)
        for scores in (normal, anomalous)
    )
    counts = [true_positives, false_positives, len(normal) - false_positives, len(anomalous) - true_positives]
    return torch.stack(counts, dim=1)


def roc_curve(normal: Tensor, anomalous: Tensor) -> tuple[Tensor, Tensor]:
    """False-alarm rate and detection rate at every threshold that matters, from none flagged to all flagged.

    Returns:
        two (K,) float64 tensors, ascending, 0..1.
    """
    _require_scores("roc_curve", normal=normal, anomalous=anomalous)
    lowest = torch.full((1,), -torch.inf, dtype=normal.dtype)
    counts = confusion_counts(
        normal, anomalous, torch.cat([lowest, normal, anomalous]).unique().flip(0)
    ).double()
    return counts[:, 1] / len(normal), counts[:, 0] / len(anomalous)


def frechet_distance(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """Fréchet distance of two Gaussians, |mu1 - mu2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)).

    Heusel et al. 2017 (arXiv:1706.08500), eq. 6. The root's trace is computed from the symmetric matrix
    cov1^(1/2) cov2 cov1^(1/2), which has the same eigenvalues and no imaginary parts.

    Args:
        mu1, mu2: (D,) float.
        cov1, cov2: (D, D) float, symmetric, without negative eigenvalues.

    Returns:
        >= 0, in squared units of the features.

    Raises:
        ValueError: shapes do not fit.
    """
    require_float_tensor("frechet_distance", mu1=mu1, cov1=cov1, mu2=mu2, cov2=cov2)
    size = len(mu1)
    if not (mu1.shape == mu2.shape == (size,) and cov1.shape == cov2.shape == (size, size)):
        shapes = ", ".join(str(tuple(x.shape)) for x in (mu1, cov1, mu2, cov2))
        raise ValueError(f"frechet_distance: shapes must be (D,), (D, D), (D,), (D, D), got {shapes}.")
    mu1, cov1, mu2, cov2 = (x.double() for x in (mu1, cov1, mu2, cov2))
    root = _symmetric_root(cov1)
    trace = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    distance = (mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace
    return max(0.0, distance.item())


def _symmetric_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def feature_gaussian(features: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a set of images, seen through the features of a network.

    Args:
        features: (B, C, H, W) -> (B, D), e.g. the `features` of a DigitClassifier.
        x: (N, C, H, W) in the range that the network expects; N well above D.

    Returns:
        mu (D,) and cov (D, D), float64, as frechet_distance takes them.

    Raises:
        ValueError: fewer than two images.
    """
    if len(x) < 2:
        raise ValueError(f"feature_gaussian: a covariance needs two images or more, got {len(x)}.")
    seen = in_batches(features, x).double()
    return seen.mean(dim=0), seen.T.cov()


def feature_distance(features: Callable[[Tensor], Tensor], x: Tensor, reference: Tensor) -> float:
    """Fréchet distance between two sets of images, seen through the features of a network.

    It depends on the network and on how many images there are, and is not 0 for two sets of real images: name
    both numbers, and print that floor beside it. For many sets against one, take its feature_gaussian once.

    Args:
        features, x, reference: see feature_gaussian.

    Raises:
        ValueError: fewer than two images in a set.
    """
    return frechet_distance(*feature_gaussian(features, x), *feature_gaussian(features, reference))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Squared maximum mean discrepancy under the kernel (a.b / D + 1)^3, without bias: KID.

    Bińkowski et al. 2018 (arXiv:1801.01401), eq. 4 and section 3. Unlike the Fréchet distance its expectation
    does not depend on how many examples there are, and is 0 for two sets from one distribution.

    Args:
        x: (N, D) float, features of one set.
        y: (M, D) float, features of the other; N, M >= 2.

    Returns:
        about 0 or above; a little below 0 is possible.

    Raises:
        ValueError: D differs, or a set holds fewer than two examples.
    """
    require_float_tensor("kernel_distance", x=x, y=y)
    require_dims("kernel_distance", 2, "(N, D)", x=x, y=y)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            "kernel_distance: x and y must be (N, D) and (M, D), two rows or more, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    x, y = x.double(), y.double()
    (xx, yy, xy) = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    return (_mean_off_diagonal(xx) + _mean_off_diagonal(yy) - 2 * xy.mean()).item()


def _mean_off_diagonal(square: Tensor) -> Tensor:
    return (square.sum() - square.trace()) / (len(square) * (len(square) - 1))


def _require_scores(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 1, "(N,)", **named)
    for name, value in named.items():
        if not len(value) or value.isnan().any():
            raise ValueError(f"{function}: {name} must hold at least one number, and no NaN.")
