"""Cures: each does what its name says, and nothing else differs from the plain rules."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import dcgan, gan
from course_utils.gan import CURES, PointDiscriminator, Rules
from course_utils.training import seeded

SEEDS, SIZES = st.integers(0, 999), st.integers(1, 9)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def critic_of(seed=0):
    with seeded(seed):
        return PointDiscriminator(hidden=8)


def differences(rules):
    return {name for name, value in vars(rules).items() if value != getattr(Rules(), name)}


def test_each_cure_changes_one_thing_or_two_of_which_one_is_measured_alone():
    alone = {frozenset(differences(rules)) for rules in CURES.values()}
    assert frozenset() in alone
    for rules in CURES.values():
        found = differences(rules)
        assert len(found) <= 1 or any(frozenset({name}) in alone for name in found)


@pytest.mark.parametrize("cure", CURES)
def test_players_are_drawn_from_the_seed(cure):
    def first_weights(seed):
        with seeded(seed):
            return torch.cat([p.flatten() for player in CURES[cure].players() for p in player.parameters()])

    assert torch.equal(first_weights(0), first_weights(0))
    assert not torch.equal(first_weights(0), first_weights(1))


@given(SEEDS)
def test_under_spectral_norm_no_logit_changes_faster_than_the_scale(seed):
    with seeded(seed):
        _, discriminator = Rules(hidden=16, spectral=True, scale=5.0).players()
    for _ in range(20):
        discriminator(torch.zeros(1, 2))  # a power iteration each
    a, b = 3 * normal(200, 2, seed=seed), 3 * normal(200, 2, seed=seed + 1)
    with torch.no_grad():
        change = (discriminator(a) - discriminator(b)).abs()
    assert (change <= 5.0 * (a - b).norm(dim=1) * 1.01).all()


def test_the_scale_multiplies_the_logits():
    bold, plain = PointDiscriminator(hidden=4, scale=30.0), PointDiscriminator(hidden=4)
    bold.load_state_dict(plain.state_dict())
    torch.testing.assert_close(bold(normal(5, 2)), 30 * plain(normal(5, 2)))


@given(st.integers(1, 4), SIZES, SEEDS)
def test_a_pack_is_judged_by_all_of_its_points(pack, packs, seed):
    with seeded(seed):
        discriminator = PointDiscriminator(hidden=8, pack=pack)
    points = normal(pack * packs, 2, seed=seed)
    logits = discriminator(points)
    assert logits.shape == (packs,)
    moved = points.clone()
    moved[-1] += 1.0
    changed = discriminator(moved) != logits
    assert changed[-1] and not changed[:-1].any()


def test_alone_a_point_is_judged_as_a_pack_of_its_copies():
    with seeded(0):
        discriminator = PointDiscriminator(hidden=8, pack=3)
    points = normal(4, 2)
    expected = discriminator(points.repeat_interleave(3, dim=0))
    torch.testing.assert_close(discriminator.eval()(points), expected)


def test_points_that_do_not_divide_into_packs_are_refused():
    with pytest.raises(ValueError, match="PointDiscriminator: points must divide into packs of 3, got 4"):
        PointDiscriminator(pack=3)(torch.zeros(4, 2))


@given(SIZES, SEEDS)
def test_the_penalty_is_that_of_chapter_5_on_images_of_one_pixel(b, seed):
    critic, real, fake = critic_of(seed), normal(b, 2, seed=seed), normal(b, 2, seed=seed + 1)
    mix = torch.rand(b, 1, generator=torch.Generator().manual_seed(seed))
    theirs = dcgan.gradient_penalty(
        lambda x: critic(x.flatten(1)), *(x[..., None, None] for x in (real, fake, mix))
    )
    torch.testing.assert_close(gan.gradient_penalty(critic, real, fake, mix), theirs)


@given(SEEDS)
def test_a_linear_critic_is_penalised_by_its_slope(seed):
    w = normal(2, seed=seed)
    penalty = gan.gradient_penalty(lambda x: x @ w, normal(6, 2), normal(6, 2, seed=1), torch.rand(6, 1))
    assert penalty.item() == pytest.approx((w.norm().item() - 1) ** 2, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("fake", "mix", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(4, 1), "shapes must be equal"),
        (torch.zeros(4, 2), torch.zeros(4), r"mix must be \(4, 1\), got \(4,\)"),
        (torch.zeros(4, 2), torch.zeros(1, 1), r"mix must be \(4, 1\), got \(1, 1\)"),
    ],
)
def test_the_penalty_refuses(fake, mix, message):
    with pytest.raises(ValueError, match=f"gradient_penalty: {message}"):
        gan.gradient_penalty(critic_of(), torch.zeros(4, 2), fake, mix)


def test_a_critics_step_widens_the_gap_and_leaves_the_generator():
    generator, critic = gan.PointGenerator(2, 8), critic_of()
    real, z, mix = normal(64, 2) + 3, normal(64, 2, seed=1), torch.rand(64, 1)
    before = [p.detach().clone() for p in generator.parameters()]
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.05)

    def gap():
        with torch.no_grad():
            return (critic(generator(z)).mean() - critic(real).mean()).item()

    start = gap()
    losses = [gan.critic_step(generator, critic, real, z, optimizer, mix, penalty=0.0) for _ in range(5)]
    assert losses[0] == pytest.approx(start, rel=1e-5)
    assert gap() < losses[-1] < losses[0]
    assert all(torch.equal(p, old) for p, old in zip(generator.parameters(), before, strict=True))
    assert all(p.grad is None for p in generator.parameters())


def test_a_penalty_holds_the_slope_where_it_balances_the_gap():
    """A gap of distance d pulls the slope s up, the penalty back: -d s + λ (s - 1)^2 is least at 1 + d/2λ."""
    generator, critic = nn.Identity(), critic_of()
    real, fake = normal(128, 2) + 2, normal(128, 2, seed=1) - 2
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for _ in range(150):
        gan.critic_step(generator, critic, real, fake, optimizer, torch.rand(128, 1), penalty=10.0)
    distance = math.dist(real.mean(dim=0), fake.mean(dim=0))
    with torch.no_grad():
        gap = (critic(real).mean() - critic(fake).mean()).item()
    assert gap == pytest.approx(distance * (1 + distance / 20), rel=0.1)


def test_a_generators_step_against_a_critic_raises_the_score_of_its_fakes():
    generator, critic, z = gan.PointGenerator(2, 8), critic_of(), normal(64, 2)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.05)
    with torch.no_grad():
        start = critic(generator(z)).mean().item()
    assert gan.critic_generator_step(generator, critic, z, optimizer) == pytest.approx(-start)
    with torch.no_grad():
        assert critic(generator(z)).mean().item() > start
