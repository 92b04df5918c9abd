"""`course` and `course train`: a tiny run of the real recipes, and refusals before any work is done."""

import pytest

from course_utils import cli
from course_utils.checkpoints import recipes as chapters
from course_utils.checkpoints.recipes import autoencoders as recipes
from course_utils.checkpoints.recipes import diffusion, vae
from course_utils.checkpoints.recipes.diffusion import quality, run
from course_utils.checkpoints.recipes.gan import images
from course_utils.data import load
from course_utils.training import load_card, load_checkpoint


@pytest.fixture(autouse=True)
def few_images(monkeypatch, tmp_path):
    """The recipes on 200 digits of each split."""

    def few(name, split, value_range=(0, 1), size=28):
        return load(name, "test", value_range=value_range, size=size).balanced(20)

    for name, chapter in chapters.CHAPTERS.items():
        if name != "tiny-sd":  # tests/checkpoints/test_tiny_sd.py
            monkeypatch.setattr(chapter, "load", few)
    monkeypatch.setattr(vae, "IWAE_SAMPLES", 5)
    monkeypatch.setattr(run, "BATCH_SIZE", 4)
    monkeypatch.setattr(diffusion, "SAMPLES", 10)
    monkeypatch.setattr(images, "AT_STOPS", 150)
    monkeypatch.setattr(images, "AT_END", 150)
    monkeypatch.setattr(quality, "SAMPLING_STEPS", 2)
    monkeypatch.chdir(tmp_path)  # a run keeps its state in the working folder


def test_train_writes_model_and_card_and_reports_progress(tmp_path, capsys):
    status = cli.main(["train", "autoencoders", "--only", "latent-2", "--steps", "3", "--out", str(tmp_path)])
    printed = capsys.readouterr()
    assert status == 0
    assert "latent-2  3/3  loss" in printed.err
    assert "latent-2.safetensors" in printed.out
    assert load_checkpoint("autoencoders/latent-2", tmp_path).latent_dim == 2
    card = load_card("autoencoders/latent-2", tmp_path)
    assert (card.steps, card.batch_size, card.seed) == (3, recipes.BATCH_SIZE, 0)
    assert card.quality["pca_test_mse"] < card.quality["mean_image_test_mse"]


def test_the_same_seed_gives_the_same_model(tmp_path):
    for folder in ("a", "b"):
        cli.main(
            ["train", "autoencoders", "--only", "latent-2", "--steps", "2", "--out", str(tmp_path / folder)]
        )
    first, second = (
        (tmp_path / f / "autoencoders" / "latent-2.safetensors").read_bytes() for f in ("a", "b")
    )
    assert first == second


def test_the_one_class_recipe_measures_every_digit_and_its_spread(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "SPREAD_SEEDS", (0, 1))
    assert (
        cli.main(["train", "autoencoders", "--only", "one-class-0", "--steps", "1", "--out", str(tmp_path)])
        == 0
    )
    quality = load_card("autoencoders/one-class-0", tmp_path).quality
    assert sorted(quality["auc_by_normal_digit_seed_0"]) == [str(k) for k in range(10)]
    assert sorted(quality["auc_by_seed"]) == ["0", "1"]


@pytest.mark.parametrize(
    ("chapter", "name", "figures"),
    [
        ("classifier", "mnist", ["test_accuracy", "frechet_to_200_test_images"]),
        ("denoising", "conv-0.2", ["test_psnr", "corrupted_test_psnr", "psnr_by_train_and_test_sigma"]),
        ("denoising", "conv-any", ["test_psnr", "psnr_by_test_sigma"]),
        ("denoising", "dense-0.5", ["test_psnr", "corrupted_test_psnr"]),
        ("denoising", "squares", ["test_psnr", "corrupted_test_psnr"]),
        ("vae", "latent-2", ["test_elbo_nats", "test_iwae_5_nats", "frechet_of_samples"]),
        ("vae", "beta-4", ["test_kl_nats", "active_units", "frechet_floor_training_images"]),
        ("vae", "neighbours", ["by_cure_and_seed", "test_elbo_nats"]),
        ("dcgan", "conditional", ["class_accuracy", "diversity_by_class", "floor_training_images"]),
        ("dcgan", "cycle", ["with_cycle", "without_cycle"]),
        ("gan", "mnist", ["frechet", "frechet_floor_training_images", "samples", "by_step"]),
        ("gan", "small", ["frechet", "frechet_floor_training_images", "samples", "by_step"]),
        ("diffusion", "mnist", ["by_guidance_scale", "floor_training_images"]),
        ("diffusion", "colour", ["by_guidance_scale", "floor_training_images"]),
    ],
)
def test_every_recipe_trains_measures_and_can_be_loaded(tmp_path, capsys, chapter, name, figures):
    assert cli.main(["train", chapter, "--only", name, "--steps", "2", "--out", str(tmp_path)]) == 0
    assert "2/2  loss" in capsys.readouterr().err
    load_checkpoint(f"{chapter}/{name}", tmp_path)
    card = load_card(f"{chapter}/{name}", tmp_path)
    assert set(figures) <= set(card.quality)
    assert (card.command, card.steps) == (f"course train {chapter} --only {name}", 2)


@pytest.mark.parametrize("chapter", chapters.CHAPTERS)
def test_every_chapter_refuses_names_it_does_not_know(chapter):
    with pytest.raises(ValueError, match=f"no recipe 'nothing' in chapter {chapter}, only: "):
        chapters.train_released(chapter, "nothing", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "latent-3"], "no recipe latent-3 in chapter autoencoders, only: latent-2, latent-4"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
    ],
)
def test_train_refuses(arguments, message, capsys):
    assert cli.main(["train", "autoencoders", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_train_refuses_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert cli.main(["train", "autoencoders", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written. Choose another folder with --out" in capsys.readouterr().err


def test_unknown_commands_name_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        cli.main(["trian"])
    assert "doctor" in capsys.readouterr().err
