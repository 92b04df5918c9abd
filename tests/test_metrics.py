"""Detection measures against scikit-learn, on random scores with ties; Fréchet distances against SciPy.

Kernel distances against scikit-learn and against their definition, sum by sum.
"""

import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer
from sklearn.metrics.pairwise import polynomial_kernel

from course_utils.metrics import (
    confusion_counts,
    feature_distance,
    frechet_distance,
    kernel_distance,
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
    with pytest.raises(ValueError, match=r"^feature_gaussian: a covariance needs two images.*, got 1\.$"):
        feature_distance(lambda images: images.flatten(1), one, one)


SIZES = st.integers(2, 8)


def rows(n, width, seed=0, dtype=torch.float64):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(n=SIZES, m=SIZES, width=st.integers(1, 6), seed=st.integers(0, 999))
def test_kernel_distance_is_the_one_with_scikit_learns_kernel(n, m, width, seed):
    x, y = rows(n, width, seed), rows(m, width, seed + 1)
    xx, yy, xy = (
        polynomial_kernel(a, b, degree=3, gamma=1 / width, coef0=1) for a, b in ((x, x), (y, y), (x, y))
    )
    within = ((k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (xx, yy))
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * xy.mean(), rel=1e-10, abs=1e-10)


@given(n=SIZES, m=SIZES, width=st.integers(1, 6), seed=st.integers(0, 999))
def test_kernel_distance_is_its_definition_pair_by_pair(n, m, width, seed):
    """Bińkowski et al. 2018, eq. 4: no example is compared with itself."""

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / width + 1) ** 3

    x, y = rows(n, width, seed).tolist(), rows(m, width, seed + 1).tolist()
    expected = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    expected += sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    expected -= 2 * sum(k(a, b) for a in x for b in y) / (n * m)
    found = kernel_distance(torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64))
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_without_bias_it_is_0_on_average_and_the_frechet_distance_is_not():
    """Many small draws from one distribution, of different sizes."""
    draws, width = 2_000, 4
    for n, m in ((3, 3), (4, 12)):
        pairs = [(rows(n, width, 2 * i), rows(m, width, 2 * i + 1)) for i in range(draws)]
        found = torch.tensor([kernel_distance(x, y) for x, y in pairs], dtype=torch.float64)
        standard_error = found.std() / draws**0.5
        assert found.mean().abs() < 4 * standard_error
        assert found.min() < 0 < found.max()
        frechet = torch.tensor(
            [
                frechet_distance(x.mean(dim=0), x.T.cov(), y.mean(dim=0), y.T.cov())
                for x, y in pairs[: draws // 10]
            ]
        )
        assert frechet.mean() > 10 * frechet.std() / len(frechet) ** 0.5


def test_kernel_distance_tells_distributions_apart_by_as_much_for_few_as_for_many():
    """Of normal distributions the true distance is known, from their moments."""
    mu = 1.5

    def expected_kernel(a, b):
        """The mean of (x y + 1)^3 for independent x ~ N(a, 1), y ~ N(b, 1)."""
        return 1 + 3 * a * b + 3 * (a**2 + 1) * (b**2 + 1) + (a**3 + 3 * a) * (b**3 + 3 * b)

    true = expected_kernel(0, 0) + expected_kernel(mu, mu) - 2 * expected_kernel(0, mu)
    for n, draws in ((4, 2_000), (40, 500)):
        found = torch.tensor(
            [kernel_distance(rows(n, 1, 2 * i), rows(n, 1, 2 * i + 1) + mu) for i in range(draws)]
        )
        assert (found.mean() - true).abs() < 4 * found.std() / draws**0.5
        assert found.mean() > 10 * found.std() / draws**0.5


def test_kernel_distance_is_computed_in_float64_and_the_same_in_both_orders():
    x, y = 30 * rows(50, 8, dtype=torch.float32), 30 * rows(40, 8, seed=1, dtype=torch.float32)
    there = kernel_distance(x, y)
    assert there == kernel_distance(x.double(), y.double())
    assert there == pytest.approx(kernel_distance(y, x), rel=1e-12)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
)
def test_kernel_distance_takes_two_sets_of_equal_width_and_nothing_else(first, second):
    x, y = torch.ones(first), torch.ones(second)
    if len(first) == len(second) == 2 and first[1] == second[1] and min(first[0], second[0]) >= 2:
        assert kernel_distance(x, y) == pytest.approx(0, abs=1e-9)
    else:
        with pytest.raises(ValueError, match=r"^kernel_distance: .*must (be|have 2 dimensions) \(N, D\)"):
            kernel_distance(x, y)


@pytest.mark.parametrize("wrong", [None, [[1.0]], torch.ones(3, 2, dtype=torch.int64)])
def test_kernel_distance_refuses_what_is_no_float_tensor(wrong):
    with pytest.raises(TypeError, match=r"^kernel_distance: y must be a floating-point tensor"):
        kernel_distance(torch.ones(3, 2), wrong)
