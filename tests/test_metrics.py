"""Detection measures against scikit-learn, on random scores with ties; Fréchet distances against SciPy."""

import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer

from course_utils.metrics import (
    confusion_counts,
    feature_distance,
    frechet_distance,
    roc_auc,
    roc_curve,
)

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


def gaussian(size, seed):
    """A random mean and a random covariance."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(size, 2 * size, generator=generator).double()
    return torch.randn(size, generator=generator).double(), factor @ factor.T / size


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_frechet_distance_is_the_formula_with_scipys_matrix_root(size):
    (mu1, cov1), (mu2, cov2) = gaussian(size, 0), gaussian(size, 1)
    root = scipy.linalg.sqrtm((cov1 @ cov2).numpy()).real
    expected = (mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * root.trace()
    assert frechet_distance(mu1, cov1, mu2, cov2) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_distance_of_variances_along_axes_is_known_in_closed_form():
    """Gaussians with diagonal covariances: sum of (mu1 - mu2)^2 + (std1 - std2)^2."""
    mu, std1, std2 = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0]), torch.tensor([1.5, 0.0])
    found = frechet_distance(mu, std1.square().diag(), -mu, std2.square().diag())
    assert found == pytest.approx(4 * 5 + 1 + 4, rel=1e-6)


def test_frechet_distance_to_itself_is_zero_and_both_orders_agree():
    (mu1, cov1), (mu2, cov2) = gaussian(9, 4), gaussian(9, 5)
    assert frechet_distance(mu1, cov1, mu1, cov1) == pytest.approx(0, abs=1e-8)
    there, back = frechet_distance(mu1, cov1, mu2, cov2), frechet_distance(mu2, cov2, mu1, cov1)
    assert there == pytest.approx(back, rel=1e-9)


def test_frechet_distance_refuses_shapes_that_do_not_fit():
    (mu1, cov1), (mu2, cov2) = gaussian(3, 0), gaussian(4, 0)
    with pytest.raises(ValueError, match=r"frechet_distance: shapes must be .*got \(3,\), \(3, 3\), \(4,\)"):
        frechet_distance(mu1, cov1, mu2, cov2)


def test_feature_distance_compares_means_and_covariances_of_features():
    generator = torch.Generator().manual_seed(6)
    x, y = torch.randn(900, 1, 2, 3, generator=generator), 2 * torch.randn(700, 1, 2, 3, generator=generator)
    statistics = [(f.mean(dim=0), f.T.cov()) for f in (x.flatten(1).double(), y.flatten(1).double())]
    found = feature_distance(lambda images: images.flatten(1), x, y)
    assert found == pytest.approx(frechet_distance(*statistics[0], *statistics[1]), rel=1e-9)


def test_feature_distance_needs_two_images():
    one = torch.zeros(1, 1, 2, 3)
    with pytest.raises(ValueError, match="a covariance needs two images or more, got 1 and 1"):
        feature_distance(lambda images: images.flatten(1), one, one)
