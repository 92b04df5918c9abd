"""The recipes of chapter 4, tiny, and what was released by them."""

import pytest
import torch

from course_utils import gan
from course_utils.checkpoints.recipes import gan as recipes
from course_utils.checkpoints.recipes.gan import images, ring
from course_utils.data import load
from course_utils.training import FOLDER, load_card, load_checkpoint

CURES = [cure for cure in gan.CURES if cure != "none"]


def silent(*_):
    pass


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(images, "STOPS", (0, 2))
    monkeypatch.setattr(images, "AT_STOPS", 150)
    monkeypatch.setattr(ring, "SEEDS", (0, 1))
    monkeypatch.setattr(ring, "STOPS", (0, 2))
    monkeypatch.setattr(ring, "JUDGED", 50)


def fit(name, steps=3):
    system = recipes.SYSTEMS[name]
    x = load("mnist", "test", value_range=system.value_range).balanced(20).images
    real = load("mnist", "test").balanced(20).images
    return images.fit_gan(system, x, real, steps, silent)


def test_a_training_takes_pictures_on_the_way_and_repeats_itself(tiny):
    first, second = fit("small"), fit("small")
    assert list(first.pictures) == list(first.stops) == ["0", "2", "3"]
    for stop, picture in first.pictures.items():
        assert picture.shape == (images.KEPT, 1, 28, 28)
        assert picture.min() >= 0 and picture.max() <= 1
        assert torch.equal(picture, second.pictures[stop])
    assert not torch.equal(first.pictures["2"], first.pictures["3"])
    assert first.stops == second.stops
    assert not first.generator.training


def test_pictures_and_opinions_do_not_disturb_the_training(tiny, monkeypatch):
    often = fit("mnist")
    monkeypatch.setattr(images, "STOPS", ())
    rarely = fit("mnist")
    assert torch.equal(often.pictures["3"], rarely.pictures["3"])


def test_the_wrong_range_is_the_only_difference_of_its_recipe():
    right, wrong = (vars(recipes.SYSTEMS[name]) for name in ("small", "small-wrong-range"))
    assert {name for name in right if right[name] != wrong[name]} == {"value_range"}
    assert recipes.STEPS["small"] == recipes.STEPS["small-wrong-range"]


def test_images_are_drawn_in_the_judges_range_whatever_the_data_were():
    half = torch.nn.Linear(64, 4)
    torch.nn.init.zeros_(half.weight)
    half.bias.data = torch.tensor([-1.0, 0.0, 0.5, 1.0])
    drawn = {
        name: images.draw(half, recipes.SYSTEMS[name], 2)[0].tolist()
        for name in ("small", "small-wrong-range")
    }
    assert drawn["small"] == [0.0, 0.5, 0.75, 1.0]
    assert drawn["small-wrong-range"] == [0.0, 0.0, 0.5, 1.0]


def test_real_digits_measure_as_real_ones():
    real, train = load("mnist", "test").images[:500], load("mnist", "train").images[:500]
    found = images.measure(train, real, train)
    assert found["frechet"] == found["frechet_floor_training_images"]
    assert found["samples"]["effective_modes"] > 9.5
    assert found["samples"]["judge_sure"] > 0.9
    assert found["samples"]["neither_paper_nor_ink"] < 0.12
    assert sum(found["samples"]["share_of_each_digit"].values()) == pytest.approx(1)


def test_the_ring_trains_every_cure_from_every_seed(tiny):
    sheet, card = ring.make(silent, steps=3)
    assert sheet.rows == tuple(gan.CURES)
    assert sheet.points.shape == (len(gan.CURES), 3, ring.KEPT, 2)
    assert list(card.quality["stops"]) == ["0", "2", "3"]
    table = card.quality["by_cure_and_seed"]
    assert {cure: list(runs) for cure, runs in table.items()} == {cure: ["0", "1"] for cure in gan.CURES}
    assert card.quality["data"]["effective_modes"] > 7.5
    again, _ = ring.make(silent, steps=3)
    assert torch.equal(sheet.points, again.points)


# --- what was released ---


def test_the_chapters_models_are_small():
    assert sum(path.stat().st_size for path in (FOLDER / "gan").glob("*.safetensors")) <= 2_000_000


def modes(cure):
    runs = load_card("gan/ring").quality["by_cure_and_seed"][cure]
    assert len(runs) == 10
    return [run["effective_modes"] for run in runs.values()]


def test_without_a_cure_the_ring_collapses():
    assert sum(found < ring.COLLAPSED for found in modes("none")) >= 8


@pytest.mark.parametrize("cure", CURES)
def test_each_row_of_the_table_collapses_less_often(cure):
    assert sum(found < ring.COLLAPSED for found in modes(cure)) <= 3
    assert sum(modes(cure)) > sum(modes("none")) + 20


@pytest.mark.parametrize("cure", gan.CURES)
def test_the_points_on_the_sheet_are_those_of_the_table(cure):
    points = load_checkpoint("gan/ring")[cure][-1]
    found = gan.effective_modes(gan.nearest_mode(points, gan.ring_of_gaussians()), 8)
    assert found == pytest.approx(modes(cure)[0], abs=0.7)  # 200 points against 2,000


@pytest.mark.parametrize("name", ["small", "small-wrong-range"])
def test_the_small_generators_have_the_quality_that_their_cards_state(name):
    model, quality = load_checkpoint(f"gan/{name}"), load_card(f"gan/{name}").quality
    drawn = images.draw(model, recipes.SYSTEMS[name], images.AT_END)
    real, train = (load("mnist", split).images[: images.AT_END] for split in ("test", "train"))
    found = images.measure(drawn, real, train)
    assert found["frechet"] == pytest.approx(quality["frechet"], rel=0.02)
    assert found["samples"]["effective_modes"] == pytest.approx(
        quality["samples"]["effective_modes"], rel=0.02
    )


def test_the_wrong_range_costs_quality():
    right, wrong = (load_card(f"gan/{name}") for name in ("small", "small-wrong-range"))
    assert right.steps == wrong.steps
    assert right.quality["frechet"] < wrong.quality["frechet"]


def test_the_large_generator_improves_on_the_way_and_passes_the_vae():
    sheet, quality = load_checkpoint("gan/mnist"), load_card("gan/mnist").quality
    assert list(sheet.rows) == list(quality["by_step"])
    first, *_, last = (figures["frechet"] for figures in quality["by_step"].values())
    assert quality["frechet_floor_training_images"] < last < first / 4
    assert quality["samples"]["effective_modes"] > 9
    vae = load_card("vae/latent-32").quality["frechet_of_samples"]
    assert quality["frechet"] < vae < load_card("gan/small").quality["frechet"]
