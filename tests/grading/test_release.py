"""What nbgrader releases is what lies in notebooks/."""

from pathlib import Path

import nbformat
import pytest

from course_utils.authoring.chapters import Chapter, find_chapters
from course_utils.authoring.checks import drift

pytestmark = pytest.mark.nbgrader

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("chapter", find_chapters(REPOSITORY), ids=lambda chapter: chapter.name)
def test_generate_assignment_gives_the_students_notebook(course, chapter: Chapter):
    """Sources, metadata and ids of every cell; outputs are only in notebooks/."""
    course.teach("generate_assignment", chapter.name)
    released = course.assessments / "release" / chapter.name / f"{chapter.name}.ipynb"
    assert [path.name for path in released.parent.iterdir()] == [released.name]
    notebook = nbformat.read(released, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert drift(chapter.name, notebook, nbformat.read(chapter.student, as_version=4)) == []
