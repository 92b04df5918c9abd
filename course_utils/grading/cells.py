"""Reading a cell's code without running it: its statements, and which of them only define something.

The sandbox runs this file, too: it needs nothing but Python.
"""

import ast

PLAIN = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def statements(source: str) -> list[ast.stmt]:
    """The statements at the top level; none if the source does not parse."""
    try:
        return ast.parse(source).body
    except UNREADABLE:
        return []


def only_defines(node: ast.stmt) -> bool:
    """Whether running the statement takes no time: an import, a function, a class, a constant, a lambda."""
    if isinstance(node, PLAIN):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return isinstance(node.value, ast.Lambda) or not any(
            isinstance(part, ast.Call | ast.Await | ast.comprehension) for part in ast.walk(node.value)
        )
    return False


def definitions_beyond(source: str, released: str) -> str:
    """The statements of `source` that define something, as code, less those that `released` has as well."""
    known = {ast.dump(node) for node in statements(released)}
    new = [node for node in statements(source) if only_defines(node) and ast.dump(node) not in known]
    return "\n".join(map(ast.unparse, new))
