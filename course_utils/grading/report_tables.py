"""The class report as CSV files: students, exercises by criterion, misconceptions.

Cells that a spreadsheet would take for a formula begin with an apostrophe: students choose some of the words.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from course_utils.grading.report import Report
from course_utils.grading.wording import plain

FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | float | int | None


def write_tables(report: Report, folder: Path) -> list[Path]:
    """Write all tables into a folder; where they are."""
    tables = {
        "students.csv": students(report),
        "exercises.csv": exercises(report),
        "misconceptions.csv": misconceptions(report),
    }
    for name, rows in tables.items():
        # The mark at the beginning tells spreadsheets that this is UTF-8.
        with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([_safe(cell) for cell in row] for row in rows)
    return [folder / name for name in tables]


def students(report: Report) -> Iterable[Sequence[Cell]]:
    """One row a student, best first; the last columns hold the score of each exercise."""
    ids = [exercise.id for exercise in report.exercises]
    yield (
        *("student", "status", "score", "points", "change", "submitted", "seconds", "repairs", "flags"),
        *("timed_out", "calls_reference", "near_identical", "misconceptions", *ids),
    )
    for result in report.results:
        scores = {one.id: one.score for one in result.exercises}
        alike = {g.exercise for g in report.groups if result.student in g.students}
        yield (
            *(result.student, result.status, result.score, result.points),
            result.score - result.previous.score if result.previous else None,
            *(result.submitted, round(result.seconds, 2), " ".join(result.repairs)),
            "; ".join(f"{flag.kind}: {flag.text}" for flag in result.flags),
            " ".join(one.id for one in result.exercises if one.timed_out),
            " ".join(one.id for one in result.exercises if one.calls_reference),
            " ".join(sorted(alike)),
            " ".join(one.misconception for one in result.exercises if one.misconception),
            *(scores.get(id) for id in ids),
        )


def exercises(report: Report) -> Iterable[Sequence[Cell]]:
    """One row an exercise, and one for each of its criteria."""
    yield (
        *("exercise", "criterion", "points", "mean_score"),
        *("right", "partly_right", "not_right", "not_attempted", "held", "failed", "not_reached"),
    )
    for exercise in report.exercises:
        counts = exercise.outcomes.values()
        yield exercise.id, None, exercise.points, round(exercise.mean, 3), *counts, None, None, None
        for one in exercise.criteria:
            blank = (None,) * (1 + len(exercise.outcomes))
            yield exercise.id, one.name, one.points, *blank, one.held, one.failed, one.not_reached


def misconceptions(report: Report) -> Iterable[Sequence[Cell]]:
    """One row a known mistake, the most common first."""
    yield "exercise", "misconception", "students", "hint", "who"
    for one in report.misconceptions:
        yield one.exercise, one.name, len(one.students), one.hint, " ".join(one.students)


def _safe(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    text = plain(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
