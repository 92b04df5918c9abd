"""Measures of quality.

normal, anomalous    (N,), (M,) float    scores; a higher score is more suspicious
threshold            an example is flagged where its score lies strictly above it
"""

import torch
from torch import Tensor

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


def _require_scores(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 1, "(N,)", **named)
    for name, value in named.items():
        if not len(value) or value.isnan().any():
            raise ValueError(f"{function}: {name} must hold at least one number, and no NaN.")
