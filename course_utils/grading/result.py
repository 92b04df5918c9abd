"""What grading one submission came to: one JSON file, read by the gradebook's writer and the class report.

score, points   float        of one exercise; 0 <= score <= points
sha256          str          64 hex digits, of bytes or of a sorted JSON text
time            str or None  ISO 8601
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

VERSION = 1

Status: TypeAlias = Literal["graded", "repaired", "not gradable"]
FlagKind: TypeAlias = Literal[
    "imports the package",
    "uses frames or the interpreter's own",
    "changes what tests rely on",
    "calls the reference",
    "timestamp",
]


@dataclass(frozen=True)
class Flag:
    """Something for a person to look at; it costs no points.

    Args:
        cell: its grade_id or position, or "" for the submission as a whole.
        text: one sentence.
    """

    kind: FlagKind
    cell: str
    text: str


@dataclass(frozen=True)
class CriterionScore:
    """One criterion of an exercise; `earned` is None where a failed gate came before it."""

    name: str
    points: float
    earned: bool | None


@dataclass(frozen=True)
class ExerciseResult:
    """How one exercise went.

    Args:
        id: "chapter.name".
        cell, check: grade_ids of the answer's cell and of its check.
        misconception: the name of the recognised mistake.
        message: the verdict in words, as the student reads it.
        hint: of the misconception, else "".
        timed_out: whether the answer was stopped.
        calls_reference: whether it called the course's own implementation.
        source: the answer's cell.
    """

    id: str
    cell: str
    check: str
    points: float
    score: float
    passed: bool
    misconception: str | None
    message: str
    hint: str
    criteria: tuple[CriterionScore, ...]
    timed_out: bool
    calls_reference: bool
    source: str


@dataclass(frozen=True)
class Previous:
    """The student's submission before this one, as far as it was graded."""

    submission: str
    score: float
    exercises: dict[str, float]


@dataclass(frozen=True)
class Result:
    """One graded submission.

    Args:
        status: "repaired" where the notebook was damaged and what could be saved was graded.
        why: the reason for the status, in a sentence; "" for "graded".
        repairs: a sentence each.
        seed: draws the same cases again.
        package: the course package that judged, version and hash.
        release, submission: sha256 of what was released and of what was handed in.
        inputs: sha256 of everything that the verdicts follow from; equal inputs are not graded twice.
        submitted: when it was handed in.
        seconds: wall-clock that grading took.
        previous: what this submission replaces.
    """

    assignment: str
    student: str
    status: Status
    why: str
    repairs: tuple[str, ...]
    flags: tuple[Flag, ...]
    seed: str
    package: str
    release: str
    submission: str
    inputs: str
    submitted: str | None
    seconds: float
    previous: Previous | None
    exercises: tuple[ExerciseResult, ...]
    version: int = VERSION

    @property
    def score(self) -> float:
        """Points earned in all."""
        return float(sum(exercise.score for exercise in self.exercises))

    @property
    def points(self) -> float:
        """Points at stake."""
        return float(sum(exercise.points for exercise in self.exercises))

    def to_json(self) -> str:
        """The result as JSON text, readable by people."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The result that `to_json` wrote.

        Raises:
            ValueError: the text is no such result, or of another version.
        """
        try:
            record = json.loads(text)
            if record["version"] != VERSION:
                raise ValueError(f"version {record['version']}")
            return cls(**(record | _parts(record)))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"Result.from_json: not a result of version {VERSION}: {error}.") from error


def read_results(folder: Path) -> list[Result]:
    """All results in a folder, by student.

    Raises:
        ValueError: a file is no result; it is named.
    """
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(Result.from_json(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{path}: {error} Delete it and grade again.") from error
    return results


def _parts(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are records themselves."""
    return {
        "repairs": tuple(record["repairs"]),
        "flags": tuple(Flag(**flag) for flag in record["flags"]),
        "previous": record["previous"] and Previous(**record["previous"]),
        "exercises": tuple(
            ExerciseResult(
                **one | {"criteria": tuple(CriterionScore(**criterion) for criterion in one["criteria"])}
            )
            for one in record["exercises"]
        ),
    }
