"""What a class did with a chapter, counted from the results of its submissions.

outcome   of an exercise, in the words of a verdict; OUTCOMES, from right to not attempted
change    points now, less the points of the submission before
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from course_utils.grading.result import ExerciseResult, Result
from course_utils.grading.similarity import Group, near_identical

RIGHT, PARTLY, WRONG, NOT_ATTEMPTED = "right", "partly right", "not right yet", "not attempted yet"
OUTCOMES = (RIGHT, PARTLY, WRONG, NOT_ATTEMPTED)
STATUSES = ("graded", "repaired", "not gradable")
MOST_BARS = 14
WIDTHS = (0.5, 1, 2, 5, 10, 20, 50, 100)  # of a bar of the distribution, in points


def outcome(exercise: ExerciseResult) -> str:
    """How an exercise went."""
    if exercise.passed:
        return RIGHT
    if exercise.score:
        return PARTLY
    empty = not exercise.source.strip() or exercise.message.lower().startswith(NOT_ATTEMPTED)
    return NOT_ATTEMPTED if empty else WRONG


@dataclass(frozen=True)
class CriterionCount:
    """How many answers met a criterion, missed it, or did not come so far."""

    name: str
    points: float
    held: int
    failed: int
    not_reached: int


@dataclass(frozen=True)
class ExerciseCount:
    """How a class did in one exercise.

    Args:
        mean: points.
        outcomes: how many, by outcome.
    """

    id: str
    points: float
    mean: float
    outcomes: dict[str, int]
    criteria: tuple[CriterionCount, ...]

    @property
    def name(self) -> str:
        """The id without its chapter."""
        return self.id.partition(".")[2] or self.id


@dataclass(frozen=True)
class MisconceptionCount:
    """A known mistake, and who made it."""

    name: str
    exercise: str
    hint: str
    students: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What a student's last submission changed."""

    student: str
    before: float
    now: float
    exercises: dict[str, float]  # id -> change, where there is one


@dataclass(frozen=True)
class Bar:
    """How many scores lie in low <= score < high; in the last bar also those equal to high."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Report:
    """A class and a chapter.

    Args:
        results: by score, best first; equal scores by name.
    """

    assignment: str
    results: tuple[Result, ...]

    @cached_property
    def points(self) -> float:
        """The most that could be earned."""
        return max((result.points for result in self.results), default=0.0)

    @cached_property
    def scores(self) -> list[float]:
        return [result.score for result in self.results]

    @property
    def median(self) -> float:
        return statistics.median(self.scores) if self.scores else 0.0

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores) if self.scores else 0.0

    @cached_property
    def statuses(self) -> dict[str, int]:
        found = Counter[str](result.status for result in self.results)
        return {status: found[status] for status in STATUSES}

    @cached_property
    def exercises(self) -> tuple[ExerciseCount, ...]:
        """In the order of the notebook."""
        by_id: dict[str, list[ExerciseResult]] = defaultdict(list)
        for result in sorted(self.results, key=lambda result: -len(result.exercises)):
            for one in result.exercises:
                by_id[one.id].append(one)
        return tuple(_exercise_count(id, ones) for id, ones in by_id.items())

    @cached_property
    def misconceptions(self) -> tuple[MisconceptionCount, ...]:
        """The most common first."""
        students: dict[tuple[str, str], list[str]] = defaultdict(list)
        hints: dict[tuple[str, str], str] = {}
        for result, one in self.answers():
            if one.misconception:
                key = (one.id, one.misconception)
                students[key].append(result.student)
                hints[key] = hints.get(key) or one.hint
        counts = (
            MisconceptionCount(name, id, hints[id, name], tuple(sorted(who)))
            for (id, name), who in students.items()
        )
        return tuple(sorted(counts, key=lambda one: (-len(one.students), one.exercise, one.name)))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Near-identical answers, the largest evidence first."""
        found = [
            group
            for exercise in self.exercises
            for group in near_identical(
                exercise.id, {r.student: one.source for r, one in self.answers() if one.id == exercise.id}
            )
        ]
        return tuple(sorted(found, key=lambda group: (not group.verbatim, -group.size, group.students)))

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Students who handed in again, the largest change first."""
        found = [_change(result) for result in self.results if result.previous]
        return tuple(sorted(found, key=lambda one: (-abs(one.now - one.before), one.student)))

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """The distribution of scores, from 0 to the most."""
        width = next((w for w in WIDTHS if self.points <= w * MOST_BARS), self.points / MOST_BARS)
        number = max(1, -int(-self.points // width))
        places = Counter(min(int(score // width), number - 1) for score in self.scores)
        return tuple(Bar(i * width, min((i + 1) * width, self.points), places[i]) for i in range(number))

    @property
    def packages(self) -> tuple[str, ...]:
        """Versions that graded; more than one means that some results are older than others."""
        return tuple(sorted({result.package for result in self.results}))

    @property
    def releases(self) -> tuple[str, ...]:
        return tuple(sorted({result.release for result in self.results}))

    def answers(self) -> Iterator[tuple[Result, ExerciseResult]]:
        """Every exercise of every submission."""
        for result in self.results:
            for one in result.exercises:
                yield result, one

    def timed_out(self) -> list[tuple[str, str]]:
        """(student, exercise) of answers that were stopped."""
        return [(result.student, one.id) for result, one in self.answers() if one.timed_out]

    def calling_the_reference(self) -> list[tuple[str, str]]:
        """(student, exercise) of answers that called the course's own implementation."""
        return [(result.student, one.id) for result, one in self.answers() if one.calls_reference]


def class_report(assignment: str, results: Sequence[Result]) -> Report:
    """The report on a class."""
    return Report(assignment, tuple(sorted(results, key=lambda result: (-result.score, result.student))))


def _exercise_count(id: str, ones: Sequence[ExerciseResult]) -> ExerciseCount:
    counts = Counter(map(outcome, ones))
    names = list(dict.fromkeys((c.name, c.points) for one in ones for c in one.criteria))
    return ExerciseCount(
        id,
        max(one.points for one in ones),
        statistics.fmean(one.score for one in ones),
        {name: counts[name] for name in OUTCOMES},
        tuple(_criterion_count(name, points, ones) for name, points in names),
    )


def _criterion_count(name: str, points: float, ones: Sequence[ExerciseResult]) -> CriterionCount:
    marks = [c.earned for one in ones for c in one.criteria if (c.name, c.points) == (name, points)]
    held, failed = marks.count(True), marks.count(False)
    return CriterionCount(name, points, held, failed, len(ones) - held - failed)


def _change(result: Result) -> Change:
    assert result.previous
    before = result.previous.exercises
    differences = {one.id: one.score - before.get(one.id, 0.0) for one in result.exercises}
    changed = {id: difference for id, difference in differences.items() if difference}
    return Change(result.student, result.previous.score, result.score, changed)
