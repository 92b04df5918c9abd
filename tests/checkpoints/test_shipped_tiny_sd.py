"""The small Stable Diffusion that comes with the course: it has the quality that chapter 9 builds on."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from course_utils.checkpoints.recipes import tiny_sd
from course_utils.checkpoints.recipes.tiny_sd import judge, quality
from course_utils.data import load
from course_utils.data.scenes import Scenes
from course_utils.stable_diffusion import weights
from course_utils.training import FOLDER, TINY_SD, load_card, load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def figures(stage):
    return load_card(f"tiny-sd/{stage}").quality


def best_scale():
    """The guidance at which most prompts of both kinds are drawn wholly right."""
    by_scale = figures("text-to-image")["by_guidance_scale"]
    return max(by_scale, key=lambda scale: sum(kind["all"] for kind in by_scale[scale].values()))


@pytest.fixture(scope="module")
def model():
    return weights.load(TINY_SD)


@pytest.fixture(scope="module")
def twelve():
    """Scenes that were held out, four of them with a pair that was never trained, and noise for them."""
    asked = quality.asked_for()
    some = Scenes.joined([asked[:8], asked[quality.SEEN : quality.SEEN + 4]])
    return some, quality.first_latents(12)


@pytest.mark.parametrize("stage", tiny_sd.NAMES)
def test_each_stage_is_released_as_its_recipe_makes_it(stage):
    card = load_card(f"tiny-sd/{stage}")
    recipe = tiny_sd.STAGES[stage]
    assert card.command == f"course train tiny-sd --only {stage}"
    assert (card.steps, card.batch_size, card.objective) == (
        recipe.STEPS,
        recipe.BATCH_SIZE,
        recipe.OBJECTIVE,
    )
    assert card.seconds > 0


def test_the_folder_stays_small():
    files = [path for path in TINY_SD.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert sum(path.stat().st_size for path in files) <= 15e6


def test_the_judge_reads_real_scenes():
    stated = figures("judge")["accuracy_on_10000_real_scenes"]
    assert stated["all"] >= 0.97
    images, scenes = judge.real_scenes(500, load("mnist", "test"), generator=torch.Generator().manual_seed(2))
    found = judge.shares(load_checkpoint("tiny-sd/judge").read(images), scenes)
    assert found["all"] == pytest.approx(stated["all"], abs=0.025)


def test_the_autoencoder_keeps_what_the_judge_reads(model):
    stated = figures("autoencoder")
    copies, real = stated["judge_agrees_on_copies"]["all"], stated["judge_agrees_on_the_scenes"]["all"]
    assert copies >= real - 0.05
    images, _ = judge.real_scenes(50, load("mnist", "test"), generator=torch.Generator().manual_seed(2))
    codes = model.encode(images, torch.zeros(50, 4, 8, 8))
    assert codes.std().item() == pytest.approx(1, abs=0.15)


def test_prompts_are_drawn_as_they_say():
    stated = figures("text-to-image")
    best = stated["by_guidance_scale"][best_scale()]
    assert best["seen"]["all"] >= 0.85
    assert best["unseen"]["all"] >= 0.75
    assert max(kind["all"] for kind in stated["chance"].values()) <= 0.05


def test_the_judge_finds_most_of_twelve_images_wholly_right(model, twelve):
    scenes, noise = twelve
    images = quality.drawn(model, scenes.captions(generator=None), noise, float(best_scale()))
    read = load_checkpoint("tiny-sd/judge").read(images)
    assert read.agreement(scenes)["all"].sum() >= 8


def test_diffusers_draws_the_same_images(model, twelve):
    scenes, noise = twelve[0][6:10], twelve[1][6:10]
    prompts, scale = scenes.captions(generator=None), float(best_scale())
    theirs = StableDiffusionPipeline.from_pretrained(TINY_SD, dtype=torch.float32, low_cpu_mem_usage=False)
    theirs.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": quality.STEPS, "guidance_scale": scale, "output_type": "pt"}
    expected = theirs(prompts, latents=noise, height=64, width=64, **options).images
    *_, end = model.text_to_image(prompts, noise, steps=quality.STEPS, scale=scale)
    torch.testing.assert_close((model.decode(end.x_t) + 1) / 2, expected, rtol=0, atol=1e-3)
    assert expected.std() > 0.1


def test_edges_are_followed_by_the_controlnet_and_not_by_chance():
    stated = figures("edges")["edges_that_meet"]
    reached = stated["with_controlnet"] - stated["without"]
    assert reached > 0.5 * (stated["copies_of_the_scenes"] - stated["without"]) > 0.1


def test_the_controlnet_belongs_to_the_unet(model):
    network = weights.load_network(TINY_SD / "controlnet", weights.CONTROLNET)
    for name in ("block_out_channels", "cross_attention_dim", "down_block_types", "norm_num_groups"):
        assert getattr(network.config, name) == getattr(model.unet.config, name)


def test_it_lies_beside_the_other_checkpoints():
    assert TINY_SD.parent == FOLDER and TINY_SD.name == "tiny-sd"
