"""A course whose students hand in the corpus, graded in a real sandbox, and what that leaves behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.authoring.chapters import Chapter
from course_utils.grading.course import Course
from course_utils.grading.grade import grade_job
from course_utils.grading.release import read_release
from course_utils.grading.result import Result
from course_utils.grading.sandbox import Asked, Limits, Sandbox

from .hostile import BREACH, SECRET, Hostile, Yard, corpus

# Short, for many members only end when they are stopped. Right answers take a fraction of it.
LIMITS = Limits(memory=1_000_000_000, cell=6.0, probe=6.0, grace=4.0, total=60.0)
PR_SET_CHILD_SUBREAPER = 36
OWN = ("course_utils", "solutions", "assessments", "notebooks")


@dataclass(frozen=True)
class Traces:
    """What grading could leave behind on this machine.

    Args:
        processes: descendants, orphans among them.
        descriptors: open files and sockets of the grader.
        files: of the repository and of the yard, with size and time.
        temporary: names in shared folders that this process or an attack would use.
    """

    processes: frozenset[str]
    descriptors: frozenset[str]
    files: frozenset[tuple[str, int, int]]
    temporary: frozenset[str]


@dataclass
class Ground:
    """Everything under one folder: a course, the yard that attacks aim at, and a listener."""

    root: Path
    chapter: Chapter
    listener: socket.socket
    members: list[Hostile] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    notebooks: dict[str, str] = field(default_factory=dict)

    @property
    def yard(self) -> Yard:
        return Yard(self.root / "yard", self.listener.getsockname()[1], self.chapter.root)

    @property
    def course(self) -> Course:
        return Course.find(self.root)

    def grade(self, members: Sequence[Hostile], limits: Limits = LIMITS) -> Iterator[tuple[Hostile, Result]]:
        """Grade members in their order, in one sandbox."""
        course, name = self.course, self.chapter.name
        release = course.release(name)
        read = read_release(name, release)
        asked = Asked(tuple(question.exercise for question in read.questions), read.setup)
        with Sandbox(asked, "bwrap", limits) as box:
            for member in members:
                folder = course.folder("submitted", member.name, name)
                member.write(folder)
                job = course.job(name, member.name, release)
                graded = grade_job(job, box)
                course.keep(job, graded)
                self.results[member.name] = Result.from_json(graded.result.to_json())
                self.notebooks[member.name] = graded.notebook
                shutil.rmtree(folder)
                yield member, graded.result

    def reached(self) -> bool:
        """Whether anything connected to the listener."""
        self.listener.settimeout(0)
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def ground(root: Path, chapter: Chapter) -> Iterator[Ground]:
    """A course in `root` with the chapter's release, and the corpus made for it."""
    assessments = root / "assessments"
    release = assessments / "release" / chapter.name
    release.mkdir(parents=True)
    shutil.copy(chapter.nbgrader_config, assessments)
    shutil.copy(chapter.student, release)
    (root / "yard").mkdir()
    shutil.copy(chapter.solution, root / "yard" / "solved.ipynb")
    (root / "yard" / "gradebook.db").write_bytes(b"")
    (root / "yard" / "secret.txt").write_text(SECRET)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["COURSE_TEST_TOKEN"] = SECRET
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            made = Ground(root, chapter, listener)
            made.members = corpus(chapter, made.yard)
            yield made
    finally:
        del os.environ["COURSE_TEST_TOKEN"]
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def disagreements(member: Hostile, result: Result) -> list[str]:
    """What a result should not be, in words."""
    expected, found = member.expected, []
    scores = {one.id: one.score for one in result.exercises}
    for id, score in expected.scores.items():
        if abs(scores.get(id, -1.0) - score) > 1e-9:
            message = next((one.message for one in result.exercises if one.id == id), "not in the result")
            found.append(f"{id}: {scores.get(id)} points, expected {score}: {message[:300]!r}")
    if scores.keys() != expected.scores.keys():
        found.append(f"exercises: {sorted(scores.keys() ^ expected.scores.keys())}")
    if result.status not in expected.status:
        found.append(f"status {result.status!r}, expected {sorted(expected.status)}: {result.why!r}")
    if result.status == "repaired" and not result.repairs:
        found.append("repaired, without a sentence")
    if expected.flagged is not None and bool(result.flags) is not expected.flagged:
        found.append(f"flags {result.flags}, expected {'some' if expected.flagged else 'none'}")
    text = result.to_json()
    found += [f"{word} in the result" for word in (BREACH, SECRET) if _leaks(word, text, result)]
    return found


def _leaks(word: str, text: str, result: Result) -> bool:
    """Whether a word is in what the grader says; in the student's own source it may well be."""
    for one in result.exercises:
        text = text.replace(one.source, "")
    return any(word in one.message for one in result.exercises) or word in " ".join(result.repairs)


def traces(ground: Ground, known: frozenset[str] = frozenset()) -> Traces:
    """What is there now; processes that are not known get some time to end."""
    repository = ground.chapter.root
    folders = [ground.yard.folder, *(repository / name for name in OWN)]
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    shared = (Path("/tmp"), Path("/dev/shm"), Path("/var/tmp"), Path.home())
    names = ("left_for_you*", f"course-grade-{os.getpid()}*", "full-*", "many", "sitecustomize.py")
    return Traces(
        frozenset(_lasting(known)),
        frozenset(_descriptors()),
        frozenset((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files),
        frozenset(str(path) for folder in shared for name in names for path in folder.glob(name)),
    )


def forget_peak() -> None:
    """VmHWM counts from here on (man 5 proc, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(field: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def _lasting(known: frozenset[str]) -> set[str]:
    """Processes below this one; those that are not known only if they are there after a while."""
    deadline = time.monotonic() + 30
    while (found := set(_descendants())) - known and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _descendants() -> Iterator[str]:
    """Processes below this one, as the system knows them; orphans come here, too."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (path / "stat").read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if state != "Z":
                parents[int(path.name)] = int(parent)
                names[int(path.name)] = f"{name})"
    for process in parents:
        at = process
        while at in parents and at != os.getpid():
            at = parents[at]
        if at == os.getpid() != process:
            yield names[process]


def _descriptors() -> Iterator[str]:
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield f"{path.name} {os.readlink(path)}"
