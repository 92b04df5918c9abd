"""A submission, rebuilt on the released notebook: what will run, in which order, and what students will see.

Of the submission only the sources of answers and of cells that the student added survive. Everything else is
the release's. Nothing is executed here.

step    a cell to run, or an exercise to probe, in the order of the release
piece   one of the cells that hold an answer: splitting and copying make several
added   a cell that the release does not have
anchor  the cell of the release that an added cell follows
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from course_utils.grading.cells import definitions_beyond
from course_utils.grading.release import Cell, Question, Release, definitions
from course_utils.grading.result import Status
from course_utils.grading.submission import Submission, Written, read_submission

ALIKE = 0.6  # share of a demo that is still in an edited copy of it
COMPARED = 50  # cells that nobody has claimed, looked at for likeness: that takes a while


@dataclass(frozen=True)
class RunCell:
    """A cell to run.

    Args:
        key: names it in messages and outputs.
        answers: whether it holds an answer.
        salvage: where a statement fails, the definitions after it run all the same.
    """

    key: str
    source: str
    answers: bool = False
    salvage: bool = False


@dataclass(frozen=True)
class Probe:
    """An exercise to probe with what the cells before it defined."""

    question: Question


Step: TypeAlias = RunCell | Probe


@dataclass(frozen=True)
class Shown:
    """A cell of the feedback notebook, and the steps whose outputs belong below it."""

    cell: dict[str, Any]
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rebuilt:
    """What is graded of a submission."""

    status: Status
    why: str
    repairs: tuple[str, ...]
    steps: tuple[Step, ...]
    shown: tuple[Shown, ...]

    def source(self, question: Question) -> str:
        """What the student wrote as the answer."""
        runs = [step for step in self.steps if isinstance(step, RunCell) and step.answers]
        return "\n\n".join(run.source for run in runs if run.key.split(" ")[0] == question.cell)


def rebuild(release: Release, data: bytes | None) -> Rebuilt:
    """The submission in these bytes on the released notebook. Raises nothing, whatever the bytes are."""
    submission = read_submission(data)
    if submission.unreadable:
        shown = tuple(Shown(_released(cell)) for cell in release.cells)
        return Rebuilt("not gradable", submission.unreadable, (), (), shown)
    return Builder(release, submission).build()


@dataclass
class Builder:
    """One rebuilding: cells of the submission are matched with the release's, then laid out in its order."""

    release: Release
    submission: Submission
    repairs: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    added: int = 0

    def build(self) -> Rebuilt:
        """The whole of it."""
        self.repairs += self.submission.repairs
        matches = match(self.release, self.submission.cells)
        groups, late = lay_out(self.release, matches)
        self._report(matches, late)
        for cell in self.release.cells:
            self._lay(cell, groups[cell.id], matches)
        why = self.repairs[0] if len(self.repairs) == 1 else f"{len(self.repairs)} repairs were needed."
        status: Status = "repaired" if self.repairs else "graded"
        return Rebuilt(
            status, why if self.repairs else "", tuple(self.repairs), tuple(self.steps), tuple(self.shown)
        )

    def _report(self, matches: Sequence[Match], late: Sequence[Match]) -> None:
        """A sentence for each cell that was deleted, changed, doubled or turned into text."""
        checks = {cell.id: cell for cell in self.release.cells if cell.role == "check"}
        owned: dict[str, list[Match]] = defaultdict(list)
        for one in matches:
            if one.owner:
                owned[one.owner.id].append(one)
        for check in checks.values():
            if not owned[check.id]:
                self.repairs.append(f"The test cell {check.id!r} was deleted; it was restored.")
            elif any(_differs(one.written, check) for one in owned[check.id]):
                self.repairs.append(f"The test cell {check.id!r} was changed; the released one was used.")
            elif len(owned[check.id]) > 1:
                self.repairs.append(f"The test cell {check.id!r} was there twice; it was used once.")
        for cell in self.release.cells:
            if cell.role == "answer":
                self._report_answer(cell, [one for one in owned[cell.id] if one not in late], late)

    def _report_answer(self, cell: Cell, pieces: Sequence[Match], late: Sequence[Match]) -> None:
        if not pieces:
            self.repairs.append(f"The answer cell {cell.id!r} was deleted; it was restored as released.")
        if len(pieces) > 1:
            self.repairs.append(
                f"The answer cell {cell.id!r} was there {len(pieces)} times, split or copied; all parts were "
                "run in their order."
            )
        if any(one.owner is cell for one in late):
            self.repairs.append(
                f"A copy of the answer cell {cell.id!r} stands after its test, which does not see it."
            )
        if any(one.written.kind == "text" for one in pieces):
            self.repairs.append(
                f"The answer cell {cell.id!r} was no code cell any more; it was read as code."
            )
        if any(one.written.grade_id != cell.id for one in pieces):
            self.repairs.append(f"The answer cell {cell.id!r} had lost its label; it was found all the same.")

    def _lay(self, cell: Cell, group: Sequence[Match], matches: Sequence[Match]) -> None:
        """The steps and the shown cells of one cell of the release and of what follows it."""
        own = [one for one in group if one.owner is cell and not one.late]
        extra = [one for one in group if not (one.owner is cell and not one.late)]
        if cell.role == "answer":
            self._lay_answer(cell, group, own, matches)
            return
        keys: tuple[str, ...] = ()
        if cell.role == "setup":
            keys = (self._run(cell.id, cell.source),)
        elif cell.role == "check":
            question = next(one for one in self.release.questions if one.check == cell.id)
            self.steps.append(Probe(question))
        self.shown.append(Shown(_released(cell), keys))
        for one in own:
            self._lay_edited(cell, one.written)
        for one in extra:
            self._lay_added(one.written)

    def _lay_answer(
        self, cell: Cell, group: Sequence[Match], own: Sequence[Match], matches: Sequence[Match]
    ) -> None:
        """All pieces in one shown cell; added cells run where they stand among the pieces."""
        stub = cell.source.strip()
        pieces = [one for one in own if one.written.source.strip() != stub] or list(own[:1])
        sources = [one.written.source for one in pieces]
        if not own and not self._defined_elsewhere(cell, matches):
            sources = [cell.source]
            self._run(cell.id, cell.source, answers=True)
        at = len(self.shown)
        keys = [cell.id] if not own and sources else []
        for one in group:
            if one in pieces:
                key = f"{cell.id} part {len(keys) + 1}" if keys else cell.id
                keys.append(self._run(key, one.written.source, answers=True))
            elif one.owner is not cell or one.late:
                self._lay_added(one.written)
        self.shown.insert(at, Shown(_released(cell, "\n\n".join(sources)), tuple(keys)))

    def _defined_elsewhere(self, cell: Cell, matches: Sequence[Match]) -> bool:
        names = {question.answer for question in self.release.questions if question.cell == cell.id}
        return any(names & definitions(one.written.source) for one in matches)

    def _lay_edited(self, cell: Cell, written: Written) -> None:
        """Of an edited demo only definitions run; an edited first cell runs after the released one."""
        if written.kind == "text" or written.source.strip() == cell.source.strip():
            return
        if cell.role == "setup":
            key = self._run(f"{cell.id} edited", written.source, salvage=True)
            self.shown.append(Shown(_code_cell(self._next_id(), written.source), (key,)))
        elif cell.role == "demo":
            source = definitions_beyond(written.source, cell.source)
            if source:
                self._run(f"{cell.id} edited", source, salvage=True)

    def _lay_added(self, written: Written) -> None:
        id = self._next_id()
        if written.kind == "text":
            cell = {"cell_type": "markdown", "id": id, "metadata": {}, "source": written.source}
            self.shown.append(Shown(cell))
        elif written.source.strip():
            key = self._run(id, written.source, salvage=True)
            self.shown.append(Shown(_code_cell(id, written.source), (key,)))

    def _next_id(self) -> str:
        self.added += 1
        return f"added-{self.added:03d}"

    def _run(self, key: str, source: str, answers: bool = False, salvage: bool = False) -> str:
        self.steps.append(RunCell(key, source, answers, salvage))
        return key


@dataclass(eq=False)
class Match:
    """A cell of the submission and the cell of the release that it is, if any.

    Args:
        guessed: found by what it defines.
        late: a copy of an answer after the answer's test.
    """

    written: Written
    owner: Cell | None = None
    guessed: bool = False
    late: bool = False


def match(release: Release, cells: Sequence[Written]) -> list[Match]:
    """Each cell with its owner: by grade_id, by id, by its source, by what it defines, by likeness."""
    by_id = {cell.id: cell for cell in release.cells}
    by_source = {cell.source.strip(): cell for cell in release.cells}
    matches = [Match(one, _by_label(one, by_id) or by_source.get(one.source.strip())) for one in cells]
    for one in matches:
        if one.owner is None and one.written.kind == "code":
            one.owner = _by_definition(release, one.written, matches)
            one.guessed = one.owner is not None
    demos = [cell for cell in release.cells if cell.role in ("demo", "setup")]
    seen = {one.owner.id for one in matches if one.owner}
    lost = [cell for cell in demos if cell.id not in seen]
    unclaimed = [one for one in matches if one.owner is None and one.written.kind == "code"]
    for one in unclaimed[:COMPARED]:
        one.owner = next((cell for cell in lost if _alike(cell.source, one.written.source)), None)
    return matches


def _by_label(written: Written, by_id: Mapping[str, Cell]) -> Cell | None:
    graded = by_id.get(written.grade_id or "")
    if graded and graded.role in ("answer", "check"):
        return graded
    cell = by_id.get(written.id or "")
    if cell is None or (cell.role in ("answer", "check") and written.grade_id):
        return None
    return cell if (cell.role == "text") == (written.kind == "text") or cell.role == "answer" else None


def _by_definition(release: Release, written: Written, matches: Sequence[Match]) -> Cell | None:
    """The answer cell that nobody has claimed and whose name this cell defines."""
    claimed = {one.owner.id for one in matches if one.owner and not one.guessed}
    names = definitions(written.source)
    for question in release.questions:
        if question.answer in names and question.cell not in claimed:
            return next(cell for cell in release.cells if cell.id == question.cell)
    return None


def _differs(written: Written, cell: Cell) -> bool:
    return written.kind != "code" or written.source.strip() != cell.source.strip()


def _alike(released: str, written: str) -> bool:
    matcher = difflib.SequenceMatcher(None, released[:2000], written[:2000], autojunk=False)
    return matcher.real_quick_ratio() > ALIKE and matcher.quick_ratio() > ALIKE and matcher.ratio() > ALIKE


def lay_out(release: Release, matches: Sequence[Match]) -> tuple[dict[str, list[Match]], list[Match]]:
    """The cells by anchor, in the student's order, and the copies of answers that came after their test."""
    checks = {question.cell: question.check for question in release.questions}
    start = next((cell.id for cell in release.cells if cell.role == "setup"), release.cells[0].id)
    groups: dict[str, list[Match]] = defaultdict(list)
    anchor, tested, answered, late = start, set(), set(), []
    for one in matches:
        if one.owner is None:
            groups[anchor].append(one)
            continue
        id = one.owner.id
        if one.owner.role == "answer" and checks.get(id) in tested and id in answered:
            one.late = True
            late.append(one)
            groups[anchor].append(one)
            continue
        if one.owner.role == "answer":
            answered.add(id)
        tested.add(id)
        anchor = id
        groups[id].append(one)
    return groups, late


def _released(cell: Cell, source: str | None = None) -> dict[str, Any]:
    """The cell as released, without outputs; with another source, where one is given."""
    fresh = {key: value for key, value in cell.raw.items() if key in ("cell_type", "id", "metadata")}
    fresh |= {"source": cell.source if source is None else source}
    if cell.raw["cell_type"] == "code":
        fresh |= {"outputs": [], "execution_count": None}
    return fresh


def _code_cell(id: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": id,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def student_cells(rebuilt: Rebuilt) -> Iterator[RunCell]:
    """The cells that hold the student's own code."""
    for step in rebuilt.steps:
        if isinstance(step, RunCell) and (step.answers or step.salvage):
            yield step
