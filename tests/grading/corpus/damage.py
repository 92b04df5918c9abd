"""Damage without malice. What can be read counts, and what cannot gets a worded zero."""

import json
from collections.abc import Callable, Iterator

from .honest import renamed
from .hostile import GRADED, NOT_GRADABLE, REPAIRED, Expected, Hostile, Yard
from .release import Paper, Release, new_cell

Edit = Callable[[Release, Paper], None]
EITHER = GRADED | REPAIRED
CONFLICT = b"<<<<<<< HEAD\n%s\n=======\n{}\n>>>>>>> mine\n"
PAGE = b"<!DOCTYPE html><html><body>Please sign in to download this file.</body></html>"


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """See the tables below."""
    for name, edit in REPAIRABLE.items():
        paper = release.filled()
        edit(release, paper)
        yield _damaged(release, name, paper.bytes(), Expected(release.full, REPAIRED))
    for name, edit in HARMLESS.items():
        paper = release.filled()
        edit(release, paper)
        yield _damaged(release, name, paper.bytes(), Expected(release.full, EITHER))
    for name, edit in ONE_LOST.items():
        paper = release.filled()
        edit(release, paper)
        lost = release.full_but(release.target.cell)
        yield _damaged(release, name, paper.bytes(), Expected(lost, EITHER, None))
    content = release.filled().bytes()
    for name, spoil in RECODED.items():
        yield _damaged(release, name, spoil(content), Expected(release.full, EITHER))
    yield _truncated(release, content)
    for name, spoil in UNREADABLE.items():
        yield _damaged(release, name, spoil(content), Expected(release.scores(), NOT_GRADABLE))
    yield from _odd_files(release, content)
    yield _dies_at_the_end(release)


def _damaged(release: Release, name: str, content: bytes, expected: Expected) -> Hostile:
    return Hostile(f"damage-{name}", "damage", release.file(content), expected)


def _odd_files(release: Release, content: bytes) -> Iterator[Hostile]:
    """What is wrong is not inside the notebook."""
    nothing, all_points = Expected(release.scores(), NOT_GRADABLE), Expected(release.full, REPAIRED)
    name = f"{release.name}.ipynb"

    def member(label: str, files: dict[str, bytes], expected: Expected) -> Hostile:
        return Hostile(f"damage-{label}", "damage", files, expected)

    yield member("no-notebook", {"readme.txt": b"I will hand in tomorrow."}, nothing)
    yield member("a-folder-bears-its-name", {f"{name}/inside.txt": b""}, nothing)
    yield member("renamed", release.file(content, f"{release.name} (1).ipynb"), all_points)
    flagged = Expected(release.full, EITHER, flagged=True)
    yield member("timestamp-unreadable", {name: content, "timestamp.txt": b"yesterday \xff"}, flagged)
    yield member("timestamp-ahead", {name: content, "timestamp.txt": b"2099-01-01 00:00:00 UTC"}, flagged)
    other = Paper([new_cell("print('another course')")])
    strange = Expected(release.scores(), REPAIRED | NOT_GRADABLE, None)
    yield member("another-notebook", {name: other.bytes()}, strange)


def _truncated(release: Release, content: bytes) -> Hostile:
    """As a full disk leaves it. What comes before the break counts."""
    half = content[: len(content) // 2]
    whole = [one for one in release.asked if json.dumps(release.filled().cell(one.cell)).encode() in half]
    scores = release.scores(**{one.cell: one.points for one in whole})
    return _damaged(release, "truncated", half, Expected(scores, REPAIRED))


def _dies_at_the_end(release: Release) -> Hostile:
    paper = release.filled()
    paper.cells.append(new_cell("import os\nos._exit(1)"))
    return _damaged(release, "kernel-dies-at-the-end", paper.bytes(), Expected(release.full, EITHER))


def _check_deleted(release: Release, paper: Paper) -> None:
    del paper.cells[paper.at(release.target.check)]


def _all_checks_deleted(release: Release, paper: Paper) -> None:
    checks = {one.check for one in release.asked}
    paper.cells = [c for c in paper.cells if c["metadata"].get("nbgrader", {}).get("grade_id") not in checks]


def _check_commented_out(release: Release, paper: Paper) -> None:
    cell = paper.cell(release.target.check)
    cell["source"] = "# " + cell["source"]


def _check_became_text(release: Release, paper: Paper) -> None:
    cell = paper.cell(release.target.check)
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


def _copied(release: Release, paper: Paper) -> None:
    at = paper.at(release.target.cell)
    paper.cells.insert(at + 1, dict(paper.cells[at]))


def _copied_as_a_stub(release: Release, paper: Paper) -> None:
    at = paper.at(release.target.cell)
    paper.cells.insert(at + 1, {**paper.cells[at], "source": release.stubs[release.target.cell]})


def _stub_then_copy(release: Release, paper: Paper) -> None:
    at = paper.at(release.target.cell)
    paper.cells.insert(at, {**paper.cells[at], "source": release.stubs[release.target.cell]})


def _split(release: Release, paper: Paper) -> None:
    """JupyterLab gives both halves the metadata."""
    name = release.target.cell
    at = paper.at(name)
    first = {**paper.cells[at], "source": renamed(release, name).rpartition("\n")[0]}
    second = f"def {name}(*args, **kwargs):\n    return my_{name}(*args, **kwargs)"
    paper.cells[at : at + 1] = [first, {**paper.cells[at], "id": "second-half", "source": second}]


def _merged_with_its_check(release: Release, paper: Paper) -> None:
    check = paper.cells.pop(paper.at(release.target.check))
    paper.cell(release.target.cell)["source"] += "\n\n" + check["source"]


def _metadata_lost(release: Release, paper: Paper) -> None:
    for cell in paper.cells:
        cell["metadata"] = {}


def _metadata_and_ids_lost(release: Release, paper: Paper) -> None:
    """As a notebook comes back from other editors."""
    for number, cell in enumerate(paper.cells):
        cell["metadata"] = {}
        cell["id"] = f"{number:08x}"


def _answer_below_its_stub(release: Release, paper: Paper) -> None:
    at = paper.at(release.target.cell)
    paper.cells.insert(at + 1, new_cell(paper.cells[at]["source"]))
    paper.cells[at]["source"] = release.stubs[release.target.cell]


def _exchanged(release: Release, paper: Paper) -> None:
    one, other = paper.at(release.asked[0].cell), paper.at(release.asked[-1].cell)
    paper.cells[one], paper.cells[other] = paper.cells[other], paper.cells[one]


def _points_edited(release: Release, paper: Paper) -> None:
    """By an editor that shows nbgrader's toolbar."""
    paper.cell(release.target.check)["metadata"]["nbgrader"]["points"] = 0


def _strange_cells(release: Release, paper: Paper) -> None:
    paper.cells[3:3] = [None, "text", {"cell_type": "code"}, {"cell_type": "raw", "source": 3}]  # type: ignore[list-item]


def _strange_metadata(release: Release, paper: Paper) -> None:
    paper.metadata = ["kernelspec"]  # type: ignore[assignment]
    paper.cells[0]["metadata"] = None


def _without_ids(release: Release, paper: Paper) -> None:
    for cell in paper.cells:
        del cell["id"]


def _sources_in_lines(release: Release, paper: Paper) -> None:
    for cell in paper.cells:
        cell["source"] = cell["source"].splitlines(keepends=True)


def _null_byte_beside(release: Release, paper: Paper) -> None:
    paper.add("x = 1\0")


def _half_a_letter_beside(release: Release, paper: Paper) -> None:
    """Half of a surrogate pair, as badly copied emoji leave it."""
    paper.add("words = '\ud83d'").add("\ud83d", kind="markdown")


def _loops_beside(release: Release, paper: Paper) -> None:
    paper.add("while True:\n    pass")


def _leaves_beside(release: Release, paper: Paper) -> None:
    paper.add("import sys\nsys.exit('enough')")


def _answer_deleted(release: Release, paper: Paper) -> None:
    del paper.cells[paper.at(release.target.cell)]


def _answer_is(source: object) -> Edit:
    def edit(release: Release, paper: Paper) -> None:
        paper.cell(release.target.cell)["source"] = source

    return edit


def _answer_does(body: str) -> Edit:
    def edit(release: Release, paper: Paper) -> None:
        paper.cell(release.target.cell)["source"] = f"def {release.target.cell}(*args, **kwargs):\n    {body}"

    return edit


def _answer_became_text(release: Release, paper: Paper) -> None:
    """One key too many, in JupyterLab's command mode."""
    cell = paper.cell(release.target.cell)
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


REPAIRABLE: dict[str, Edit] = {  # all points, and a sentence that says what was repaired
    "answer-became-text": _answer_became_text,
    "check-deleted": _check_deleted,
    "all-checks-deleted": _all_checks_deleted,
    "check-commented-out": _check_commented_out,
    "answer-copied": _copied,
    "stub-after-the-answer": _copied_as_a_stub,
    "stub-before-the-answer": _stub_then_copy,
    "answer-split": _split,
    "metadata-and-ids-lost": _metadata_and_ids_lost,
    "merged-with-its-check": _merged_with_its_check,
}
HARMLESS: dict[str, Edit] = {  # all points
    "metadata-lost": _metadata_lost,
    "check-became-text": _check_became_text,
    "answer-below-its-stub": _answer_below_its_stub,
    "answers-exchanged": _exchanged,
    "points-edited": _points_edited,
    "strange-cells": _strange_cells,
    "strange-metadata": _strange_metadata,
    "without-ids": _without_ids,
    "sources-in-lines": _sources_in_lines,
    "null-byte-beside": _null_byte_beside,
    "half-a-letter-beside": _half_a_letter_beside,
    "endless-loop-beside": _loops_beside,
    "exit-beside": _leaves_beside,
}
ONE_LOST: dict[str, Edit] = {  # all points but the target's
    "answer-deleted": _answer_deleted,
    "answer-is-a-number": _answer_is(7),
    "answer-is-nothing": _answer_is(None),
    "answer-is-empty": _answer_is(""),
    "syntax-error": _answer_is("def half a function("),
    "null-byte": _answer_is("x = 1\0"),
    "endless-loop-in-an-answer": _answer_does("while True: pass"),
    "endless-loop-in-c": _answer_does("return sum(range(10**14))"),
    "exits-in-an-answer": _answer_does("import os; os._exit(0)"),
    "segmentation-fault": _answer_does("import ctypes; ctypes.string_at(0)"),
    "recursion": _answer_does("import sys; sys.setrecursionlimit(10**8); f = lambda: f(); f()"),
}
RECODED: dict[str, Callable[[bytes], bytes]] = {  # all points
    "merge-conflict": lambda content: CONFLICT % content,
    "byte-order-mark": lambda content: b"\xef\xbb\xbf" + content,
    "utf-16": lambda content: content.decode().encode("utf-16"),
    "latin-1": lambda content: content.replace(b'"metadata": {}', b'"metadata": {"\xe4": "\xfc"}', 1),
    "not-a-number": lambda content: content.replace(b'"metadata": {}', b'"metadata": {"x": NaN}', 1),
}
UNREADABLE: dict[str, Callable[[bytes], bytes]] = {  # no points
    "empty": lambda content: b"",
    "html": lambda content: PAGE,
    "a-list": lambda content: b"[]",
    "without-cells": lambda content: b'{"metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "cells-are-text": lambda content: b'{"cells": "none", "metadata": {}, "nbformat": 4}',
    "too-deep": lambda content: b"[" * 200_000,
    "too-large": lambda content: content[:-1] + b" " * 110_000_000 + content[-1:],
    "random-bytes": lambda content: bytes(range(256)) * 400,
}
