"""Build the notebooks of chapters, or check that the committed ones are what their sources give."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import checks
from course_utils.authoring.chapters import AuthoringError, Chapter
from course_utils.authoring.execute import execute
from course_utils.authoring.source import nbgrader_config, read_source, stub_lines, student_notebook

Points = Callable[[Chapter], Mapping[str, float]]


@dataclass(frozen=True)
class Drafts:
    """A chapter's notebooks before they run."""

    source: NotebookNode  # with solutions: what nbgrader reads
    student: NotebookNode


def catalogue_points(chapter: Chapter) -> dict[str, float]:
    """Points of the chapter's exercises, by id."""
    from course_utils.exercises import catalogue  # loads torch

    return {
        exercise.id: exercise.points
        for exercise in catalogue()
        if exercise.id.startswith(f"{chapter.topic}.")
    }


def draft(chapter: Chapter) -> Drafts:
    source = read_source(chapter)
    return Drafts(source, student_notebook(chapter, source))


def check_drafts(chapter: Chapter, drafts: Drafts, points: Mapping[str, float]) -> list[str]:
    """What is wrong with a chapter's source, before anything runs."""
    name = chapter.relative(chapter.source)
    stub = stub_lines(nbgrader_config(chapter.nbgrader_config))
    return [
        *checks.cells(name, drafts.source),
        *checks.exercises(name, drafts.source, points),
        *checks.stubs(name, drafts.student, drafts.source, stub),
        *checks.leaks(name, drafts.student, drafts.source),
    ]


def check_runs(
    chapter: Chapter, source: NotebookNode, solution: NotebookNode, student: NotebookNode
) -> list[str]:
    """What is wrong with a chapter's executed notebooks."""
    name = chapter.relative(chapter.student)
    return [
        *checks.outputs(chapter.relative(chapter.solution), solution),
        *checks.outputs(name, student),
        *checks.leaks(name, student, source),
        *checks.missing_pictures(name, student, solution),
    ]


def build(
    chapters: Sequence[Chapter], *, profile: str = "cpu", jobs: int = 1, points: Points = catalogue_points
) -> list[str]:
    """Write the three notebooks of each chapter; a chapter with a problem keeps its old files.

    Args:
        chapters: what to build.
        profile: the runtime profile that the stored outputs come from.
        jobs: notebooks run at the same time, each in its own process.
        points: of each exercise of a chapter; the default asks the catalogue.

    Returns:
        The problems of the chapters that were not written; empty if all were.
    """
    problems, sound = [], {}
    for chapter in chapters:
        try:
            drafts = draft(chapter)
            found = check_drafts(chapter, drafts, points(chapter))
        except AuthoringError as error:
            found = [str(error)]
        if not found:
            sound[chapter] = drafts
        problems += found
    return problems + _run_and_write(sound, profile, jobs)


def check(chapters: Sequence[Chapter], *, points: Points = catalogue_points) -> list[str]:
    """Problems of the committed notebooks of each chapter; nothing is executed."""
    problems = []
    for chapter in chapters:
        try:
            problems += _check_committed(chapter, points(chapter))
        except AuthoringError as error:
            problems.append(str(error))
    return problems


def warnings(chapters: Sequence[Chapter]) -> list[str]:
    """Matters of style in the sources."""
    return [
        warning
        for chapter in chapters
        for warning in checks.long_cells(chapter.relative(chapter.source), read_source(chapter))
    ]


def _check_committed(chapter: Chapter, points: Mapping[str, float]) -> list[str]:
    drafts = draft(chapter)
    expected = {
        chapter.solution: drafts.source,
        chapter.student: drafts.student,
        chapter.assignment: drafts.source,
    }
    missing = [chapter.relative(path) for path in expected if not path.is_file()]
    if missing:
        return [f"{', '.join(missing)} missing; run `make build` and commit the result."]
    committed = {path: nbformat.read(path, as_version=4) for path in expected}
    drifted = [
        problem
        for path, built in expected.items()
        for problem in checks.drift(chapter.relative(path), committed[path], built)
    ]
    problems = check_drafts(chapter, drafts, points) + drifted
    # A notebook that is not its source's tells nothing about the source: its outputs wait for the next build.
    return problems or check_runs(
        chapter, drafts.source, committed[chapter.solution], committed[chapter.student]
    )


def _run_and_write(drafts: Mapping[Chapter, Drafts], profile: str, jobs: int) -> list[str]:
    """Run what is to be run, at most `jobs` at a time, and write each chapter whose runs are sound."""
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None
    problems = []
    # spawn: a kernel started from a forked process would share its parent's sockets
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        runs = {
            chapter: (
                pool.submit(execute, pair.source, f"{chapter.name} solution", profile, threads),
                pool.submit(execute, pair.student, f"{chapter.name} student", profile, threads),
            )
            for chapter, pair in drafts.items()
        }
        for chapter, futures in runs.items():
            problems += _finish(chapter, drafts[chapter].source, futures)
    return problems


def _finish(chapter: Chapter, source: NotebookNode, runs: Sequence[Future[NotebookNode]]) -> list[str]:
    failures = [str(run.exception()) for run in runs if isinstance(run.exception(), AuthoringError)]
    if failures:
        return failures
    solution, student = (run.result() for run in runs)
    problems = check_runs(chapter, source, solution, student)
    if not problems:
        write({chapter.solution: solution, chapter.student: student, chapter.assignment: source})
    return problems


def write(notebooks: Mapping[Path, NotebookNode]) -> None:
    """Write all of them or none: under temporary names first, moved once every one is on disk.

    Raises:
        nbformat.ValidationError: one is no valid notebook.
    """
    for notebook in notebooks.values():
        nbformat.validate(notebook)
    for path, notebook in notebooks.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _temporary(path).write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    for path in notebooks:
        _temporary(path).replace(path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
