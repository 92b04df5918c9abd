"""What exercises are made of: plain data, and functions over it.

    exercise        a call that a student writes, with everything needed to judge it
    case            the inputs of one such call: plain data, drawn anew for every check
    probe           probe(answer, case) runs an answer and yields (name, value) pairs
    observation     what a probe yielded, as plain data: tensors, numbers, words
    trial           a case with what was expected and what was observed
    criterion       one thing that must hold, and its points; a failed gate ends the ladder of criteria
    misconception   a known wrong answer with a name and a hint

Cases and observations are all that travels between the process of an answer and the process of its judge.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from torch import Tensor

from course_utils.exercises.draw import Draw

ORDINARY = "ordinary"

Answer: TypeAlias = Callable[..., Any]
Status: TypeAlias = Literal["ok", "stub", "error", "timeout", "skipped"]
Value: TypeAlias = "Tensor | int | float | bool | str | Foreign | list[Value] | tuple[Value, ...] | None"
Input: TypeAlias = (
    "Tensor | int | float | bool | str | ToyModel | ToyOptimizer | list[Input] | tuple[Input, ...] | None"
)


@dataclass(frozen=True)
class ToyModel:
    """A small model, named from the registry in toys.py, so that its code never travels.

    Args:
        name: of the registry.
        weights: by parameter name.
        config: sizes that the constructor takes.
        gradients: by parameter name; left on the parameters, as an earlier backward pass would leave them.
    """

    name: str
    weights: dict[str, Tensor]
    config: dict[str, int] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ToyOptimizer:
    """An optimizer, named from the registry in toys.py, over the parameters of the input called `model`."""

    name: str
    lr: float
    model: str = "model"


@dataclass(frozen=True)
class Case:
    """The inputs of one call, in the order of the exercise's arguments.

    Args:
        name: in words, for the student: "size 33, kernel 3, stride 2, padding 1".
        inputs: by argument name.
        kind: ORDINARY, or the name of the group of edge cases that it belongs to.
        by_name: call with keywords.
    """

    name: str
    inputs: dict[str, Any]
    kind: str = ORDINARY
    by_name: bool = False


@dataclass(frozen=True)
class Foreign:
    """What an answer gave back and no verdict can use, in words, with what to give back instead."""

    words: str
    advice: str = ""

    def __post_init__(self) -> None:
        _require_words(self, self.words, self.advice)


@dataclass(frozen=True)
class Fault:
    """An exception that an answer raised: its type, its message, the student's line where it happened."""

    kind: str
    message: str
    where: str = ""

    def __post_init__(self) -> None:
        _require_words(self, self.kind, self.message, self.where)


@dataclass(frozen=True)
class Observation:
    """What running an answer on a case left to see.

    Args:
        status: "ok"; "stub": nothing is written yet; "error", "timeout"; "skipped": after a timeout.
        values: what the probe yielded before it ended.
        fault: where the status is "error".
        printed: the first lines that the answer printed.
        printed_characters: how much it printed in all.
        changed: what it changed and should not have, in words.
    """

    status: Status
    values: dict[str, Value] = field(default_factory=dict)
    fault: Fault | None = None
    printed: str = ""
    printed_characters: int = 0
    changed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """An observation may come from a process that nobody trusts: its fields are checked."""
        plain = (
            self.status in get_args(Status)
            and isinstance(self.values, dict)
            and all(isinstance(name, str) and _is_value(value) for name, value in self.values.items())
            and isinstance(self.fault, Fault | None)
            and isinstance(self.printed, str)
            and isinstance(self.printed_characters, int)
            and isinstance(self.changed, tuple)
            and all(isinstance(words, str) for words in self.changed)
        )
        if not plain:
            raise ValueError(f"Observation: the fields must be plain data of the declared types, got {self}.")


def _require_words(record: object, *fields: object) -> None:
    if not all(isinstance(field, str) for field in fields):
        raise ValueError(f"{type(record).__name__}: the fields must be text.")


def _is_value(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_value, value))
    if isinstance(value, int):
        return value.bit_length() <= 64
    return isinstance(value, Tensor | float | str | Foreign | None)


@dataclass(frozen=True)
class Trial:
    """A case, what the reference did with it, and what the answer did with it."""

    case: Case
    expected: Observation
    observed: Observation


@dataclass(frozen=True)
class Finding:
    """A criterion that does not hold.

    Args:
        case: its name.
        seen, expected: a sentence each.
        cause: the likely one, in a sentence or two.
        about: what is wrong, and so what else to say. The "call": the exercise's signature. The "kind" of a
            result: the criterion's advice, else the signature. A "value": the advice. "all": nothing.
    """

    case: str
    seen: str
    expected: str = ""
    cause: str = ""
    about: Literal["call", "kind", "value", "all"] = "value"


@dataclass(frozen=True)
class Criterion:
    """One thing that must hold.

    Args:
        name: in words.
        points: earned if it holds and every gate before it does.
        find: the first trial that speaks against it, or None.
        gate: later criteria mean nothing where this one fails.
        advice: where to look, if no misconception says it better.
    """

    name: str
    points: float
    find: Callable[[Sequence[Trial]], Finding | None]
    gate: bool = False
    advice: str = ""


@dataclass(frozen=True)
class Misconception:
    """A known wrong answer. Its hint says what it does and where to look, without writing the right one."""

    name: str
    hint: str
    answer: Answer


def misconceptions(
    *wrong: Answer, build: Callable[[Answer], Answer] = lambda answer: answer
) -> tuple[Misconception, ...]:
    """Misconceptions from functions: named as the function is, with its docstring as the hint.

    Args:
        build: makes the wrong answer from the function, where that is not the function itself.
    """
    return tuple(
        Misconception(one.__name__.replace("_", "-"), " ".join(str(one.__doc__).split()), build(one))
        for one in wrong
    )


def call(answer: Answer, case: Case) -> Iterable[tuple[str, Any]]:
    """The probe of a plain function: call it."""
    yield "result", answer(**case.inputs) if case.by_name else answer(*case.inputs.values())


@dataclass(frozen=True)
class Exercise:
    """A call that a student writes, with everything needed to judge it.

    Args:
        id: "chapter.name".
        title: a line for the catalogue.
        signature: the call as the chapter writes it.
        returns: what comes back, in words with its shape.
        reference: "module:name" of the right implementation, imported only where it is needed: the process
            that runs an answer does without.
        cases: draws the cases, ordinary ones first.
        criteria: the ladder, in order.
        misconceptions: tried in order.
        probe: runs an answer.
        accepts: other implementations that the exercise's text allows.
        may_change: inputs that the call is meant to change.
    """

    id: str
    title: str
    signature: str
    returns: str
    reference: str
    cases: Callable[[Draw], list[Case]]
    criteria: tuple[Criterion, ...]
    misconceptions: tuple[Misconception, ...]
    probe: Callable[[Answer, Case], Iterable[tuple[str, Any]]] = call
    accepts: tuple[Answer, ...] = ()
    may_change: frozenset[str] = frozenset()

    @property
    def points(self) -> float:
        """What a right answer earns."""
        return float(sum(criterion.points for criterion in self.criteria))

    def load_reference(self) -> Answer:
        """The right implementation."""
        module, name = self.reference.split(":")
        reference: Answer = getattr(importlib.import_module(module), name)
        return reference


@dataclass(frozen=True)
class CriterionResult:
    """How a criterion went; `held` is None where a failed gate came before it."""

    name: str
    points: float
    earned: float
    held: bool | None


@dataclass(frozen=True)
class Verdict:
    """What a student is told. 0 <= score <= points, and score == points only if every criterion holds.

    Args:
        attempted: False for an unsolved stub.
        misconception: the name of the recognised mistake, or None.
        message: what was seen, what was expected, the likely cause, where to look: a few lines of plain text.
        seed: draws the same cases again.
    """

    exercise: str
    score: float
    points: float
    passed: bool
    attempted: bool
    misconception: str | None
    message: str
    criteria: tuple[CriterionResult, ...]
    seed: int

    @property
    def status(self) -> str:
        """In a word or two."""
        if self.passed:
            return "right"
        if not self.attempted:
            return "not attempted yet"
        return "partly right" if self.score else "not right yet"
