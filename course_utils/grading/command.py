"""`course grade`: grade what was collected, in a sandbox, in parallel, and fill nbgrader's gradebook."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from course_utils.grading.bubblewrap import Mode, SandboxError, find_mode, is_shown
from course_utils.grading.course import Course, CourseError
from course_utils.grading.grade import NOT_JUDGED, Job, grade_without_running
from course_utils.grading.gradebook import write_gradebook
from course_utils.grading.pool import Done, run_dask, run_local
from course_utils.grading.release import ReleaseError
from course_utils.grading.result import Result

PROBLEMS = (CourseError, ReleaseError, SandboxError, RuntimeError)
SHOWN = 5  # names in a line of the summary


def positive(word: str) -> int:
    """A number of workers.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not word.isdecimal() or not int(word):
        raise argparse.ArgumentTypeError(f"{word} is no number of processes: 1 or more")
    return int(word)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", metavar="NN_topic", help="what to grade")
    parser.add_argument("--students", nargs="+", metavar="ID", help="only these (default: all who handed in)")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="grade on the Dask cluster at this address")
    parser.add_argument("--again", action="store_true", help="grade what has not changed, too")
    parser.add_argument(
        "--replay", metavar="ID", help="grade a student as recorded, and show it; writes nothing"
    )
    parser.add_argument(
        "--sandbox",
        choices=("bwrap", "none"),
        default="bwrap",
        help="none: run students' code unprotected, in a container made for this job (default: bwrap)",
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the course's folder (default: this one)")


def run(args: argparse.Namespace) -> int:
    """Grade; 0 if every submission has its grade in the gradebook, else 1."""
    try:
        mode = find_mode(args.sandbox)
        course = Course.find(args.root)
        require_out_of_sight(course, mode)
        if args.replay:
            return replay(course, args.assignment, args.replay, mode)
        return grade(course, args, mode)
    except PROBLEMS as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What was graded is kept; the same command goes on from here.", file=sys.stderr)
        return 130


def require_out_of_sight(course: Course, mode: Mode) -> None:
    """Raise CourseError where students' code could read the course's folder in the sandbox."""
    if mode == "bwrap" and is_shown(course.root):
        raise CourseError(
            f"The sandbox shows what Python and the system need, and {course.root} lies in there: students' "
            "code could read sources and other submissions. Move the course, or the environment, elsewhere."
        )


def grade(course: Course, args: argparse.Namespace, mode: Mode) -> int:
    """Grade what is new, then write all of it to the gradebook."""
    release = course.release(args.assignment)
    everybody = course.students(args.assignment)
    students = args.students or everybody
    absent = sorted(set(students) - set(everybody))
    if absent or not students:
        who = ", ".join(absent) or "Nobody"
        raise CourseError(
            f"{who}: nothing was collected for {args.assignment}; run `nbgrader collect` first."
        )

    def job_of(student: str) -> Job:
        return course.job(args.assignment, student, release)

    todo = [student for student in students if args.again or not is_graded(course, job_of(student))]
    if len(todo) < len(students):
        print(f"{len(students) - len(todo)} of {len(students)} submissions are graded already.")
    started, jobs = time.monotonic(), map(job_of, todo)
    if args.scheduler:
        done = run_dask(jobs, args.scheduler, mode)
    else:
        done = run_local(jobs, min(args.workers, len(todo)), mode)
    keep(course, done, len(todo), print)
    results = [course.result(args.assignment, student) for student in students]
    whole = [result for result in results if result]
    changed = write_gradebook(course, args.assignment, whole)
    print("\n".join(summary(whole, len(todo), time.monotonic() - started, changed)))
    return int(len(whole) < len(students))


def is_graded(course: Course, job: Job) -> bool:
    """Whether there is a result that follows from exactly these inputs."""
    old = course.result(job.assignment, job.student)
    return old is not None and old.inputs == job.inputs


def keep(course: Course, done: Iterator[Done], total: int, say: Callable[[str], None]) -> None:
    """Write each result as it comes, and say how far it is."""
    started = time.monotonic()
    for count, (job, graded) in enumerate(done, start=1):
        if isinstance(graded, str):
            graded = grade_without_running(job, graded)
        course.keep(job, graded)
        each = (time.monotonic() - started) / count
        left = f"{each:.2f} s each, {duration((total - count) * each)} left"
        result = graded.result
        marks = "" if result.status == "graded" else f"  {result.status}"
        say(f"{count:5} of {total}  {job.student}: {result.score:g} of {result.points:g}{marks}  ({left})")


def duration(seconds: float) -> str:
    """In words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def summary(results: Sequence[Result], graded: int, seconds: float, changed: int) -> list[str]:
    """A screen on what was graded, what was odd, and what took long."""
    by_status = {
        status: [one.student for one in results if one.status == status]
        for status in ("graded", "repaired", "not gradable")
    }
    unjudged = [
        one.student for one in results if any(e.message.startswith(NOT_JUDGED) for e in one.exercises)
    ]
    slowest = sorted(results, key=lambda one: -one.seconds)[:3]
    rate = f", {seconds / graded:.2f} s each" if graded else ""
    lines = [f"{graded} graded in {seconds:.1f} s{rate}; {changed} changed in the gradebook."]
    lines += [
        f"{status:>14}: {len(names)}{'' if status == 'graded' else _names(names)}"
        for status, names in by_status.items()
        if names
    ]
    lines += [f"{'not judged':>14}: {len(unjudged)}{_names(unjudged)}"] if unjudged else []
    flagged = [
        f"{one.student} ({', '.join(sorted({flag.kind for flag in one.flags}))})"
        for one in results
        if one.flags
    ]
    lines += [f"{'to look at':>14}: {len(flagged)}{_names(flagged)}"] if flagged else []
    lines += [f"{'slowest':>14}: " + ", ".join(f"{one.student} {one.seconds:.1f} s" for one in slowest)]
    return lines


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"  {', '.join(names[:SHOWN])}{more}"


def replay(course: Course, assignment: str, student: str, mode: Mode) -> int:
    """Grade a submission with its recorded seed, and show verdict by verdict what came of it."""
    from course_utils.grading.work import work

    old = course.result(assignment, student)
    if old is None:
        raise CourseError(f"{student} has no result in {course.results(assignment)}: nothing to replay.")
    job = course.job(assignment, student, course.release(assignment))
    if job.submission_hash != old.submission:
        raise CourseError(f"{student} has handed in something else since: grade it, then replay.")
    new = work(dataclasses.replace(job, seed=old.seed, previous=old.previous), mode).result
    print(f"{student}, {assignment}: {new.status}. {new.why}")
    for before, now in zip(old.exercises, new.exercises, strict=True):
        same = "as recorded" if before.score == now.score else f"recorded: {before.score:g}"
        print(f"\n{now.id}: {now.score:g} of {now.points:g} ({same})\n{now.message}")
    return int(
        any(before.score != now.score for before, now in zip(old.exercises, new.exercises, strict=True))
    )
