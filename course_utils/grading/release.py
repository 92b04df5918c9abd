"""What a released notebook asks: where students answer, which exercises check them, for how many points.

cell      one cell of the release; its id is its grade_id where it has one, else its position
role      setup      the first code cell: imports
          answer     students write in it
          check      check("chapter.exercise", name): nbgrader takes points from it
          demo       any other code
          text       words
question  an exercise that the release grades
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from course_utils.grading.cells import statements

Role: TypeAlias = Literal["setup", "answer", "check", "demo", "text"]


class ReleaseError(Exception):
    """The released notebook cannot be graded: one sentence on why, and what to do."""


@dataclass(frozen=True)
class Question:
    """An exercise that is graded.

    Args:
        exercise: its id, "chapter.name".
        answer: the name that the check hands over.
        cell, check: ids of the answer's cell and of the check.
        points: at stake, by the release.
    """

    exercise: str
    answer: str
    cell: str
    check: str
    points: float


@dataclass(frozen=True)
class Cell:
    """A cell of the release. `raw` is the cell as the notebook holds it."""

    id: str
    role: Role
    source: str
    raw: dict[str, Any]

    @cached_property
    def defines(self) -> frozenset[str]:
        """Names of the functions and classes at its top level."""
        return definitions(self.source) if self.role != "text" else frozenset()


@dataclass(frozen=True)
class Release:
    """A released notebook."""

    assignment: str
    cells: tuple[Cell, ...]
    questions: tuple[Question, ...]
    sha256: str
    metadata: dict[str, Any]

    @property
    def setup(self) -> str:
        """The source of the first code cell, or nothing."""
        return next((cell.source for cell in self.cells if cell.role == "setup"), "")


def read_release(assignment: str, data: bytes) -> Release:
    """The release in the bytes of a notebook that nbgrader generated.

    Raises:
        ReleaseError: it grades something else than checks of exercises, or nothing.
    """
    try:
        notebook = json.loads(data)
        raw = notebook["cells"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReleaseError(f"The release of {assignment} is no notebook: {error}.") from error
    first_code = next((i for i, cell in enumerate(raw) if cell["cell_type"] == "code"), None)
    cells = tuple(_cell(cell, i, is_setup=i == first_code) for i, cell in enumerate(raw))
    questions = tuple(_question(cells, i) for i, cell in enumerate(cells) if cell.role == "check")
    if not questions:
        raise ReleaseError(f"The release of {assignment} has no check to grade.")
    return Release(
        assignment, cells, questions, hashlib.sha256(data).hexdigest(), dict(notebook.get("metadata", {}))
    )


def text_of(source: object) -> str:
    """A cell's source as one text: notebooks hold a text or a list of lines."""
    parts = source if isinstance(source, list) else [source]
    text = "".join(part for part in parts if isinstance(part, str))
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair cannot be written anywhere


def definitions(source: str) -> frozenset[str]:
    """Names of the functions and classes at a source's top level; none if it does not parse."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in statements(source) if isinstance(node, kinds))


def _cell(raw: dict[str, Any], position: int, is_setup: bool) -> Cell:
    nbgrader = raw["metadata"].get("nbgrader", {})
    id = str(nbgrader.get("grade_id") or raw.get("id") or f"cell-{position:03d}")
    return Cell(id, _role(raw["cell_type"], nbgrader, is_setup), text_of(raw["source"]), raw)


def _role(cell_type: str, nbgrader: dict[str, Any], is_setup: bool) -> Role:
    if cell_type != "code":
        if nbgrader.get("grade") or nbgrader.get("task"):
            raise ReleaseError(
                f"Cell {nbgrader.get('grade_id')!r} is graded by hand, which `course grade` cannot do."
            )
        return "text"
    if nbgrader.get("solution"):
        return "answer"
    if nbgrader.get("grade"):
        return "check"
    return "setup" if is_setup else "demo"


def _question(cells: Sequence[Cell], position: int) -> Question:
    check = cells[position]
    exercise, answer = _checked(check)
    before = [cell for cell in cells[:position] if cell.role == "answer"]
    cell = next((cell for cell in reversed(before) if answer in cell.defines), before[-1] if before else None)
    if cell is None:
        raise ReleaseError(f"Cell {check.id!r} checks {answer}, but no cell before it is there to answer in.")
    points = float(check.raw["metadata"]["nbgrader"]["points"])
    return Question(exercise, answer, cell.id, check.id, points)


def _checked(check: Cell) -> tuple[str, str]:
    """The exercise and the answer's name in check("chapter.exercise", name)."""
    for node in ast.walk(ast.parse(check.source)):
        match node:
            case ast.Call(ast.Name("check"), [ast.Constant(str(exercise)), ast.Name(answer)], []):
                return exercise, answer
    raise ReleaseError(
        f'Cell {check.id!r} is graded, but has no line `check("chapter.exercise", name)` to grade it by.'
    )
