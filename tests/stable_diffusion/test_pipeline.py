"""Whole images, against diffusers' pipelines from the same folder and the same draws; and identities."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import rescale
from course_utils.diffusion.forward import q_sample
from course_utils.diffusion.guidance import guided_noise
from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.autoencoder_kl import sample_latents
from course_utils.stable_diffusion.pipeline import (
    guided_prediction,
    img2img_start,
    inpaint_blend,
    text_to_latents,
)

from .peers import DDIM, SCHEDULER, normal

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
PROMPTS = ["a red seven on a blue background", "yellow eight"]
ABAR = torch.linspace(0.99, 0.01, 50, dtype=torch.float64)
SCHEDULERS = {
    "ddim as in stable diffusion 1": DDIMScheduler(**DDIM),
    "ddim to abar = 1": DDIMScheduler(**DDIM | {"set_alpha_to_one": True}),
    "dpm-solver++": DPMSolverMultistepScheduler(**SCHEDULER),
}
GUIDANCE = pytest.mark.parametrize(("scale", "negative"), [(1.0, ""), (7.5, ""), (7.5, "a green three")])


@pytest.fixture(params=SCHEDULERS.values(), ids=SCHEDULERS)
def pair(request, peer, ours, tmp_path):
    """diffusers' parts and ours, with one scheduler."""
    request.param.save_pretrained(tmp_path)
    ours.scheduler, _ = weights.load_scheduler(tmp_path)
    return peer.components | {"scheduler": request.param}, ours


def shown(pipeline, states):
    """Images in [0, 1] of the last state."""
    *_, end = states
    return rescale(pipeline.decode(end.x_t), (-1, 1), (0, 1))


def quiet(kind, parts):
    made = kind(**parts, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


def options(scale, negative, steps):
    shared = {"num_inference_steps": steps, "guidance_scale": scale, "output_type": "pt"}
    return shared | {"negative_prompt": [negative] * len(PROMPTS)}


def draws(count, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def assert_same_images(ours, theirs):
    inside = ((theirs > 0) & (theirs < 1)).float().mean()
    assert theirs.std() > 0.05 and inside > 0.5  # nothing is hidden by a constant or by clamping
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@GUIDANCE
@pytest.mark.parametrize("steps", [3, 12])
def test_text_to_image_is_that_of_diffusers(pair, scale, negative, steps: int) -> None:
    parts, ours = pair
    noise = normal(2, 4, 8, 12)
    theirs = quiet(StableDiffusionPipeline, parts)(
        PROMPTS, height=64, width=96, latents=noise, **options(scale, negative, steps)
    ).images
    states = ours.text_to_image(PROMPTS, noise, steps=steps, scale=scale, negative=negative)
    assert_same_images(shown(ours, states), theirs)


@GUIDANCE
@pytest.mark.parametrize("strength", [0.3, 0.8, 1.0])
def test_image_to_image_is_that_of_diffusers(pair, scale, negative, strength: float) -> None:
    parts, ours = pair
    images = rescale(normal(2, 3, 64, 96).clamp(-1, 1), (-1, 1), (0, 1))
    theirs = quiet(StableDiffusionImg2ImgPipeline, parts)(
        PROMPTS,
        image=images,
        strength=strength,
        generator=torch.Generator().manual_seed(3),
        **options(scale, negative, 7),
    ).images
    eps, noise = draws(2, (2, 4, 8, 12), seed=3)
    states = ours.image_to_image(
        PROMPTS,
        rescale(images, (0, 1), (-1, 1)),
        eps,
        noise,
        strength=strength,
        steps=7,
        scale=scale,
        negative=negative,
    )
    assert_same_images(shown(ours, states), theirs)


@GUIDANCE
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_is_that_of_diffusers(pair, scale, negative, strength: float) -> None:
    parts, ours = pair
    images = rescale(normal(2, 3, 64, 96).clamp(-1, 1), (-1, 1), (0, 1))
    mask = torch.zeros(2, 1, 64, 96)
    mask[0, :, 11:40, 5:70] = 1
    mask[1, :, :, 50:] = 1
    theirs = quiet(StableDiffusionInpaintPipeline, parts)(
        PROMPTS,
        image=images,
        mask_image=mask,
        height=64,
        width=96,
        strength=strength,
        generator=torch.Generator().manual_seed(3),
        **options(scale, negative, 6),
    ).images
    eps, noise = draws(2, (2, 4, 8, 12), seed=3)
    states = ours.inpaint(
        PROMPTS,
        rescale(images, (0, 1), (-1, 1)),
        mask,
        eps,
        noise,
        strength=strength,
        steps=6,
        scale=scale,
        negative=negative,
    )
    assert_same_images(shown(ours, states), theirs)


# --- the functions of the exercises ---


def words_matter(latents, t, context):
    """A U-Net of one line: its guess depends on latents, level and text."""
    levels = t.view(-1, 1, 1, 1).to(latents.dtype)
    return torch.tanh(latents + levels / 50) * context.mean(dim=(1, 2)).view(-1, 1, 1, 1)


@given(st.integers(1, 3), st.floats(-2, 10), st.integers(0, 49))
def test_guided_prediction_is_two_predictions_in_one_call(b, scale, level) -> None:
    latents, cond, uncond = (
        normal(*shape, seed=i, dtype=torch.float64)
        for i, shape in enumerate([(b, 4, 2, 3), (b, 5, 6), (b, 5, 6)])
    )
    t, calls = torch.full((b,), level), []

    def unet(*arguments):
        calls.append([len(argument) for argument in arguments])
        return words_matter(*arguments)

    guided = guided_prediction(unet, latents, t, cond, uncond, scale)
    apart = guided_noise(words_matter(latents, t, uncond), words_matter(latents, t, cond), scale)
    torch.testing.assert_close(guided, apart)
    assert calls == [[2 * b] * 3]


def test_text_to_latents_is_the_pipelines_ddim(ours, peer, tmp_path) -> None:
    DDIMScheduler(**DDIM | {"set_alpha_to_one": True}).save_pretrained(tmp_path)
    ours.scheduler, _ = weights.load_scheduler(tmp_path)
    noise, cond, uncond = normal(2, 4, 8, 8), ours.context(PROMPTS), ours.context(["", ""])
    *_, end = ours.text_to_image(PROMPTS, noise, steps=4, scale=3.0)
    timesteps, table = ours.scheduler.timesteps(4), ours.scheduler.alphas_cumprod
    latents = text_to_latents(ours.unet, noise, cond, uncond, timesteps, table, 3.0)
    assert not latents.requires_grad
    torch.testing.assert_close(latents, end.x_t, rtol=1e-4, atol=1e-4)


def test_a_unet_that_knows_the_answer_finds_it() -> None:
    """Guidance changes nothing where both predictions agree; DDIM then ends exactly at x_0."""
    x0, noise, text = normal(2, 4, 3, 5), normal(2, 4, 3, 5, seed=1), torch.zeros(2, 1, 1)

    def knows(latents, t, _context):
        share = ABAR[t].view(-1, 1, 1, 1)
        return ((latents - share.sqrt() * x0.repeat(2, 1, 1, 1)) / (1 - share).sqrt()).float()

    timesteps = torch.tensor([49, 30, 11, 2])
    found = text_to_latents(knows, noise, text, text, timesteps, ABAR, 7.5)
    torch.testing.assert_close(found, x0, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 12), st.floats(0, 1))
def test_img2img_start_leaves_the_share_that_it_was_told(n, strength) -> None:
    latents, noise = normal(2, 4, 3, 5), normal(2, 4, 3, 5, seed=1)
    timesteps = torch.linspace(49, 0, n).round().long()
    start, remaining = img2img_start(latents, noise, strength, timesteps, ABAR)
    assert len(remaining) == max(min(int(n * strength), n), 1)
    assert torch.equal(remaining, timesteps[-len(remaining) :])
    torch.testing.assert_close(start, q_sample(latents, remaining[:1].expand(2), ABAR, noise))


@pytest.mark.parametrize("strength", [-0.1, 1.1, 80, float("nan")])
def test_img2img_start_refuses(strength) -> None:
    with pytest.raises(ValueError, match=r"strength must lie in 0..1, got .* percentage"):
        img2img_start(normal(1, 4, 2, 2), normal(1, 4, 2, 2), strength, torch.tensor([3]), ABAR)


def test_inpaint_blend_keeps_what_is_known_at_the_level() -> None:
    x_t, known, noise = (normal(2, 4, 3, 5, seed=i, dtype=torch.float64) for i in range(3))
    mask = (normal(2, 1, 3, 5, seed=4, dtype=torch.float64) > 0).double()
    t = torch.tensor([3, 40])
    blend = inpaint_blend(x_t, known, mask, noise, t, ABAR)
    everywhere = mask.expand_as(x_t).bool()
    assert torch.equal(blend[everywhere], x_t[everywhere])
    torch.testing.assert_close(blend[~everywhere], q_sample(known, t, ABAR, noise)[~everywhere])


@pytest.mark.parametrize(
    ("known", "mask", "message"),
    [
        ((1, 4, 3, 5), (2, 1, 3, 5), "shapes must be equal, got x_t"),
        ((2, 4, 3, 5), (2, 4, 3, 5), "shapes must be equal, got one_channel_of_x_t"),
        ((2, 4, 3, 5), (1, 1, 3, 5), "shapes must be equal"),
    ],
)
def test_inpaint_blend_refuses(known, mask, message: str) -> None:
    x_t, t = torch.zeros(2, 4, 3, 5), torch.tensor([1, 2])
    with pytest.raises(ValueError, match=message):
        inpaint_blend(x_t, torch.zeros(known), torch.zeros(mask), x_t, t, ABAR)


def test_guided_prediction_refuses_texts_of_another_number() -> None:
    latents, t = torch.zeros(2, 4, 3, 5), torch.tensor([1, 2])
    with pytest.raises(ValueError, match=r"cond \(2, 5, 6\), uncond \(1, 5, 6\)"):
        guided_prediction(words_matter, latents, t, torch.zeros(2, 5, 6), torch.zeros(1, 5, 6), 2.0)
    with pytest.raises(ValueError, match="one_a_text"):
        guided_prediction(words_matter, latents, t, torch.zeros(1, 5, 6), torch.zeros(1, 5, 6), 2.0)


# --- the pipeline ---


def test_states_may_take_the_place_of_prompts(ours) -> None:
    noise = normal(1, 4, 8, 8)
    *_, of_text = ours.text_to_image(["a red seven"], noise, steps=2)
    *_, of_states = ours.text_to_image(ours.context(["a red seven"]), noise, steps=2)
    assert torch.equal(of_text.x_t, of_states.x_t)


def test_between_two_prompts_lies_a_line(ours) -> None:
    path = ours.between("a red seven", "a green three", 5)
    ends = ours.context(["a red seven", "a green three"])
    assert torch.equal(path[[0, -1]], ends)
    torch.testing.assert_close(path[2], ends.mean(dim=0))


def test_encode_and_decode_have_their_ranges(ours) -> None:
    images, eps = normal(2, 3, 16, 24).clamp(-1, 1), normal(2, 4, 2, 3)
    latents = ours.encode(images, eps)
    expected = sample_latents(ours.autoencoder.encode(images), eps, 0.3)
    torch.testing.assert_close(latents, expected)
    decoded = ours.decode(10 * latents)
    assert decoded.shape == images.shape and decoded.min() == -1 and decoded.max() == 1
    assert not latents.requires_grad and not decoded.requires_grad


def test_guidance_of_one_calls_the_unet_without_the_other_half(ours) -> None:
    batches = []
    hook = ours.unet.register_forward_pre_hook(lambda _, arguments: batches.append(len(arguments[0])))
    for scale in (1.0, 2.0):
        list(ours.text_to_image(PROMPTS, normal(2, 4, 8, 8), steps=2, scale=scale))
    hook.remove()
    assert set(batches[: len(batches) // 2]) == {2} and set(batches[len(batches) // 2 :]) == {4}


def test_inpainting_refuses_a_mask_of_another_size(ours) -> None:
    images, eps = torch.zeros(1, 3, 16, 16), torch.zeros(1, 4, 2, 2)
    with pytest.raises(ValueError, match="one_channel_of_images"):
        ours.inpaint(["a"], images, torch.zeros(1, 1, 2, 2), eps, eps)
