"""Criteria: what has to hold, in which order, and what is said where it does not.

    stage   a comparison of compare.py: type, shape, dtype, values, in this order
    kind    the group of cases that a criterion looks at
    gate    a criterion that ends the ladder where it fails

Gates are why nothing that comes later is a gift: a wrong answer earns nothing for having the right shape.
"""

from collections.abc import Sequence
from dataclasses import replace

from course_utils.exercises.compare import STAGES, TYPE, Stage, first, sentence
from course_utils.exercises.spec import ORDINARY, Criterion, Finding, Trial

FLOAT64 = "float64 in, float64 out"
SAME_DTYPE = "A result keeps the dtype of its inputs: look for a tensor created on the way, or a conversion."


def ladder(
    points: float, *edges: Criterion, unchanged: float = 0.0, tensors: bool = True, advice: str = ""
) -> tuple[Criterion, ...]:
    """The usual criteria of a function: gates on ordinary cases, groups of edge cases, side effects.

    Args:
        points: for the values.
        edges: see `edge`.
        unchanged: points for leaving inputs and global state alone; 0 leaves this criterion out.
        tensors: the result has a shape and a dtype.
        advice: where to look if the values are wrong.
    """
    of_tensors = (
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
    )
    return (
        agree("type", 0, stages=TYPE, gate=True),
        *(of_tensors if tensors else ()),
        agree("values", points, gate=True, advice=advice),
        *edges,
        *((leaves_alone(unchanged),) if unchanged else ()),
    )


def edge(kind: str, points: float, advice: str = "") -> Criterion:
    """The cases of a group of edge cases agree in everything."""
    return agree(kind, points, kind=kind, advice=advice)


def agree(
    name: str,
    points: float,
    *,
    kind: str = ORDINARY,
    outputs: str = "",
    stages: Sequence[Stage] = (),
    gate: bool = False,
    advice: str = "",
) -> Criterion:
    """Expected and observed agree in every case of a kind.

    Args:
        outputs: only those whose name starts so.
        stages: a beginning of STAGES; none given: all of them.
    """

    def find(trials: Sequence[Trial]) -> Finding | None:
        return first(_disagreement(t, outputs, stages or STAGES) for t in trials if t.case.kind == kind)

    return Criterion(name, points, find, gate, advice)


def leaves_alone(points: float) -> Criterion:
    """Inputs and global state are what they were."""

    def find(trials: Sequence[Trial]) -> Finding | None:
        for trial in trials:
            if trial.observed.changed:
                return Finding(
                    trial.case.name,
                    f"Your code changed {_listed(trial.observed.changed)}.",
                    "It should be as it was before the call.",
                    "Whoever calls your function goes on using it. Look for assignments in place "
                    "(`x -= ...`, `x[...] = ...`), methods that end in `_`, seeds, and eval().",
                )
        return None

    return Criterion("leaves inputs and global state alone", points, find)


def runs(advice: str) -> Criterion:
    """Ordinary cases end with a result: a gate, for what to say about exceptions.

    Args:
        advice: where to look.
    """

    def find(trials: Sequence[Trial]) -> Finding | None:
        ordinary = (trial for trial in trials if trial.case.kind == ORDINARY)
        return first(interrupted(trial, "result") for trial in ordinary if not trial.observed.values)

    return Criterion("runs", 0.0, find, gate=True, advice=advice)


def draws_nothing(gate: bool = False) -> Criterion:
    """An answer takes the randomness that it is given, and adds none."""

    def find(trials: Sequence[Trial]) -> Finding | None:
        for trial in trials:
            if any("random state" in words for words in trial.observed.changed):
                return Finding(
                    trial.case.name,
                    "Your code draws random numbers of its own, or sets a seed.",
                    "Expected a result that depends on the arguments alone.",
                    "All randomness comes in as an argument, so that a call can be repeated and compared. "
                    "Look for functions that draw, like randn_like, and for seeds.",
                    about="all",
                )
        return None

    return Criterion("draws nothing", 0.0, find, gate)


def _disagreement(trial: Trial, outputs: str, stages: Sequence[Stage]) -> Finding | None:
    observed = trial.observed
    for name, expected in trial.expected.values.items():
        if not name.startswith(outputs):
            continue
        if name not in observed.values:
            return interrupted(trial, name)
        for stage in stages:
            finding = stage(name, expected, observed.values[name])
            if finding:
                return replace(finding, case=trial.case.name)
    return None


def interrupted(trial: Trial, name: str) -> Finding:
    """Why an output is missing."""
    seen, fault = trial.observed, trial.observed.fault
    if seen.status in ("timeout", "skipped"):
        return Finding(
            trial.case.name,
            "Your code was still running when the time for this check was up, and was stopped.",
            cause="A right answer takes well under a second. Look for a loop that never ends.",
            about="all",
        )
    if seen.status == "stub":
        words = f"{sentence(name)} is not written yet: it raises NotImplementedError."
        return Finding(trial.case.name, words, about="all")
    if fault is None:
        return Finding(trial.case.name, f"{sentence(name)} is missing.")
    place = f" It happened in {fault.where}." if fault.where else ""
    message = f": {fault.message.rstrip('.')}" if fault.message else ""
    words = f"Your code raised {fault.kind}{message}.{place}"
    if fault.kind == "TypeError" and not fault.where:
        return Finding(trial.case.name, words, about="call")
    cause = next((words for sign, words in FAULTS.items() if sign == fault.kind or sign in fault.message), "")
    return Finding(trial.case.name, words, cause=cause, about="all" if cause else "value")


FAULTS = {  # by type, or by words of the message
    "NameError": "Is it spelt right? If so, run the cell that defines or imports it.",
    "UnboundLocalError": "A variable is read before it is given a value on every path.",
    "ModuleNotFoundError": "The exercise needs nothing that the chapter's setup cell does not import.",
    "RecursionError": "A function calls itself without an end.",
    "MemoryError": "It would be far larger than the inputs. Print the shapes on the way.",
    "can't allocate memory": "It would be far larger than the inputs. Print the shapes on the way.",
    "SystemExit": "An answer returns its result; it does not end Python.",
    "not implemented for": "torch has no such operation for these numbers. A power is written `**`, not `^`.",
    "Boolean value of Tensor": "`if`, `and`, `min` and `max` want one number each. For tensors there are "
    "torch.where, torch.minimum, torch.maximum and clamp.",
    "only one element tensors": "The functions of math take one number; torch has the same ones for tensors.",
    "should be between 0 and 1": "binary_cross_entropy takes probabilities. Are these logits?",
    "does not require grad": "The weights do not reach the loss: no_grad(), detach(), .item() or numpy?",
    "is invalid for input of size": "Is a size written as a number that should come from the tensor's shape?",
    "shapes cannot be multiplied": "Print both shapes just before this line.",
    "Module.__init__() call": "The first line of __init__ is super().__init__().",
}


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
