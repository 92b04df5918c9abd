"""The released models: each loads, and has the quality that its card and its chapter state."""

import pytest
import torch

from course_utils.autoencoders import reconstruction_error
from course_utils.checkpoints.recipes import CHAPTERS, autoencoders, denoising, diffusion, vae
from course_utils.checkpoints.recipes.diffusion import ablation, quality, sampling
from course_utils.data import load, rescale
from course_utils.data.colours import hue
from course_utils.diffusion import restoration
from course_utils.diffusion.samplers import ddim, ddim_timesteps
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.metrics import feature_distance
from course_utils.training import in_batches, load_card, load_checkpoint
from course_utils.vae import iwae_bound, log_weights

FLOAT16 = 2e-3  # what storing weights in float16 may cost, relative


def released(chapter: str, name: str):
    return load_checkpoint(f"{chapter}/{name}"), load_card(f"{chapter}/{name}")


@pytest.mark.parametrize(
    ("chapter", "name"),
    [
        (chapter, name)
        for chapter, recipes in CHAPTERS.items()
        if chapter != "tiny-sd"  # another layout: test_shipped_tiny_sd.py
        for name in recipes.NAMES
    ],
)
def test_every_recipe_is_released_with_the_command_that_repeats_it(chapter, name):
    model, card = released(chapter, name)
    assert not model.training
    assert card.command == f"course train {chapter} --only {name}"
    assert card.seconds > 0


@pytest.mark.parametrize("name", [name for name in autoencoders.NAMES if name.startswith("latent")])
def test_autoencoders_beat_pca_by_what_their_cards_state(name):
    model, card = released("autoencoders", name)
    test = load("mnist", "test", size=32).images
    error = in_batches(lambda x: reconstruction_error(model(x), x), test).mean().item()
    assert error == pytest.approx(card.quality["test_mse"], rel=FLOAT16)
    assert error < card.quality["pca_test_mse"] < card.quality["mean_image_test_mse"]


def test_the_detector_of_zeros_detects():
    model, card = released("autoencoders", "one-class-0")
    auc = autoencoders.one_class_auc(model, autoencoders.NORMAL_CLASS)
    assert auc == pytest.approx(card.quality["auc_by_seed"]["0"], abs=1e-3)
    assert min(card.quality["auc_by_seed"].values()) >= 0.95


def test_the_judge_reads_digits_and_ranks_damage():
    model, card = released("classifier", "mnist")
    test = load("mnist", "test")
    right = in_batches(lambda x: model(x).argmax(dim=1), test.images) == test.labels
    assert right.double().mean().item() == pytest.approx(card.quality["test_accuracy"], abs=5e-4)
    assert card.quality["test_accuracy"] >= 0.99
    distances = list(card.quality["frechet_to_10000_test_images"].values())
    assert distances == sorted(distances)  # real images, noisy ones, blurred ones, noise
    train = load("mnist", "train").images[: len(test)]
    assert feature_distance(model.features, train, test.images) == pytest.approx(distances[0], rel=0.05)


@pytest.mark.parametrize("name", denoising.NAMES)
def test_denoisers_gain_what_their_cards_state(name):
    model, card = released("denoising", name)
    recipe = denoising.RECIPES[name]
    test = load("mnist", "test", size=recipe.size).images
    reached = denoising.mean_psnr(model, recipe.corrupt, test)
    assert reached == pytest.approx(card.quality["test_psnr"], abs=0.05)
    assert reached > card.quality["corrupted_test_psnr"] + 2


def test_each_level_is_best_denoised_by_the_network_trained_on_it():
    """What chapter 2 says of its table, and that for little noise it is best to do nothing."""
    quality = load_card("denoising/conv-0.2").quality
    table, untouched = quality["psnr_by_train_and_test_sigma"], quality["noisy_psnr_by_test_sigma"]
    for level in ("0.2", "0.4", "0.8"):
        assert max(table, key=lambda trained: table[trained][level]) == level
    assert untouched["0.05"] > max(row["0.05"] for row in table.values())
    generalist = load_card("denoising/conv-any").quality["psnr_by_test_sigma"]
    for level in ("0.1", "0.2", "0.4", "0.8"):
        assert table[level][level] - 2.5 < generalist[level] < table[level][level]


@pytest.mark.parametrize("name", [name for name in vae.NAMES if name != "neighbours"])
def test_vaes_have_the_elbo_that_their_cards_state(name):
    model, card = released("vae", name)
    found = vae.measure(model, vae.binary_mnist("test"))
    for figure, value in found.items():
        assert value == pytest.approx(card.quality[figure], rel=0.01, abs=0.05), figure


@pytest.mark.parametrize("name", ["latent-32", "latent-2"])
def test_the_importance_weighted_bound_lies_above_the_elbo(name):
    model, card = released("vae", name)
    test = vae.binary_mnist("test")[:100]
    eps = torch.randn(100, 100, model.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        log_w = log_weights(model, test, eps)
    assert log_w.mean() < iwae_bound(log_w).mean() - 0.5
    assert card.quality["test_elbo_nats"] < card.quality["test_iwae_500_nats"]


def test_the_vae_reaches_100_nats_and_samples_better_than_without_kl():
    best = load_card("vae/latent-32").quality
    assert best["test_iwae_500_nats"] >= -100
    assert best["frechet_of_samples"] < load_card("vae/beta-0").quality["frechet_of_samples"]
    assert best["frechet_floor_training_images"] < best["frechet_of_samples"]


def test_more_weight_on_the_kl_means_less_kl_and_worse_reconstructions():
    cards = [
        load_card(f"vae/{name}").quality for name in ("beta-0", "beta-0.25", "latent-32", "beta-4", "beta-16")
    ]
    kls, costs, active = (
        [card[figure] for card in cards]
        for figure in ("test_kl_nats", "test_reconstruction_nats", "active_units")
    )
    assert kls == sorted(kls, reverse=True)
    assert costs == sorted(costs)
    assert active == sorted(active, reverse=True)


def test_posterior_collapse_is_produced_and_cured_for_every_seed():
    by_cure = load_card("vae/neighbours").quality["by_cure_and_seed"]
    untreated = by_cure.pop("none")
    assert all(run["test_kl_nats"] < 0.1 and run["active_units"] == 0 for run in untreated.values())
    for runs in by_cure.values():
        assert all(run["test_kl_nats"] > 3 and run["active_units"] >= 4 for run in runs.values())


def test_the_diffusion_model_draws_the_digit_it_is_asked_for():
    model, card = released("diffusion", "mnist")
    assert card.quality["by_guidance_scale"]["2"]["class_accuracy"] >= 0.95
    assert (
        card.quality["floor_training_images"]["frechet"] < card.quality["by_guidance_scale"]["1"]["frechet"]
    )
    labels = torch.arange(20) % 10
    judge = load_checkpoint("classifier/mnist")
    assert quality.class_accuracy(judge, diffusion.sample(model, labels, scale=2.0), labels) >= 0.8


def test_the_painting_model_gives_grey_digits_one_colour_each_and_another_with_other_noise():
    """Its task in chapter 8."""
    model, card = released("diffusion", "colour")
    for figures in card.quality["by_guidance_scale"].values():
        assert figures["hue_concentration"] > 0.85
        assert figures["hue_imbalance"] < 0.15
    assert card.quality["by_guidance_scale"]["2"]["class_accuracy"] > 0.9
    digits = load("mnist", "test", value_range=(-1, 1), size=32).balanced(1).images
    known, y = restoration.grey(), (digits - 1) / 2  # the mean channel of a painted digit, in [-1, 1]
    abar, hues = alphas_cumprod(linear_beta_schedule(1000, 1e-4, 0.02)), []
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        x_T = torch.randn(len(digits), 3, 32, 32, generator=generator)
        painting = restoration.restoring(model, known, y, abar)
        *_, last = ddim(painting, x_T, ddim_timesteps(1000, 20), abar, 1.0, generator=generator)
        assert torch.allclose(known.measure(last.x_t), y, rtol=0, atol=1e-5)
        angles, concentration = hue(rescale(last.x_t, (-1, 1), (0, 1)).clamp(0, 1))
        assert concentration.mean() > 0.9
        hues.append(angles)
    assert torch.exp(1j * (hues[0] - hues[1])).angle().abs().mean() > 0.5


def test_more_guidance_draws_what_is_asked_for_and_less_variety():
    by_scale = load_card("diffusion/sampling").quality["by_guidance_scale"]
    accuracy, diversity = (
        {s: row[f] for s, row in by_scale.items()} for f in ("class_accuracy", "diversity")
    )
    assert accuracy["0"] == pytest.approx(0.1, abs=0.05)  # no class asked for: one in ten is right by chance
    assert accuracy["0"] < accuracy["1"] < accuracy["2"]
    assert accuracy["2"] >= 0.95
    falling = [diversity[scale] for scale in ("0", "1", "2", "4", "8")]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("distance", ["frechet", "kernel"])
def test_ddim_needs_more_steps_than_dpm_solver(distance):
    by_steps = load_card("diffusion/sampling").quality["by_steps"]
    for name in ("DDIM, eta = 0", "DDIM, eta = 1"):
        falling = [by_steps[name][f"{n}"][distance] for n in sampling.STEPS]
        assert falling == sorted(falling, reverse=True)
        assert by_steps["DPM-Solver++(2M)"]["5"][distance] < falling[0] / 2


def test_the_tables_of_sampling_agree_with_the_card_of_the_model():
    """The same noise, classes and steps, for another number of samples."""
    tables, card = (load_card(f"diffusion/{name}").quality for name in ("sampling", "mnist"))
    for scale, figures in card["by_guidance_scale"].items():
        again = tables["by_guidance_scale"][scale]
        assert again["frechet"] == pytest.approx(figures["frechet"], rel=0.2)
        assert again["class_accuracy"] == pytest.approx(figures["class_accuracy"], abs=0.02)
    assert tables["by_steps"]["DDIM, eta = 0"]["20"] == {
        distance: tables["by_guidance_scale"]["1"][distance] for distance in ("frechet", "kernel")
    }
    assert tables["samples"] == sampling.SAMPLES
    assert tables["real"]["class_accuracy"] >= 0.98


def test_the_samples_that_are_kept_are_those_of_the_table():
    sheet, card = released("diffusion", "sampling")
    assert sheet.images.shape[1:] == (sampling.KEPT, 1, 28, 28)
    judge, labels = load_checkpoint("classifier/mnist"), torch.arange(sampling.KEPT) % 10
    assert list(sheet.rows) == list(card.quality["by_guidance_scale"])
    for scale, figures in card.quality["by_guidance_scale"].items():
        seen = quality.class_accuracy(judge, sheet[scale], labels)
        assert seen == pytest.approx(figures["class_accuracy"], abs=0.2), scale


def test_the_ablation_has_a_row_for_each_idea_with_the_floor_below_all_of_them():
    sheet, card = released("diffusion", "ablation")
    rows, floor = card.quality["rows"], card.quality["floor_training_images"]
    assert list(sheet.rows) == list(rows) == list(ablation.ROWS)
    assert sheet.images.shape[1:] == (ablation.KEPT, 1, 28, 28)
    assert sorted(card.quality["seconds"]) == sorted(ablation.VARIANTS)
    assert floor["frechet"] < min(row["frechet"] for row in rows.values())


@pytest.mark.parametrize("distance", ["frechet", "kernel"])
def test_what_is_in_circulation_costs_far_more_than_another_seed(distance):
    rows = {name: row[distance] for name, row in load_card("diffusion/ablation").quality["rows"].items()}
    everything = rows["everything"]
    by_chance = abs(rows["everything, another seed"] - everything)
    assert rows["the same, not averaged, jump and clamp"] - everything > 3 * by_chance
    for row in (
        "network not told t",
        "jump to x0 and clamp instead of a step",
        "plain network, not told t, clipped schedule",
    ):
        assert rows[row] > 2 * everything + 3 * by_chance
