"""The recipes of the diffusion models: tiny runs of each, killed and resumed, and measures that measure."""

import math
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils.checkpoints.recipes import diffusion, resumable, train_released
from course_utils.checkpoints.recipes.diffusion import ablation, quality, run, sampling
from course_utils.data import load
from course_utils.data.colours import hue, paint
from course_utils.diffusion.samplers import CLEAN, ddim_timesteps
from course_utils.diffusion.unet import PlainBlock, UNet
from course_utils.training import load_card, load_checkpoint, save_checkpoint

TINY = {"channels": (8, 16)}


@cache
def few(name, split, value_range=(0, 1), size=28):
    """Twenty digits of each class."""
    return load(name, "test", value_range=value_range, size=size).balanced(20)


def awake(model):
    """The model with weights of which none is 0: a new UNet answers 0 to everything."""
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    return model.eval()


def tiny_unet(image_channels=1):
    return awake(UNet(image_channels, **TINY, num_classes=10))


def checkpoint_or_tiny(name):
    return tiny_unet() if name == "diffusion/mnist" else load_checkpoint(name)


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory):
    """Few images, batches of 4, small networks, two steps of sampling, and a working folder of their own."""
    tiny = partial(UNet, 1, TINY["channels"])
    networks = {
        "complete": tiny,
        "seed": tiny,
        "told": partial(tiny, num_classes=10),
        "timeless": ablation.Timeless,
        "clipped": tiny,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("recipes"))
        patch.setattr(run, "BATCH_SIZE", 4)
        patch.setattr(quality, "SAMPLING_STEPS", 2)
        patch.setattr(ablation, "CHANNELS", TINY["channels"])
        patch.setattr(sampling, "STEPS", (2, 3))
        patch.setattr(sampling, "load_checkpoint", checkpoint_or_tiny)
        for module, samples in ((diffusion, 20), (ablation, 6), (sampling, 20)):
            patch.setattr(module, "load", few)
            patch.setattr(module, "SAMPLES", samples)
        patch.setattr(ablation, "KEPT", 4)
        for name, recipe in diffusion.RECIPES.items():
            patch.setitem(diffusion.RECIPES, name, replace(recipe, architecture=recipe.architecture | TINY))
        for name, network in networks.items():
            patch.setitem(ablation.VARIANTS, name, replace(ablation.VARIANTS[name], network=network))
        yield


# --- every recipe, in small ---


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """For each name: the model and the card as they are loaded again, and the reports on the way."""
    results, folder = {}, tmp_path_factory.mktemp("checkpoints")
    for name in diffusion.NAMES:
        reports = []
        model, card = train_released("diffusion", name, lambda *report, to=reports: to.append(report), 2)
        save_checkpoint(f"diffusion/{name}", model, card, folder)
        loaded = load_checkpoint(f"diffusion/{name}", folder), load_card(f"diffusion/{name}", folder)
        results[name] = (*loaded, reports)
    return results


def outline(figures):
    """The keys of a card's figures at any depth, with ... in place of numbers."""
    return {key: outline(value) if isinstance(value, dict) else ... for key, value in figures.items()}


def numbers(figures):
    for value in figures.values():
        yield from numbers(value) if isinstance(value, dict) else (value,)


DISTANCES = {"frechet": ..., "kernel": ...}
ASKED = DISTANCES | {"class_accuracy": ...}
PAINTED = ASKED | {"hue_concentration": ..., "hue_imbalance": ...}
FIGURES = {
    "mnist": {"by_guidance_scale": {"1": ASKED, "2": ASKED}, "floor_training_images": DISTANCES},
    "colour": {"by_guidance_scale": {"1": PAINTED, "2": PAINTED}, "floor_training_images": DISTANCES},
    "sampling": {
        "samples": ...,
        "by_steps": {name: {"2": DISTANCES, "3": DISTANCES} for name in sampling.SAMPLERS},
        "by_guidance_scale": {f"{scale:g}": ASKED | {"diversity": ...} for scale in sampling.SCALES},
        "real": {"floor": DISTANCES, "class_accuracy": ..., "diversity": ...},
    },
    "ablation": {
        "rows": dict.fromkeys(ablation.ROWS, DISTANCES),
        "floor_training_images": DISTANCES,
        "seconds": dict.fromkeys(ablation.VARIANTS, ...),
    },
}


@pytest.mark.parametrize("name", diffusion.NAMES)
def test_every_recipe_writes_all_its_figures(made, name):
    model, card, _ = made[name]
    assert not model.training
    assert outline(card.quality) == FIGURES[name]
    assert all(math.isfinite(number) for number in numbers(card.quality))
    assert card.command == f"course train diffusion --only {name}"


@pytest.mark.parametrize(
    ("name", "rounds"), [("mnist", 1), ("colour", 1), ("ablation", len(ablation.VARIANTS))]
)
def test_training_is_reported_update_by_update(made, name, rounds):
    *_, reports = made[name]
    assert [(record.step, steps) for _, record, steps in reports] == [(1, 2), (2, 2)] * rounds
    assert made[name][1].steps == 2


def test_drawing_is_reported_row_by_row(made):
    *_, reports = made["sampling"]
    rows = len(sampling.SAMPLERS) * len(sampling.STEPS) + len(sampling.SCALES) - 1
    assert [(record.step, of) for _, record, of in reports] == [(n, rows) for n in range(1, rows + 1)]


def test_a_run_that_is_over_leaves_no_state_behind(made):
    assert not list(Path("build").glob("*.state"))


@pytest.mark.parametrize(("name", "channels"), [("mnist", 1), ("colour", 3)])
def test_trained_models_take_images_of_their_recipe(made, name, channels):
    model = made[name][0]
    x_t = torch.zeros(2, channels, 32, 32)
    assert model(x_t, torch.zeros(2, dtype=torch.int64), torch.tensor([3, 10])).shape == x_t.shape


def test_the_sheet_of_guidance_holds_a_row_for_each_scale(made):
    sheet, card, _ = made["sampling"]
    assert sheet.rows == tuple(card.quality["by_guidance_scale"]) == tuple(f"{s:g}" for s in sampling.SCALES)
    assert sheet.images.shape == (len(sampling.SCALES), 20, 1, 28, 28)
    assert sheet.images.min() >= 0 and sheet.images.max() <= 1
    assert not torch.equal(sheet["0"], sheet["8"])
    drawn = sampling.draw(tiny_unet(), "DDIM, eta = 0", quality.SAMPLING_STEPS, 2.0, 20)
    assert torch.equal(sheet["2"], drawn.half().float())


def test_scale_1_is_the_row_of_as_many_steps(made):
    figures = made["sampling"][1].quality
    plain = figures["by_steps"]["DDIM, eta = 0"][f"{quality.SAMPLING_STEPS}"]
    assert plain == {key: figures["by_guidance_scale"]["1"][key] for key in plain}


def test_sampling_draws_two_of_a_class_at_least(made, monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLES", 1000)
    monkeypatch.setattr(sampling, "SCALES", (0.0, 1.0))
    sheet, card = sampling.make(lambda *_: None, 1)
    assert card.data.startswith("20 samples a row")
    assert torch.equal(sheet["1"].half().float(), made["sampling"][0]["1"])


def test_the_sheet_of_the_ablation_holds_what_each_row_drew(made):
    sheet, card, _ = made["ablation"]
    assert sheet.rows == tuple(card.quality["rows"])
    assert sheet.images.shape == (len(ablation.ROWS), 4, 1, 28, 28)
    assert sheet.images.min() >= 0 and sheet.images.max() <= 1
    everything = sheet["everything"]
    for other in (
        "weights not averaged",
        "everything, another seed",
        "schedule clipped at 0.02",
    ):
        assert not torch.equal(sheet[other], everything), other


# --- a run that is killed ---


class Untold(nn.Module):
    """What PlainUNet is, in small: it has BatchNorm, and does not listen to t."""

    def __init__(self):
        super().__init__()
        self.block = PlainBlock(1, 1)

    def forward(self, x_t, t):
        return self.block(x_t)


NETWORKS = {
    "told": lambda: UNet(**TINY, num_classes=10),
    "not told": lambda: UNet(**TINY),
    "with buffers": Untold,
}


def a_task(network, seed=0, size=8):
    """Forty patches of digits."""
    digits = few("mnist", "train", value_range=(-1, 1))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = network()
    return run.Task(
        digits.images[::5, :, 10 : 10 + size, 10 : 10 + size], digits.labels[::5], abar(), made, seed
    )


def abar():
    return diffusion._abar()


def state(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("averaged", [False, True])
def test_a_killed_run_goes_on_from_its_last_state_draw_for_draw(tmp_path, monkeypatch, network, averaged):
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    whole = run.Run(a_task(network), 6, tmp_path / "whole.state")
    losses = [record.loss for record in whole.records()]
    killed = run.Run(a_task(network), 6, tmp_path / "killed.state")
    for record in killed.records():
        if record.step == 4:
            break
    resumed = run.Run(a_task(network), 6, tmp_path / "killed.state")
    assert resumed.done == 4
    assert [(record.step, record.loss) for record in resumed.records()] == [(5, losses[4]), (6, losses[5])]
    assert torch.equal(*(state(one.trained(averaged=averaged)) for one in (resumed, whole)))
    assert resumed.seconds > killed.seconds


def test_between_two_writings_a_killed_run_loses_a_few_updates_and_no_more(tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 20))  # seconds: a state is written after every third update
    monkeypatch.setattr(resumable.time, "perf_counter", lambda: next(clock))
    for record in run.Run(a_task(Untold), 9, tmp_path / "a.state").records():
        if record.step == 5:
            break
    assert run.Run(a_task(Untold), 9, tmp_path / "a.state").done == 3


def test_a_run_that_was_done_has_nothing_left_to_do(tmp_path):
    first = run.Run(a_task(Untold), 3, tmp_path / "a.state")
    assert len(list(first.records())) == 3
    again = run.Run(a_task(Untold), 3, tmp_path / "a.state")
    assert list(again.records()) == []
    assert torch.equal(state(again.trained()), state(first.trained()))
    assert again.seconds == first.seconds


class Killed(Exception):
    pass


def killing(at):
    """A report that ends the run after so many updates of it, in all."""
    seen = []

    def report(*_):
        seen.append(None)
        if len(seen) == at:
            raise Killed

    return report


def sheet_or_weights(made):
    model, card = made
    return state(model), {key: value for key, value in card.quality.items() if key != "seconds"}


@pytest.mark.parametrize(("name", "at"), [("colour", 2), ("ablation", 2), ("ablation", 5)])
def test_a_killed_recipe_is_started_again_and_ends_like_a_whole_one(monkeypatch, name, at):
    """Of the ablation, three networks: at = 5 is in the middle of the second."""
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    kept = ("complete", "told", "timeless")
    rows = {title: row for title, row in ablation.ROWS.items() if row.variant in kept}
    monkeypatch.setattr(ablation, "VARIANTS", {variant: ablation.VARIANTS[variant] for variant in kept})
    monkeypatch.setattr(ablation, "ROWS", rows)
    whole = diffusion.make(name, lambda *_: None, 3)
    with pytest.raises(Killed):
        diffusion.make(name, killing(at), 3)
    assert list(Path("build").glob(f"diffusion-{name}*-3.state"))
    reports = []
    resumed = diffusion.make(name, lambda *report: reports.append(report), 3)
    assert len(reports) == (3 if name == "colour" else 9) - at  # a state is written before its report
    weights, figures = sheet_or_weights(resumed)
    expected_weights, expected_figures = sheet_or_weights(whole)
    assert torch.equal(weights, expected_weights)
    assert figures == expected_figures
    assert not list(Path("build").glob("*.state"))


# --- what a run does ---


class Listening(UNet):
    """Writes down what it is asked."""

    def __init__(self, **options):
        super().__init__(**TINY, **options)
        self.asked = []

    def forward(self, x_t, t, labels=None):
        self.asked.append((x_t, t, labels))
        return super().forward(x_t, t, labels)


def test_networks_that_are_told_and_that_are_not_see_the_same_images_and_noise(tmp_path):
    heard = []
    for options in ({}, {"num_classes": 10}):
        one = run.Run(a_task(partial(Listening, **options)), 3, tmp_path / f"{len(options)}.state")
        list(one.records())
        heard.append(one.model.asked)
    for (x_t, t, none), (same_x_t, same_t, labels) in zip(*heard, strict=True):
        assert torch.equal(x_t, same_x_t) and torch.equal(t, same_t)
        assert none is None
        assert labels.shape == t.shape


def test_another_seed_sees_other_images_and_noise(tmp_path):
    heard = []
    for seed in (0, 1):
        one = run.Run(a_task(Listening, seed), 1, tmp_path / f"{seed}.state")
        list(one.records())
        heard.append(one.model.asked[0][0])
    assert not torch.equal(*heard)


def test_labels_belong_to_their_images_and_one_in_ten_is_hidden(tmp_path, monkeypatch):
    """Images that are their labels, without any noise: abar is 1."""
    monkeypatch.setattr(run, "BATCH_SIZE", 200)
    labels = torch.arange(50) % 10
    images = (labels / 10).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    task = run.Task(images, labels, torch.ones(1, dtype=torch.float64), Listening(num_classes=10))
    one = run.Run(task, 10, tmp_path / "a.state")
    list(one.records())
    x_t, _, told = (torch.cat(part) for part in zip(*one.model.asked, strict=True))
    hidden = told == one.null_label
    assert torch.equal((10 * x_t[:, 0, 0, 0]).round().long()[~hidden], told[~hidden])
    assert 0.07 < hidden.double().mean() < 0.13


def test_the_learning_rate_rises_at_first_and_falls_to_0_in_the_second_half(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "WARM_UP", 3)
    one = run.Run(a_task(Untold), 12, tmp_path / "a.state")
    rates = torch.tensor([one.optimizer.param_groups[0]["lr"] for _ in one.records()])
    assert rates[0] > 0 and (rates[:3].diff() > 0).all()
    assert torch.allclose(rates[2:7], torch.full((5,), resumable.LEARNING_RATE))
    assert (rates[6:].diff() < 0).all() and 0 < rates[-1] < resumable.LEARNING_RATE / 5


def test_the_average_lags_behind_the_weights(tmp_path):
    """Closer to them than the first weights are, but not there."""
    first = state(a_task(NETWORKS["told"]).network)
    one = run.Run(a_task(NETWORKS["told"]), 8, tmp_path / "a.state")
    list(one.records())
    average, last = state(one.trained()), state(one.trained(averaged=False))
    assert 0 < (average - last).norm() < (first - last).norm()
    assert not one.trained().training and not one.trained(averaged=False).training


def test_a_network_learns(tmp_path, monkeypatch):
    """One image over and over: the loss falls to less than half of that of knowing nothing, 1."""
    monkeypatch.setattr(resumable, "WARM_UP", 10)
    monkeypatch.setattr(run, "BATCH_SIZE", 16)
    task = replace(a_task(NETWORKS["not told"]), images=torch.ones(40, 1, 4, 4))
    one = run.Run(task, 60, tmp_path / "a.state")
    one.learning_rate = 5e-3
    losses = [record.loss for record in one.records()]
    assert losses[0] == pytest.approx(1, abs=0.3)
    assert sum(losses[-10:]) / 10 < 0.5


class Descent(resumable.Resumable):
    """Two numbers and a loss of slope (3, 4), of length 5; the third is frozen."""

    def __init__(self, file, **options):
        network = nn.ParameterList([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(1))])
        network[1].requires_grad_(False)
        super().__init__(network, 4, file, **options)

    def loss(self):
        return self.model[0] @ torch.tensor([3.0, 4.0]) * self.model[1].squeeze()


@pytest.mark.parametrize(("clip", "length"), [(math.inf, 5.0), (7.0, 5.0), (1.0, 1.0), (0.1, 0.1)])
def test_a_gradient_is_shortened_to_clip_and_keeps_its_direction(tmp_path, clip, length):
    one = Descent(tmp_path / "a.state", clip=clip)
    next(one.records())
    slope = one.model[0].grad
    assert torch.allclose(slope, length * torch.tensor([0.6, 0.8]), rtol=1e-4)


def test_the_learning_rate_is_that_which_was_asked_for(tmp_path, monkeypatch):
    """Adam's first step is as long as its rate, in each number."""
    monkeypatch.setattr(resumable, "WARM_UP", 1)
    one = Descent(tmp_path / "a.state", learning_rate=0.25, clip=0.1)
    next(one.records())
    assert torch.allclose(one.model[0], torch.full((2,), -0.25), rtol=1e-4)


def test_what_is_frozen_is_not_trained_and_survives_a_killed_run(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    one = Descent(tmp_path / "a.state", ema_decay=0.5)
    records = one.records()
    next(records), next(records)
    again = Descent(tmp_path / "a.state", ema_decay=0.5)
    list(again.records())
    assert again.model[1].item() == again.average[1].item() == 1
    assert again.done == 4 and (again.model[0] < one.model[0]).all()


def test_the_average_forgets_as_fast_as_it_is_told(tmp_path):
    lags = []
    for decay in (0.0, 0.5, 0.9):
        one = Descent(tmp_path / f"{decay}.state", ema_decay=decay, learning_rate=0.1)
        list(one.records())
        lags.append((one.average[0] - one.model[0]).norm().item())
    assert lags[0] == 0 < lags[1]  # in the first updates no average remembers more than 0.1 .. 0.3
    assert lags[1] == pytest.approx(lags[2])


def test_a_state_is_named_after_what_is_trained_and_for_how_long():
    names = {
        resumable.state_file(*what) for what in (("a", "b", 1), ("a", "b", 2), ("a", "c", 1), ("d", "b", 1))
    }
    assert len(names) == 4 and {name.parent for name in names} == {Path("build")}


# --- how samples are drawn ---


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_samples_are_digits_sized_and_in_the_range_of_the_classifier(channels, scale):
    images = diffusion.sample(tiny_unet(channels), torch.arange(3), scale)
    assert images.shape == (3, channels, 28, 28)
    assert images.min() >= 0 and images.max() <= 1
    assert images.std() > 0.1


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_tables_and_the_models_card_are_about_the_same_samples(scale):
    labels = torch.arange(12) % 10
    drawn = sampling.draw(tiny_unet(), "DDIM, eta = 0", quality.SAMPLING_STEPS, scale, 12)
    assert torch.equal(drawn, diffusion.sample(tiny_unet(), labels, scale))


def test_pieces_change_nothing(monkeypatch):
    """How many images at a time is a matter of memory; noise is drawn anew for each piece."""
    sizes = [len(piece) for piece in quality.first_states(520)]
    assert sizes == [250, 250, 20]
    monkeypatch.setattr(quality, "PIECE", 4)
    model, labels = tiny_unet(), torch.arange(10)
    together = diffusion.sample(model, labels, 2.0)
    states, pieces = quality.first_states(10), labels.split(4)
    monkeypatch.setattr(quality, "first_states", lambda count, channels=1: [states.pop(0)])
    alone = torch.cat([diffusion.sample(model, piece, 2.0) for piece in pieces])
    assert torch.allclose(together, alone, rtol=0, atol=1e-4)


def test_first_states_are_noise_and_always_the_same():
    once, again = quality.first_states(300, 3), quality.first_states(300, 3)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    noise = torch.cat(once)
    assert noise.shape == (300, 3, 32, 32)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(once[0][:50], once[1])


def test_no_two_pieces_get_the_same_fresh_noise(monkeypatch):
    """With the same, images of one class are almost copies at eta = 1, and a set is smaller than it seems."""
    monkeypatch.setattr(quality, "PIECE", 4)
    model, same = tiny_unet(), torch.full((8,), 3)
    monkeypatch.setattr(quality, "first_states", lambda count, channels=1: [torch.zeros(4, 1, 32, 32)] * 2)
    for images in (
        diffusion.sample(model, same, 1.0, eta=1.0),
        sampling.draw(model, "DDIM, eta = 1", 3, 1.0, 8),
    ):
        assert not torch.equal(images[:4], images[4:])
    images = diffusion.sample(model, same, 1.0)
    assert torch.equal(images[:4], images[4:])


class Judged:
    """A model that writes down what labels it is told, and guesses no noise."""

    null_label = 10

    def __init__(self):
        self.told = []

    def __call__(self, x_t, t, labels):
        self.told.append(labels.tolist())
        return torch.zeros_like(x_t)


@pytest.mark.parametrize(
    ("scale", "told"),
    [(0.0, [10] * 3), (1.0, [0, 1, 2]), (2.0, [10] * 3 + [0, 1, 2])],
)
def test_without_guidance_one_call_a_step_is_enough(scale, told):
    model = Judged()
    sampling.draw(model, "DPM-Solver++(2M)", 3, scale, 3)
    assert model.told == [told] * 3


def test_only_eta_above_0_draws_noise_and_always_the_same():
    drawn = {name: sampling.draw(tiny_unet(), name, 3, 1.0, 4) for name in sampling.SAMPLERS}
    for name, images in drawn.items():
        assert torch.equal(images, sampling.draw(tiny_unet(), name, 3, 1.0, 4))
        assert images.shape == (4, 1, 28, 28)
        assert all(not torch.equal(images, other) for key, other in drawn.items() if key != name)


def test_timeless_hears_no_level():
    timeless = awake(ablation.Timeless())
    x_t, early, late = torch.ones(3, 1, 8, 8), torch.tensor([0, 1, 2]), torch.tensor([999, 500, 7])
    assert torch.equal(timeless(x_t, early), timeless(x_t, late))
    assert not torch.allclose(timeless.network(x_t, early), timeless.network(x_t, late), atol=1e-3)


def test_clamped_jumps_stay_in_the_range_of_images_and_are_never_noised_again(monkeypatch):
    monkeypatch.setattr(quality, "SAMPLING_STEPS", 5)
    asked = []

    def wavy(x_t, t):
        asked.append((t[0].item(), x_t))
        return torch.sin(3 * x_t + t.view(-1, 1, 1, 1))

    x_T = 3 * quality.first_states(2)[0]
    states = list(ablation.clamped_jumps(wavy, x_T, abar()))
    assert [s.t for s in states] == [*ddim_timesteps(1000, 5)[1:].tolist(), CLEAN]
    assert all(s.x_t.abs().max() <= 1 for s in states)
    assert [t for t, _ in asked] == [999, *(s.t for s in states[:-1])]
    assert all(torch.equal(s.x_t, x_t) for s, (_, x_t) in zip(states, asked[1:], strict=False))
    assert torch.equal(asked[0][1], x_T)


def test_clamped_jumps_of_a_model_that_knows_the_image_arrive_at_once():
    point = few("mnist", "test", value_range=(-1, 1), size=32).images[:2]

    def knows(x_t, t):
        share = abar()[t].view(-1, 1, 1, 1)
        return ((x_t - share.sqrt() * point) / (1 - share).sqrt()).to(x_t)

    for step in ablation.clamped_jumps(knows, quality.first_states(2)[0], abar()):
        assert torch.allclose(step.x_t, point, rtol=0, atol=1e-3)


# --- measures ---


@pytest.fixture(scope="module")
def judge():
    return load_checkpoint("classifier/mnist")


@pytest.fixture(scope="module")
def digits():
    return load("mnist", "test").balanced(50)


def test_the_judge_sees_real_digits_as_they_are():
    padded = load("mnist", "test", value_range=(-1, 1), size=32).images[:50]
    assert torch.allclose(quality.for_the_judge(padded), load("mnist", "test").images[:50], rtol=0, atol=1e-6)
    assert quality.for_the_judge(9 * padded).unique().tolist()[0] == 0
    assert quality.for_the_judge(9 * padded).max() == 1


def test_the_class_accuracy_of_real_digits_is_high_and_of_wrong_labels_low(judge, digits):
    assert quality.class_accuracy(judge, digits.images, digits.labels) > 0.95
    assert quality.class_accuracy(judge, digits.images, (digits.labels + 1) % 10) < 0.05


def test_a_set_is_at_no_distance_from_itself_and_damage_increases_it(judge, digits):
    real, other = digits.images[::2], digits.images[1::2]
    itself = quality.figures(judge, real, real)
    floor = quality.figures(judge, other, real)
    noise = torch.rand(other.shape, generator=torch.Generator().manual_seed(0))
    damaged = [quality.figures(judge, other + share * (noise - other), real) for share in (0.4, 1.0)]
    assert itself["frechet"] == pytest.approx(0, abs=1e-3 * floor["frechet"])
    assert itself["kernel"] <= 0  # unbiased for two sets, of which one is not the other
    for measure in ("frechet", "kernel"):
        assert itself[measure] < floor[measure] < damaged[0][measure] < damaged[1][measure]
    assert abs(floor["kernel"]) < 0.05 * damaged[0]["kernel"]


def test_the_diversity_of_copies_is_0(judge, digits):
    copies = digits.images[::50].repeat_interleave(5, dim=0)
    assert sampling.diversity(judge, copies, digits.labels[::50].repeat_interleave(5)) == 0


def test_diversity_is_the_mean_distance_within_a_class_averaged_over_classes(judge, digits):
    with torch.no_grad():
        features = judge.features(digits.images).double()
    expected = []
    for k in range(10):
        distances = torch.cdist(features[digits.labels == k], features[digits.labels == k])
        expected.append(distances.sum() / (50 * 49))
    found = sampling.diversity(judge, digits.images, digits.labels)
    assert found == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)
    shuffled = digits.labels[torch.randperm(500, generator=torch.Generator().manual_seed(0))]
    assert sampling.diversity(judge, digits.images, shuffled) > 1.2 * found


def real_digits(labels, scale=None):
    """Real digits of the classes asked for."""
    test = load("mnist", "test")
    pools = {k: iter(test.of_class(k).images) for k in range(10)}
    return torch.stack([next(pools[k]) for k in labels.tolist()])


def test_of_real_digits_measure_says_that_all_are_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(diffusion, "SAMPLES", 200)
    monkeypatch.setattr(diffusion, "sample", lambda model, labels, scale: real_digits(labels))
    figures = diffusion.measure(None)
    for of_scale in figures["by_guidance_scale"].values():
        assert of_scale["class_accuracy"] > 0.95
        assert of_scale["frechet"] == pytest.approx(figures["floor_training_images"]["frechet"], rel=0.5)


def test_of_real_digits_in_all_colours_measure_painted_finds_the_colours_and_the_digits(monkeypatch, judge):
    monkeypatch.setattr(diffusion, "SAMPLES", 200)
    hues = torch.linspace(0, 2 * math.pi, 201)[:-1]
    monkeypatch.setattr(
        diffusion, "sample", lambda model, labels, scale, eta: paint(real_digits(labels), hues)
    )
    figures = diffusion.measure_painted(None)["by_guidance_scale"]["1"]
    assert figures["hue_concentration"] == pytest.approx(1, abs=1e-5)
    assert figures["hue_imbalance"] == pytest.approx(0, abs=1e-3)
    unpainted = quality.figures(judge, real_digits(torch.arange(200) % 10), few("mnist", "test").images[::10])
    assert figures["class_accuracy"] > 0.95
    assert figures["frechet"] == pytest.approx(unpainted["frechet"], rel=1e-3)
    assert figures["kernel"] == pytest.approx(unpainted["kernel"], rel=1e-2)


def test_one_colour_for_all_is_an_imbalance_of_1_and_two_in_a_digit_are_less_concentrated(monkeypatch):
    def one_colour(model, labels, scale, eta):
        return paint(real_digits(labels), torch.full((len(labels),), 2.0))

    def two_halves(model, labels, scale, eta):
        left = paint(real_digits(labels), torch.zeros(len(labels)))
        return torch.cat([left[..., :14], one_colour(model, labels, scale, eta)[..., 14:]], dim=-1)

    found = []
    for sampler in (one_colour, two_halves):
        monkeypatch.setattr(diffusion, "sample", sampler)
        found.append(diffusion.measure_painted(None)["by_guidance_scale"]["2"])
    assert found[0]["hue_imbalance"] == pytest.approx(1, abs=1e-5)
    assert found[0]["hue_concentration"] == pytest.approx(1, abs=1e-5)
    assert found[1]["hue_concentration"] < 0.9


def test_painted_digits_are_the_digits_in_a_hue_each_always_the_same():
    painted, grey = diffusion.painted_digits(), diffusion.grey_digits()
    assert painted.shape == (len(grey), 3, 32, 32)
    assert painted.min() >= -1 and painted.max() <= 1
    assert torch.equal(painted, diffusion.painted_digits())
    rgb = (painted + 1) / 2
    assert torch.allclose(2 * rgb.mean(dim=1, keepdim=True), (grey + 1) / 2, rtol=0, atol=1e-5)
    hues, concentration = hue(rgb)
    assert concentration.min() > 1 - 1e-4
    assert torch.exp(1j * hues).mean().abs() < 4 / len(hues) ** 0.5
