"""Slope penalty and critic of WGAN-GP: closed forms, gradients, and the Wasserstein distance of a shift."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import gan
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
    penalty = gan.gradient_penalty(linear_critic(w), real, fake, uniform(b, 1, 1, 1, seed=seed))
    assert penalty.item() == pytest.approx((length - 1) ** 2, rel=1e-9, abs=1e-12)


def test_penalty_of_a_quadratic_critic_sees_the_mixtures():
    """critic = ||x||^2 / 2 has the gradient x: the norm is that of the mixture itself."""
    real, fake, mix = normal(4, 2, 3, 5), normal(4, 2, 3, 5, seed=1), uniform(4, 1, 1, 1)
    penalty = gan.gradient_penalty(lambda x: x.square().flatten(1).sum(dim=1) / 2, real, fake, mix)
    expected = [
        (m * r + (1 - m) * f).square().sum().sqrt() - 1 for r, f, m in zip(real, fake, mix, strict=True)
    ]
    assert penalty.item() == pytest.approx(sum(e.item() ** 2 for e in expected) / 4, rel=1e-12)


def test_penalty_is_differentiable_by_the_critics_weights():
    real, fake, mix = normal(3, 1, 2, 4), normal(3, 1, 2, 4, seed=1), uniform(3, 1, 1, 1)
    first, last = normal(5, 8, seed=2).requires_grad_(), normal(5, seed=3).requires_grad_()

    def penalty(first, last):
        return gan.gradient_penalty(lambda x: (x.flatten(1) @ first.T).tanh() @ last, real, fake, mix)

    assert torch.autograd.gradcheck(penalty, (first, last))


def test_penalty_leaves_no_gradient_on_what_it_was_given():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    fake = normal(2, 1, 3, 4, dtype=torch.float32).requires_grad_()
    real, mix = normal(2, 1, 3, 4, seed=1, dtype=torch.float32), torch.full((2, 1, 1, 1), 0.3)
    penalty = gan.gradient_penalty(critic, real, fake, mix)
    assert penalty.requires_grad and not real.requires_grad
    assert all(parameter.grad is None for parameter in critic.parameters())
    penalty.backward()
    assert fake.grad is None


@given(st.lists(SIZES, min_size=1, max_size=5).map(tuple), st.lists(SIZES, min_size=1, max_size=5).map(tuple))
def test_penalty_refuses_shapes_that_would_broadcast(shape, mix_shape):
    real, mix = torch.zeros(shape), torch.zeros(mix_shape)
    if len(shape) >= 2 and mix_shape == (shape[0], *[1] * (len(shape) - 1)):
        assert gan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix).shape == ()
    else:
        with pytest.raises(ValueError, match=r"gradient_penalty: (real must be|mix must be)"):
            gan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix)


def test_penalty_refuses_unequal_shapes_and_whole_numbers():
    real, mix = torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 1, 1)
    with pytest.raises(ValueError, match="gradient_penalty: shapes must be equal"):
        gan.gradient_penalty(torch.sum, real, real[:1], mix)
    for dtype in WRONG_DTYPES:
        with pytest.raises(TypeError, match="gradient_penalty: fake must be a floating-point tensor"):
            gan.gradient_penalty(torch.sum, real, real.to(dtype), mix)


# --- the critic's loss ---


@given(st.integers(1, 4), st.floats(0.1, 5), st.floats(0, 20), SEEDS)
def test_loss_of_a_linear_critic_has_a_closed_form(b, length, weight, seed):
    """Scores are w.x: fakes minus real is w times the difference of means, the penalty (|w| - 1)^2."""
    w = normal(6, seed=seed)
    w = length * w / w.norm()
    real, fake = normal(b, 1, 2, 3, seed=seed + 1), normal(b, 1, 2, 3, seed=seed + 2)
    loss = gan.critic_loss(linear_critic(w), real, fake, uniform(b, 1, 1, 1), weight)
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
        gan.critic_step(generator, critic, normal(64, 1, 2, 2, seed=step + 5000), z, mix, adam)
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
    expected = gan.critic_loss(critic, real, generator(z).detach(), mix).item()
    loss = gan.critic_step(generator, critic, real, z, mix, torch.optim.SGD(critic.parameters(), lr=0.1))
    assert loss == pytest.approx(expected, rel=1e-12)
    assert generator.by.grad is None
    assert not torch.equal(before[0], critic[1].weight)


# --- the generator's step ---


def test_a_generators_step_against_a_critic_raises_the_score_of_its_fakes():
    with seeded(0):
        generator, critic = gan.PointGenerator(2, 8), gan.PointDiscriminator(hidden=8)
    z, optimizer = normal(64, 2, dtype=torch.float32), torch.optim.SGD(generator.parameters(), lr=0.05)
    with torch.no_grad():
        start = critic(generator(z)).mean().item()
    assert gan.critic_generator_step(generator, critic, z, optimizer) == pytest.approx(-start)
    with torch.no_grad():
        assert critic(generator(z)).mean().item() > start
