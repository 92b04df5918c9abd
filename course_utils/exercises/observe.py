"""Running an answer on a case, and reducing what comes back to plain data of exact types.

answer   what a student wrote: anything at all
value    torch.Tensor, int, float, bool, str, None, or tuples and lists of them; anything else becomes words
"""

import linecache
import re
import sysconfig
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.exercises.guard import OutOfTime, Shared, Unwind, quiet, sees_interrupts, within
from course_utils.exercises.spec import (
    Answer,
    Case,
    Exercise,
    Fault,
    Foreign,
    Observation,
    Status,
    ToyModel,
    ToyOptimizer,
    Value,
)
from course_utils.exercises.toys import materialise

MAX_NUMBERS = 20_000_000
MAX_ITEMS = 1_000
MAX_DEPTH = 3
MAX_WORDS = 300
MIN_SECONDS = 0.1  # the last case of a slow check gets at least this long

LIBRARIES = (
    str(Path(__file__).parents[1]),  # this package
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(torch.__file__).parent),
    "<frozen",
)

# Bound here, so that an answer that replaces a method of torch.Tensor does not decide what is seen of it.
_detach, _clone, _to_numpy = Tensor.detach, Tensor.clone, Tensor.numpy
type_name, _type_bases = type.__dict__["__name__"].__get__, type.__dict__["__mro__"].__get__
_type_module = type.__dict__["__module__"].__get__


@dataclass(frozen=True)
class Limits:
    """What an answer may use: seconds for all cases together, and characters kept of what it prints."""

    seconds: float | None
    characters: int = 2_000


NOTEBOOK = Limits(seconds=5.0)
UNLIMITED = Limits(seconds=None)


def observe(exercise: Exercise, answer: Answer, case: Case, limits: Limits = UNLIMITED) -> Observation:
    """What `answer` does on fresh copies of the case's inputs; raises nothing but the user's interrupt."""
    fresh = materialise(case)
    values: dict[str, Value] = {}
    before = Shared.read()
    with quiet(limits.characters) as printed:
        try:
            status, fault = within(limits.seconds, lambda: _attempt(exercise, answer, fresh, values))
        except OutOfTime:
            status, fault = "timeout", None
    changed = before.changes(Shared.read())
    before.restore()
    return Observation(
        status,
        values,
        fault,
        printed.beginning(),
        printed.count,
        tuple(_changed_inputs(exercise, case, fresh)) + changed,
    )


def observe_all(
    exercise: Exercise, answer: Answer, cases: Sequence[Case], limits: Limits = UNLIMITED
) -> list[Observation]:
    """An observation of each case. The time is for all of them; after a timeout the rest is skipped."""
    observations: list[Observation] = []
    started = time.monotonic()
    for case in cases:
        if any(seen.status == "timeout" for seen in observations):
            observations.append(Observation("skipped"))
            continue
        left = limits.seconds and max(limits.seconds - (time.monotonic() - started), MIN_SECONDS)
        observations.append(observe(exercise, answer, case, replace(limits, seconds=left)))
    return observations


def _attempt(
    exercise: Exercise, answer: Answer, case: Case, values: dict[str, Value]
) -> tuple[Status, Fault | None]:
    try:
        for name, value in exercise.probe(answer, case):
            if not values and (value is None or value is Ellipsis):
                return "stub", None
            values[name] = admit(value)
    except Unwind:
        raise
    except NotImplementedError as error:  # torch raises it too, e.g. for `^` on floats
        return "error" if "not implemented for" in str(error) else "stub", describe(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not sees_interrupts():
            raise
        return "error", describe(error)
    return "ok", None


def describe(error: BaseException) -> Fault:
    """The exception in words that do not change from run to run."""
    try:
        message = str(error)
    except Exception:  # an exception class may be the student's own, and broken
        message = "(its message cannot be shown)"
    message = re.sub(r"0x[0-9a-fA-F]+", "0x…", " ".join(message.split()))
    return Fault(type_name(type(error)), shortened(message, MAX_WORDS), _where(error))


def shortened(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _where(error: BaseException) -> str:
    """The innermost line that is neither Python's, nor a library's, nor this package's: the student's own."""
    lines = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_own(frame.f_code)
    ]
    if not lines:
        return ""
    code, line = lines[-1]
    source = linecache.getline(code.co_filename, line).strip()
    return f"{code.co_name}, line {line}" + (f": `{shortened(source, 100)}`" if source else "")


def _is_own(code: CodeType) -> bool:
    return not code.co_filename.startswith(LIBRARIES)


def admit(value: Any, depth: int = 0) -> Value:
    """The value as plain data of an exact type, or its description; none of its own code runs.

    A numpy.float64 is a Python float already (by inheritance) and counts as one; other numpy values do not.
    """
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is np.float64:
        return float(value)
    if kind is int and value.bit_length() < 64:
        return value
    if kind is str:
        return shortened(value, MAX_WORDS)
    if kind is Tensor or kind is nn.Parameter:
        return _admit_tensor(value)
    if (kind is list or kind is tuple) and len(value) <= MAX_ITEMS and depth < MAX_DEPTH:
        items = [admit(item, depth + 1) for item in value]
        return items if kind is list else tuple(items)
    return _foreign(kind)


def _admit_tensor(x: Tensor) -> Value:
    if x.device.type != "cpu":
        return Foreign(
            f"a tensor on {x.device}", "Stay on the device of the inputs: they are on the CPU here."
        )
    if x.layout != torch.strided or x.is_quantized or x.is_nested:
        return Foreign("a tensor that is sparse, quantized or nested", "Return an ordinary dense tensor.")
    if x.numel() > MAX_NUMBERS:
        return Foreign(
            f"a tensor of {x.numel():,} numbers", "Look at its shape: something was repeated far too often."
        )
    return _clone(_detach(x).resolve_conj().resolve_neg(), memory_format=torch.contiguous_format)


def _foreign(kind: type) -> Foreign:
    name, module = type_name(kind), _type_module(kind)
    if any(base is Tensor for base in _type_bases(kind)):
        return Foreign(f"a {name}, a class derived from torch.Tensor", "Return a plain tensor.")
    if kind is np.ndarray:
        return Foreign("a numpy array", "Convert it: torch.from_numpy(...) to a tensor, .item() to a number.")
    if isinstance(module, str) and module.partition(".")[0] == "numpy":
        return Foreign(f"a numpy.{name}", "Convert it: int(...) or float(...).")
    advice = {
        "generator": "A function with `yield` in it gives back a generator; use `return`.",
        "function": "It is a function itself: were the brackets of a call left out?",
        "method": "It is a method itself: were the brackets of a call left out?",
        "builtin_function_or_method": "It is a method itself: were the brackets of a call left out?",
        "int": "It has more than 64 bits.",
    }.get(name, "")
    return Foreign(f"{'an' if name[:1] in 'aeiou' else 'a'} {shortened(name, 60)}", advice)


def _changed_inputs(exercise: Exercise, case: Case, fresh: Case) -> list[str]:
    """The inputs that are no longer what the case says, in words. A model's mode is never meant to change."""
    pairs = [(name, given, fresh.inputs[name]) for name, given in case.inputs.items()]
    modes = [
        f"the training mode of {name}"
        for name, given, now in pairs
        if isinstance(given, ToyModel) and vars(now).get("training") is not True
    ]
    return modes + [
        f"the input {name}"
        for name, given, now in pairs
        if name not in exercise.may_change and _is_changed(given, now)
    ]


def _is_changed(given: Any, now: Any) -> bool:
    try:
        return not _is_unchanged(given, now)
    except (AttributeError, TypeError):  # an answer may take a model apart
        return True


def _is_unchanged(given: Any, now: Any) -> bool:
    if isinstance(given, ToyModel):
        parameters = dict(nn.Module.named_parameters(now))
        weights = {name: p.detach() for name, p in parameters.items() if p.requires_grad}
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        return _same_tensors(given.weights, weights) and _same_tensors(given.gradients, gradients)
    if isinstance(given, Tensor):
        return _bits(given) == _bits(now)
    if isinstance(given, list | tuple):
        return len(given) == len(now) and all(map(_is_unchanged, given, now))
    return isinstance(given, ToyOptimizer) or given == now


def _same_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(_bits(one[name]) == _bits(other[name]) for name in one)


def _bits(x: Tensor) -> tuple[object, ...]:
    plain = admit(x)
    if not isinstance(plain, Tensor):
        return (plain,)
    return plain.shape, plain.dtype, x.requires_grad, _to_numpy(plain).tobytes()
