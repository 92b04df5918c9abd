"""Comparing an expected with an observed value, stage by stage, and saying in words how they differ.

    type     torch.Tensor, int, float, bool, None, a tuple or list of them
    shape    of a tensor; the length of a tuple
    dtype    of a tensor
    values   within the tolerance of the dtype, relative to the expected number and to the largest of them

Tensors are compared in float64, by numpy, whose arrays an answer cannot redefine.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy import abs as absolute
from numpy import allclose, asarray, inf, isfinite, isnan, nan_to_num, ptp, sort, unravel_index, where
from torch import Tensor

from course_utils.exercises.spec import Finding, Foreign, Observation, Value

# (relative to the number, relative to the largest number, absolute)
TOLERANCES = {
    torch.float64: (1e-9, 1e-10, 1e-14),
    torch.float32: (1e-4, 1e-5, 1e-7),
    torch.float16: (1e-2, 1e-2, 1e-4),
    torch.bfloat16: (3e-2, 3e-2, 1e-3),
}
# Bound here, like the functions above: an answer may replace what it likes in torch and numpy.
_to = Tensor.to

Stage = Callable[[str, Value, Value], Finding | None]


def first(findings: Iterable[Finding | None]) -> Finding | None:
    """The first that is one."""
    return next(filter(None, findings), None)


def same(one: Observation, other: Observation, dtypes: bool = True) -> bool:
    """Whether one implementation could have left both: same outcome, same outputs up to rounding.

    Args:
        dtypes: whether these have to be equal, too.
    """
    if one.status != other.status or one.values.keys() != other.values.keys():
        return False
    if one.fault and other.fault and one.fault.kind != other.fault.kind:
        return False
    return all(_same_value(value, other.values[name], dtypes) for name, value in one.values.items())


def _same_value(one: Value, other: Value, dtypes: bool) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(
            _same_value(a, b, dtypes) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.shape == other.shape and (one.dtype == other.dtype or not dtypes)
        coarser = max(one.dtype, other.dtype, key=lambda dtype: TOLERANCES.get(dtype, (0.0,)))
        return alike and bool(_close(_float64(one), _float64(other), coarser, nan_is_equal=True).all())
    if isinstance(one, float) and isinstance(other, float):
        return bool(_close(asarray(one), asarray(other), torch.float32, nan_is_equal=True).all())
    return one == other


def _type(name: str, want: Value, got: Value) -> Finding | None:
    if isinstance(want, list | tuple):
        if isinstance(got, list | tuple):
            return _first_of_parts(_type, name, want, got)
    elif type(got) is type(want):
        return None
    advice = got.advice if isinstance(got, Foreign) else CONVERSIONS.get((_kind(want), _kind(got)), "")
    return Finding(
        "",
        f"{sentence(name)} is {in_words(got)}.",
        f"Expected {_a_kind(want)}.",
        advice if got is not None else "Is a `return` missing?",
        about="all" if got is None else "kind",
    )


CONVERSIONS = {
    ("float", "tensor"): "`.item()` turns a tensor of one number into a Python float.",
    ("int", "tensor"): "`.item()` turns a tensor of one number into a Python number.",
    ("int", "float"): "A division with `/` makes a float even where the result is whole.",
    ("float", "int"): "`float(...)` converts it.",
}


def _shape(name: str, want: Value, got: Value) -> Finding | None:
    if isinstance(want, list | tuple) and isinstance(got, list | tuple):
        if len(got) != len(want):
            words = f"{sentence(name)} has {len(got)} parts.", f"Expected {len(want)}."
            return Finding("", *words, about="kind")
        return _first_of_parts(_shape, name, want, got)
    if isinstance(want, Tensor) and isinstance(got, Tensor) and got.shape != want.shape:
        words = f"{sentence(name)} has shape {_sizes(got)}.", f"Expected {_sizes(want)}."
        return Finding("", *words, about="kind")
    return None


def _dtype(name: str, want: Value, got: Value) -> Finding | None:
    if isinstance(want, list | tuple) and isinstance(got, list | tuple):
        return _first_of_parts(_dtype, name, want, got)
    if isinstance(want, Tensor) and isinstance(got, Tensor) and got.dtype != want.dtype:
        return Finding("", f"{sentence(name)} is {_dtype_name(got)}.", f"Expected {_dtype_name(want)}.")
    return None


def _values(name: str, want: Value, got: Value) -> Finding | None:
    if isinstance(want, list | tuple) and isinstance(got, list | tuple):
        return _first_of_parts(_values, name, want, got)
    if isinstance(want, Tensor) and isinstance(got, Tensor):
        return _tensor_values(name, want, got)
    if isinstance(want, float) and isinstance(got, float):
        if _close(asarray(want), asarray(got), torch.float32).all():
            return None
        seen, expected = _distinct(want, got)
    elif want == got:
        return None
    else:
        seen, expected = str(got), str(want)
    return Finding("", f"{sentence(name)} is {seen}.", f"Expected {expected}.")


STAGES: tuple[Stage, ...] = (_type, _shape, _dtype, _values)
TYPE = STAGES[:1]


def _first_of_parts(stage: Stage, name: str, want: Sequence[Value], got: Sequence[Value]) -> Finding | None:
    return first(stage(f"{name}[{i}]", w, g) for i, (w, g) in enumerate(zip(want, got, strict=False)))


def _tensor_values(name: str, want: Tensor, got: Tensor) -> Finding | None:
    wanted, gotten = _float64(want), _float64(got)
    agrees = _close(wanted, gotten, want.dtype)
    if agrees.all():
        return None
    off = where(agrees, -1.0, absolute(nan_to_num(gotten, nan=inf) - wanted))
    place = unravel_index(int(off.argmax()), off.shape)
    label = f"{name}[{', '.join(map(str, place))}]" if place else name
    seen, expected = _distinct(float(wanted[place]), float(gotten[place]))
    expected = f"Expected {expected}." + (_share(agrees) if place else "")
    return Finding("", f"{sentence(label)} is {seen}.", expected, _pattern(wanted, gotten))


def _share(agrees: np.ndarray) -> str:
    count = int(agrees.sum())
    return f" {count} of {agrees.size} numbers {'agrees' if count == 1 else 'agree'}."


def _pattern(want: np.ndarray, got: np.ndarray) -> str:
    """What the wrong numbers have in common, as a sentence, or nothing."""
    if not isfinite(got).all():
        return (
            f"{int((~isfinite(got)).sum())} of {got.size} numbers are NaN or infinite: a division by 0, a "
            "logarithm of 0, the root of a negative number, or memory that nothing was written to."
        )
    if got.size < 3 or not isfinite(want).all() or ptp(want) == 0:
        return ""
    if not got.any():
        return "Every number is 0."
    if ptp(got) == 0:
        return f"Every number is {_short(float(got.flat[0]))}; they should differ."
    factor = float((got * want).sum() / (want * want).sum())
    if (
        factor
        and abs(factor - 1) > 1e-3
        and allclose(got, factor * want, rtol=1e-3, atol=1e-3 * absolute(got).max())
    ):
        return f"Every number is {_short(factor)} times what it should be: a factor is missing or too many."
    offset = float((got - want).mean())
    if allclose(got, want + offset, rtol=1e-3, atol=1e-3 * absolute(want).max()):
        return f"Every number is off by {_short(offset)}: a term is missing or too many."
    if allclose(sort(got.ravel()), sort(want.ravel()), rtol=1e-4):
        return "These are the right numbers in another order."
    return ""


def _close(want: np.ndarray, got: np.ndarray, dtype: torch.dtype, nan_is_equal: bool = False) -> np.ndarray:
    """Where numbers agree. NaN agrees with nothing, an infinity only with itself (float64 arrays)."""
    relative, to_largest, fixed = TOLERANCES.get(dtype, (0.0, 0.0, 0.0))
    finite = isfinite(want)
    largest = absolute(want[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        near = absolute(got - want) <= relative * absolute(want) + to_largest * largest + fixed
    agrees = where(finite & isfinite(got), near, got == want)
    return agrees | (isnan(want) & isnan(got)) if nan_is_equal else agrees


def _float64(x: Tensor) -> np.ndarray:
    return _to(x, torch.complex128 if x.is_complex() else torch.float64).numpy()


def in_words(value: Value) -> str:
    """A value that is not what was expected, for a sentence that begins with its name."""
    if value is None:
        return "None"
    if isinstance(value, Foreign):
        return value.words
    if isinstance(value, Tensor):
        return f"a tensor of shape {_sizes(value)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{_short(value) if isinstance(value, float) else repr(value)}, {_a_kind(value)}"


def _kind(value: Value) -> str:
    return "tensor" if isinstance(value, Tensor) else type(value).__name__


def _a_kind(value: Value) -> str:
    kind = {"tensor": "torch.Tensor", "str": "text"}.get(_kind(value), _kind(value))
    return f"an {kind}" if kind == "int" else f"a {kind}"


def sentence(name: str) -> str:
    """The beginning of a sentence about an output."""
    return f"Your {name}"


def _sizes(x: Tensor) -> str:
    return str(tuple(x.shape))


def _dtype_name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _short(number: float) -> str:
    return f"{number:.4g}"


def _distinct(want: float, got: float) -> tuple[str, str]:
    """Seen and expected with as few digits as tell them apart."""
    for digits in (4, 6, 9):
        texts = f"{got:.{digits}g}", f"{want:.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return repr(got), repr(want)
