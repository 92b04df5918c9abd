"""The stages of the small Stable Diffusion: tiny runs of each, one after another, and what measures them."""

import json
import math
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionPipeline
from torch import nn

from course_utils import cli
from course_utils.checkpoints.recipes import resumable, save_released, tiny_sd, train_released
from course_utils.checkpoints.recipes.tiny_sd import autoencoder, edges, judge, parts, quality, text_to_image
from course_utils.classifier import SceneClassifier
from course_utils.data import load
from course_utils.data.scenes import (
    DIGITS,
    INKS,
    NEW_INK,
    Scenes,
    draw_scenes,
    held_out,
    render,
    unseen_pairs,
)
from course_utils.data.scenes import edges as edges_of
from course_utils.stable_diffusion import weights
from course_utils.training import load_card, load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
SIZES = {  # instead of those of the recipes
    judge: {"BATCH_SIZE": 4, "TESTED": 20},
    autoencoder: {"BATCH_SIZE": 4, "MEASURED": 6},
    text_to_image: {"BATCH_SIZE": 4, "POOL": 12, "SCALES": (1.0, 3.0)},
    edges: {"BATCH_SIZE": 4, "POOL": 12, "MEASURED": 6, "PIECE": 4},
    quality: {"SEEN": 4, "UNSEEN": 2, "STEPS": 2, "PIECE": 4},
}


@cache
def few(name, split):
    """Twenty digits of each class."""
    return load(name, "test").balanced(20)


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory):
    """Few scenes, and a working folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        for module, sizes in SIZES.items():
            for name, value in sizes.items():
                patch.setattr(module, name, value)
        for module in (judge, autoencoder, text_to_image, edges):
            patch.setattr(module, "load", few)
        yield


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    """Where all four stages were written, in their order."""
    out = tmp_path_factory.mktemp("checkpoints")
    for stage in tiny_sd.NAMES:
        assert cli.main(["train", "tiny-sd", "--only", stage, "--steps", "2", "--out", str(out)]) == 0
    return out


def awake(model, seed=0):
    """The model with random weights everywhere: a new U-Net answers 0 to everything."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
        middle = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
        parameter.data = middle + scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def state(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- all stages, in small ---

AGREEMENT = dict.fromkeys(("digits", "inks", "ground", "places", "all"), ...)
KINDS = {"seen": AGREEMENT, "unseen": AGREEMENT}
FIGURES = {
    "judge": {"accuracy_on_20_real_scenes": AGREEMENT},
    "autoencoder": {
        "psnr_db": ...,
        "judge_agrees_on_copies": AGREEMENT,
        "judge_agrees_on_the_scenes": AGREEMENT,
        "judge_agrees_on_copies_in_a_new_ink": AGREEMENT,
    },
    "text-to-image": {"by_guidance_scale": {"1": KINDS, "3": KINDS}, "chance": KINDS},
    "edges": {"edges_that_meet": dict.fromkeys(("with_controlnet", "without", "copies_of_the_scenes"), ...)},
}
CLASSES = {
    "judge": "SceneClassifier",
    "autoencoder": "AutoencoderKL",
    "text-to-image": "StableDiffusion",
    "edges": "ControlNet",
}


def outline(figures):
    """The keys of a card's figures at any depth, with ... in place of numbers."""
    return {key: outline(value) if isinstance(value, dict) else ... for key, value in figures.items()}


def numbers(figures):
    for value in figures.values():
        yield from numbers(value) if isinstance(value, dict) else (value,)


@pytest.mark.parametrize("stage", tiny_sd.NAMES)
def test_every_stage_writes_a_card_with_all_its_figures(folder, stage):
    card = load_card(f"tiny-sd/{stage}", folder)
    assert outline(card.quality) == FIGURES[stage]
    assert all(math.isfinite(number) for number in numbers(card.quality))
    assert card.command == f"course train tiny-sd --only {stage}"
    assert card.architecture == {"class": CLASSES[stage]}
    assert (card.steps, card.batch_size) == (2, 4)


def test_a_stage_that_is_over_leaves_no_state_behind(folder, small):
    assert not list(resumable.state_file("a", "b", 1).parent.glob("*.state"))


def test_all_lies_in_one_folder_in_the_ecosystems_layout(folder):
    names = {path.name for path in (folder / "tiny-sd").iterdir()}
    assert names == {
        *(f"{stage}.json" for stage in tiny_sd.NAMES),
        *("judge.safetensors", "model_index.json"),
        *("tokenizer", "text_encoder", "unet", "vae", "scheduler", "controlnet"),
    }
    assert [path.name for path in folder.iterdir()] == ["tiny-sd"]


def test_the_judge_is_a_checkpoint_like_others(folder):
    model = load_checkpoint("tiny-sd/judge", folder)
    assert isinstance(model, SceneClassifier) and not model.training
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint 'tiny-sd/jugde' in .*, only: tiny-sd/judge\.$"
    ):
        load_checkpoint("tiny-sd/jugde", folder)


def test_the_pipeline_keeps_the_autoencoder_of_its_own_stage(folder):
    alone, whole = parts.load_autoencoder(folder), parts.load_pipeline(folder).autoencoder
    assert torch.equal(state(alone), state(whole))
    assert alone.config == whole.config and alone.config.scaling_factor != 1


def test_scaled_codes_of_scenes_have_a_standard_deviation_of_1(folder):
    model = parts.load_pipeline(folder)
    scenes = draw_scenes(40, generator=seeded())
    images = render(scenes, few("mnist", "test"), generator=seeded(1))
    codes = model.encode(images, torch.zeros(40, 4, 8, 8))
    assert codes.std().item() == pytest.approx(1, rel=0.25)  # the factor is of six scenes


def inside(images):
    return ((images > 0) & (images < 1)).double().mean()


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("random_weights", [False, True], ids=["as trained", "with random weights"])
def test_diffusers_draws_the_same_images_from_the_folder(folder, tmp_path, scale, random_weights):
    where, prompts = folder / "tiny-sd", ["a red seven", "a cyan two above a pink nine"]
    ours = weights.load(where)
    if random_weights:
        for network in (ours.text_encoder, ours.unet, ours.autoencoder):
            awake(network)
        where = tmp_path
        weights.save(ours, where)
    theirs = StableDiffusionPipeline.from_pretrained(where, dtype=torch.float32, low_cpu_mem_usage=False)
    theirs.set_progress_bar_config(disable=True)
    noise = torch.randn(2, 4, 8, 8, generator=seeded())
    options = {"num_inference_steps": 4, "guidance_scale": scale, "output_type": "pt"}
    expected = theirs(prompts, latents=noise, height=64, width=64, **options).images
    *_, end = ours.text_to_image(prompts, noise, steps=4, scale=scale)
    found = (ours.decode(end.x_t) + 1) / 2
    assert found.shape == (2, 3, 64, 64)
    assert inside(found) > 0.5 and found.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_diffusers_reads_the_controlnet(folder, tmp_path):
    ours = awake(weights.load_network(folder / "tiny-sd" / "controlnet", weights.CONTROLNET))
    weights.save_network(ours, tmp_path, weights.CONTROLNET)
    for where, network in ((tmp_path, ours), (folder / "tiny-sd" / "controlnet", None)):
        network = network or weights.load_network(where, weights.CONTROLNET)
        theirs = ControlNetModel.from_pretrained(where, low_cpu_mem_usage=False).eval()
        latents, context = (
            torch.randn(2, 4, 8, 8, generator=seeded()),
            torch.randn(2, 24, 128, generator=seeded(1)),
        )
        hint, t = torch.rand(2, 3, 64, 64, generator=seeded(2)), torch.tensor([3, 900])
        with torch.no_grad():
            skips, middle = network(latents, t, context, hint)
            expected = theirs(latents, t, context, hint)
        for mine, other in zip(skips, expected.down_block_res_samples, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(middle, expected.mid_block_res_sample, rtol=1e-3, atol=1e-4)


def test_weights_are_stored_in_half_precision(folder):
    path = folder / "tiny-sd" / "unet" / "diffusion_pytorch_model.safetensors"
    stored = weights.load_network(path.parent, weights.UNET)
    assert path.stat().st_size < 2.2 * sum(weight.numel() for weight in stored.parameters())


# --- what is not there ---


@pytest.mark.parametrize(
    ("stage", "missing"),
    [("autoencoder", "judge"), ("text-to-image", "judge, autoencoder"), ("edges", "text-to-image")],
)
def test_a_stage_that_lacks_another_says_so_before_it_trains(tmp_path, stage, missing, capsys):
    words = (
        rf"^train: .*tiny-sd lacks what this stage builds on: {missing}\. Stages go in order: course train "
    )
    with pytest.raises(FileNotFoundError, match=words + f"tiny-sd --only {missing.replace(',', '')}, with"):
        cli.main(["train", "tiny-sd", "--only", stage, "--steps", "2", "--out", str(tmp_path)])
    assert "loss" not in capsys.readouterr().err
    assert not list(tmp_path.rglob("*"))


def test_the_second_stage_alone_is_not_enough_for_the_third(folder, tmp_path):
    autoencoder.write(parts.load_autoencoder(folder), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"builds on: judge\. Stages"):
        text_to_image.start(2, tmp_path / "a.state", tmp_path)


def test_an_unknown_stage_is_answered_by_those_there_are(capsys):
    assert cli.main(["train", "tiny-sd", "--only", "unet"]) == 2
    assert "only: judge, autoencoder, text-to-image, edges" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no recipe 'unet' in chapter tiny-sd, only: judge, autoencoder"):
        train_released("tiny-sd", "unet", lambda *_: None)


# --- runs that are killed ---


@pytest.mark.parametrize("stage", [text_to_image, edges], ids=["text-to-image", "edges"])
def test_a_killed_run_goes_on_from_its_last_state_draw_for_draw(folder, tmp_path, monkeypatch, stage):
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    whole = stage.start(4, tmp_path / "whole.state", folder)
    losses = [record.loss for record in whole.records()]
    killed = stage.start(4, tmp_path / "killed.state", folder)
    for record in killed.records():
        if record.step == 2:
            break
    resumed = stage.start(4, tmp_path / "killed.state", folder)
    assert resumed.done == 2
    assert [(record.step, record.loss) for record in resumed.records()] == [(3, losses[2]), (4, losses[3])]
    for averaged in (False, True):
        assert torch.equal(*(state(one.trained(averaged=averaged)) for one in (resumed, whole)))


class Killed(Exception):
    pass


def test_a_killed_recipe_is_started_again_and_ends_like_a_whole_one(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    whole, expected = train_released("tiny-sd", "judge", lambda *_: None, 3, tmp_path)

    def killing(name, record, steps):
        if record.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train_released("tiny-sd", "judge", killing, 3, tmp_path)
    assert resumable.state_file("tiny-sd", "judge", 3).is_file()
    reports = []
    resumed, card = train_released("tiny-sd", "judge", lambda *report: reports.append(report), 3, tmp_path)
    assert [(name, record.step, steps) for name, record, steps in reports] == [("judge", 3, 3)]
    assert torch.equal(state(whole), state(resumed))
    assert card.quality == expected.quality
    assert not resumable.state_file("tiny-sd", "judge", 3).is_file()
    path = save_released("tiny-sd", "judge", resumed, card, tmp_path)
    assert path == tmp_path / "tiny-sd" / "judge.safetensors"
    assert load_card("tiny-sd/judge", tmp_path) == card


# --- what is trained, and on what ---


def test_text_encoder_and_unet_are_trained_together(folder, tmp_path, monkeypatch):
    """The text is heard from the third update on: until then what listens to it adds 0."""
    monkeypatch.setattr(resumable, "WARM_UP", 1)
    run = text_to_image.start(4, tmp_path / "a.state", folder)
    before = [state(network).clone() for network in (run.model.text_encoder, run.model.unet)]
    list(run.records())
    for was, network in zip(before, (run.model.text_encoder, run.model.unet), strict=True):
        assert not torch.equal(was, state(network))


def test_beside_the_controlnet_nothing_changes(folder, tmp_path):
    run = edges.start(3, tmp_path / "a.state", folder)
    frozen = run.unet, run.told.text_encoder, run.told.autoencoder
    before, first = [state(network).clone() for network in frozen], state(run.model).clone()
    list(run.records())
    assert all(torch.equal(was, state(network)) for was, network in zip(before, frozen, strict=True))
    assert not any(parameter.requires_grad for parameter in run.unet.parameters())
    assert not torch.equal(first, state(run.model))
    unet = parts.load_pipeline(folder).unet
    assert torch.equal(state(unet), before[0])


def test_a_controlnet_starts_as_a_copy_of_the_way_down(folder, tmp_path):
    run = edges.start(3, tmp_path / "a.state", folder)
    unet, mine = run.unet.state_dict(), run.model.state_dict()
    shared = [name for name in mine if name in unet]
    assert len(shared) > 40 and all(torch.equal(mine[name], unet[name]) for name in shared)


def test_pools_hold_training_scenes_alone_and_what_belongs_together(folder):
    model = parts.load_pipeline(folder)
    pool, seen = text_to_image.encoded(parts.load_autoencoder(folder), 30), edges.shown(model, 30)
    for data in (pool, seen):
        assert len(data.scenes) == len(data.moments) == 30
        assert not (unseen_pairs(data.scenes) | held_out(data.scenes)).any()
        assert data.moments.shape == (30, 8, 8, 8) and data.moments.dtype == torch.float16
    assert seen.hints.shape == (30, 3, 64, 64) and seen.hints.dtype == torch.uint8
    images = render(seen.scenes, few("mnist", "train"), generator=_after_drawing(30, seed=6))
    assert (seen.hints.float() / 255 - edges_of(images)).abs().max() <= 1 / 255 + 1e-6
    again = model.autoencoder.encode(images)
    torch.testing.assert_close(seen.moments.float(), again, rtol=2e-3, atol=2e-3)


def _after_drawing(count, seed):
    """A generator that has drawn so many training scenes."""
    generator = seeded(seed)
    text_to_image.training_scenes(count, generator=generator)
    return generator


def test_the_loss_of_a_network_that_answers_0_is_the_weighted_power_of_the_noise(folder, tmp_path):
    """A new U-Net answers 0."""
    run = text_to_image.start(2, tmp_path / "a.state", folder)
    draws = torch.Generator().set_state(run.generator.get_state())
    torch.randint(12, (4,), generator=draws)
    t = torch.randint(1000, (4,), generator=draws)
    _, noise = torch.randn(2, 4, 4, 8, 8, generator=draws)
    abar = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.02**0.5, 1000, dtype=torch.float64) ** 2, dim=0)
    weight = (1 / abar[t]).clamp(max=5)
    expected = (weight * noise.double().square().mean(dim=(1, 2, 3))).mean()
    assert run.loss().item() == pytest.approx(expected.item(), rel=1e-5)
    assert 1 < weight.max() <= 5


def test_one_caption_in_ten_is_hidden_from_the_second_stage_and_half_from_the_third(folder, tmp_path):
    run = text_to_image.start(2, tmp_path / "a.state", folder)
    chosen = torch.zeros(3000, dtype=torch.int64)
    hidden = (run._ids(chosen) == run.words([""])).all(dim=1)
    assert hidden.double().mean() == pytest.approx(0.1, abs=0.02)
    controlled = edges.start(2, tmp_path / "b.state", folder)
    controlled.told = SimpleNamespace(context=lambda texts: texts)
    texts = controlled._context(chosen)
    assert sum(text == "" for text in texts) / 3000 == pytest.approx(0.5, abs=0.03)
    assert len(set(texts)) > 2  # the same scene is told in several ways


def test_the_autoencoder_is_told_that_nothing_is_lost_by_its_kl_alone(tmp_path, folder):
    """What encodes to a standard normal and decodes to the images themselves has no loss but rounding."""
    run = autoencoder.start(2, tmp_path / "a.state", folder)
    seen = []

    class Perfect(nn.Module):
        def encode(self, images):
            seen.append(images)
            return torch.zeros(len(images), 8, 8, 8)

        def decode(self, latents):
            assert latents.shape == (4, 4, 8, 8) and latents.std() > 0.8
            return seen[-1]

    run.model = Perfect()
    assert run.loss().item() == 0
    run.model.decode = lambda latents: seen[-1] + 0.5
    assert run.loss().item() == pytest.approx(0.5 + 0.25, rel=1e-5)
    run.model.decode = lambda latents: seen[-1]
    run.model.encode = lambda images: (
        seen.append(images) or torch.cat([torch.full((4, 4, 8, 8), 2.0), torch.zeros(4, 4, 8, 8)], dim=1)
    )
    assert run.loss().item() == pytest.approx(1e-4 * 2, rel=1e-5)  # nats: mean^2 / 2


# --- words ---


def test_each_word_of_the_captions_has_a_token_of_its_own_and_orange_has_several():
    words, tokens = text_to_image.tokenizer(), {}
    captions = draw_scenes(500, generator=seeded(9)).captions(generator=seeded(9))
    for text, ids in zip(captions, words(captions).tolist(), strict=True):
        for word in words.words(text):
            assert len(word.positions) == 1, word
            tokens[word.text] = ids[word.positions[0]]
    places = ("left", "right", "of", "above", "below")
    said = {*DIGITS, *INKS[:NEW_INK], "grey", "a", "on", "background", *places}
    assert tokens.keys() == said and len(set(tokens.values())) == len(said)
    new = words.words("a orange three")[1]
    assert new.text == "orange" and len(new.positions) > 1


def test_no_caption_is_cut_off():
    words = text_to_image.tokenizer()
    orange = draw_scenes(500, generator=seeded(), inks=[NEW_INK]).captions(generator=None)
    ids = words(orange)
    assert ids.shape == (500, text_to_image.LENGTH)
    assert all(words.words(text)[-1].positions for text in orange)


def test_text_encoder_and_tokenizer_know_the_same_tokens(folder):
    model = parts.load_pipeline(folder)
    size, config = model.tokenizer.core.get_vocab_size(), model.text_encoder.config
    assert config.vocab_size == size
    ids = model.tokenizer(["a red seven"])[0]
    assert (ids[0], ids[-1]) == (config.bos_token_id, config.eos_token_id) == (size - 2, size - 1)
    written = json.loads((folder / "tiny-sd" / "tokenizer" / "tokenizer_config.json").read_text())
    assert written["model_max_length"] == text_to_image.LENGTH


# --- measures ---


def scenes(*rows):
    """From (digits, inks, ground, layout)."""
    return Scenes(*(torch.tensor(column) for column in zip(*rows, strict=True)))


def test_agreement_says_what_is_as_asked():
    asked = [([1, 2], [0, 1], 3, 1)]
    others = {
        "digits": ([1, 3], [0, 1], 3, 1),
        "inks": ([1, 2], [2, 1], 3, 1),
        "ground": ([1, 2], [0, 1], 0, 1),
        "places": ([1, 2], [0, 1], 3, 2),
    }
    for wrong, read in others.items():
        found = scenes(read).agreement(scenes(*asked))
        assert {what for what, right in found.items() if not right.item()} == {wrong, "all"}
    swapped = scenes(([2, 1], [1, 0], 3, 1)).agreement(scenes(*asked))
    assert {what for what, right in swapped.items() if not right} == {"digits", "inks", "all"}
    assert judge.shares(scenes(*asked * 2), scenes(asked[0], others["inks"])) == {
        "digits": 1.0,
        "inks": 0.5,
        "ground": 1.0,
        "places": 1.0,
        "all": 0.5,
    }


def test_a_judge_reads_in_pieces_what_it_reads_at_once(folder):
    model = parts.load_judge(folder)
    images, _ = judge.real_scenes(7, few("mnist", "test"), generator=seeded())
    assert all(judge.read_in_pieces(model, images, 3).agreement(model.read(images))["all"])


def test_the_judge_is_trained_on_every_pair_and_the_new_ink():
    _, seen = judge.real_scenes(600, few("mnist", "test"), generator=seeded())
    assert unseen_pairs(seen).any() and held_out(seen).any() and (seen.inks == NEW_INK).any()


def test_figures_by_kind_are_shares_of_each():
    right = {"digits": torch.tensor([True, True, False, False, True, False])}
    assert quality.by_kind(right) == {"seen": {"digits": 0.5}, "unseen": {"digits": 0.5}}
    right = {"digits": torch.tensor([True, True, True, False, False, False])}
    assert quality.by_kind(right) == {"seen": {"digits": 0.75}, "unseen": {"digits": 0.0}}


def test_prompts_and_noise_are_always_the_same_and_of_their_kinds():
    asked = quality.asked_for()
    assert len(asked) == 6 and asked.agreement(quality.asked_for())["all"].all()
    assert held_out(asked[:4]).all() and unseen_pairs(asked[4:]).all()
    assert torch.equal(quality.first_latents(3), quality.first_latents(3))
    assert not torch.equal(quality.first_latents(3), quality.first_latents(3, seed=8))


def test_images_are_drawn_in_pieces_each_from_its_own_noise(folder, monkeypatch):
    model = parts.load_pipeline(folder)
    awake(model.unet), awake(model.text_encoder, 1)
    prompts, noise = quality.asked_for().captions(generator=None), quality.first_latents(6)
    pieces = quality.drawn(model, prompts, noise, 3.0)
    monkeypatch.setattr(quality, "PIECE", 6)
    together = quality.drawn(model, prompts, noise, 3.0)
    assert pieces.shape == (6, 3, 64, 64) and pieces.min() >= -1 and pieces.max() <= 1
    torch.testing.assert_close(pieces, together, rtol=0, atol=1e-3)
    assert not torch.allclose(pieces, quality.drawn(model, prompts[::-1], noise, 3.0), rtol=0, atol=1e-3)


def test_who_draws_what_is_asked_for_has_an_accuracy_of_1(monkeypatch):
    """Drawing and reading are played by the scenes themselves."""
    asked, told = quality.asked_for(), []

    def drawing(model, prompts, noise, scale):
        told.extend(prompts)
        return torch.arange(len(prompts))

    monkeypatch.setattr(quality, "drawn", drawing)
    monkeypatch.setattr(quality, "read_in_pieces", lambda judge, images: asked[images])
    right = quality.prompt_accuracy(None, None, asked, 3.0)
    assert all(flags.all() for flags in right.values())
    assert told == asked.captions(generator=None)


def square(shift=0):
    image = torch.full((1, 3, 40, 40), -1.0)
    image[:, :, 10 + shift : 20 + shift, 10:20] = 1
    return image


def test_edges_meet_within_a_pixel():
    hint = edges_of(square())
    assert edges.edge_score(square(), hint) == edges.edge_score(square(1), hint) == pytest.approx(1)
    assert 0.2 < edges.edge_score(square(3), hint) < 0.8  # two of the four sides still meet
    assert edges.edge_score(square(16), hint) == edges.edge_score(torch.zeros(1, 3, 40, 40), hint) == 0


def test_edges_too_many_and_edges_too_few_both_cost():
    both = torch.maximum(square(), square(16))
    one_of_two = edges.edge_score(square(), edges_of(both))
    two_of_one = edges.edge_score(both, edges_of(square()))
    assert (one_of_two, two_of_one) == pytest.approx((2 / 3, 2 / 3))


def test_edges_are_compared_image_by_image(folder, monkeypatch):
    """Each image is drawn to its own hint, whatever the pieces."""
    asked = []
    plain = edges.controlled

    def listening(unet, network, hint):
        asked.append(hint)
        return plain(unet, network, hint)

    monkeypatch.setattr(edges, "controlled", listening)
    network = weights.load_network(folder / "tiny-sd" / "controlnet", weights.CONTROLNET)
    figures = edges.measure(network, folder)["edges_that_meet"]
    assert [len(hint) for hint in asked] == [4, 2]
    assert figures == pytest.approx(load_card("tiny-sd/edges", folder).quality["edges_that_meet"], abs=0.05)
