"""Detection measures, against scikit-learn on random scores with ties."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer

from course_utils.metrics import confusion_counts, roc_auc, roc_curve

SCORES = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(
    lambda values: torch.tensor(values).double()
)


def labelled(normal, anomalous):
    return torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))]), torch.cat([normal, anomalous])


@given(SCORES, SCORES)
def test_roc_auc_is_that_of_scikit_learn(normal, anomalous):
    assert roc_auc(normal, anomalous) == pytest.approx(
        peer.roc_auc_score(*labelled(normal, anomalous)), abs=1e-12
    )


@given(SCORES, SCORES)
def test_the_area_under_the_curve_is_the_auc(normal, anomalous):
    false_alarms, caught = roc_curve(normal, anomalous)
    assert (false_alarms[0], caught[0]) == (0, 0)
    assert (false_alarms[-1], caught[-1]) == (1, 1)
    assert torch.trapezoid(caught, false_alarms).item() == pytest.approx(
        roc_auc(normal, anomalous), abs=1e-12
    )


@given(SCORES, SCORES, SCORES)
def test_confusion_counts_are_those_of_scikit_learn(normal, anomalous, thresholds):
    labels, scores = labelled(normal, anomalous)
    for threshold, counts in zip(thresholds, confusion_counts(normal, anomalous, thresholds), strict=True):
        tn, fp, fn, tp = peer.confusion_matrix(labels, scores > threshold, labels=[0, 1]).ravel()
        assert counts.tolist() == [tp, fp, tn, fn]


@pytest.mark.parametrize("bad", [torch.tensor([]), torch.tensor([1.0, torch.nan])])
def test_scores_must_be_numbers(bad):
    with pytest.raises(ValueError, match="roc_auc: anomalous must hold at least one number, and no NaN"):
        roc_auc(torch.tensor([1.0]), bad)
