import jupytext
import nbformat
import pytest

from course_utils.authoring.chapters import AuthoringError
from course_utils.authoring.source import nbgrader_config, read_source, stub_lines, student_notebook


def test_ids_are_grade_ids_or_positions_and_valid(write, source):
    notebook = read_source(write(source))
    assert [cell.id for cell in notebook.cells] == [
        "cell-000",
        "cell-001",
        "square",
        "square-check",
        "cell-004",
    ]
    nbformat.validate(notebook)


def test_nothing_of_jupytext_stays(write, source):
    """JupyterLab would write a .py beside a notebook that names one, and a student would submit it."""
    notebook = read_source(write(source.replace("\n# %% nbgrader", "\n\n\n# %% nbgrader")))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert {key for cell in notebook.cells for key in cell.metadata} == {"nbgrader"}


def test_editing_the_source_as_a_notebook_gives_the_same_text(source):
    """jupytext's JupyterLab extension opens the .py as a notebook and saves it again."""
    assert jupytext.writes(jupytext.reads(source, "py:percent"), "py:percent") == source


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"points": 2,', '"points": two,', "its line cannot be read"),
        ('"grade_id": "square-check"', '"grade_id": "square"', "two cells have the id 'square'"),
        ('"grade_id": "square"', '"grade_id": "the square"', "must be 1 to 64 letters"),
        ("# %%\nimport", '# %% color="red"\nimport', "its line sets color"),
        ("    ### END SOLUTION\n", "", "nbgrader refuses it: no end solution statement"),
        ('"solution": true', '"solution": false', "nbgrader refuses it: Solution region detected"),
    ],
)
def test_what_cannot_be_read_is_said(write, source, old, new, sentence):
    chapter = write(source.replace(old, new, 1))
    with pytest.raises(AuthoringError, match=f"solutions/00_sample.py.*{sentence}"):
        student_notebook(chapter, read_source(chapter))


def test_students_get_the_configured_stub_and_locked_checks(write, source):
    chapter = write(source)
    cells = {cell.id: cell for cell in student_notebook(chapter, read_source(chapter)).cells}
    head, *stub = cells["square"].source.splitlines()[1:]
    assert head == '    """The square of a number."""'
    assert [line.strip() for line in stub] == stub_lines(nbgrader_config(chapter.nbgrader_config))
    assert cells["square-check"].metadata.editable is False


def test_the_source_is_left_unchanged(write, source):
    chapter = write(source)
    notebook = read_source(chapter)
    student_notebook(chapter, notebook)
    assert notebook == read_source(chapter)


def test_without_a_configuration_there_is_no_stub(write, source):
    chapter = write(source)
    chapter.nbgrader_config.unlink()
    with pytest.raises(AuthoringError, match="the text of a stub is configured there"):
        student_notebook(chapter, read_source(chapter))
