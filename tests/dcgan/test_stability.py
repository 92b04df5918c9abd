"""Slope penalty, spectral norm and diversity, against PyTorch's own, scipy, autograd, and identities."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as parametrized

from course_utils import dcgan
from course_utils.training import seeded

SEEDS = st.integers(0, 999)
WRONG_DTYPES = (torch.uint8, torch.int64, torch.bool)
SIZES = st.integers(1, 5)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# --- spectral norm ---

WEIGHTS = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


@given(WEIGHTS, SEEDS)
def test_spectral_norm_converges_to_the_largest_singular_value_from_below(shape, seed):
    weight, u = normal(*shape, seed=seed), normal(shape[0], seed=seed + 1)
    exact = torch.linalg.matrix_norm(weight.flatten(1), ord=2).item()
    estimates = [dcgan.spectral_norm(weight, u, n).item() for n in (1, 2, 5, 20, 5000)]
    assert estimates == sorted(estimates, key=lambda sigma: round(sigma, 9))
    assert estimates[-1] == pytest.approx(exact, rel=1e-3)
    assert max(estimates) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("n_iter", [1, 2, 7])
def test_spectral_norm_goes_through_the_vectors_of_pytorchs_own(n_iter):
    """PyTorch updates u and then v, ours v and then u: with v from our first half round, u is the same."""
    with seeded(3):
        layer = parametrized(nn.Conv2d(3, 5, 4, dtype=torch.float64), n_power_iterations=n_iter)
    weight = layer.parametrizations.weight.original.detach()
    theirs, matrix, u = layer.parametrizations.weight[0], weight.flatten(1), normal(5)
    theirs._v.copy_(nn.functional.normalize(matrix.T @ u, dim=0))
    sigma = (weight / layer.weight.detach()).mean().item()  # reading the weight iterates
    assert dcgan.spectral_norm(weight, u, n_iter + 1).item() == pytest.approx(
        (matrix @ theirs._v).norm().item(), rel=1e-12
    )
    before, after = (dcgan.spectral_norm(weight, u, n).item() for n in (n_iter, n_iter + 1))
    assert before < sigma < after  # theirs is half a round further than ours after n_iter


@given(WEIGHTS, st.floats(0.1, 10), SEEDS)
def test_spectral_norm_scales_with_the_weight_and_not_with_u(shape, factor, seed):
    weight, u = normal(*shape, seed=seed), normal(shape[0], seed=seed + 1)
    sigma = dcgan.spectral_norm(weight, u, 2)
    assert sigma.shape == ()
    assert dcgan.spectral_norm(factor * weight, u, 2).item() == pytest.approx(factor * sigma.item(), rel=1e-9)
    assert dcgan.spectral_norm(weight, factor * u, 2).item() == pytest.approx(sigma.item(), rel=1e-9)


def test_spectral_norm_of_a_rotation_is_one_and_its_gradient_is_the_outer_product():
    rotation = torch.linalg.qr(normal(4, 4)).Q
    assert dcgan.spectral_norm(rotation, normal(4, seed=1), 1).item() == pytest.approx(1, abs=1e-12)
    weight, u = normal(3, 5).requires_grad_(), normal(3, seed=1)
    dcgan.spectral_norm(weight, u, 500).backward()
    left, _, right = torch.linalg.svd(weight.detach())
    assert torch.allclose(weight.grad, torch.outer(left[:, 0], right[0]), atol=1e-9)
    assert torch.equal(u, normal(3, seed=1))


@pytest.mark.parametrize(
    ("weight", "u", "n_iter", "error", "message"),
    [
        (torch.ones(3), torch.ones(3), 1, ValueError, "weight must have 2 dimensions or more"),
        (torch.ones(3, 4), torch.ones(4), 1, ValueError, r"u must be \(3,\), a number for each output"),
        (torch.ones(3, 4), torch.ones(3, 1), 1, ValueError, r"u must be \(3,\)"),
        (torch.ones(3, 4), torch.ones(3), 0, ValueError, "n_iter must be at least 1, got 0"),
        (torch.ones(3, 4), torch.ones(3), 1.0, TypeError, "n_iter must be an int"),
        (torch.ones(3, 4).long(), torch.ones(3), 1, TypeError, "weight must be a floating-point tensor"),
        (torch.ones(3, 4), [1.0, 1.0, 1.0], 1, TypeError, "u must be a floating-point tensor"),
    ],
)
def test_spectral_norm_refuses(weight, u, n_iter, error, message):
    with pytest.raises(error, match=f"spectral_norm: {message}"):
        dcgan.spectral_norm(weight, u, n_iter)


# --- diversity ---


@given(st.integers(2, 6), SIZES, SIZES, SIZES, SEEDS)
def test_diversity_is_the_mean_of_scipys_distances(b, c, h, w, seed):
    x = normal(b, c, h, w, seed=seed)
    expected = pdist(x.flatten(1).numpy()).mean()
    assert dcgan.pairwise_diversity(x).item() == pytest.approx(expected, rel=1e-10)


def test_diversity_of_a_collapsed_generator_is_zero_and_of_a_simplex_its_side():
    assert dcgan.pairwise_diversity(normal(1, 1, 4, 4).expand(5, 1, 4, 4)).item() == 0
    assert dcgan.pairwise_diversity(torch.eye(6).double()).item() == pytest.approx(math.sqrt(2), abs=1e-12)


@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (1, 1, 28, 28), (0, 3)])
def test_diversity_refuses_what_has_no_pairs(shape):
    with pytest.raises(ValueError, match=r"pairwise_diversity: x must be \(B, ...\) with B >= 2"):
        dcgan.pairwise_diversity(torch.zeros(shape))


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_diversity_refuses_whole_numbers(dtype):
    with pytest.raises(TypeError, match="pairwise_diversity: x must be a floating-point tensor"):
        dcgan.pairwise_diversity(torch.zeros(3, 4).to(dtype))
