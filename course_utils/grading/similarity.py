"""Answers that are almost the same, beneath names, numbers, comments and layout.

form    tuple of str   an answer's syntax tree read top to bottom, with names and constants made alike
size    int            parts of a form: how much there is to be alike in
alike   float, 0..1    shared runs of RUN parts, of all that either form has

A flag and never a verdict: short right answers come out alike by themselves. So small forms do not count, nor
forms that many in the class have written, and a group tells the size of what it rests on.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

MIN_SIZE = 45  # parts; a line like `return a.sqrt() * x0 + (1 - a).sqrt() * noise` has about 30
ALIKE = 0.85
RUN = 5
COMMON_SHARE, COMMON = 0.1, 4  # what more than this share of a class, and this many, have written is common
MAX_SOURCE = 50_000  # characters
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

Form = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Students whose answers to an exercise are almost the same.

    Args:
        size: parts of the smallest of the answers.
        alike: of the two that differ most from the group's first, 1 where all forms are equal.
        verbatim: equal letter for letter, comments and names included.
    """

    exercise: str
    students: tuple[str, ...]
    size: int
    alike: float
    verbatim: bool


@dataclass(frozen=True)
class _Text:
    """A form, and the runs in it."""

    form: Form

    @cached_property
    def runs(self) -> Counter[Form]:
        return Counter(self.form[i : i + RUN] for i in range(max(len(self.form) - RUN + 1, 1)))

    def alike(self, other: _Text) -> float:
        shorter, longer = sorted((len(self.form), len(other.form)))
        if shorter < ALIKE * longer:  # cannot reach it
            return 0.0
        shared = (self.runs & other.runs).total()
        return shared / (self.runs.total() + other.runs.total() - shared)


def form_of(source: str) -> Form:
    """The form of an answer; empty where it does not parse, or is an untouched stub."""
    if len(source) > MAX_SOURCE:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the student's code
            tree = ast.parse(source)
        return tuple(_parts(tree))
    except UNREADABLE:
        return ()


def near_identical(exercise: str, sources: Mapping[str, str]) -> list[Group]:
    """Groups of two and more students, the largest evidence first.

    Args:
        sources: of the answers, by student.
    """
    writers: dict[Form, list[str]] = defaultdict(list)
    for student, source in sources.items():
        form = form_of(source)
        if len(form) >= MIN_SIZE:
            writers[form].append(student)
    most = max(COMMON, COMMON_SHARE * len(sources))
    # The first of a group is what most have written; whoever is close to it belongs to it, and nobody else.
    clusters: list[list[_Text]] = []
    for form in sorted(writers, key=lambda form: (-len(writers[form]), form)):
        text = _Text(form)
        near = next((cluster for cluster in clusters if cluster[0].alike(text) >= ALIKE), None)
        if near is None:
            clusters.append([text])
        else:
            near.append(text)
    groups = [_group(exercise, cluster, writers, sources) for cluster in clusters]
    found = [group for group in groups if 2 <= len(group.students) <= most]
    return sorted(found, key=lambda group: (-group.size, group.students))


def _group(
    exercise: str, cluster: list[_Text], writers: Mapping[Form, list[str]], sources: Mapping[str, str]
) -> Group:
    students = sorted(student for text in cluster for student in writers[text.form])
    return Group(
        exercise,
        tuple(students),
        min(len(text.form) for text in cluster),
        min(1.0 if text is cluster[0] else cluster[0].alike(text) for text in cluster),
        len({sources[student].strip() for student in students}) == 1,
    )


def _parts(node: ast.AST) -> Iterable[str]:
    """The tree in the order of its text: kinds of nodes, attributes, keywords; no names, no constants."""
    if _is_stub(node):
        return
    yield type(node).__name__
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    if isinstance(node, ast.Name | ast.Constant):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "ctx", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_docstring(child):
                yield from _parts(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_stub(node: ast.AST) -> bool:
    """A function whose body only says that it is not written yet."""
    if not isinstance(node, ast.FunctionDef):
        return False
    body = [one for one in node.body if not _is_docstring(one)]
    return all(isinstance(one, ast.Raise | ast.Pass) for one in body)
