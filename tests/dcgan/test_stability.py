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


# --- gradient penalty ---


def linear_critic(w):
    return lambda x: x.flatten(1) @ w[:, None]


@given(SIZES, SIZES, st.floats(0.01, 20), SEEDS)
def test_penalty_of_a_linear_critic_depends_on_its_length_alone(b, c, length, seed):
    w = normal(c * 12, seed=seed)
    w = length * w / w.norm()
    real, fake = normal(b, c, 3, 4, seed=seed + 1), normal(b, c, 3, 4, seed=seed + 2)
    penalty = dcgan.gradient_penalty(linear_critic(w), real, fake, uniform(b, 1, 1, 1, seed=seed))
    assert penalty.item() == pytest.approx((length - 1) ** 2, rel=1e-9, abs=1e-12)


def test_penalty_of_a_quadratic_critic_sees_the_mixtures():
    """critic = ||x||^2 / 2 has the gradient x: the norm is that of the mixture itself."""
    real, fake, mix = normal(4, 2, 3, 5), normal(4, 2, 3, 5, seed=1), uniform(4, 1, 1, 1)
    penalty = dcgan.gradient_penalty(lambda x: x.square().flatten(1).sum(dim=1) / 2, real, fake, mix)
    expected = [
        (m * r + (1 - m) * f).square().sum().sqrt() - 1 for r, f, m in zip(real, fake, mix, strict=True)
    ]
    assert penalty.item() == pytest.approx(sum(e.item() ** 2 for e in expected) / 4, rel=1e-12)


def test_penalty_is_differentiable_by_the_critics_weights():
    real, fake, mix = normal(3, 1, 2, 4), normal(3, 1, 2, 4, seed=1), uniform(3, 1, 1, 1)
    first, last = normal(5, 8, seed=2).requires_grad_(), normal(5, seed=3).requires_grad_()

    def penalty(first, last):
        return dcgan.gradient_penalty(lambda x: (x.flatten(1) @ first.T).tanh() @ last, real, fake, mix)

    assert torch.autograd.gradcheck(penalty, (first, last))


def test_penalty_leaves_no_gradient_on_what_it_was_given():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    fake = normal(2, 1, 3, 4, dtype=torch.float32).requires_grad_()
    real, mix = normal(2, 1, 3, 4, seed=1, dtype=torch.float32), torch.full((2, 1, 1, 1), 0.3)
    penalty = dcgan.gradient_penalty(critic, real, fake, mix)
    assert penalty.requires_grad and not real.requires_grad
    assert all(parameter.grad is None for parameter in critic.parameters())
    penalty.backward()
    assert fake.grad is None


@given(st.lists(SIZES, min_size=1, max_size=5).map(tuple), st.lists(SIZES, min_size=1, max_size=5).map(tuple))
def test_penalty_refuses_shapes_that_would_broadcast(shape, mix_shape):
    real, mix = torch.zeros(shape), torch.zeros(mix_shape)
    if len(shape) == 4 and mix_shape == (shape[0], 1, 1, 1):
        assert dcgan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix).shape == ()
    else:
        with pytest.raises(ValueError, match=r"gradient_penalty: (real must have 4 dimensions|mix must be)"):
            dcgan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix)


def test_penalty_refuses_unequal_shapes_and_whole_numbers():
    real, mix = torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 1, 1)
    with pytest.raises(ValueError, match="gradient_penalty: shapes must be equal"):
        dcgan.gradient_penalty(torch.sum, real, real[:1], mix)
    for dtype in WRONG_DTYPES:
        with pytest.raises(TypeError, match="gradient_penalty: fake must be a floating-point tensor"):
            dcgan.gradient_penalty(torch.sum, real, real.to(dtype), mix)


# --- the critic's loss ---


@given(st.integers(1, 4), st.floats(0.1, 5), st.floats(0, 20), SEEDS)
def test_loss_of_a_linear_critic_has_a_closed_form(b, length, weight, seed):
    """Scores are w.x: fakes minus real is w times the difference of means, the penalty (|w| - 1)^2."""
    w = normal(6, seed=seed)
    w = length * w / w.norm()
    real, fake = normal(b, 1, 2, 3, seed=seed + 1), normal(b, 1, 2, 3, seed=seed + 2)
    loss = dcgan.critic_loss(linear_critic(w), real, fake, uniform(b, 1, 1, 1), weight)
    gap = (w @ (fake - real).flatten(1).mean(dim=0)).item()
    assert loss.item() == pytest.approx(gap + weight * (length - 1) ** 2, rel=1e-9, abs=1e-9)


def test_a_critic_with_its_penalty_finds_the_wasserstein_distance_of_shifted_data():
    """Fakes are the data moved by a vector of length 3: no plan moves them by less. At its best the critic is
    linear with the slope k that minimises 10 (k - 1)^2 - 3 k: a little above 1.
    """
    with seeded(0):
        critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)).double()
    generator = Shifted(torch.tensor([3.0, 0, 0, 0]).double())
    adam = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for step in range(400):
        z, mix = normal(64, 4, seed=step), uniform(64, 1, 1, 1, seed=step)
        dcgan.critic_step(generator, critic, normal(64, 1, 2, 2, seed=step + 5000), z, mix, adam)
    real, fake = normal(2000, 1, 2, 2, seed=1), generator(normal(2000, 4, seed=2))
    assert (critic(real).mean() - critic(fake).mean()).item() == pytest.approx(3 * (1 + 3 / 20), rel=0.05)


class Shifted(nn.Module):
    """A generator that only moves its latents."""

    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(by)

    def forward(self, z):
        return (z + self.by).view(-1, 1, 2, 2)


def test_a_step_of_the_critic_returns_its_loss_and_leaves_the_generator_alone():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).double()
    generator = Shifted(torch.ones(4).double())
    real, z, mix = normal(5, 1, 2, 2), normal(5, 4, seed=1), uniform(5, 1, 1, 1)
    before = [parameter.detach().clone() for parameter in critic.parameters()]
    expected = dcgan.critic_loss(critic, real, generator(z).detach(), mix).item()
    loss = dcgan.critic_step(generator, critic, real, z, mix, torch.optim.SGD(critic.parameters(), lr=0.1))
    assert loss == pytest.approx(expected, rel=1e-12)
    assert generator.by.grad is None
    assert not torch.equal(before[0], critic[1].weight)


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
