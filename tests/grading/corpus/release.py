"""A chapter's release as a student gets it, and papers filled in from it: notebooks as plain dictionaries.

cell      dict    one cell as nbformat 4.5 writes it, its source one text
answers   by the grade_id of answer cells; what is left out stays a stub
"""

import contextlib
import copy
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from torch import Tensor

from course_utils.authoring.chapters import Chapter
from course_utils.exercises.engine import draw_cases, find, grade
from course_utils.exercises.observe import observe_all

from .sources import source_of

Cell = dict[str, Any]
MARKS = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
CHECK = re.compile(r"""check\(\s*["']([\w.]+)["']\s*,\s*(\w+)\s*\)""")


@dataclass(frozen=True)
class Asked:
    """One exercise of a release: its id, the grade_ids of its two cells, and what it is worth."""

    id: str
    cell: str
    check: str
    points: float

    @property
    def is_class(self) -> bool:
        return inspect.isclass(find(self.id).load_reference())


@dataclass
class Paper:
    """A notebook in a student's hands."""

    cells: list[Cell]
    metadata: dict[str, Any] = field(default_factory=dict)

    def at(self, grade_id: str) -> int:
        """Where the first cell with this grade_id stands."""
        return next(i for i, cell in enumerate(self.cells) if grade_id_of(cell) == grade_id)

    def cell(self, grade_id: str) -> Cell:
        return self.cells[self.at(grade_id)]

    def add(self, source: str, at: int = 2, kind: str = "code") -> "Paper":
        """A cell of the student's own; by default right below the set-up cell."""
        self.cells.insert(at, new_cell(source, kind))
        return self

    def data(self) -> dict[str, Any]:
        return {"cells": self.cells, "metadata": self.metadata, "nbformat": 4, "nbformat_minor": 5}

    def bytes(self) -> bytes:
        return json.dumps(self.data()).encode()


class Release:
    """What a chapter asks, and everything that papers are made of."""

    def __init__(self, chapter: Chapter):
        self.chapter = chapter
        self.name = chapter.name
        self._released = _read(chapter.student)
        self._solved = {cell["id"]: cell["source"] for cell in _read(chapter.solution).cells}

    @cached_property
    def asked(self) -> list[Asked]:
        """The exercises in the order of the notebook."""
        found = []
        for cell in self._released.cells:
            call = CHECK.search(cell["source"])
            if cell["metadata"].get("nbgrader", {}).get("grade") and call:
                found.append(Asked(call[1], call[2], grade_id_of(cell), find(call[1]).points))
        return found

    @cached_property
    def right(self) -> dict[str, str]:
        """The course's solutions."""
        return {one.cell: MARKS.sub("", self._solved[one.cell]) for one in self.asked}

    @cached_property
    def stubs(self) -> dict[str, str]:
        return {one.cell: self._released.cell(one.cell)["source"] for one in self.asked}

    @property
    def first(self) -> Asked:
        """The exercise that attackers answer honestly."""
        return self.asked[0]

    @cached_property
    def target(self) -> Asked:
        """The exercise that attackers want points for: a function with one tensor as its result."""
        functions = [one for one in self.asked[1:] if not one.is_class]
        return next((one for one in functions if _is_tensor(one) and self._wrong_source(one)), functions[0])

    @cached_property
    def wrong(self) -> str:
        """A wrong answer to the target that earns nothing, of the right kind and shape where one is known."""
        return (
            self._wrong_source(self.target) or f"def {self.target.cell}(*args, **kwargs):\n    return 'wrong'"
        )

    def misconception(self, one: Asked) -> tuple[str, str] | None:
        """A known mistake in an exercise, by name, and its source; None where none is a plain function."""
        for mistake in find(one.id).misconceptions:
            try:
                return mistake.name, source_of(mistake.answer, one.cell)
            except ValueError:
                continue
        return None

    def paper(self, answers: Mapping[str, str]) -> Paper:
        """The release with these answers in it."""
        paper = Paper(copy.deepcopy(self._released.cells), copy.deepcopy(self._released.metadata))
        for cell, source in answers.items():
            paper.cell(cell)["source"] = source
        return paper

    def filled(self) -> Paper:
        """The release with all solutions in it."""
        return self.paper(self.right)

    def file(self, content: bytes, name: str = "") -> dict[str, bytes]:
        """A submission's one file."""
        return {name or f"{self.name}.ipynb": content}

    def scores(self, **earned: float) -> dict[str, float]:
        """Points by exercise: those given by cell, and none elsewhere."""
        return {one.id: earned.get(one.cell, 0.0) for one in self.asked}

    @property
    def full(self) -> dict[str, float]:
        """All points."""
        return {one.id: one.points for one in self.asked}

    def full_but(self, *cells: str) -> dict[str, float]:
        """All points but those of these answer cells."""
        return {one.id: 0.0 if one.cell in cells else one.points for one in self.asked}

    @cache  # noqa: B019
    def _wrong_source(self, one: Asked) -> str:
        for mistake in find(one.id).misconceptions:
            with contextlib.suppress(ValueError):
                source = source_of(mistake.answer, one.cell)
                if grade(one.id, mistake.answer, seed=1).score == 0:
                    return source
        return ""


def grade_id_of(cell: Cell) -> str:
    """Empty for cells that nbgrader does not know."""
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def new_cell(source: str, kind: str = "code") -> Cell:
    """A cell as JupyterLab would add it."""
    cell: Cell = {
        "cell_type": kind,
        "id": f"{abs(hash(source)) % 16**8:08x}",
        "metadata": {},
        "source": source,
    }
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell


def _read(path: Any) -> Paper:
    """A notebook without its outputs."""
    data = json.loads(path.read_bytes())
    for cell in data["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return Paper(data["cells"], data["metadata"])


def _is_tensor(one: Asked) -> bool:
    exercise = find(one.id)
    cases = draw_cases(exercise, 1)
    values = observe_all(exercise, exercise.load_reference(), cases[:1])[0].values
    return list(values) == ["result"] and isinstance(values["result"], Tensor)
