"""What the package costs before it does anything: seconds to import, megabytes to install.

Imports run in fresh processes, in turns, and what an empty Python takes is subtracted. What torch takes is a
figure of its own: every chapter pays it.
"""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.records import Row, alone, beside
from benchmarks.runner import REPOSITORY, Race
from benchmarks.setting import Setting
from benchmarks.timing import in_turns

STATEMENTS = {
    "Python alone": "pass",
    "course_utils": "import course_utils",
    "course command": "import course_utils.cli",
    "torch": "import torch",
    "chapter": "import course_utils.diffusion.unet, course_utils.training, course_utils.exercises",
    "diffusers": "from diffusers import UNet2DModel, DDPMScheduler",
}


def run(setting: Setting) -> Iterator[Row]:
    rounds = setting.pick(tiny=1, quick=3, full=5)
    wanted = STATEMENTS if setting.budget != "tiny" else dict(list(STATEMENTS.items())[:2])
    starts = {name: partial(python, statement) for name, statement in wanted.items()}
    seconds = in_turns(starts, rounds, setting.progress)
    yield alone("Python alone", "s", seconds["Python alone"])
    for name in list(wanted)[1:5]:
        yield alone(f"import, {name}", "s", beyond(seconds, name))
    if "chapter" in wanted:
        yield beside(
            "import of what a chapter needs", "s", seconds["chapter"], "diffusers", seconds["diffusers"]
        )
    yield alone("installed, course_utils with its data and checkpoints", "MB", [megabytes(course_utils())])
    yield alone("installed, all it requires but torch and its libraries", "MB", [sum(required().values())])


def python(statement: str) -> None:
    """A fresh interpreter that runs this and ends."""
    subprocess.run([sys.executable, "-c", statement], cwd=REPOSITORY, check=True)


def beyond(seconds: dict[str, list[float]], name: str) -> list[float]:
    """What an import adds to an empty Python of the same round."""
    return [max(0.0, one - empty) for one, empty in zip(seconds[name], seconds["Python alone"], strict=True)]


def course_utils() -> list[Path]:
    folder = REPOSITORY / "course_utils"
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def megabytes(paths: list[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def required() -> dict[str, float]:
    """Megabytes of each distribution that course-utils needs, directly or not, but torch's."""
    needed: dict[str, float] = {}
    waiting = [requirement for requirement in distribution("course-utils").requires or []]
    there = {canonicalize_name(one.metadata["Name"]) for one in distributions()}
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name == "torch" or name in needed or name not in there or not wanted:
            continue
        found = distribution(name)
        needed[name] = megabytes([Path(str(file.locate())) for file in found.files or []])
        waiting += found.requires or []
    return needed


RACE = Race(
    name="footprint",
    title="Imports and installed size",
    method="Each import in a fresh process, in turns; what is shown is what it adds to an empty Python.",
    run=run,
    inputs=("benchmarks/races/footprint.py", "course_utils", "pyproject.toml"),
    seconds={"tiny": 2, "quick": 25, "full": 130},
)
