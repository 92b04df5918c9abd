"""Each race at its smallest, beside whoever is installed: it yields the rows that its table needs."""

import math
import shutil

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import networks
from benchmarks.races import (
    chapters,
    drawing,
    footprint,
    grading,
    quality,
    sampling,
    scheduler,
    scrubbing,
    torchrun,
    training_step,
)
from benchmarks.setting import Setting
from course_utils.runtime import Profile

# diffusers asks numpy for arrays in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


@pytest.fixture
def setting():
    said = []
    yield Setting(torch.device("cpu"), 1, "tiny", 0.002, lambda *words: said.append(words))
    assert said, "a race says how far it is"
    assert all(0 <= done <= total for done, total, _ in said)


def require_figures(rows):
    """Every row has a figure of ours, and a peer's with the ratio, or the reason why not."""
    for row in rows:
        assert row.ours is not None and math.isfinite(row.ours.value), row
        if row.peer and row.theirs:
            assert row.ratio.value > 0, row
        elif row.peer:
            assert row.note, row


def names(rows):
    return {row.name for row in rows}


def test_training_step(setting):
    rows = list(training_step.run(setting))
    require_figures(rows)
    ways = {"fp32", "bf16 autocast", "bf16 autocast, channels-last"}
    assert {row.peer for row in rows if row.name == "step, fp32"} == set(networks.DISTRIBUTIONS)
    assert {f"step, {way}" for way in ways} | {f"the peak, {way}" for way in ways} <= names(rows)
    assert f"{networks.OURS}: share of the peak, fp32" in names(rows)
    assert {f"{training_step.ALONE}: share of the peak, {way}" for way in ways} <= names(rows)
    beyond = f"{networks.OURS}: share of the step beyond these convolutions"
    assert {f"{beyond}, {way}" for way in ways} <= names(rows)


@pytest.mark.parametrize("way", training_step.WAYS, ids=lambda way: way.name)
def test_the_convolutions_alone_are_all_of_the_step_and_nothing_else(setting, way):
    setting.progress(0, 1, "counting")
    step = training_step.Step(networks.ours(tiny=True), way, 2, setting)
    with FlopCounterMode(display=False) as counter:
        step.gradients()
    counts = counter.get_flop_counts()["Global"]
    convolutions = sum(count for operator, count in counts.items() if "convolution" in str(operator))
    alone = training_step.Convolutions(step)
    assert alone.operations == convolutions < step.operations
    before = [parameter.clone() for parameter in step.network.parameters()]
    alone()
    assert all(map(torch.equal, before, step.network.parameters()))


def test_without_units_for_bf16_only_fp32_is_measured_and_the_others_say_why(monkeypatch):
    setting = Setting(torch.device("cpu"), 1, "quick", 0.002, print)
    assert training_step.ways_of(setting) == [training_step.WAYS[0]]  # the profile here is ci: no autocast
    monkeypatch.setattr(training_step, "profile", lambda: Profile("cpu", setting.device, torch.bfloat16))
    assert training_step.ways_of(setting) == list(training_step.WAYS)
    rows = list(training_step.rows_without_units(training_step.WAYS[1]))
    assert {row.peer for row in rows} == set(networks.DISTRIBUTIONS)
    assert all(row.ours is None and row.note for row in rows)


def test_a_missing_peer_leaves_its_rows_with_the_reason(setting, monkeypatch):
    monkeypatch.setattr(networks, "absent", lambda peer: "It is not there." * (peer == networks.LUCIDRAINS))
    rows = [row for row in training_step.run(setting) if row.peer == networks.LUCIDRAINS]
    assert len(rows) == 3
    assert all(row.note == "It is not there." and row.ours and not row.theirs for row in rows)


def test_operations_are_counted_forward_and_backward(setting):
    setting.progress(0, 1, "counting")
    step = training_step.Step(training_step.Convolution(8, 4), training_step.WAYS[0], 2, setting)
    assert step.operations == 3 * 2 * (2 * 4 * 4) * 8 * 8 * 9


def test_scheduler(setting):
    rows = list(scheduler.run(setting))
    require_figures(rows)
    assert {row.peer for row in rows} == {"diffusers"}
    assert "a step of DDIM, 1 image" in names(rows) and "a step of DPM-Solver++(2M), 64 images" in names(rows)


def test_drawing(setting):
    (row,) = drawing.run(setting)
    require_figures([row])
    assert row.peer == "diffusers"


def test_nothing_is_measured_that_does_not_draw_the_same(setting, monkeypatch):
    setting.progress(0, 1, "nothing")
    monkeypatch.setattr(drawing.drawing, "ours", lambda: torch.zeros_like)
    monkeypatch.setattr(drawing.drawing, "theirs", lambda: torch.ones_like)
    with pytest.raises(RuntimeError, match=r"must draw the same image, and they differ by 0\.5000"):
        list(drawing.run(setting))


@pytest.mark.slow
def test_sampling(setting):
    rows = list(sampling.run(setting))
    require_figures(rows)
    assert {"images a second in 2 steps", "images a second in 3 steps"} <= names(rows)
    for sampler in ("DDIM, eta = 0", "DDIM, eta = 1", "DPM-Solver++(2M)"):
        for levels in ("both ends", "trailing"):
            assert f"distance: {sampler}, 3 steps, {levels}" in names(rows)
    assert rows[-1].name.startswith("floor: ")


WAYS = [
    way for way in sampling.ways_of(dict.fromkeys(sampling.LEVELS, (5, 10, 20))) if way.side == "diffusers"
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_both_sides_sample_at_the_same_levels_and_draw_the_same(way):
    """But diffusers' DDIM with both ends, which steps past the level that comes next."""
    scheduler, _ = sampling.scheduler_of(way)
    assert torch.equal(scheduler.timesteps, way.timesteps)

    def model(x, t, labels):
        return torch.sin(2 * x + (t / 300 + labels).view(-1, 1, 1, 1))

    x_T, labels = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 8])
    ours, theirs = (
        side(way, model, x_T, labels, torch.Generator().manual_seed(2)) for side in sampling.SIDES.values()
    )
    apart = (ours - theirs).abs().max().item()
    steps_past = way.sampler in sampling.ETAS and way.levels == "both ends"
    assert apart > 1e-3 if steps_past else apart < 1e-4


def test_the_fastest_way_is_the_fastest_of_those_that_are_good_enough():
    distance = {
        sampling.Way("ours", "a", 5, "both ends"): 30.0,
        sampling.Way("ours", "a", 10, "both ends"): 12.0,
        sampling.Way("ours", "a", 10, "trailing"): 11.0,
        sampling.Way("peer", "a", 5, "trailing"): 1.0,
    }
    rates = {way: [speed] for way, speed in zip(distance, (8.0, 4.0, 5.0, 9.0), strict=True)}
    assert sampling.fastest("ours", 15.0, distance, rates) == ("ours", "a", 10, "trailing")
    assert sampling.fastest("ours", 10.0, distance, rates) is None


@pytest.mark.slow
def test_quality(setting):
    rows = list(quality.run(setting))
    require_figures(rows)
    assert {row.peer for row in rows} == {*networks.DISTRIBUTIONS, quality.PLAIN, quality.LATENT, ""}
    assert rows[-1].name.startswith("floor: ")


class Clocked:
    """A contender whose updates take a second each, on a clock of its own."""

    def __init__(self, monkeypatch):
        self.now, self.heard = 0.0, []
        monkeypatch.setattr(quality, "time", self)

    def perf_counter(self):
        return self.now

    def update(self, progress):
        self.heard.append(progress)
        self.now += 1.0


def test_a_lane_is_trained_for_its_time_and_told_how_much_of_it_is_over(setting, monkeypatch):
    setting.progress(0, 1, "a lane")
    contender = Clocked(monkeypatch)
    lane = quality.Lane(contender)
    lane.turn(3.0, 8.0, torch.device("cpu"))
    assert lane.seconds == 3.0 and contender.heard == [0.0, 1 / 8, 2 / 8]
    lane.turn(30.0, 8.0, torch.device("cpu"))
    assert lane.seconds == 8.0 and lane.updates == 8


def test_footprint(setting):
    rows = list(footprint.run(setting))
    require_figures(rows)
    sizes = {row.name: row.ours.value for row in rows if row.unit == "MB"}
    assert 20 < sizes["installed, course_utils with its data and checkpoints"] < 200
    assert "import, course_utils" in names(rows)


def test_the_size_of_what_is_required_is_without_torch_and_without_extras():
    needed = footprint.required()
    assert {"numpy", "jupyterlab", "nbgrader"} <= set(needed)
    assert not {"torch", "diffusers", "pytest"} & set(needed)


def test_chapters(setting):
    rows = list(chapters.run(setting))
    require_figures(rows)
    memory = next(row.ours.value for row in rows if row.name.endswith("memory"))
    assert 10 < memory < 500


@pytest.mark.slow
def test_torchrun(setting):
    (row,) = torchrun.run(setting)
    require_figures([row])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is missing; the race says so itself")
def test_grading(setting):
    (row,) = grading.run(setting)
    require_figures([row])
    assert row.peer == "stock nbgrader autograde"


@pytest.mark.browser
@pytest.mark.slow
def test_scrubbing(setting):
    rows = list(scrubbing.run(setting))
    require_figures(rows)
    assert names(rows) == {"frames in the browser", "frames from the kernel"}


@pytest.mark.parametrize("race", [scrubbing, grading])
def test_a_program_that_is_missing_is_named(race, setting, monkeypatch):
    monkeypatch.setattr(race.shutil, "which", lambda name: None)
    for row in race.run(setting):
        assert row.ours is None and "is not installed" in row.note
