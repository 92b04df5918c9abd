"""Building: what is written, that it does not change, and that a problem leaves the old files."""

import argparse
from pathlib import Path

import jsonschema
import nbformat
import pytest

from course_utils.authoring import command
from course_utils.authoring.build import write as write_notebooks
from course_utils.authoring.chapters import Chapter


def contents(chapter: Chapter) -> dict[str, bytes]:
    paths = (chapter.solution, chapter.student, chapter.assignment)
    return {chapter.relative(path): path.read_bytes() for path in paths}


def cells(path: Path) -> dict[str, nbformat.NotebookNode]:
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_the_first_impression_is_complete(built):
    student = cells(built.student)
    assert student["square-check"].outputs[0].text == "not attempted yet\n"
    assert student["square-check"].outputs[1].data["text/plain"] == "0.0"
    assert "image/png" in student["cell-004"].outputs[0].data


def test_the_instructor_sees_the_solution_run(built):
    solution = cells(built.solution)
    assert "factor_twice = x * x" in solution["square"].source
    assert solution["square-check"].outputs[1].data["text/plain"] == "2.0"


def test_nbgrader_gets_the_solutions_without_outputs(built):
    assignment = cells(built.assignment)
    assert [cell.source for cell in assignment.values()] == [
        cell.source for cell in cells(built.solution).values()
    ]
    assert not any(cell.get("outputs") for cell in assignment.values())


def test_files_end_with_a_newline_and_hold_no_trace_of_the_run(built):
    assert all(data.endswith(b"}\n") for data in contents(built).values())
    notebook = nbformat.read(built.solution, as_version=4)
    assert {key for cell in notebook.cells for key in cell.metadata} == {"nbgrader"}


def test_two_builds_give_identical_files_and_nothing_to_check(built, run_build, run_check):
    before = contents(built)
    assert run_build(built, jobs=2) == []
    assert contents(built) == before
    assert run_check(built) == []


def test_a_chapter_with_a_problem_keeps_its_old_files(built, source, run_build):
    """The problem is one that shows only once the notebook has run: a hint prints the solution."""
    before = contents(built)
    built.source.write_text(source.replace('("not attempted yet")', '("try: factor_twice =", "x * x")'))
    assert run_build(built) == [
        "notebooks/00_sample.ipynb: cell square-check shows a line of a solution: 'factor_twice = x * x'. "
        "Change what it says or prints, or write the line differently."
    ]
    assert contents(built) == before
    assert not list(built.root.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('check("sample.square"', 'check("sample.cube"', "checks 'sample.cube', no exercise of this chapter"),
        ("    ### END SOLUTION\n", "", "nbgrader refuses it"),
    ],
)
def test_a_source_with_a_problem_is_not_run(built, source, run_build, capfd, old, new, sentence):
    before = contents(built)
    built.source.write_text(source.replace(old, new))
    assert sentence in "\n".join(run_build(built))
    assert contents(built) == before
    assert capfd.readouterr().out == ""


def test_an_invalid_notebook_is_not_written_and_neither_is_its_neighbour(tmp_path):
    good, bad = nbformat.v4.new_notebook(), nbformat.v4.new_notebook()
    bad.cells = [nbformat.v4.new_code_cell()]
    bad.cells[0].id = "not a valid id"
    with pytest.raises(jsonschema.ValidationError):
        write_notebooks({tmp_path / "good.ipynb": good, tmp_path / "bad.ipynb": bad})
    assert list(tmp_path.iterdir()) == []


def test_a_sound_course_passes_the_check(built, capsys, monkeypatch, run_check):
    monkeypatch.setattr(command, "check", lambda chapters: run_check(*chapters))
    assert call("--root", str(built.root), "--check") == 0
    assert capsys.readouterr().out == "Checked: 00_sample.\n"


def test_the_command_speaks_in_sentences(tmp_path, capsys):
    assert call("--root", str(tmp_path), "--check") == 1
    assert capsys.readouterr().err.endswith("run this in the course's root folder.\n")


def test_a_stray_notebook_fails_the_check(built, capsys, monkeypatch, run_check):
    monkeypatch.setattr(command, "check", lambda chapters: run_check(*chapters))
    stray = built.student.with_name("99_gone.ipynb")
    stray.touch()
    assert call("--root", str(built.root), "--check") == 1
    assert f"{stray} has no source; delete it.\n" in capsys.readouterr().err
