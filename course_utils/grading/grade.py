"""One submission: rebuilt, run in the sandbox, judged here. There is always a grade, with a reason in words.

job       everything that a grade follows from: plain data, the same on any machine
life      one run of a submission's process; a step that ends it is left out of the next
outcome   what running a step left to see
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from course_utils.exercises import judge as judging
from course_utils.exercises.engine import draw_cases, find, seed_number
from course_utils.exercises.guard import one_thread
from course_utils.exercises.observe import observe_all
from course_utils.exercises.spec import CriterionResult, Exercise, Observation, Verdict
from course_utils.grading.cells import definitions_beyond
from course_utils.grading.feedback import fault_in_words, feedback_notebook
from course_utils.grading.flags import flags_in
from course_utils.grading.frames import Gone, Late, TooLong
from course_utils.grading.hollow import package_version
from course_utils.grading.rebuild import Probe, Rebuilt, RunCell, rebuild, student_cells
from course_utils.grading.release import Question, Release, ReleaseError, read_release
from course_utils.grading.result import CriterionScore, ExerciseResult, Flag, Previous, Result, Status
from course_utils.grading.sandbox import Garbled, Sandbox, Session
from course_utils.grading.wording import plain

LIVES = 12
NOT_JUDGED = "Your answer was not judged."
OWN_VERSION = (
    "Your answer calls the course's own {name}, which is not there while answers are graded: "
    "write it yourself."
)


@dataclass(frozen=True)
class Job:
    """A submission to grade.

    Args:
        release, submission: bytes of the notebooks; None where none was handed in.
        seed: draws the cases.
        repairs, flags: what was noticed about the files.
        submitted: when it was handed in.
    """

    assignment: str
    student: str
    release: bytes
    submission: bytes | None
    seed: str
    repairs: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    submitted: str | None = None
    previous: Previous | None = None

    @property
    def submission_hash(self) -> str:
        """sha256 of what was handed in; of nothing, where nothing was."""
        return hashlib.sha256(self.submission or b"").hexdigest()

    @property
    def inputs(self) -> str:
        """sha256 of all that the grade follows from."""
        release = hashlib.sha256(self.release).hexdigest()
        handed_in = [self.submission is not None, self.submission_hash, self.repairs, self.submitted]
        parts = [self.assignment, self.student, release, handed_in, self.seed, package_version()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Graded:
    """The result, and the notebook with its verdicts, as JSON."""

    result: Result
    notebook: str


@dataclass
class Outcomes:
    """What the steps of a submission left to see, by their place.

    Args:
        cells: replies to cells.
        probes: kinds and observations of answers.
        lost: reasons, for steps that ended the process.
        late: steps that were stopped from outside.
        spent: seconds in the sandbox, without those that it took to start.
    """

    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    probes: dict[int, tuple[str, list[Observation]]] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)
    spent: float = 0.0


def grade_job(job: Job, box: Sandbox) -> Graded:
    """The grade of a submission.

    Raises:
        ReleaseError: the release cannot be graded, whoever hands in what.
        SandboxError: the sandbox does not start.
    """
    started = time.monotonic()
    release = read_release(job.assignment, job.release)
    require_points(release)
    rebuilt = rebuild(release, job.submission)
    number = seed_number(job.seed)
    with one_thread():
        outcomes = run_steps(rebuilt, box, number)
        verdicts = {
            question.exercise: judge_question(question, rebuilt, outcomes, number)
            for question in release.questions
        }
    return finish(job, release, rebuilt, verdicts, outcomes, time.monotonic() - started)


def grade_without_running(job: Job, why: str) -> Graded:
    """No points, and why: for a submission that ended the grading process itself."""
    release = read_release(job.assignment, job.release)
    rebuilt = Rebuilt("not gradable", why, (), (), rebuild(release, None).shown)
    verdicts = {one.exercise: nothing_earned(find(one.exercise), why, 0) for one in release.questions}
    return finish(job, release, rebuilt, verdicts, Outcomes(), 0.0)


def require_points(release: Release) -> None:
    """Raise ReleaseError where a check is worth something else than its exercise."""
    for question in release.questions:
        points = find(question.exercise).points
        if points != question.points:
            raise ReleaseError(
                f"{question.check!r} is worth {question.points:g} points in the release, and "
                f"{question.exercise} has {points:g}. Build and release the chapter again."
            )


def run_steps(rebuilt: Rebuilt, box: Sandbox, seed: int) -> Outcomes:
    """Run every step that can be run; a step that ends the process costs itself only."""
    outcomes = Outcomes()
    for _ in range(LIVES):
        if one_life(rebuilt, box, seed, outcomes) is None:
            return outcomes
    for i, step in enumerate(rebuilt.steps):
        if isinstance(step, Probe) and i not in outcomes.probes:
            outcomes.lost.setdefault(
                i, f"Your notebook's process ended {LIVES} times before this was reached."
            )
    return outcomes


def one_life(rebuilt: Rebuilt, box: Sandbox, seed: int, outcomes: Outcomes) -> int | None:
    """Go through the steps in a new process; the step that ended it, or None if nothing is left to do."""
    at = 0
    error: Exception | None = None
    with box.session() as session:
        started = time.monotonic()
        deadline = started + box.limits.total - outcomes.spent
        try:
            for at, step in enumerate(rebuilt.steps):
                if at not in outcomes.lost and not _out_of_time(step, at, outcomes, deadline):
                    one_step(step, at, session, outcomes, seed)
        except (Gone, Late, TooLong, Garbled) as lost:
            error = lost
        outcomes.spent += time.monotonic() - started
    if error is None:
        return None
    outcomes.lost[at] = reason(error, session.end, box)
    if isinstance(error, Late):
        outcomes.late.add(at)
    return at


def _out_of_time(step: RunCell | Probe, at: int, outcomes: Outcomes, deadline: float) -> bool:
    if time.monotonic() < deadline:
        return False
    if isinstance(step, Probe) and at not in outcomes.probes:
        outcomes.lost[at] = "The time for your whole notebook was up before this was reached."
        outcomes.late.add(at)
    return True


def one_step(step: RunCell | Probe, at: int, session: Session, outcomes: Outcomes, seed: int) -> None:
    """Run a cell, or probe an answer that was not probed in an earlier life."""
    if isinstance(step, Probe):
        if at not in outcomes.probes:
            exercise = find(step.question.exercise)
            cases = draw_cases(exercise, seed)
            outcomes.probes[at] = session.probe(exercise.id, step.question.answer, cases)
        return
    again = outcomes.cells.get(at)
    if again is None:
        outcomes.cells[at] = session.run(step.key, step.source, step.salvage)
    else:  # a second time, what was stopped would only be stopped again
        stopped = again["status"] == "timeout"
        session.run(step.key, definitions_beyond(step.source, "") if stopped else step.source, step.salvage)


def reason(error: Exception, end: str, box: Sandbox) -> str:
    """Why a step ended its process, for the student."""
    limits = box.limits
    if end == "memory":
        return f"It needed more than {limits.memory / 1e9:.1f} GB of memory and was stopped."
    if isinstance(error, Late):
        return (
            f"It was still running after {limits.probe:g} seconds, let nothing interrupt it, and was stopped."
        )
    if isinstance(error, TooLong):
        return f"It gave back more than {limits.reply / 1e6:.0f} MB."
    if isinstance(error, Garbled):
        return "What it gave back cannot be read."
    kind, _, number = end.partition(" ")
    if kind == "signal" and int(number) == signal.SIGXCPU:
        return "It used up the processor time of the whole notebook and was stopped."
    if kind == "signal":
        return f"It crashed Python ({signal.Signals(int(number)).name})."
    return f"It ended Python itself ({end})."


def judge_question(question: Question, rebuilt: Rebuilt, outcomes: Outcomes, seed: int) -> Verdict:
    """The verdict on one exercise."""
    exercise = find(question.exercise)
    at = next(
        (i for i, one in enumerate(rebuilt.steps) if isinstance(one, Probe) and one.question == question), -1
    )
    if at < 0:
        return nothing_earned(exercise, rebuilt.why, seed)
    if at in outcomes.lost:
        return nothing_earned(exercise, f"{NOT_JUDGED} {outcomes.lost[at]}", seed)
    kind, observations = outcomes.probes[at]
    if kind == "missing":
        return nothing_earned(exercise, _why_missing(question, rebuilt, outcomes), seed)
    if kind != "callable":
        value = type(re.sub(r"\W", "", kind)[:60] or "object", (), {})()
        return judging.not_callable(exercise, value, seed)
    cases = draw_cases(exercise, seed)
    expected = observe_all(exercise, exercise.load_reference(), cases)
    try:
        return judging.judge(exercise, cases, observations, seed, expected)
    except Exception as error:  # what a process sends that nobody trusts may be stranger than any answer
        return nothing_earned(exercise, f"{NOT_JUDGED} It cannot be compared: {type(error).__name__}.", seed)


def _why_missing(question: Question, rebuilt: Rebuilt, outcomes: Outcomes) -> str:
    """Why nothing is called as the exercise asks: what became of the answer's cell."""
    text = f"Nothing called {question.answer} was defined."
    for at, step in enumerate(rebuilt.steps):
        if not isinstance(step, RunCell) or step.key.split(" ")[0] != question.cell:
            continue
        if at in outcomes.lost:
            return f"{text} Its cell was not finished. {outcomes.lost[at]}"
        seen = outcomes.cells.get(at)
        if seen and seen["status"] == "timeout":
            return f"{text} Its cell was still running when its time was up."
        if seen and seen["fault"]:
            return f"{text} Its cell ended with {fault_in_words(seen['fault'])}"
    return text


def nothing_earned(exercise: Exercise, message: str, seed: int) -> Verdict:
    """No points, for this reason."""
    criteria = tuple(CriterionResult(one.name, one.points, 0.0, None) for one in exercise.criteria)
    return Verdict(exercise.id, 0.0, exercise.points, False, True, None, message, criteria, seed)


def finish(
    job: Job,
    release: Release,
    rebuilt: Rebuilt,
    verdicts: dict[str, Verdict],
    outcomes: Outcomes,
    seconds: float,
) -> Graded:
    """The result and the feedback notebook."""
    repairs = (*job.repairs, *rebuilt.repairs)
    places = {one.question.exercise: i for i, one in enumerate(rebuilt.steps) if isinstance(one, Probe)}
    exercises, shown = [], {}
    for question in release.questions:
        at = places.get(question.exercise, -1)
        one_result, verdict = exercise_result(question, verdicts[question.exercise], rebuilt, outcomes, at)
        exercises.append(one_result)
        shown[question.check] = verdict
    calls = [
        Flag("calls the reference", one.cell, f"Calls the course's own {one.id}.")
        for one in exercises
        if one.calls_reference
    ]
    status: Status = "repaired" if repairs and rebuilt.status == "graded" else rebuilt.status
    result = Result(
        assignment=job.assignment,
        student=job.student,
        status=status,
        why=rebuilt.why or (repairs[0] if repairs else ""),
        repairs=repairs,
        flags=(*job.flags, *flags_in(list(student_cells(rebuilt))), *calls),
        seed=job.seed,
        package=package_version(),
        release=release.sha256,
        submission=job.submission_hash,
        inputs=job.inputs,
        submitted=job.submitted,
        seconds=round(seconds, 3),
        previous=job.previous,
        exercises=tuple(exercises),
    )
    cells = {
        step.key: (outcomes.cells.get(at), outcomes.lost.get(at))
        for at, step in enumerate(rebuilt.steps)
        if isinstance(step, RunCell)
    }
    return Graded(result, feedback_notebook(release, rebuilt, result, shown, cells))


def exercise_result(
    question: Question, verdict: Verdict, rebuilt: Rebuilt, outcomes: Outcomes, at: int
) -> tuple[ExerciseResult, Verdict]:
    """The verdict as it is kept, and as it is shown."""
    exercise = find(question.exercise)
    observations: Sequence[Observation] = outcomes.probes.get(at, ("", []))[1]
    calls = any(seen.fault is not None and seen.fault.kind == "CoursesOwn" for seen in observations)
    message = OWN_VERSION.format(name=question.answer) if calls else plain(verdict.message)
    hints = {one.name: one.hint for one in exercise.misconceptions}
    shown = replace(verdict, message=message)
    return (
        ExerciseResult(
            id=exercise.id,
            cell=question.cell,
            check=question.check,
            points=verdict.points,
            score=verdict.score,
            passed=verdict.passed,
            misconception=verdict.misconception,
            message=message,
            hint=hints.get(verdict.misconception or "", ""),
            criteria=tuple(CriterionScore(one.name, one.points, one.held) for one in verdict.criteria),
            timed_out=at in outcomes.late or any(seen.status == "timeout" for seen in observations),
            calls_reference=calls,
            source=plain(rebuilt.source(question)),
        ),
        shown,
    )
