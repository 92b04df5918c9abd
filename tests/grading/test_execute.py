"""nbgrader's own autograde, as the course configures it: it does not run students' code by itself."""

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute
from traitlets.config import PyFileConfigLoader

from course_utils.grading.execute import IsolatedExecute

from .conftest import CHAPTER, COURSE_ID
from .submissions import solutions_of, submission

pytestmark = [pytest.mark.nbgrader, pytest.mark.slow, pytest.mark.usefixtures("needs_bubblewrap")]


@pytest.fixture(scope="module")
def steps(course):
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course.assessments)).load_config()
    return Autograde(config=config).autograde_preprocessors


def test_the_isolated_grader_takes_the_place_of_execution(steps):
    assert IsolatedExecute in steps
    assert not any(issubclass(step, Execute) for step in steps)


def test_nbgraders_autograde_gives_what_course_grade_gives(course):
    """One right answer and one that would fool a test that runs beside it."""
    course.teach("generate_assignment", CHAPTER)
    right = solutions_of(CHAPTER)
    fooled = "class Yes:\n    __eq__ = lambda *_: True\ndef conv_out_size(*_):\n    return Yes()"
    papers = {"ada": right, "eve": {**right, "conv_out_size": fooled}}
    for student, answers in papers.items():
        folder = course.assessments / "submitted" / student / CHAPTER
        folder.mkdir(parents=True)
        (folder / f"{CHAPTER}.ipynb").write_bytes(submission(CHAPTER, answers))
    course.command(course.assessments, "autograde", CHAPTER, "--create")
    assert recorded(course) == {"ada": 28.0, "eve": 26.0}
    assert "2 of 2 submissions are graded already" in course.grade()
    assert recorded(course) == {"ada": 28.0, "eve": 26.0}


def recorded(course) -> dict[str, float]:
    with Gradebook(f"sqlite:///{course.assessments / 'gradebook.db'}", COURSE_ID) as book:
        return {one.student_id: one.score for one in book.assignment_submissions(CHAPTER)}
