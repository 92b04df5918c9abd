"""Cures: each does what its name says, and nothing else differs from the plain rules."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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
