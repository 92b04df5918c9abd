"""Every chapter: its right answers earn all points in the sandbox, its references are not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from course_utils.exercises.engine import find
from course_utils.grading.grade import grade_job, run_steps
from course_utils.grading.hollow import references
from course_utils.grading.rebuild import Rebuilt, RunCell
from course_utils.grading.release import read_release
from course_utils.grading.sandbox import Asked, Sandbox

from .submissions import REPOSITORY, job_of, release_of, solutions_of, submission

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("needs_bubblewrap")]

CHAPTERS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
LOOK = """
import gc, importlib, types
functions = [one for one in gc.get_objects() if isinstance(one, types.FunctionType)]
known = {f"{one.__module__}:{one.__qualname__}" for one in functions} & set(MISTAKES)
called = []
for module, names in REFERENCES.items():
    for name in names:
        try:
            getattr(importlib.import_module(module), name)(1, 2, 3)
        except Exception as error:
            called.append(type(error).__name__)
print(known, set(called), len(called))
"""


@pytest.fixture(scope="module", params=[[c for c in CHAPTERS if c != "07_unet"], ["07_unet"]], ids=["", "7"])
def chapters(request: pytest.FixtureRequest) -> list[str]:
    """Those that one sandbox can hold: chapter 7 builds on a function that chapter 6 asks for."""
    chapters: list[str] = request.param
    return chapters


@pytest.fixture(scope="module")
def box(chapters: list[str]) -> Iterator[Sandbox]:
    releases = [read_release(chapter, release_of(chapter)) for chapter in chapters]
    ids = tuple(question.exercise for release in releases for question in release.questions)
    imports = "\n".join(release.setup for release in releases)
    with Sandbox(Asked(ids, imports)) as box:
        yield box
    assert not Path(box.folder.name).exists()


def test_right_answers_earn_all_points(chapters: list[str], box: Sandbox) -> None:
    for chapter in chapters:
        result = grade_job(job_of(chapter, submission(chapter, solutions_of(chapter))), box).result
        assert {one.id: one.message for one in result.exercises if not one.passed} == {}
        assert result.flags == ()


def test_references_and_known_mistakes_are_out_of_reach(box: Sandbox) -> None:
    ids = box.asked.exercises
    away = {module: sorted(names) for module, names in references(ids).items()}
    answers = [one.answer for id in ids for one in find(id).misconceptions]
    mistakes = [f"{one.__module__}:{one.__qualname__}" for one in answers if hasattr(one, "__qualname__")]
    names = RunCell("names", f"MISTAKES = {mistakes}\nREFERENCES = {away}")
    steps = (names, RunCell("look", LOOK))
    seen = run_steps(Rebuilt("graded", "", (), steps, ()), box, seed=1).cells[1]
    assert seen["printed"].strip() == f"set() {{'CoursesOwn'}} {len(ids)}", seen
