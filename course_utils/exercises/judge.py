"""From observations to a verdict. No answer is touched here: the process may be one that never saw any.

ladder   the criteria in order; what comes after a failed gate is not reached and earns nothing
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from course_utils.exercises.compare import same
from course_utils.exercises.observe import observe, observe_all, shortened, type_name
from course_utils.exercises.spec import (
    Case,
    Criterion,
    CriterionResult,
    Exercise,
    Finding,
    Misconception,
    Observation,
    Trial,
    Verdict,
)

RIGHT = "Every criterion holds."
STUB = "Not attempted yet. Write the body, run its cell, then run this one again."
NOTHING_BACK = "Not attempted yet, or a `return` is missing: None came back."
PRINTED_LINES = 3
MAX_LINE = 800  # what a student's code raised or gave back can be long


@dataclass(frozen=True)
class Rung:
    """A criterion and how it went; `held` is None where it was not reached."""

    criterion: Criterion
    held: bool | None
    finding: Finding | None = None


def judge(
    exercise: Exercise,
    cases: Sequence[Case],
    observations: Sequence[Observation],
    seed: int,
    expected: Sequence[Observation] = (),
) -> Verdict:
    """The verdict on what an answer was observed to do.

    Args:
        cases: those that the seed draws.
        observations: one of each case.
        seed: for the record.
        expected: what the reference does, where that is known already.
    """
    if len(observations) != len(cases):
        raise ValueError(f"judge: {len(cases)} cases need as many observations, got {len(observations)}.")
    if all(seen.status in ("stub", "skipped") for seen in observations):
        return _not_attempted(exercise, observations, seed)
    trials = _trials(cases, expected or observe_all(exercise, exercise.load_reference(), cases), observations)
    rungs = climb(exercise, trials)
    for accepted in exercise.accepts:
        if score(rungs) < exercise.points:
            others = climb(exercise, _trials(cases, observe_all(exercise, accepted, cases), observations))
            rungs = max(rungs, others, key=score)
    mistake = None if score(rungs) == exercise.points else recognise(exercise, trials)
    message = _message(exercise, rungs, mistake, observations)
    return _verdict(exercise, rungs, seed, message, mistake.name if mistake else None)


def climb(exercise: Exercise, trials: Sequence[Trial]) -> list[Rung]:
    """Every criterion in order, until a gate fails."""
    rungs: list[Rung] = []
    for criterion in exercise.criteria:
        if any(rung.held is not True and rung.criterion.gate for rung in rungs):
            rungs.append(Rung(criterion, None))
        else:
            finding = criterion.find(trials)
            rungs.append(Rung(criterion, finding is None, finding))
    return rungs


def score(rungs: Sequence[Rung]) -> float:
    """The points of the criteria that hold."""
    return float(sum(rung.criterion.points for rung in rungs if rung.held))


def recognise(exercise: Exercise, trials: Sequence[Trial]) -> Misconception | None:
    """The first misconception that would have left the same to see in every case.

    Else the first that would have, dtypes apart, and is not about dtypes itself: a wrong formula may well
    come with a right conversion.
    """
    telling_first = sorted(trials, key=lambda trial: same(trial.expected, trial.observed))

    @cache
    def guesses(mistake: int, trial: int) -> Observation:
        return observe(exercise, exercise.misconceptions[mistake].answer, telling_first[trial].case)

    def explains(mistake: int, dtypes: bool) -> bool:
        return all(
            same(guesses(mistake, i), trial.observed, dtypes)
            and set(guesses(mistake, i).changed) <= set(trial.observed.changed)
            for i, trial in enumerate(telling_first)
        )

    def is_about_dtypes(mistake: int) -> bool:
        return all(
            same(guesses(mistake, i), trial.expected, dtypes=False) for i, trial in enumerate(telling_first)
        )

    numbers = range(len(exercise.misconceptions))
    exact = (i for i in numbers if explains(i, dtypes=True))
    loose = (i for i in numbers if explains(i, dtypes=False) and not is_about_dtypes(i))
    found = next(chain(exact, loose), None)
    return None if found is None else exercise.misconceptions[found]


def _trials(
    cases: Sequence[Case], expected: Sequence[Observation], observed: Sequence[Observation]
) -> list[Trial]:
    return [Trial(*trial) for trial in zip(cases, expected, observed, strict=True)]


def not_callable(exercise: Exercise, answer: object, seed: int) -> Verdict:
    """The verdict on something that cannot be called."""
    name = exercise.id.partition(".")[2]
    got = "None" if answer is None else f"a value of type {type_name(type(answer))}"
    message = (
        f"This is {got}, not {name} itself.\n"
        f"Hand over the name without brackets or quotation marks: check({exercise.id!r}, {name})."
    )
    rungs = [
        Rung(exercise.criteria[0], False),
        *(Rung(criterion, None) for criterion in exercise.criteria[1:]),
    ]
    return _verdict(exercise, rungs, seed, message, None)


def _not_attempted(exercise: Exercise, observations: Sequence[Observation], seed: int) -> Verdict:
    rungs = [Rung(criterion, None) for criterion in exercise.criteria]
    raised = any(seen.fault for seen in observations)
    return _verdict(exercise, rungs, seed, STUB if raised else NOTHING_BACK, None, attempted=False)


def _verdict(
    exercise: Exercise,
    rungs: Sequence[Rung],
    seed: int,
    message: str,
    mistake: str | None,
    attempted: bool = True,
) -> Verdict:
    results = tuple(
        CriterionResult(r.criterion.name, r.criterion.points, r.criterion.points if r.held else 0.0, r.held)
        for r in rungs
    )
    passed = all(rung.held for rung in rungs)
    return Verdict(
        exercise.id, score(rungs), exercise.points, passed, attempted, mistake, message, results, seed
    )


def _message(
    exercise: Exercise,
    rungs: Sequence[Rung],
    mistake: Misconception | None,
    observations: Sequence[Observation],
) -> str:
    findings = [(rung.criterion, rung.finding) for rung in rungs if rung.finding]
    if not findings:
        return RIGHT
    criterion, finding = findings[0]
    lines = [mistake.hint] if mistake else []
    lines.append(f"Case: {finding.case}. {finding.seen} {finding.expected}".rstrip())
    if not mistake:
        lines += [finding.cause, _what_else(exercise, criterion, finding)]
    if len(findings) > 1:
        lines.append("Not right yet either: " + ", ".join(other.name for other, _ in findings[1:]) + ".")
    lines.append(_what_was_printed(observations))
    return "\n".join(shortened(line, MAX_LINE) for line in lines if line)


def _what_else(exercise: Exercise, criterion: Criterion, finding: Finding) -> str:
    if finding.about == "all":
        return ""
    if finding.about == "call" or (finding.about == "kind" and not criterion.advice):
        return f"Asked for: {exercise.signature} -> {exercise.returns}."
    return criterion.advice


def _what_was_printed(observations: Sequence[Observation]) -> str:
    printing = [seen for seen in observations if seen.printed_characters]
    if not printing:
        return ""
    count = sum(seen.printed_characters for seen in printing)
    lines = printing[0].printed.strip().splitlines()[:PRINTED_LINES]
    return "\n".join(
        [f"Your code also printed {count:,} characters, which begin:", *(line[:100] for line in lines)]
    )
