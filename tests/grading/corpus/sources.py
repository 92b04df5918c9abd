"""A function or class of this repository as the source of one cell, with everything of ours that it calls."""

import ast
import builtins
import inspect
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

OURS = ("course_utils", "tests", "grading", "exercises")


def source_of(function: Callable[..., Any], name: str) -> str:
    """Source that defines `name` as this function, without docstrings and annotations.

    Raises:
        ValueError: it is no plain function or class of a module.
    """
    if not (inspect.isfunction(function) or inspect.isclass(function)) or "<" in function.__qualname__:
        raise ValueError(f"source_of: {function!r} is not defined at the top of a module.")
    parts: dict[str, str] = {}
    _collect(function.__name__, vars(sys.modules[function.__module__]), parts)
    own = f"{name} = {function.__name__}" if function.__name__ != name else ""
    return "\n\n".join([*parts.values(), own]).strip() + "\n"


def _collect(name: str, names: dict[str, Any], parts: dict[str, str]) -> None:
    """Add to `parts` what defines `name` in a module, after all that it needs."""
    value = names.get(name)
    if name in parts or name not in names or getattr(builtins, name, None) is value:
        return
    parts[name] = ""  # a function may call itself
    if isinstance(value, ModuleType):
        text = f"import {value.__name__} as {name}"
    elif _is_ours(value):
        tree = _bare(ast.parse(textwrap.dedent(inspect.getsource(value))))
        for needed in _names_in(tree):
            _collect(needed, vars(sys.modules[value.__module__]), parts)
        text = ast.unparse(tree)
        text += f"\n{name} = {value.__name__}" if value.__name__ != name else ""
    elif hasattr(value, "__module__") and hasattr(value, "__qualname__"):
        text = f"from {value.__module__} import {value.__qualname__} as {name}"
    elif isinstance(value, int | float | str | tuple):
        text = f"{name} = {value!r}"
    else:
        raise ValueError(f"source_of: cannot write {name!r} as source.")
    del parts[name]
    parts[name] = text


def _is_ours(value: Any) -> bool:
    module = getattr(value, "__module__", None)
    code = inspect.isfunction(value) or inspect.isclass(value)
    return code and isinstance(module, str) and module.partition(".")[0] in OURS


def _names_in(tree: ast.AST) -> list[str]:
    return list(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))


class _Bare(ast.NodeTransformer):
    """Drops docstrings, and annotations with the names that they need."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Assign([node.target], node.value) if node.value else ast.Pass()

    def _drop_docstring(self, node: Any) -> Any:
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if hasattr(node, "returns"):
            node.returns = None
        return node

    visit_FunctionDef = visit_ClassDef = _drop_docstring


def _bare(tree: ast.Module) -> ast.Module:
    return ast.fix_missing_locations(_Bare().visit(tree))
