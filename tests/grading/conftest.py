"""An nbgrader course in a temporary folder, and the people who use it."""

import contextlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from jupyter_core.application import NoStart
from nbgrader.apps.nbgraderapp import NbGraderApp

REPOSITORY = Path(__file__).parents[2]
CHAPTER = "01_autoencoders"
COURSE_ID = "generative_vision"
# ipykernel does not watch what C writes where the first is set; nbgrader's configuration chooses the profile.
HIDDEN = ("PYTEST_CURRENT_TEST", "COURSE_PROFILE")


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run one of nbgrader's commands in a folder, inside this process: loading nbgrader takes seconds."""
    app = NbGraderApp()
    try:
        with contextlib.chdir(folder), contextlib.suppress(NoStart), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own
            app.initialize(list(arguments))
            app.start()
    finally:
        app.reset()


def fill_in(path: Path, answers: Mapping[str, str], demos: bool) -> None:
    """Write answers into a fetched notebook, by grade_id. Without demos: only set-up and nbgrader's cells."""
    notebook = nbformat.read(path, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    for grade_id, source in answers.items():
        assert cells[grade_id].metadata.nbgrader.solution
        cells[grade_id].source = source
    if not demos:
        setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
        notebook.cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata or cell is setup]
    path.unlink()  # it may have been released read-only
    nbformat.write(notebook, path)


@dataclass(frozen=True)
class Course:
    """The instructor's folder, the exchange, and a home for each student."""

    root: Path

    @property
    def assessments(self) -> Path:
        return self.root / "assessments"

    @property
    def release(self) -> Path:
        return self.assessments / "release" / CHAPTER / f"{CHAPTER}.ipynb"

    def teach(self, *arguments: str) -> None:
        """A command of the instructor."""
        nbgrader(self.assessments, *arguments, f"--Exchange.root={self.root / 'exchange'}")

    def grade(self, *arguments: str) -> str:
        """`course grade` in a process of its own; what it prints."""
        return self._run(self.root, "course_utils.cli", "grade", CHAPTER, *arguments)

    def command(self, folder: Path, *arguments: str, **environment: str) -> str:
        """One of nbgrader's commands that start kernels, in a process of its own; what it prints."""
        return self._run(folder, "nbgrader", *arguments, **environment)

    def _run(self, folder: Path, module: str, *arguments: str, **environment: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that does not know that it is under test."""
        return {name: value for name, value in os.environ.items() if name not in HIDDEN}

    def study(self, student: str, *arguments: str) -> None:
        """A command of a student."""
        home = self.root / "home" / student
        home.mkdir(parents=True, exist_ok=True)
        exchange = (f"--Exchange.root={self.root / 'exchange'}", f"--Exchange.cache={home / '.cache'}")
        who = (f"--course={COURSE_ID}", f"--student={student}")
        nbgrader(home, *arguments, *exchange, *who)

    def hand_in(self, student: str, answers: Mapping[str, str], demos: bool = False) -> None:
        """Fetch the assignment if need be, fill in the answers, submit."""
        mine = self.root / "home" / student / CHAPTER / f"{CHAPTER}.ipynb"
        if not mine.exists():
            self.study(student, "fetch_assignment", CHAPTER)
        fill_in(mine, answers, demos)
        self.study(student, "submit", CHAPTER)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A copy of assessments/ without what earlier use may have left there."""
    root = tmp_path_factory.mktemp("nbgrader")
    (root / "assessments").mkdir()
    (root / "exchange").mkdir()
    shutil.copy(REPOSITORY / "assessments" / "nbgrader_config.py", root / "assessments")
    shutil.copytree(REPOSITORY / "assessments" / "source", root / "assessments" / "source")
    return Course(root)


@pytest.fixture(scope="session")
def needs_bubblewrap() -> None:
    """For tests that run students' code."""
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is missing; install the package bubblewrap to run this test.")
