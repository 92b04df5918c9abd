"""A small class at once, by benchmarks/hub.py: nothing lost, nothing twice, nothing mixed up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.nbgrader, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
STUDENTS = 4
EXERCISES = 7


@pytest.fixture(scope="module")
def outcome(proxy, tmp_path_factory):
    """What four students did, of whom two open their notebooks at a time."""
    path = tmp_path_factory.mktemp("load") / "outcome.json"
    command = [sys.executable, ROOT / "benchmarks/hub.py", "--students", str(STUDENTS), "--opening", "2"]
    result = subprocess.run([*command, "--json", path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(path.read_text())


def test_everybodys_own_notebook_is_handed_in_once(outcome):
    names = sorted(outcome["collected"])
    assert len(names) == STUDENTS
    assert outcome["handed in"] == names
    assert outcome["collected"] == {name: name for name in names}


def test_each_part_lasts_as_long_as_its_slowest(outcome):
    assert list(outcome["parts"]) == ["log in", "fetch", "open", "check", "hand in"]
    for part, step in {"log in": "server", "fetch": "fetch", "check": "check", "hand in": "submit"}.items():
        slowest = max(outcome["seconds"][step][name] for name in outcome["collected"])
        assert outcome["parts"][part] >= slowest > 0


def test_every_answer_was_checked(outcome):
    assert list(outcome["right"].values()) == [EXERCISES] * STUDENTS


def test_memory_is_measured_for_everybody(outcome):
    for what, by_name in outcome["memory"].items():
        assert len(by_name) == STUDENTS, what
    for name, kernel in outcome["memory"]["kernel"].items():
        assert 0 < kernel < outcome["memory"]["with torch"][name]
