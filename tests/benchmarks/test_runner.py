"""The command: what is run, kept, run again, refused and written."""

import json
import os
import shutil
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import machine, networks, runner, table
from benchmarks.races import RACES
from benchmarks.records import alone, beside, missing
from benchmarks.runner import Race
from benchmarks.timing import in_turns
from course_utils.runtime import profile

SECONDS = {"tiny": 1.0, "quick": 2.0, "full": 60.0}


class Course:
    """A race that counts how often it is run."""

    def __init__(self, name, rows=(), fails=False, on_gpu=False):
        self.rows, self.fails, self.runs, self.settings = list(rows), fails, 0, []
        self.race = Race(name, f"Title of {name}", "A method.", self.run, ["README.md"], SECONDS, on_gpu)

    def run(self, setting):
        self.runs += 1
        self.settings.append((setting, torch.get_num_threads(), profile()))
        setting.progress(1, 4, "something")
        if self.fails:
            raise RuntimeError("the road is blocked")
        yield from self.rows


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(courses, *words): the command with these races; returns its exit code and the text it wrote."""

    def run_(courses, *words):
        races = tuple(course.race for course in courses)
        monkeypatch.setattr(command, "RACES", races)
        out = tmp_path / "RESULTS.md"
        code = command.main(["--state", str(tmp_path / "state"), "--out", str(out), *words])
        return code, out.read_text() if out.is_file() else ""

    return run_


def test_a_race_that_is_over_is_kept_and_not_run_again(run, capsys):
    course = Course("flat", [alone("height", "m", [2.0])])
    assert run([course]) == run([course])
    assert course.runs == 1
    assert "flat on cpu: kept from an earlier run" in capsys.readouterr().err


def test_what_was_measured_elsewhere_stands_until_its_method_changes(run, tmp_path):
    hill, lake = Course("hill", [alone("height", "m", [2.0])]), Course("lake", [alone("depth", "m", [3.0])])
    _, first = run([hill, lake])
    shutil.rmtree(tmp_path / "state")
    _, second = run([hill, lake], "--only", "hill")
    assert "height" in second and second.partition("lake")[2] == first.partition("lake")[2] != ""
    assert (hill.runs, lake.runs) == (2, 1)
    lake.race = replace(lake.race, method="Another method.")
    _, text = run([hill, lake], "--only", "hill")
    assert "| height, m | 2.00 |" in text and "depth" not in text
    assert 'Not run yet: `make bench ARGS="--only lake"`.' in text


def test_again_runs_it_again(run):
    course = Course("flat", [alone("height", "m", [2.0])])
    run([course])
    course.rows = [alone("height", "m", [3.0])]
    _, text = run([course], "--again")
    assert course.runs == 2
    assert "| height, m | 3.00 |  |" in text and "2.00" not in text


@pytest.mark.parametrize("words", [("--threads", "7"), ("--minutes", "3"), ("--quick",)])
def test_another_setting_is_another_race(run, words):
    course = Course("flat")
    run([course])
    run([course], *words)
    assert course.runs == 2


def test_changed_code_runs_a_race_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "REPOSITORY", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    for name in ("records", "timing", "setting"):
        (tmp_path / "benchmarks" / f"{name}.py").write_text("")
    (tmp_path / "README.md").write_text("one")
    course = Course("flat")
    run([course])
    run([course])
    assert course.runs == 1
    (tmp_path / "README.md").write_text("two")
    run([course])
    assert course.runs == 2


def test_an_input_that_is_not_there_is_an_error_and_not_a_constant(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"names .*nowhere as its input, and it is not there"):
        runner.files(tmp_path / "nowhere")


def test_other_versions_run_a_race_again(run, monkeypatch):
    course = Course("flat")
    run([course])
    monkeypatch.setattr(machine, "versions", lambda: {"torch": "9"})
    run([course])
    assert course.runs == 2


def test_a_race_that_fails_loses_only_itself(run, capsys):
    blocked = Course("blocked", fails=True)
    flat = Course("flat", [alone("height", "m", [2.0])])
    code, text = run([blocked, flat])
    assert code == 1
    assert "the road is blocked" in capsys.readouterr().err
    assert 'Not run yet: `make bench ARGS="--only blocked"`.' in text and "| height, m | 2.00 |  |" in text
    blocked.fails = False
    assert run([blocked, flat])[0] == 0
    assert (blocked.runs, flat.runs) == (2, 1)


def test_races_run_with_the_threads_and_on_the_device_asked_for_which_are_put_back(run, monkeypatch):
    monkeypatch.setenv("COURSE_THREADS", "1")  # somebody's own; the command's word counts
    course, before = Course("flat"), (torch.get_num_threads(), dict(os.environ))
    run([course], "--threads", "3", "--device", "cpu")
    ((setting, threads, chosen),) = course.settings
    assert setting.threads == threads == 3
    assert (chosen.name, chosen.device) == ("cpu", setting.device)
    assert (torch.get_num_threads(), dict(os.environ)) == before


def test_progress_says_how_far_and_how_long(run, capsys):
    run([Course("flat"), Course("steep")], "--quick")
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("flat on cpu  1/4  something  0 s left, of all races 0 min")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--only", "sprint"], r"there is no race sprint, only: flat\."),
        (["--threads", "0"], r"--threads must be 1 or more, got 0\."),
        (["--minutes", "-1"], r"--minutes must be above 0, got -1\."),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_run(run, words, reason, capsys):
    course = Course("flat")
    code, text = run([course], *words)
    assert (code, text, course.runs) == (2, "", 0)
    assert capsys.readouterr().err.strip() == f"python -m benchmarks: {reason}".replace("\\", "")


def test_a_gpu_that_is_not_there_is_refused(run, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run([Course("flat")], "--device", "cuda")[0] == 2
    assert "torch sees no GPU" in capsys.readouterr().err


# --- the table ---


def test_a_row_shows_the_ratio_first_then_both_sides(run):
    row = beside(
        "step, fp32", "ms", [100.0, 110.0, 120.0], "peer", [200.0, 231.0, 240.0], note="Of equal size."
    )
    _, text = run([Course("flat", [row])])
    assert (
        "| step, fp32, ms | peer | 2.00 (2.00 to 2.10) | 110 (100 to 120) | 231 (200 to 240) |  |  |  |"
        in text
    )
    assert "- Of equal size." in text


def test_a_missing_peer_is_named_in_words_and_has_no_figure(run):
    row = missing("step", "ms", "peer", [100.0], "peer is not installed.")
    _, text = run([Course("flat", [row])])
    assert "| step, ms | peer |  | 100 |  |  |  |  |" in text
    assert "- peer is not installed." in text


def test_the_gpus_column_is_filled_from_what_was_run_there_and_empty_otherwise(run, tmp_path):
    row = beside("step", "ms", [100.0], "peer", [200.0])
    course = Course("flat", [row])
    _, text = run([course])
    assert "| 2.00 | 100 | 200 |  |  |  |" in text and "\nGPU:" not in text
    cpu = tmp_path / "state" / "cpu" / "flat.json"
    found = json.loads(cpu.read_text()) | {"device": "cuda", "machine": "a large one"}
    found["rows"][0]["ratio"]["value"] = 5.0
    (tmp_path / "state" / "cuda").mkdir()
    (tmp_path / "state" / "cuda" / "flat.json").write_text(json.dumps(found))
    _, text = run([course])
    assert "| 2.00 | 100 | 200 | 5.00 | 100 | 200 |" in text and "\nGPU: a large one" in text


def test_the_machine_versions_threads_and_load_stand_below_each_race(run):
    _, text = run([Course("flat", [alone("height", "m", [1.0])])], "--threads", "2")
    line = next(line for line in text.splitlines() if line.startswith("CPU:"))
    assert f"{machine.cores()} cores" in line and "2 torch threads" in line and "load" in line
    assert f"torch {version('torch')}" in line and "diffusers " in line


def test_a_short_run_does_not_touch_the_table_of_the_full_one(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "RACES", (Course("flat").race,))
    monkeypatch.setattr(command, "REPOSITORY", tmp_path / "nowhere")
    command.main(["--quick", "--state", str(tmp_path / "state")])
    assert (tmp_path / "state" / "quick" / "RESULTS.md").is_file()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (99.96, "100.0"),
        (12345.6, "12,346"),
        (-2.5, "-2.50"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert table.digits(value) == text


# --- taking turns ---


def test_contenders_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ABC"}
    seconds = in_turns(runs, 2, lambda *_: None)
    assert "".join(calls) == "ABCABCABC"
    assert {name: len(values) for name, values in seconds.items()} == {"A": 2, "B": 2, "C": 2}


# --- all races ---


def test_every_race_has_its_own_name_and_inputs_that_exist():
    assert len({race.name for race in RACES}) == len(RACES)
    for race in RACES:
        assert all(runner.files(runner.REPOSITORY / path) for path in race.inputs), race.name
        assert f"benchmarks/races/{race.name.replace('-', '_')}.py" in race.inputs
        assert race.seconds.keys() == SECONDS.keys()


def test_all_races_fit_into_their_time_on_two_cores():
    assert sum(race.seconds["full"] for race in RACES) <= 45 * 60
    assert sum(race.seconds["quick"] for race in RACES) <= 5 * 60


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch):
    monkeypatch.setattr(
        machine, "installed", lambda name: "" if name == "denoising-diffusion-pytorch" else "1"
    )
    assert networks.LUCIDRAINS not in networks.builders()
    assert networks.absent(networks.LUCIDRAINS).startswith("denoising-diffusion-pytorch is not installed")
    assert not networks.absent(networks.DIFFUSERS)


def test_contenders_have_as_many_weights():
    sizes = {name: networks.weights(build()) for name, build in networks.builders().items()}
    for name, size in sizes.items():
        assert size == pytest.approx(sizes[networks.OURS], rel=0.07), name


def test_the_table_in_the_repository_names_every_race():
    text = (runner.REPOSITORY / "benchmarks" / "RESULTS.md").read_text()
    assert [f"## {race.title}" for race in RACES] == [x for x in text.splitlines() if x.startswith("## ")]
    assert all(race.method in text for race in RACES), "run make bench again: the races have changed"
