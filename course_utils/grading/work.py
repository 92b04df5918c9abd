"""What a worker does with a job, in a process of the pool or of a Dask cluster, outside of the sandbox.

A worker keeps one sandbox, for the release that it graded last, and grades one submission at a time.
"""

from __future__ import annotations

import atexit
import threading

from course_utils.grading.bubblewrap import Mode
from course_utils.grading.grade import Graded, Job, grade_job
from course_utils.grading.release import read_release
from course_utils.grading.sandbox import Asked, Sandbox

_alone = threading.Lock()  # running references changes what all threads of a process share
_kept: dict[tuple[Asked, Mode], Sandbox] = {}


def work(job: Job, mode: Mode) -> Graded:
    """The grade of a job.

    Raises:
        ReleaseError, SandboxError: nothing can be graded here.
    """
    with _alone:
        return grade_job(job, _sandbox(job, mode))


def _sandbox(job: Job, mode: Mode) -> Sandbox:
    release = read_release(job.assignment, job.release)
    asked = Asked(tuple(question.exercise for question in release.questions), release.setup)
    if (asked, mode) not in _kept:
        close()
        _kept[asked, mode] = Sandbox(asked, mode)
    return _kept[asked, mode]


@atexit.register
def close() -> None:
    """End the sandbox of this process."""
    while _kept:
        _kept.popitem()[1].__exit__()
