"""The course package as the sandbox sees it: without the implementations that the exercises ask for.

hollow       a copy of course_utils in which these functions and classes only raise CoursesOwn, and which has
             no exercises of any chapter
probes       sources of the chapter's exercise modules: they travel to the sandbox in memory, where all but
             the probes is forgotten before any student's code runs
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import shutil
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import course_utils
from course_utils.exercises.engine import CHAPTERS, find

PACKAGE = Path(course_utils.__file__).parent
# What instructors use: students' code does without.
LEFT_OUT = {"__pycache__", "authoring", "recipes"}
IN_SANDBOX = ("__init__.py", "cells.py", "child.py", "decoy.py", "frames.py", "seccomp.py", "server.py")


def build_hollow(folder: Path, exercises: Iterable[str]) -> None:
    """Write the hollow package into `folder`, for these exercises."""
    target = folder / PACKAGE.name

    def ignore(where: str, names: list[str]) -> set[str]:
        path = Path(where)
        if path == PACKAGE / "exercises":
            return {name for name in names if name in CHAPTERS} | {"__pycache__"}
        if path == PACKAGE / "grading":
            return set(names) - set(IN_SANDBOX)
        return set(names) & LEFT_OUT

    shutil.copytree(PACKAGE, target, ignore=ignore)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for module, names in references(exercises).items():
        file = Path(inspect.getfile(importlib.import_module(module)))
        copy = target / file.relative_to(PACKAGE)
        copy.write_text(without(copy.read_text(encoding="utf-8"), names), encoding="utf-8")


def references(exercises: Iterable[str]) -> dict[str, set[str]]:
    """Names of the course's own implementations, by the module that defines them."""
    found: dict[str, set[str]] = defaultdict(set)
    for id in exercises:
        reference = find(id).load_reference()
        found[reference.__module__].add(reference.__qualname__)
    return dict(found)


def without(source: str, names: set[str]) -> str:
    """The module's source with these functions and classes replaced by decoys."""
    tree = ast.parse(source)
    body = [_decoy(node) if getattr(node, "name", None) in names else [node] for node in tree.body]
    tree.body = [statement for statements in body for statement in statements]
    return ast.unparse(tree)


def _decoy(node: ast.stmt) -> list[ast.stmt]:
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    raises = f"from {PACKAGE.name}.grading.decoy import CoursesOwn; raise CoursesOwn({node.name!r})"
    if isinstance(node, ast.FunctionDef):
        return ast.parse(f"def {node.name}(*args, **kwargs): {raises}").body
    bases = ", ".join(map(ast.unparse, node.bases))
    return ast.parse(f"class {node.name}({bases}):\n    def __init__(self, *args, **kwargs): {raises}").body


def probe_sources(exercises: Iterable[str]) -> dict[str, str]:
    """Sources of all modules of these exercises' chapters, by name; packages end in `.__init__`."""
    chapters = {id.partition(".")[0] for id in exercises}
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path.read_text(encoding="utf-8")
        for chapter in sorted(chapters)
        for path in sorted((PACKAGE / "exercises" / chapter).glob("*.py"))
    }


@cache
def package_version() -> str:
    """The version of the package with a hash of its code: other code may give other verdicts."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{course_utils.__version__}+{digest.hexdigest()[:12]}"
