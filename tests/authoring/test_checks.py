"""Every check on a chapter finds what it is there for, and nothing in a sound chapter."""

import nbformat
import pytest

from course_utils.authoring import checks
from course_utils.authoring.source import read_source, student_notebook

NAME = "notebooks/00_sample.ipynb"


@pytest.fixture
def pair(write, source):
    """A sound chapter: (source notebook, student's notebook)."""
    chapter = write(source)
    notebook = read_source(chapter)
    return notebook, student_notebook(chapter, notebook)


def cell(notebook, identifier):
    return next(cell for cell in notebook.cells if cell.id == identifier)


def shows(data=None, **stream):
    """A cell that has run and left one output."""
    output = (
        nbformat.v4.new_output("stream", **stream) if stream else nbformat.v4.new_output("display_data", data)
    )
    return nbformat.v4.new_code_cell("show()", id="shown", execution_count=1, outputs=[output])


def notebook_of(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


# drift


def test_outputs_and_counts_are_no_drift(built):
    committed = nbformat.read(built.student, as_version=4)
    cleared = nbformat.read(built.student, as_version=4)
    for each in cleared.cells:
        each.pop("outputs", None)
        each.pop("execution_count", None)
    assert checks.drift(NAME, committed, cleared) == []


@pytest.mark.parametrize("path", ["student", "solution", "assignment"])
def test_an_edited_line_is_shown_as_a_diff(built, run_check, path):
    file = getattr(built, path)
    file.write_text(file.read_text().replace("What is the square of 3?", "What is 3 times 3?"))
    (problem,) = run_check(built)
    assert problem.startswith(f"{built.relative(file)} is not what its source gives; run `make build`")
    assert "\n-What is 3 times 3?\n+What is the square of 3?" in problem


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('"editable": false,', '"editable": true,', "-[code square-check]"),
        ('"id": "cell-004"', '"id": "cell-005"', "-[code cell-005]"),
        ('"display_name": "Python 3 (ipykernel)"', '"display_name": "Mine"', '"display_name": "Mine"'),
    ],
)
def test_changed_metadata_is_drift(built, run_check, old, new, shown):
    built.student.write_text(built.student.read_text().replace(old, new))
    assert any("is not what its source gives" in problem and shown in problem for problem in run_check(built))


def test_a_missing_notebook_is_named(built, run_check):
    built.student.unlink()
    assert run_check(built) == ["notebooks/00_sample.ipynb missing; run `make build` and commit the result."]


def test_stored_outputs_are_checked_without_a_run(built, run_check):
    built.student.write_text(
        built.student.read_text().replace("not attempted yet\\n", "factor_twice = x * x")
    )
    (problem,) = run_check(built)
    assert "cell square-check shows a line of a solution: 'factor_twice = x * x'" in problem


# leaks


def test_a_sound_chapter_leaks_nothing(pair):
    source, student = pair
    assert checks.leaks(NAME, student, source) == []


def test_only_telling_lines_that_students_do_not_see_are_secret(pair):
    source, _ = pair
    answer = cell(source, "square")
    answer.source = answer.source.replace(
        "    factor_twice", "    else:\n        pass\n    import base64\n    factor_twice"
    )
    assert checks.solution_lines(source) == {"factor_twice = x * x", "return factor_twice"}


@pytest.mark.parametrize(
    "output",
    [
        nbformat.v4.new_output("stream", text="hint:\n    factor_twice = x * x\n"),
        nbformat.v4.new_output("display_data", {"text/html": "<code>factor_twice&#32;= x * x</code>"}),
        nbformat.v4.new_output("display_data", {"application/json": {"code": "factor_twice = x * x"}}),
        nbformat.v4.new_output("error", evalue="", traceback=["----> 3     factor_twice = x * x"]),
    ],
)
def test_a_solution_line_in_an_output_is_a_leak(pair, output):
    source, student = pair
    cell(student, "square-check").outputs = [output]
    (problem,) = checks.leaks(NAME, student, source)
    assert "cell square-check shows a line of a solution: 'factor_twice = x * x'" in problem


def test_a_solution_line_in_the_prose_is_a_leak(pair):
    source, student = pair
    cell(student, "cell-000").source += "\nRemember `factor_twice = x * x`."
    assert "cell cell-000 shows a line of a solution" in checks.leaks(NAME, student, source)[0]


def test_a_marker_is_a_leak(pair):
    source, student = pair
    cell(student, "square").source += "\n### END SOLUTION"
    assert "cell square still holds a solution marker" in checks.leaks(NAME, student, source)[0]


# stubs


def test_a_line_that_the_solution_does_not_have_is_found(pair):
    source, student = pair
    answer = cell(student, "square")
    assert checks.stubs(NAME, student, source, ["# your code here", "raise NotImplementedError"]) == []
    answer.source += "\n    return 9"
    (problem,) = checks.stubs(NAME, student, source, ["# your code here", "raise NotImplementedError"])
    assert "cell square holds a line that its solution does not have: 'return 9'" in problem


def test_a_stub_in_a_solution_is_found(pair):
    source, student = pair
    answer = cell(source, "square")
    answer.source = answer.source.replace("return factor_twice", "raise NotImplementedError")
    (problem,) = checks.stubs(NAME, student, source, ["# your code here", "raise NotImplementedError"])
    assert "the solution of square still holds the stub" in problem


# exercises and cells


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"points": 3}, "cell square-check says 3 points; sample.square has 2"),
        ({"source": 'check("sample.cube", square)'}, "checks 'sample.cube', no exercise of this chapter"),
        ({"source": 'points = check("sample.square", square)'}, 'must end with check("exercise.id", answer)'),
        ({"source": "square(3) == 9"}, 'must end with check("exercise.id", answer)'),
        ({"id": "square-test"}, "cell square-test must be called square-check, and the answer's cell square"),
    ],
)
def test_a_check_cell_that_disagrees_with_the_catalogue_is_found(pair, change, sentence):
    source, _ = pair
    checking = cell(source, "square-check")
    checking.source = change.get("source", checking.source)
    checking.metadata.nbgrader.points = change.get("points", 2)
    checking.id = change.get("id", checking.id)
    assert sentence in checks.exercises(NAME, source, {"sample.square": 2.0})[0]


def test_an_answer_under_another_name_is_found(pair):
    source, _ = pair
    cell(source, "square").id = "my_square"
    (problem,) = checks.exercises(NAME, source, {"sample.square": 2.0})
    assert "and the answer's cell square" in problem


def test_every_exercise_is_checked_exactly_once(pair):
    source, _ = pair
    assert checks.exercises(NAME, source, {"sample.square": 2.0}) == []
    (missing,) = checks.exercises(NAME, source, {"sample.square": 2.0, "sample.cube": 1.0})
    assert "sample.cube is checked 0 times" in missing
    source.cells.append(cell(source, "square-check"))
    (twice,) = checks.exercises(NAME, source, {"sample.square": 2.0})
    assert "sample.square is checked 2 times" in twice


@pytest.mark.parametrize("tag", ["skip-execution", "raises-exception", "nbval-skip"])
def test_tags_that_look_away_are_refused(pair, tag):
    source, _ = pair
    cell(source, "cell-004").metadata.tags = ["nbval-ignore-output", tag]
    (problem,) = checks.cells(NAME, source)
    assert f"cell cell-004 has the tag '{tag}'" in problem


def test_long_cells_are_counted_without_answers(pair):
    source, _ = pair
    for identifier in ("square", "cell-004"):
        cell(source, identifier).source += "\n" * checks.MAX_CELL_LINES + "x"
    (warning,) = checks.long_cells(NAME, source)
    assert "cell cell-004 has 17 lines" in warning


# outputs


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (shows(name="stderr", text="UserWarning: old\nmore"), "writes to stderr: 'UserWarning: old'"),
        (shows({"text/plain": "saved to /home/me/model.pt"}), "a path of this machine: '/home/me/model.pt'"),
        (shows({"text/html": r"<p>C:\Users\me</p>"}), "a path of this machine: 'C:"),
        (shows({"text/plain": "<Axes at 0x7f12ab34cd>"}), "a memory address"),
    ],
)
def test_traces_of_the_machine_are_found(shown, sentence):
    (problem,) = checks.outputs(NAME, notebook_of(shown))
    assert f"cell shown stores {sentence}" in problem or f"cell shown {sentence}" in problem


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/me",
        '<img src="data:image/png;base64,AB/home/abc+/tmp/x/">',
        "a/usr/b",
        "10 at 0x0",
    ],
)
def test_what_only_looks_like_a_trace_is_let_through(text):
    assert checks.outputs(NAME, notebook_of(shows({"text/html": text}))) == []


def test_an_error_in_a_stored_output_is_found():
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    failed = nbformat.v4.new_code_cell("fail()", id="failed", execution_count=1, outputs=[error])
    assert checks.outputs(NAME, notebook_of(failed)) == [
        f"{NAME}: cell failed stores an error: ValueError: no."
    ]


def test_a_cell_that_was_not_run_is_found():
    (problem,) = checks.outputs(NAME, notebook_of(nbformat.v4.new_code_cell("1", id="unrun")))
    assert "cell unrun was not run" in problem


def test_two_megabytes_are_the_limit():
    picture = {"image/png": "A" * checks.MAX_BYTES}
    (problem,) = checks.outputs(NAME, notebook_of(shows(picture)))
    assert "has 2.0 MB, 2 are allowed" in problem
    assert checks.outputs(NAME, notebook_of(shows({"image/png": "A" * (checks.MAX_BYTES // 2)}))) == []


@pytest.mark.parametrize(
    "data", [{"image/png": "AAAA"}, {"text/html": '<img src="data:image/png;base64,AAAA">'}]
)
def test_a_picture_that_only_the_solution_shows_is_missed(data):
    solution, student = notebook_of(shows(data)), notebook_of(shows({"text/plain": "nothing"}))
    (problem,) = checks.missing_pictures(NAME, student, solution)
    assert "cell shown shows no picture" in problem
    assert checks.missing_pictures(NAME, solution, solution) == []
