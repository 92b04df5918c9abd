"""What counts as equal, and what is said where it is not."""

import math
from typing import Any

import pytest
import torch

from course_utils.exercises.compare import same
from course_utils.exercises.criteria import agree, edge, ladder
from course_utils.exercises.spec import Case, Criterion, Fault, Foreign, Observation, Trial

MAIN = agree("values", 1)


def trial(expected: Any, observed: Any, kind: str = "ordinary") -> Trial:
    return Trial(
        Case("a case", {}, kind),
        Observation("ok", {"result": expected}),
        observed if isinstance(observed, Observation) else Observation("ok", {"result": observed}),
    )


def said(expected: Any, observed: Any, criterion: Criterion = MAIN) -> str:
    """The finding as one text, empty if the criterion holds."""
    finding = criterion.find([trial(expected, observed)])
    return f"{finding.seen} {finding.expected} {finding.cause}".strip() if finding else ""


x = torch.linspace(-2, 3, 12).reshape(3, 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_rounding_is_forgiven_and_more_is_not(dtype: torch.dtype) -> None:
    want = x.to(dtype)
    rounding = 4 * torch.finfo(dtype).eps
    assert not said(want, want * (1 + rounding))
    assert not said(want, want + rounding)
    assert said(want, want * 1.2)
    assert said(want, want + 0.2)


def test_float64_is_compared_as_float64() -> None:
    assert said(x.double(), x.double() + 1e-6)
    assert not said(x, x + 1e-6)


def test_small_numbers_beside_large_ones_are_compared_with_the_large_ones_rounding() -> None:
    want = torch.tensor([1e4, 1e-6])
    assert not said(want, torch.tensor([1e4, 2e-6]))
    assert said(torch.tensor([1e-2, 1e-6]), torch.tensor([1e-2, 2e-6]))


def test_whole_numbers_and_truth_values_are_exact() -> None:
    assert not said(3, 3)
    assert "is 3. Expected 4." in said(4, 3)
    assert said(10**6, 10**6 + 1)
    assert said(torch.tensor([1, 2]), torch.tensor([1, 3]))
    assert said(True, False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_never_equal_a_number(value: float) -> None:
    assert said(1.0, value)
    assert "12 numbers are NaN or infinite" in said(x, torch.full_like(x, value))
    assert said(torch.tensor([math.nan]), torch.tensor([math.nan])), "not even NaN itself"


def test_an_expected_infinity_is_matched_by_that_infinity_only() -> None:
    want = torch.tensor([math.inf, 1.0])
    assert not said(want, want.clone())
    assert said(want, -want)
    assert said(want, torch.tensor([1e30, 1.0]))


@pytest.mark.parametrize(
    ("expected", "observed", "words"),
    [
        (x, None, "is None. Expected a torch.Tensor. Is a `return` missing?"),
        (x, x[:, :3], "has shape (3, 3). Expected (3, 4)."),
        (x, x.double(), "is float64. Expected float32."),
        (x, x.tolist(), "is a list of 3. Expected a torch.Tensor."),
        (
            x,
            Foreign("a numpy array", "Convert it."),
            "is a numpy array. Expected a torch.Tensor. Convert it.",
        ),
        (1.5, torch.tensor(1.5), "is a tensor of shape (). Expected a float. `.item()`"),
        (1.5, 1, "is 1, an int. Expected a float."),
        (2, 2.0, "is 2, a float. Expected an int. A division"),
        (2, True, "is True, a bool. Expected an int."),
        (2, "2", "is '2', a text. Expected an int."),
        (x, torch.zeros(3, 4), "Every number is 0."),
        (x, torch.full((3, 4), 0.5), "Every number is 0.5; they should differ."),
        (x, 3 * x, "Every number is 3 times"),
        (x, x + 2, "Every number is off by 2"),
        (x, x.flip(0), "the right numbers in another order"),
        (x, x.cos(), "0 of 12 numbers agree."),
        (x / torch.zeros(4), x, "result[0, 0] is "),
        (x, x.clone().index_fill(0, torch.tensor(1), 7.0), "result[1, 0] is 7. Expected -0.1818. 8 of 12"),
        ((x, 1), (x, 2), "result[1] is 2. Expected 1."),
        ((x, 1), (x,), "has 1 parts. Expected 2."),
        ((x, 1), x, "is a tensor of shape (3, 4). Expected a tuple."),
        ((x, 1), (x[0], 1), "result[0] has shape (4,). Expected (3, 4)."),
        (1.0, 1.0005, "is 1.0005. Expected 1."),
    ],
)
def test_what_is_said(expected: Any, observed: Any, words: str) -> None:
    assert words in said(expected, observed)


def test_a_list_may_stand_for_a_tuple() -> None:
    assert not said((x, 1), [x.clone(), 1])


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (Observation("timeout"), "still running"),
        (Observation("skipped"), "still running"),
        (Observation("stub"), "not written yet"),
        (Observation("ok"), "result is missing"),
        (
            Observation("error", {}, Fault("KeyError", "'k'", "f, line 3: `x['k']`")),
            "raised KeyError: 'k'. It happened in f, line 3",
        ),
        (Observation("error", {}, Fault("NameError", "name 'k' is not defined")), "Is it spelt right?"),
        (Observation("error", {}, Fault("SystemExit", "")), "raised SystemExit."),
        (
            Observation("error", {}, Fault("NotImplementedError", "'xor' not implemented for 'Float'")),
            "written `**`",
        ),
    ],
)
def test_why_an_output_is_missing(observation: Observation, words: str) -> None:
    assert words in said(x, observation)


def test_only_the_named_outputs_of_the_named_kind_are_looked_at() -> None:
    wrong = trial(1, 2, kind="other")
    assert agree("values", 1).find([wrong]) is None
    assert edge("other", 1).find([wrong]) is not None
    assert agree("values", 1, kind="other", outputs="loss").find([wrong]) is None


def test_a_ladder_puts_gates_before_edges_before_side_effects() -> None:
    criteria = ladder(2, edge("ties", 0.5), unchanged=0.5)
    assert [criterion.name for criterion in criteria][:5] == ["type", "shape", "dtype", "values", "ties"]
    assert [criterion.gate for criterion in criteria] == [True] * 4 + [False] * 2
    assert [criterion.points for criterion in criteria] == [0, 0, 0, 2, 0.5, 0.5]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (x, x + 1e-7, True),
        (x, x.double(), False),
        (x, x[:2], False),
        (x * math.nan, x * math.nan, True),
        (math.nan, math.nan, True),
        (1, 1, True),
        (1, True, False),
        ([x, 1], [x, 1], True),
        ([x], [x, 1], False),
        (Foreign("a dict"), Foreign("a dict"), True),
        (Foreign("a dict"), Foreign("a set"), False),
    ],
)
def test_observations_that_one_implementation_could_have_left(one: Any, other: Any, alike: bool) -> None:
    assert same(Observation("ok", {"result": one}), Observation("ok", {"result": other})) is alike


def test_observations_differ_by_status_outputs_and_type_of_error() -> None:
    failed = Observation("error", {}, Fault("ValueError", "one"))
    assert same(failed, Observation("error", {}, Fault("ValueError", "another")))
    assert not same(failed, Observation("error", {}, Fault("TypeError", "one")))
    assert not same(failed, Observation("timeout"))
    assert not same(Observation("ok", {"a": 1}), Observation("ok", {"b": 1}))
