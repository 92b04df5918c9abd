"""The duel: the same calls give the same, a view changes nothing, arrows point down the generator's loss."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils import gan
from course_utils.gan import CURES, Duel, Rules
from course_utils.training import seeded

SMALL = {"hidden": 8, "batch_size": 8}
EXTENT = (-3.0, 3.0, -2.0, 2.0)


def duel_of(seed=0, rules=None, **more):
    rules = rules or Rules(**SMALL)
    with seeded(seed):
        players = rules.players()
    random = torch.Generator().manual_seed(seed)
    return Duel(players, gan.ring_of_gaussians(), rules, generator=random, shown=12, grid=5, **more)


def play(duel, calls="ddgdgg"):
    for call in calls:
        (duel.discriminator_step if call == "d" else duel.generator_step)()
    return duel.view()


def same(one, other):
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("fake", "heat", "arrows"))


@pytest.mark.parametrize("cure", CURES)
def test_the_same_calls_after_a_reset_give_the_same_picture(cure):
    rules = Rules(**vars(CURES[cure]) | SMALL)
    duel = duel_of(rules=rules)
    start, first = duel.view(), play(duel)
    duel.reset()
    assert same(duel.view(), start) and duel.view().losses == [] and duel.view().steps == (0, 0)
    second = play(duel)
    assert same(first, second) and not same(first, start)
    assert first.losses == second.losses and first.steps == second.steps == (3, 3)


def test_other_seeds_play_other_duels():
    assert not same(play(duel_of(0)), play(duel_of(1)))


@pytest.mark.parametrize("cure", CURES)
def test_looking_changes_nothing(cure):
    rules = Rules(**vars(CURES[cure]) | SMALL)
    watched, alone = duel_of(rules=rules), duel_of(rules=rules)
    for _ in range(3):
        watched.view()
        watched.fakes(7)
        play(watched, "dg")
        play(alone, "dg")
    assert same(watched.view(), alone.view())
    assert watched.losses == alone.losses


def test_each_step_moves_its_own_player_only():
    duel = duel_of()
    before = duel.view()
    duel.discriminator_step()
    middle = duel.view()
    assert torch.equal(before.fake, middle.fake) and not torch.equal(before.heat, middle.heat)
    duel.generator_step()
    after = duel.view()
    assert not torch.equal(middle.fake, after.fake) and torch.equal(middle.heat, after.heat)
    assert (middle.steps, after.steps) == ((1, 0), (1, 1))


def test_real_points_are_the_same_in_every_view():
    duel = duel_of()
    assert torch.equal(duel.view().real, play(duel).real)
    assert gan.good_points(duel.view().real, gan.ring_of_gaussians()).double().mean() > 0.8


def test_heat_is_the_probability_at_the_places_of_the_grid():
    duel = duel_of(extent=EXTENT)
    heat = play(duel).heat
    assert heat.shape == (5, 5)
    corner = torch.tensor([[3.0, -2.0]])  # the largest x, the smallest y: heat[0, -1]
    with torch.no_grad():
        assert heat[0, -1].item() == pytest.approx(duel.discriminator(corner).sigmoid().item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["non_saturating", "minimax"])
def test_arrows_are_steps_down_the_loss_of_each_fake(kind):
    duel = duel_of(rules=Rules(**SMALL, kind=kind))
    view = play(duel)
    leaf = view.fake.clone().requires_grad_()
    losses = [gan.generator_loss(logit[None], kind) for logit in duel.discriminator(leaf)]
    (slope,) = torch.autograd.grad(sum(losses), leaf)
    assert F.cosine_similarity(view.arrows, -slope).min() > 0.999
    short = slope.norm(dim=1) < 0.6  # the others are cut
    assert short.any()
    torch.testing.assert_close(view.arrows[short], -slope[short])


def test_no_arrow_is_longer_than_the_longest():
    duel = duel_of(rules=Rules(**SMALL, scale=100.0))
    with torch.no_grad():
        duel.discriminator.layers[-1].bias -= 5.0  # every fake is recognised, far below the steep place
    lengths = duel.view().arrows.norm(dim=1)
    assert lengths.max().item() == pytest.approx(0.6, rel=1e-5)


def test_losses_are_those_of_the_steps_and_wait_for_their_turn():
    duel = duel_of()
    play(duel, "ggd")
    (d0, g0), (d1, g1), (d2, g2) = duel.losses
    assert d0 == d1 != d2 and g1 == g2 != g0
    assert d0 == pytest.approx(2 * math.log(2), abs=0.5)


def test_steps_that_are_handed_over_are_used():
    seen = []

    def d_step(generator, discriminator, real, z, optimizer):
        seen.append(("d", real.shape, z.shape))
        return 5.0

    def g_step(generator, discriminator, z, optimizer):
        seen.append(("g", z.shape))
        return 7.0

    duel = duel_of(discriminator_step=d_step, generator_step=g_step)
    play(duel, "dg")
    assert seen == [("d", (8, 2), (8, 2)), ("g", (8, 2))]
    assert duel.losses[-1] == (5.0, 7.0)


def test_turns_have_as_many_steps_as_the_rules_say():
    duel = duel_of(rules=Rules(**SMALL, discriminator_steps=3))
    assert list(duel.turns(4)) == [1, 2, 3, 4]
    assert duel.steps == (12, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shown": 0}, "shown must be at least 1, got 0"),
        ({"grid": 1}, "grid must be at least 2, got 1"),
        (
            {"rules": Rules(pack=3, batch_size=8)},
            "batches must divide into packs, got batches of 8 and packs of 3",
        ),
    ],
)
def test_a_duel_refuses(arguments, message):
    rules = arguments.pop("rules", Rules(**SMALL))
    with pytest.raises(ValueError, match=f"Duel: {message}"):
        Duel(rules.players(), gan.ring_of_gaussians(), rules, generator=torch.Generator(), **arguments)
