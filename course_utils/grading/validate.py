"""Which cells the Validate button runs: those that `course grade` would, so that an answer is told soon.

The release is not at hand where students work. A demo is known by the id that the build gave it. Of a demo
that a student has edited `course grade` runs the new definitions; here run those, of any demo, that another
cell uses.
"""

import ast
import re
from collections.abc import Iterable

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from course_utils.grading.cells import only_defines, statements

RELEASED = re.compile(r"cell-\d{3}")  # an id by position: neither the student's own nor nbgrader's


def leave_out_demos(notebook: NotebookNode) -> None:
    """Put in the place of each demo what others use of it, a statement a cell: one that fails stops no other.

    A hook of nbgrader's Execute, called when a kernel has started; the file stays as it is.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    demos = {cell.id for cell in code[1:] if "nbgrader" not in cell.metadata and RELEASED.fullmatch(cell.id)}
    used = _read(node for cell in code if cell.id not in demos for node in statements(cell.source))
    kept: list[NotebookNode] = []
    for cell in reversed(notebook.cells):
        if cell.id not in demos:
            kept.append(cell)
            continue
        for node in reversed(statements(cell.source)):
            if only_defines(node) and used & _bound(node):
                used |= _read([node])
                kept.append(new_code_cell(ast.unparse(node)))
    notebook.cells = kept[::-1]


def _read(nodes: Iterable[ast.stmt]) -> set[str]:
    """The names that occur anywhere in the statements."""
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    """The names that the statement defines."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {(one.asname or one.name).partition(".")[0] for one in node.names}
        case _:
            return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
