"""The source of a chapter as a notebook, and that notebook as nbgrader would release it.

Cell ids are the same in every build: the cell's grade_id where it has one, else its position (`cell-012`).
"""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from traitlets.config import Config, PyFileConfigLoader

from course_utils.authoring.chapters import AuthoringError, Chapter

CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KNOWN_METADATA = {"nbgrader", "tags"}
NOTEBOOK_METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {  # no version: a notebook does not change with the Python that built it
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


def read_source(chapter: Chapter) -> NotebookNode:
    """The chapter's source as a notebook without outputs: what nbgrader reads as the instructor's version.

    Raises:
        AuthoringError: a cell line cannot be read, or two cells would share an id.
    """
    parsed = jupytext.reads(chapter.source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook = nbformat.v4.new_notebook(metadata=copy.deepcopy(NOTEBOOK_METADATA), cells=parsed.cells)
    seen: set[str] = set()
    for position, cell in enumerate(notebook.cells):
        try:
            _keep_known_metadata(cell)
            cell.id = _cell_id(cell, position)
        except ValueError as error:
            raise AuthoringError(
                f"{chapter.relative(chapter.source)}, cell {position + 1}: {error}"
            ) from None
        if cell.id in seen:
            raise AuthoringError(
                f"{chapter.relative(chapter.source)}: two cells have the id {cell.id!r}; "
                "give each its own grade_id."
            )
        seen.add(cell.id)
    return notebook


def student_notebook(chapter: Chapter, source: NotebookNode) -> NotebookNode:
    """What `nbgrader generate_assignment` makes of the source: its own steps, its own configuration.

    Only the step that writes to the gradebook is left out.

    Raises:
        AuthoringError: nbgrader refuses the source, e.g. for a solution region that does not end.
    """
    # Imported here: nbgrader takes a second to load, and executing a notebook does not need it.
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells

    config = nbgrader_config(chapter.nbgrader_config)
    steps = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).preprocessors
    notebook, resources = copy.deepcopy(source), {"metadata": {"path": str(chapter.source.parent)}}
    try:
        for step in steps:
            if step is not SaveCells:
                notebook, resources = step(config=config)(notebook, resources)
    except Exception as error:  # nbgrader's steps raise bare RuntimeError, ValueError and jsonschema's errors
        raise AuthoringError(f"{chapter.relative(chapter.source)}: nbgrader refuses it: {error}") from error
    return notebook


@cache
def nbgrader_config(path: Path) -> Config:
    """The course's nbgrader configuration, from the one file that nbgrader itself reads."""
    if not path.is_file():
        raise AuthoringError(f"{path} is missing: the text of a stub is configured there.")
    return PyFileConfigLoader(path.name, path=str(path.parent)).load_config()


def stub_lines(config: Config) -> list[str]:
    """The lines that stand where a solution was, without their indentation."""
    return [line.strip() for line in config.ClearSolutions.code_stub["python"].splitlines()]


def is_answer(cell: NotebookNode) -> bool:
    """Whether students write in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether nbgrader takes points from what this cell returns."""
    nbgrader = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and nbgrader.get("grade", False) and not nbgrader.get("solution")


def _keep_known_metadata(cell: NotebookNode) -> None:
    if "incorrectly_encoded_metadata" in cell.metadata:
        written = cell.metadata["incorrectly_encoded_metadata"]
        raise ValueError(f'its line cannot be read: {written}. Write key=JSON, as in tags=["a"].')
    for key in [key for key in cell.metadata if key.startswith("lines_to_")]:
        del cell.metadata[key]  # jupytext's memory of blank lines
    unknown = set(cell.metadata) - KNOWN_METADATA
    if unknown:
        raise ValueError(
            f"its line sets {', '.join(sorted(unknown))}; only nbgrader and tags are known here."
        )


def _cell_id(cell: NotebookNode, position: int) -> str:
    identifier = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{position:03d}")
    if not CELL_ID.fullmatch(identifier):
        raise ValueError(f"grade_id {identifier!r} must be 1 to 64 letters, digits, hyphens or underscores.")
    return str(identifier)
