"""Chapter 5's recipes, tiny; and the released models: what their cards and the chapter say of them holds."""

import math

import pytest
import torch
from torch import nn

from course_utils.checkpoints.recipes import dcgan as recipes
from course_utils.checkpoints.recipes import train_released
from course_utils.checkpoints.recipes.dcgan import cycle, digits, match, quality, stability
from course_utils.data import LabelledImages, load
from course_utils.dcgan import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Discriminator,
    Generator,
    outlined,
    pairwise_diversity,
)
from course_utils.training import load_card, load_checkpoint, seeded


def ignore(*_):
    """Progress that nobody reads."""


@pytest.fixture
def few(monkeypatch):
    """The recipes on 200 digits of each split."""

    def small(name, split, value_range=(0, 1), size=28):
        return load(name, "test", value_range=value_range, size=size).balanced(20)

    monkeypatch.setattr(recipes, "load", small)
    return small("mnist", "train", (-1, 1))


def released(name):
    return load_checkpoint(f"dcgan/{name}"), load_card(f"dcgan/{name}")


# --- the recipes ---


def test_the_dcgan_keeps_what_it_drew_on_the_way(few, monkeypatch):
    monkeypatch.setattr(digits, "STOPS", (1, 50))
    model, card = train_released("dcgan", "mnist", ignore, steps=2)
    assert model.stops == (1, 2)
    assert card.architecture["stops"] == [1, 2]
    assert not torch.equal(model.history[0], model.history[1])
    assert torch.allclose(quality.sample(model, digits.KEPT), model.history[-1], atol=1e-6)
    assert list(card.quality["by_update_200_samples"]) == ["1", "2"]
    assert not model.training


def test_the_conditional_one_is_measured_class_by_class(few):
    _, card = train_released("dcgan", "conditional", ignore, steps=1)
    assert list(card.quality["diversity_by_class"]) == [str(k) for k in range(10)]
    assert 0 <= card.quality["class_accuracy"] <= 1
    expected = pairwise_diversity(few.images[few.labels == 3]).item()
    assert card.quality["diversity_by_class_test_images"]["3"] == pytest.approx(expected, rel=1e-4)


def test_the_table_of_stability_has_every_variant_rate_and_seed(few, monkeypatch):
    monkeypatch.setattr(stability, "RATES", (0.5,))
    monkeypatch.setattr(stability, "SEEDS", (4, 7))
    monkeypatch.setattr(stability, "EVERY", 2)
    sheet, card = train_released("dcgan", "stability", ignore, steps=3)
    table = card.quality["by_variant_rate_seed_and_update_200_samples"]
    rows = [f"{kind}, 0.5" for kind in stability.VARIANTS]
    assert list(table) == list(sheet.rows) == rows
    for runs in table.values():
        assert list(runs) == ["4", "7"]
        assert all(list(run) == ["2", "3"] for run in runs.values())
    assert sheet["nothing, 0.5"].shape == (stability.KEPT, 1, 28, 28)
    assert sheet.images.min() >= 0 and sheet.images.max() <= 1


def test_the_variants_differ_in_their_discriminator_alone(few):
    matches = {name: variant.match(0.01, 3, few)[1] for name, variant in stability.VARIANTS.items()}
    weights = [one.generator.layers[0].weight for one in matches.values()]
    assert all(torch.equal(weights[0], weight) for weight in weights)
    norms = {
        name: any(isinstance(layer, nn.BatchNorm2d) for layer in one.discriminator.modules())
        for name, one in matches.items()
    }
    assert [name for name, has in norms.items() if has] == ["batch norm"]
    limited = [
        name for name, one in matches.items() if hasattr(one.discriminator.layers[0], "parametrizations")
    ]
    assert limited == ["spectral norm"]
    assert [name for name, one in matches.items() if one.critic] == ["gradient penalty"]


def test_the_cycle_is_measured_with_it_and_without(few):
    _, card = train_released("dcgan", "cycle", ignore, steps=2)
    assert card.quality["with_cycle"] != card.quality["without_cycle"]
    assert set(card.quality["with_cycle"]) == set(card.quality["without_cycle"])


def test_translators_never_see_an_outline_of_their_own_digits(monkeypatch):
    """Images carry their number: those of the first half come as digits, of the second as outlines."""
    seen = []

    def spy(pair, judges, x, y, optimizers, weight):
        seen.append((x[:, 0, 0, 0], y))
        return 0.0

    monkeypatch.setattr(cycle, "translation_step", spy)
    monkeypatch.setattr(cycle, "outlined", lambda y: y[:, 0, 0, 0])
    numbers = torch.arange(100.0).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    cycle.fit(numbers, 1.0, 5, "", ignore)
    assert torch.cat([x for x, _ in seen]).max() < 50 <= torch.cat([y for _, y in seen]).min()


# --- a match ---


def tiny_match(**changes):
    with seeded(0):
        networks = Generator(3, (4, 4)), Discriminator((2, 3))
    data = load("mnist", "test", value_range=(-1, 1))[:50]
    return match.Match(*networks, data.images, data.labels, batch_size=8, **changes)


def test_a_match_is_repeated_by_its_seed():
    losses = [[record.loss for record in tiny_match(seed=seed).rounds(4)] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    assert [record.step for record in tiny_match().rounds(3)] == [1, 2, 3]


def test_the_rate_falls_in_the_second_half_alone(monkeypatch):
    rates = []

    class Spy(torch.optim.Adam):
        def step(self, *args, **kwargs):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    list(tiny_match(lr=0.1).rounds(8))
    assert rates[::2] == rates[1::2] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
    rates.clear()
    list(tiny_match(lr=0.1, falling=False).rounds(4))
    assert rates == [0.1] * 8


def test_both_players_move_also_as_a_critic_and_as_a_conditional_pair():
    data = load("mnist", "test", value_range=(-1, 1))[:20]
    with seeded(0):
        pairs = {
            "critic": (Generator(3, (4, 4)), Discriminator((2, 3), batch_norm=False)),
            "told": (ConditionalGenerator(10, 3, 2, (4, 4)), ConditionalDiscriminator(10, (2, 3))),
        }
    for name, networks in pairs.items():
        before = [next(network.parameters()).clone() for network in networks]
        game = match.Match(*networks, data.images, data.labels, batch_size=8, critic=name == "critic")
        assert all(math.isfinite(record.loss) for record in game.rounds(2))
        assert not any(
            torch.equal(old, next(network.parameters()))
            for old, network in zip(before, networks, strict=True)
        )


# --- quality ---


def test_samples_are_always_the_same_and_leave_the_network_in_its_mode():
    with seeded(0):
        generator = Generator(3, (4, 4))
    first = quality.sample(generator, 5)
    assert torch.equal(first, quality.sample(generator, 5))
    assert generator.training
    images, labels = quality.sample_classes(ConditionalGenerator(10, 3, 2, (4, 4)).eval(), 1_020)
    assert images.shape == (1_020, 1, 28, 28)
    assert labels[:12].tolist() == [*range(10), 0, 1]


def test_figures_tell_real_images_from_repeated_ones():
    judge, test = load_checkpoint("classifier/mnist"), load("mnist", "test", value_range=(-1, 1))
    train = load("mnist", "train", value_range=(-1, 1))
    floor = quality.floor(judge, train, test.images[:500])
    collapsed = quality.figures(judge, test.images[:1].expand(500, 1, 28, 28), test.images[:500])
    assert floor["frechet"] < collapsed["frechet"] / 10
    assert floor["effective_digits"] > 9.5
    assert collapsed["effective_digits"] == pytest.approx(1)
    assert collapsed["diversity"] == pytest.approx(0, abs=1e-3)
    assert quality.accuracy(judge, test.images[:500], test.labels[:500]) > 0.97


# --- what is released ---


def test_the_released_models_are_small():
    folder = load_card.__globals__["FOLDER"] / "dcgan"
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= 5_000_000


def few_test_images() -> LabelledImages:
    return load("mnist", "test", value_range=(-1, 1))[::10]


def test_the_dcgan_draws_as_well_as_its_card_says():
    model, card = released("mnist")
    judge, real = load_checkpoint("classifier/mnist"), few_test_images()
    last = list(card.quality["by_update_1000_samples"].values())[-1]
    found = quality.figures(judge, quality.sample(model, len(real)), real.images)
    assert found["frechet"] == pytest.approx(last["frechet"], rel=0.02)
    assert found["effective_digits"] == pytest.approx(last["effective_digits"], rel=0.02)
    assert card.quality["floor_training_images"]["frechet"] < card.quality["frechet"]
    vae = load_card("vae/latent-32").quality["frechet_of_samples"]
    assert card.quality["frechet"] < vae
    assert card.quality["effective_digits"] > 9


def test_the_history_of_the_dcgan_ends_with_what_it_draws_and_begins_far_from_it():
    model, card = released("mnist")
    course = [now["frechet"] for now in card.quality["by_update_1000_samples"].values()]
    assert list(card.quality["by_update_1000_samples"]) == [str(stop) for stop in model.stops]
    assert course[0] > 10 * course[-1]
    assert torch.allclose(quality.sample(model, digits.KEPT), model.history[-1], atol=0.05)  # float16


def test_the_conditional_one_draws_what_it_is_asked_for_and_varies_it():
    model, card = released("conditional")
    judge = load_checkpoint("classifier/mnist")
    images, labels = quality.sample_classes(model, 1_000)
    assert card.quality["class_accuracy"] >= 0.97
    assert quality.accuracy(judge, images, labels) == pytest.approx(card.quality["class_accuracy"], abs=0.015)
    found, real = (card.quality[f"diversity_by_class{which}"].values() for which in ("", "_test_images"))
    for own, data in zip(found, real, strict=True):
        assert 0.75 < own / data < 1.15


def test_the_cycle_keeps_digit_and_outline_together():
    model, card = released("cycle")
    test = few_test_images()
    found = cycle.measure(model, load_checkpoint("classifier/mnist"), test)
    said = card.quality["with_cycle"]
    for figure in ("outline_error_l1", "digit_error_l1", "cycle_error_l1"):
        assert found[figure] == pytest.approx(said[figure], rel=0.1)
    without = card.quality["without_cycle"]
    assert said["digit_accuracy"] > 0.85 > 0.5 > without["digit_accuracy"]
    assert said["cycle_error_l1"] < without["cycle_error_l1"] / 5
    assert said["digit_error_l1"] < said["blank_digit_error_l1"]


def test_the_outlines_are_right_and_a_pixel_off():
    """What the chapter explains: neither judges of patches nor the cycle know where an outline lies."""
    model, _ = released("cycle")
    x = few_test_images().images
    with torch.no_grad():
        made, right = model.there(x), outlined(x)
    errors = {
        (down, across): (made.roll((down, across), dims=(2, 3)) - right).abs().mean().item()
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
    }
    assert min(errors.values()) < errors[0, 0] / 2


def test_the_worst_runs_are_those_that_the_chapter_names():
    runs = load_card("dcgan/stability").quality["by_variant_rate_seed_and_update_500_samples"]

    def ends(kind, rate):
        return [list(run.values())[-1]["frechet"] for run in runs[f"{kind}, {rate}"].values()]

    assert all(max(ends(kind, rate)) < 500 for kind in stability.VARIANTS for rate in ("0.003", "0.01"))
    assert max(ends("nothing", "0.03")) > 1_500 > 500 > sorted(ends("nothing", "0.03"))[1]
    assert min(ends("gradient penalty", "0.03")) > 700
    assert max(ends("spectral norm", "0.03") + ends("batch norm", "0.03")) < 500
