"""What a person should look at in a submission's code, found without running it. Flags cost no points."""

import ast
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from course_utils.grading.cells import statements
from course_utils.grading.rebuild import RunCell
from course_utils.grading.result import Flag, FlagKind

PACKAGE = "course_utils"
FOR_STUDENTS = {"check", "mine_or_reference"}
INTERPRETER = {
    *(
        "gc",
        "ctypes",
        "inspect",
        "importlib",
        "builtins",
        "subprocess",
        "socket",
        "multiprocessing",
        "signal",
    ),
    *("pickle", "marshal", "code", "types", "atexit", "faulthandler", "tracemalloc"),
}
FRAMES = {
    *("_getframe", "_current_frames", "f_back", "f_globals", "f_locals", "tb_frame", "gi_frame", "cr_frame"),
    *("__globals__", "__closure__", "__code__", "__subclasses__", "__builtins__", "__loader__", "__mro__"),
    *("settrace", "setprofile", "modules", "meta_path", "excepthook", "displayhook", "path_hooks"),
}
CALLS = {"exec", "eval", "compile", "__import__", "get_ipython", "globals", "breakpoint"}
LEANT_ON = {"torch", "numpy", "builtins", "sys", "IPython", "random", "os", "math", "unittest", PACKAGE}
NOTICEABLE = timedelta(minutes=5)

Found = Iterator[tuple[FlagKind, str]]


def flags_in(cells: Sequence[RunCell]) -> list[Flag]:
    """Flags of all cells, at most one of a kind for each."""
    modules = _imported(cells)
    found = {
        (kind, cell.key): Flag(kind, cell.key, text)
        for cell in cells
        for kind, text in reversed(list(_flags(cell, modules)))
    }
    return list(found.values())


def timestamp_flags(claimed: str | None, written: datetime, now: datetime) -> list[Flag]:
    """Whether the time in timestamp.txt can be believed.

    Args:
        claimed: the file's text, or None where there is none.
        written: when the notebook beside it was last changed.
    """
    if claimed is None:
        return []
    time = parse_time(claimed)
    if time is None:
        return [Flag("timestamp", "", "timestamp.txt holds no time.")]
    if time > now + NOTICEABLE:
        return [Flag("timestamp", "", f"timestamp.txt says {time:%Y-%m-%d %H:%M}, which is yet to come.")]
    if written > time + NOTICEABLE:
        text = f"timestamp.txt says {time:%Y-%m-%d %H:%M}, the notebook was changed {written:%Y-%m-%d %H:%M}."
        return [Flag("timestamp", "", text)]
    return []


def parse_time(text: str) -> datetime | None:
    """The time that nbgrader wrote, as nbgrader reads it, in UTC; None if it is no time."""
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip()[:100]).replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None


def _imported(cells: Sequence[RunCell]) -> set[str]:
    """Names that stand for modules which tests lean on."""
    names = set()
    for node in (node for cell in cells for node in _nodes(cell)):
        if isinstance(node, ast.Import):
            names |= {
                (alias.asname or alias.name).partition(".")[0]
                for alias in node.names
                if alias.name.partition(".")[0] in LEANT_ON
            }
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in LEANT_ON:
            names |= {alias.asname or alias.name for alias in node.names}
    return names | {"__builtins__"}


def _nodes(cell: RunCell) -> Iterator[ast.AST]:
    return (node for statement in statements(cell.source) for node in ast.walk(statement))


def _flags(cell: RunCell, modules: set[str]) -> Found:
    for node in _nodes(cell):
        yield from _imports(node, cell)
        yield from _interpreter(node)
        yield from _changes(node, modules)


def _imports(node: ast.AST, cell: RunCell) -> Found:
    """The package imported in an answer; its exercises anywhere, but for the two names that students use."""
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        base, names = node.module or "", {alias.name for alias in node.names}
        if base == f"{PACKAGE}.exercises" and names <= FOR_STUDENTS:
            return
        modules = [base, *(f"{base}.{name}" for name in names)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        modules = [node.value] if cell.answers and node.value.startswith(f"{PACKAGE}.") else []
    for module in modules:
        if module.split(".")[0] == PACKAGE and (cell.answers or module.startswith(f"{PACKAGE}.exercises.")):
            yield "imports the package", f"Imports {module}."
            return


def _interpreter(node: ast.AST) -> Found:
    kind: FlagKind = "uses frames or the interpreter's own"
    if isinstance(node, ast.Import):
        used = {alias.name.partition(".")[0] for alias in node.names} & INTERPRETER
    elif isinstance(node, ast.ImportFrom):
        used = {(node.module or "").partition(".")[0]} & INTERPRETER
    elif isinstance(node, ast.Attribute):
        used = {node.attr} & FRAMES
    elif isinstance(node, ast.Name):
        used = {node.id} & (CALLS | FRAMES)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        used = {node.value} & FRAMES
    else:
        return
    for name in sorted(used):
        yield kind, f"Uses {name}."


def _changes(node: ast.AST, modules: set[str]) -> Found:
    """Attributes of modules, or of what was imported from them, that are set or deleted."""
    kind: FlagKind = "changes what tests rely on"
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        setting = node.func.id in ("setattr", "delattr")
        targets = [ast.Attribute(node.args[0], "an attribute")] if setting else []
    for target in targets:
        if isinstance(target, ast.Attribute | ast.Subscript) and _root(target) in modules:
            yield kind, f"Sets something of {_root(target)}."


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
