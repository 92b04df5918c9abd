"""The notebook that a student handed in, as far as it can be read: cells, and nothing else of it.

data     bytes   of the file, written by anybody
cells    in the order of the notebook: kind, source, id and grade_id; metadata and outputs are dropped
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from course_utils.grading.release import text_of

MAX_BYTES = 50_000_000
MAX_CELLS = 2_000
MAX_SOURCE = 500_000  # characters of a cell
MAX_SOURCES = 1_000_000  # characters of all cells; a long chapter has 100,000
MAX_VALUES = 2_000_000  # brackets and commas: read, 50 MB of empty lists would take a gigabyte
DAMAGED = (ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Written:
    """A cell of a submission."""

    kind: Literal["code", "text"]
    source: str
    id: str | None
    grade_id: str | None


@dataclass(frozen=True)
class Submission:
    """What was read.

    Args:
        repairs: a sentence for each thing that was wrong with the file.
        unreadable: why nothing was read, else "".
    """

    cells: tuple[Written, ...] = ()
    repairs: tuple[str, ...] = ()
    unreadable: str = ""


def read_submission(data: bytes | None) -> Submission:
    """The submission in a file's bytes, or what can be saved of it. Raises nothing."""
    if data is None:
        return Submission(unreadable="No notebook was handed in.")
    if len(data) > MAX_BYTES:
        size = f"{len(data) / 1e6:.0f} MB, and {MAX_BYTES / 1e6:.0f} MB are the most that is read"
        return Submission(unreadable=f"The notebook has {size}. Clear its outputs and hand it in again.")
    if not data.strip():
        return Submission(unreadable="The notebook is an empty file.")
    # In UTF-16 and UTF-32, too, each of them is one such byte and others that are zero.
    if sum(map(data.count, (b"[", b"{", b","))) > MAX_VALUES:
        return Submission(unreadable="The notebook holds more lists and objects than any notebook needs.")
    repairs = []
    try:
        raw = _raw_cells(json.loads(data))
    except DAMAGED:
        raw = list(islice(_saved(data.decode("utf-8", "replace")), MAX_CELLS + 1))
        if not raw:
            return Submission(unreadable="The file is no notebook, and no cell in it can be read.")
        repairs.append(
            f"The notebook's file is damaged: its first {_count(len(raw))} could be read, and were graded."
        )
    cells, room = [], MAX_SOURCES
    for one in raw[:MAX_CELLS]:
        cell = _written(one)
        room -= len(cell.source) if cell else 0
        cells.append(cell if room >= 0 else None)
    if len(raw) > MAX_CELLS:
        repairs.append(f"The notebook has {_count(len(raw))}; those after number {MAX_CELLS} were left out.")
    if None in cells:
        left_out = cells.count(None)
        repairs.append(
            f"{_count(left_out)} could not be read and {'was' if left_out == 1 else 'were'} left out."
        )
    readable = tuple(cell for cell in cells if cell)
    if not readable:
        return Submission(unreadable="The notebook has no cells.")
    return Submission(readable, tuple(repairs))


def _count(cells: int) -> str:
    return f"{cells} cell" + ("" if cells == 1 else "s")


def _raw_cells(notebook: Any) -> list[Any]:
    """The list of cells, in the notebook format of today or of before 2015.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(notebook, dict):
        raise ValueError("a notebook is an object")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells", []) or []]
    if not isinstance(cells, list):
        raise ValueError("a notebook has cells")
    return cells


def _saved(text: str) -> Iterator[Any]:
    """The cells of a file that breaks off, up to the first that is not whole."""
    start = text.find('"cells"')
    position = text.find("[", start) + 1
    if start < 0 or not position:
        return
    decoder = json.JSONDecoder()
    while True:
        position = next((i for i in range(position, len(text)) if text[i] not in " \t\r\n,"), len(text))
        try:
            cell, position = decoder.raw_decode(text, position)
        except DAMAGED:
            return
        yield cell


def _written(cell: Any) -> Written | None:
    """The cell, or None if it is none."""
    if not isinstance(cell, dict):
        return None
    source = text_of(cell.get("source", cell.get("input")))
    if not isinstance(cell.get("cell_type"), str) or len(source) > MAX_SOURCE:
        return None
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    kind: Literal["code", "text"] = "code" if cell["cell_type"] == "code" else "text"
    return Written(kind, source, _word(cell.get("id")), _word(grade_id))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
