"""Answers that break things: each ends in a verdict without points, and nothing outside notices."""

import builtins
import random
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from course_utils.exercises import check, grade
from course_utils.exercises.engine import draw_cases, find
from course_utils.exercises.guard import Shared
from course_utils.exercises.judge import judge
from course_utils.exercises.observe import Limits, observe_all

ERROR = "autoencoders.reconstruction_error"
SHORT = Limits(seconds=0.3)


def right(x_hat: Tensor, x: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).mean(1)


class Agreeable:
    """Equal to everything, close to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise AssertionError("nobody should ask")

    @classmethod
    def __torch_function__(cls, *arguments: Any, **named: Any) -> Any:
        return torch.tensor(True)

    __hash__ = None  # type: ignore[assignment]
    shape = __class__ = property(lambda self: Tensor)


class Derived(Tensor):
    """A tensor that agrees with everybody."""

    @classmethod
    def __torch_function__(cls, *arguments: Any, **named: Any) -> Any:
        return torch.tensor(True)


class Liar(type):
    """A metaclass whose classes claim to be any other."""

    def __eq__(cls, other: object) -> bool:
        return True

    def __instancecheck__(cls, instance: object) -> bool:
        return True

    __hash__ = type.__hash__
    __name__ = property(lambda cls: "Tensor")


class Lie(metaclass=Liar):
    """Of a class that claims to be any other."""


class BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message either")


def raising(error: BaseException) -> Any:
    def answer(x_hat: Tensor, x: Tensor) -> Tensor:
        raise error

    return answer


def exits(x_hat: Tensor, x: Tensor) -> Tensor:
    sys.exit(3)


def recurses(x_hat: Tensor, x: Tensor) -> Tensor:
    return recurses(x_hat, x)


def allocates(x_hat: Tensor, x: Tensor) -> Tensor:
    return torch.ones(10**15)


def generates(x_hat: Tensor, x: Tensor) -> Iterator[Tensor]:
    yield right(x_hat, x)


def nests(x_hat: Tensor, x: Tensor) -> Any:
    inner: list[Any] = []
    for _ in range(10_000):
        inner = [inner]
    return inner


def contains_itself(x_hat: Tensor, x: Tensor) -> Any:
    inner: list[Any] = []
    inner.append(inner)
    return inner


NOTHING = {
    "raises": raising(ValueError("<script>alert(1)</script>")),
    "raises BaseException": raising(BaseException("base")),
    "raises KeyboardInterrupt": raising(KeyboardInterrupt()),
    "raises GeneratorExit": raising(GeneratorExit()),
    "raises StopIteration": raising(StopIteration()),
    "raises an error without a message": raising(BrokenError()),
    "sys.exit": exits,
    "exit()": lambda x_hat, x: builtins.exit(),
    "equal to everything": lambda x_hat, x: Agreeable(),
    "a class that claims to be any other": lambda x_hat, x: Lie(),
    "a tensor subclass": lambda x_hat, x: right(x_hat, x).as_subclass(Derived),
    "NaN": lambda x_hat, x: right(x_hat, x) * torch.nan,
    "infinite": lambda x_hat, x: right(x_hat, x) + torch.inf,
    "on the meta device": lambda x_hat, x: right(x_hat, x).to("meta"),
    "sparse": lambda x_hat, x: right(x_hat, x).to_sparse(),
    "complex": lambda x_hat, x: right(x_hat, x).to(torch.complex64),
    "other dtype": lambda x_hat, x: right(x_hat, x).double(),
    "numpy": lambda x_hat, x: right(x_hat, x).numpy(),
    "a list": lambda x_hat, x: right(x_hat, x).tolist(),
    "a tuple": lambda x_hat, x: (right(x_hat, x),),
    "a dict": lambda x_hat, x: {"result": right(x_hat, x)},
    "a generator": generates,
    "recursion": recurses,
    "a huge tensor": allocates,
    "a huge view": lambda x_hat, x: torch.zeros(1).expand(10**12),
    "a deep list": nests,
    "a list in itself": contains_itself,
    "too few arguments": lambda x_hat: x_hat,
    "too many arguments": lambda x_hat, x, mask: x_hat,
    "a string": lambda x_hat, x: "x" * 10**7,
    "a huge int": lambda x_hat, x: 10**10_000,
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_earns_nothing(answer: Any) -> None:
    verdict = grade(ERROR, answer, seed=1)
    assert verdict.score == 0
    assert not verdict.passed
    assert len(verdict.message) < 1_000
    assert verdict.message == grade(ERROR, answer, seed=1).message, "one seed, one text"


@pytest.mark.parametrize(
    "answer",
    [None, 3, "right", torch.zeros(3), ..., object()],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_what_cannot_be_called_is_answered_with_how_to_call_check(answer: object) -> None:
    verdict = grade(ERROR, answer)
    assert (verdict.score, verdict.passed) == (0, False)
    assert f"check({ERROR!r}, reconstruction_error)" in verdict.message


def loop(x_hat: Tensor, x: Tensor) -> Tensor:
    while True:
        pass


def deaf_loop(x_hat: Tensor, x: Tensor) -> Tensor:
    while True:
        try:
            time.sleep(0.001)
        except BaseException:
            continue


def very_deaf_loop(x_hat: Tensor, x: Tensor) -> Tensor:
    while True:
        try:
            while True:
                try:
                    deaf_loop(x_hat, x)
                except BaseException:
                    continue
        except BaseException:
            continue


def endless_print(x_hat: Tensor, x: Tensor) -> Tensor:
    while True:
        print("x" * 10_000)


def endless_message(x_hat: Tensor, x: Tensor) -> Tensor:
    class Endless(Exception):
        def __str__(self) -> str:
            return str(loop(x_hat, x))

    raise Endless


ENDLESS = [loop, deaf_loop, very_deaf_loop, endless_print, endless_message]


@pytest.mark.parametrize("answer", ENDLESS)
def test_endless_answers_are_stopped_once_for_all_cases(answer: Any) -> None:
    exercise = find(ERROR)
    cases = draw_cases(exercise, seed=1)
    seen = observe_all(exercise, answer, cases, SHORT)
    assert [one.status for one in seen] == ["timeout", *["skipped"] * (len(cases) - 1)]
    verdict = judge(exercise, cases, seen, seed=1)
    assert verdict.score == 0
    assert "still running" in verdict.message


def test_what_is_right_before_the_time_is_up_counts() -> None:
    def slow_on_single_images(x_hat: Tensor, x: Tensor) -> Tensor:
        return loop(x_hat, x) if len(x) == 1 else right(x_hat, x)

    verdict = grade(ERROR, slow_on_single_images, limits=SHORT)
    assert verdict.score == 2
    assert [result.held for result in verdict.criteria] == [True, True, True, True, False, False, True]


def prints(x_hat: Tensor, x: Tensor) -> Tensor:
    print("once\n" * 10**6)
    print("again", file=sys.stderr)
    warnings.warn("and again", stacklevel=1)
    return right(x_hat, x)


def with_gradient(x_hat: Tensor, x: Tensor) -> Tensor:
    return right(x_hat.clone().requires_grad_(), x)


def view_of_the_input(x_hat: Tensor, x: Tensor) -> Tensor:
    return right(x_hat, x).expand(2, -1)[0]


@pytest.mark.parametrize("answer", [prints, with_gradient, view_of_the_input])
def test_harmless_habits_cost_nothing(answer: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert grade(ERROR, answer).passed
    assert capfd.readouterr() == ("", "")


def seeds(x_hat: Tensor, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return right(x_hat, x)


def draws(x_hat: Tensor, x: Tensor) -> Tensor:
    np.random.rand()
    random.random()
    return right(x_hat, x)


def changes_defaults(x_hat: Tensor, x: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    return right(x_hat, x)


def mutates(x_hat: Tensor, x: Tensor) -> Tensor:
    result = right(x_hat, x)
    x.zero_()
    return result


def requires_grad(x_hat: Tensor, x: Tensor) -> Tensor:
    return right(x_hat.requires_grad_(), x)


SIDE_EFFECTS = {
    seeds: "torch's global random state",
    draws: "numpy's global random state and python's global random state",
    changes_defaults: "torch's default dtype, torch's default device and torch's gradient mode",
    mutates: "the input x",
    requires_grad: "the input x_hat",
}


@pytest.mark.parametrize(("answer", "changed"), SIDE_EFFECTS.items())
def test_side_effects_cost_their_criterion_and_are_undone(answer: Any, changed: str) -> None:
    before = Shared.read()
    verdict = grade(ERROR, answer)
    assert (verdict.score, verdict.passed) == (2.5, False)
    assert f"changed {changed}." in verdict.message
    assert before.changes(Shared.read()) == ()


PATCHES = [
    (torch, "allclose", lambda *a, **k: True),
    (torch, "equal", lambda *a, **k: True),
    (Tensor, "__eq__", lambda *a: torch.tensor(True)),
    (Tensor, "__sub__", lambda *a: torch.zeros(3)),
    (Tensor, "clone", lambda x, **k: torch.zeros(3)),
    (np, "allclose", lambda *a, **k: True),
    (np, "abs", lambda x: np.zeros(3)),
]


@pytest.mark.parametrize(("owner", "name", "replacement"), PATCHES)
def test_replacing_a_function_that_could_compare_gains_nothing(
    owner: Any, name: str, replacement: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(x_hat: Tensor, x: Tensor) -> Tensor:
        monkeypatch.setattr(owner, name, replacement)
        return torch.zeros(len(x))

    score = grade(ERROR, answer).score
    monkeypatch.undo()
    assert score == 0


@pytest.mark.parametrize(
    "answer",
    [*NOTHING.values(), prints, None, lambda x_hat, x: None],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_check_returns_a_float_and_leaves_stderr_empty(
    answer: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    score = check(ERROR, answer)
    assert type(score) is float and 0 <= score <= 3
    assert capfd.readouterr().err == ""


def test_a_check_within_an_answer_ends_in_a_verdict() -> None:
    def answer(x_hat: Tensor, x: Tensor) -> Tensor:
        check(ERROR, right)
        return right(x_hat, x)

    assert grade(ERROR, answer).passed
