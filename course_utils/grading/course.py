"""An nbgrader course on disk: what was released and handed in, and where grades are kept.

assignment   its name, "01_autoencoders"; its one notebook is called the same
submitted/<student>/<assignment>/   what nbgrader collected: files that students wrote, read as such
results/<assignment>/<student>.json and .ipynb   what grading them came to
results/seed   a secret that no student can know: together with what was handed in, it draws the cases
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from course_utils.grading.flags import parse_time, timestamp_flags
from course_utils.grading.grade import Graded, Job
from course_utils.grading.result import Previous, Result
from course_utils.grading.submission import MAX_BYTES

CONFIG = "nbgrader_config.py"


class CourseError(Exception):
    """The course folder is not ready for grading: what is missing, and what to do."""


@dataclass(frozen=True)
class Course:
    """The folder of nbgrader's configuration."""

    root: Path

    @classmethod
    def find(cls, folder: Path) -> Course:
        """The course in a folder or in its assessments/.

        Raises:
            CourseError: there is none.
        """
        for root in (folder, folder / "assessments"):
            if (root / CONFIG).is_file():
                return cls(root.resolve())
        raise CourseError(f"No {CONFIG} in {folder} or its assessments/: run this in the course's folder.")

    @cached_property
    def config(self) -> Any:
        """nbgrader's configuration (traitlets)."""
        from traitlets.config import PyFileConfigLoader

        return PyFileConfigLoader(CONFIG, path=str(self.root)).load_config()

    @cached_property
    def directory(self) -> Any:
        """nbgrader's CourseDirectory."""
        from nbgrader.coursedir import CourseDirectory

        return CourseDirectory(config=self.config)

    def folder(self, step: str, student: str, assignment: str) -> Path:
        """A folder of one of nbgrader's steps: "release", "submitted", "autograded", "feedback"."""
        name = getattr(self.directory, f"{step}_directory")
        return Path(self.directory.format_path(name, student, assignment))

    def results(self, assignment: str) -> Path:
        """The folder of an assignment's results."""
        return self.root / "results" / assignment

    def result(self, assignment: str, student: str) -> Result | None:
        """The result of an earlier run, if there is a whole one."""
        try:
            text = (self.results(assignment) / f"{student}.json").read_text(encoding="utf-8")
            return Result.from_json(text)
        except (OSError, ValueError):
            return None

    def release(self, assignment: str) -> bytes:
        """The released notebook.

        Raises:
            CourseError: it was not generated yet.
        """
        path = self.folder("release", ".", assignment) / f"{assignment}.ipynb"
        if not path.is_file():
            raise CourseError(f"{path} is missing: run `nbgrader generate_assignment {assignment}` first.")
        return path.read_bytes()

    def students(self, assignment: str) -> list[str]:
        """Who handed in."""
        pattern = self.folder("submitted", "*", assignment)
        depth = pattern.parts.index("*")
        found = Path(*pattern.parts[:depth]).glob("/".join(pattern.parts[depth:]))
        return sorted(path.parts[depth] for path in found if path.is_dir())

    def job(self, assignment: str, student: str, release: bytes) -> Job:
        """What is to be graded of a student, whatever lies in the submission's folder."""
        folder = self.folder("submitted", student, assignment)
        data, repairs, changed = _notebook(folder, assignment)
        claimed = read_plain(folder / "timestamp.txt", 1_000)
        text = claimed.decode("utf-8", "replace") if claimed is not None else None
        time = parse_time(text) if text is not None else None
        old = self.result(assignment, student)
        job = Job(
            assignment=assignment,
            student=student,
            release=release,
            submission=data,
            seed="",
            repairs=repairs,
            flags=tuple(timestamp_flags(text, changed, datetime.now(UTC))),
            submitted=time.isoformat() if time else None,
        )
        return replace(
            job, seed=self.seed(job), previous=_previous(old, job.submission_hash) if old else None
        )

    def seed(self, job: Job) -> str:
        """The seed of a submission: another one draws other cases."""
        message = "\0".join([job.assignment, job.student, job.submission_hash])
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()[:16]

    @cached_property
    def _secret(self) -> bytes:
        path = self.root / "results" / "seed"
        path.parent.mkdir(exist_ok=True)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            pass
        return path.read_bytes()

    def keep(self, job: Job, graded: Graded) -> None:
        """Write a result and its notebook, the result last: where it is, grading was finished."""
        folder = self.results(job.assignment)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{job.student}.ipynb", graded.notebook)
        write(folder / f"{job.student}.json", graded.result.to_json() + "\n")


def write(path: Path, text: str) -> None:
    """Write a file or nothing."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _previous(old: Result, submission: str) -> Previous | None:
    """The submission before this one: the one that was graded last, unless it is the same."""
    if old.submission == submission:
        return old.previous
    return Previous(old.submission, old.score, {one.id: one.score for one in old.exercises})


def _notebook(folder: Path, assignment: str) -> tuple[bytes | None, tuple[str, ...], datetime]:
    """The notebook that was handed in, under whatever name; when it was changed last."""
    expected = folder / f"{assignment}.ipynb"
    repairs: tuple[str, ...] = ()
    path = expected
    if not os.path.lexists(expected):
        others = sorted(path for path in folder.glob("*.ipynb") if path.is_file())
        if len(others) == 1:
            path = others[0]
            repairs = ("Your notebook had another name than the released one; it was found all the same.",)
    data = read_plain(path, MAX_BYTES + 1)
    changed = os.lstat(path).st_mtime if data is not None else 0.0
    return data, repairs if data else (), datetime.fromtimestamp(changed, UTC)


def read_plain(path: Path, most: int) -> bytes | None:
    """The first bytes of a plain file; None if it is none, or a link, or a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read(most)
