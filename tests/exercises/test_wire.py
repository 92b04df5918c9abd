"""Cases and observations survive the way through bytes; damaged bytes raise ValueError and nothing else."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_utils.exercises import catalogue
from course_utils.exercises.engine import draw_cases
from course_utils.exercises.judge import judge
from course_utils.exercises.observe import observe_all
from course_utils.exercises.spec import Case, Exercise, Fault, Foreign, Observation, ToyModel, ToyOptimizer
from course_utils.exercises.wire import from_bytes, to_bytes

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
tensors = st.builds(
    lambda shape, dtype: (torch.arange(torch.Size(shape).numel()) - 3).reshape(shape).to(dtype),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(DTYPES),
)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=9) | tensors
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=8
)


def same(one: Any, other: Any) -> bool:
    """Equal, of equal type, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and one.tolist() == other.tolist()
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Case | Observation | ToyModel | ToyOptimizer | Foreign | Fault):
        return same(vars(one), vars(other))
    return one == other or (one != one and other != other)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=9), values, max_size=4))
def test_observations_come_back_as_they_were(observed: dict[str, Any]) -> None:
    observation = Observation("ok", observed, printed="é\n", printed_characters=2, changed=("the input x",))
    assert same(from_bytes(to_bytes(observation), Observation), observation)


def test_every_kind_of_record_comes_back_as_it_was() -> None:
    model = ToyModel("tiny_autoencoder", {"w": torch.ones(2, 3).T}, {"height": 2}, {"w": torch.zeros(3, 2)})
    case = Case(
        "words", {"model": model, "optimizer": ToyOptimizer("sgd", 0.1), "x": torch.ones(1).expand(3)}
    )
    failed = Observation(
        "error", {"result": Foreign("a dict", "advice")}, Fault("ValueError", "no", "f, line 2")
    )
    assert same(from_bytes(to_bytes(case), Case), case)
    assert same(from_bytes(to_bytes(failed), Observation), failed)


@pytest.mark.parametrize("exercise", catalogue(), ids=lambda exercise: exercise.id)
def test_verdicts_do_not_depend_on_the_way_through_bytes(exercise: Exercise) -> None:
    """Cases travel to where the answer is, observations travel back: once with a right and once with a wrong
    answer."""
    cases = draw_cases(exercise, 5)
    travelled = [from_bytes(to_bytes(case), Case) for case in cases]
    for answer in (exercise.load_reference(), exercise.misconceptions[0].answer):
        seen = [to_bytes(observation) for observation in observe_all(exercise, answer, travelled)]
        observations = [from_bytes(data, Observation) for data in seen]
        assert judge(exercise, cases, observations, 5) == judge(
            exercise, cases, observe_all(exercise, answer, cases), 5
        )


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, lambda: 0, 1j, torch.ones(1).numpy()],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_only_plain_data_is_written(value: object) -> None:
    with pytest.raises(TypeError, match="plain data only"):
        to_bytes(Case("words", {"x": value}))


def framed(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + to_bytes(Observation("ok"))[-10:]


DAMAGED = {
    "empty": b"",
    "cut": to_bytes(Observation("ok", {"result": torch.ones(9)}))[:-5],
    "a length beyond the end": b"\xff" * 40,
    "no JSON": framed(b"{"),
    "not text": framed(b"\xff\xfe"),
    "a plain number": framed(3),
    "a record of another kind": to_bytes(Case("words", {})),
    "an unknown tag": framed(["Exercise", ["dict", []]]),
    "an unhashable tag": framed([["dict"], []]),
    "a missing tensor": framed(["Observation", ["dict", [["values", ["dict", [["x", ["tensor", "7"]]]]]]]]),
    "a field too many": framed(["Observation", ["dict", [["status", "ok"], ["score", 3]]]]),
    "an unknown status": framed(["Observation", ["dict", [["status", "passed"]]]]),
    "values that are none": framed(["Observation", ["dict", [["status", "ok"], ["values", 3]]]]),
    "a record for a value": framed(
        [
            "Observation",
            ["dict", [["status", "ok"], ["values", ["dict", [["x", ["ToyOptimizer", ["dict", []]]]]]]]],
        ]
    ),
    "a fault without words": framed(["Fault", ["dict", [["kind", 3], ["message", 4]]]]),
    "raw JSON objects": framed({"status": "ok"}),
    "deep": framed(b'["list", [' * 50_000),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_bytes_raise_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="from_bytes"):
        from_bytes(data, Observation)


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_bytes_with_noise_in_them_raise_value_error_or_give_a_record(noise: bytes, start: int) -> None:
    data = bytearray(to_bytes(Observation("ok", {"result": torch.ones(3)}, printed="words")))
    data[start : start + len(noise)] = noise
    try:
        assert isinstance(from_bytes(bytes(data), Observation), Observation)
    except ValueError as error:
        assert "from_bytes" in str(error)
