"""A course of one small chapter, in a folder of its own."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from course_utils.authoring.build import build, check
from course_utils.authoring.chapters import Chapter

REPOSITORY = Path(__file__).parents[2]
ANSWER = '"grade": false, "locked": false, "solution": true, "schema_version": 3'
CHECK = '"grade": true, "locked": true, "solution": false, "schema_version": 3'
SOURCE = f'''
# %% [markdown]
# # Squares
# What is the square of 3?

# %%
import base64

from IPython.display import Image, display


def check(exercise, answer):
    """What the course's own check does, in small: says a sentence, returns points."""
    try:
        value = answer(3)
    except NotImplementedError:
        print("not attempted yet")
        return 0.0
    print("right" if value == 9 else f"3 became {{value}}")
    return 2.0 if value == 9 else 1.0

# %% nbgrader={{"grade_id": "square", {ANSWER}}}
def square(x):
    """The square of a number."""
    ### BEGIN SOLUTION
    factor_twice = x * x
    return factor_twice
    ### END SOLUTION

# %% nbgrader={{"grade_id": "square-check", "points": 2, {CHECK}}}
check("sample.square", square)

# %%
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
display(Image(base64.b64decode(DOT)))
'''.lstrip()


def sample_points(chapter: Chapter) -> Mapping[str, float]:
    """The catalogue of this course."""
    return {"sample.square": 2.0}


def author(root: Path, source: str) -> Chapter:
    """A course under `root` whose one chapter has this source."""
    chapter = Chapter(root, "00_sample")
    chapter.source.parent.mkdir(parents=True, exist_ok=True)
    chapter.nbgrader_config.parent.mkdir(exist_ok=True)
    chapter.source.write_text(source, encoding="utf-8")
    shutil.copy(REPOSITORY / "assessments" / "nbgrader_config.py", chapter.nbgrader_config)
    return chapter


def build_sample(chapter: Chapter, jobs: int = 1) -> list[str]:
    return build([chapter], profile="ci", jobs=jobs, points=sample_points)


@pytest.fixture
def source() -> str:
    """The source of a sound chapter, to be spoilt."""
    return SOURCE


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Chapter]:
    """write(source): a course in a temporary folder."""
    return lambda source: author(tmp_path, source)


@pytest.fixture
def run_build() -> Callable[..., list[str]]:
    """run_build(chapter, jobs=1): build it with the catalogue of this course; its problems."""
    return build_sample


@pytest.fixture
def run_check() -> Callable[[Chapter], list[str]]:
    """run_check(chapter): the problems of its committed notebooks, by the catalogue of this course."""
    return lambda chapter: check([chapter], points=sample_points)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course that has been built, to be copied."""
    root = tmp_path_factory.mktemp("course")
    assert build_sample(author(root, SOURCE)) == []
    return root


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Chapter:
    """The chapter of a built course that a test may change."""
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    return Chapter(tmp_path, "00_sample")
