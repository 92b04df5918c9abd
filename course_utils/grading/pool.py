"""Many submissions at once: processes of this machine, or the workers of a Dask cluster. Both run work.work.

A worker that dies loses nothing but the submission it was at, which another one takes up. A submission that
ends its worker twice is not graded a third time.

done   (job, Graded), or (job, the reason why there is no grade)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from course_utils.grading.bubblewrap import Mode, SandboxError
from course_utils.grading.grade import Graded, Job
from course_utils.grading.release import ReleaseError
from course_utils.grading.sandbox import START_SECONDS, Limits, sweep

Done: TypeAlias = tuple[Job, "Graded | str"]
ATTEMPTS = 2
AHEAD = 4  # jobs that a cluster holds for each of its threads
SLOWEST = 3 * Limits.total + START_SECONDS  # seconds for one submission, the start of a sandbox included
ENDED = "Grading it ended the grader's own process twice."


@dataclass
class Worker:
    """A process, the connection to it, and the job it is at."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None
    since: float = 0.0

    def give(self, job: Job) -> None:
        """Hand over a job. A worker that has just died is noticed when its reply is awaited."""
        self.job, self.since = job, time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(job)


def start_worker(mode: Mode) -> Worker:
    """A new process. It is spawned: a fork would inherit other workers' connections."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=loop, args=(theirs, mode), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, mine)


def loop(connection: Connection, mode: Mode) -> None:
    """Grade what comes, until nothing comes any more."""
    from course_utils.grading.work import close, work

    try:
        while True:
            job = connection.recv()
            try:
                connection.send(work(job, mode))
            except (ReleaseError, SandboxError) as error:
                connection.send(error)
    except (EOFError, OSError, KeyboardInterrupt):
        return
    finally:
        close()


def run_local(jobs: Iterable[Job], workers: int, mode: Mode) -> Iterator[Done]:
    """Grade on this machine, in as many processes. Jobs are taken as workers get to them.

    Raises:
        ReleaseError, SandboxError: nothing can be graded.
    """
    coming, again, attempts = iter(jobs), deque[Job](), Counter[str]()
    pool = [start_worker(mode) for _ in range(workers)]
    try:
        while True:
            for worker in (one for one in pool if one.job is None):
                if job := again.popleft() if again else next(coming, None):
                    attempts[job.student] += 1
                    worker.give(job)
            if not any(worker.job for worker in pool):
                return
            for worker in pool:
                if worker.job and time.monotonic() - worker.since > SLOWEST:
                    worker.process.kill()
            yield from _replies(pool, again, attempts, mode)
    finally:
        _stop(pool)
        sweep()


def _replies(pool: list[Worker], again: deque[Job], attempts: Counter[str], mode: Mode) -> Iterator[Done]:
    """What comes within a second; the dead are replaced, and their jobs are done again."""
    busy = {worker.connection: place for place, worker in enumerate(pool) if worker.job}
    for connection in wait(list(busy), timeout=1.0):
        place = busy[connection]  # type: ignore[index]
        worker = pool[place]
        job, worker.job = worker.job, None
        assert job
        try:
            reply = worker.connection.recv()
        except (EOFError, OSError):
            _stop([worker])
            pool[place] = start_worker(mode)
            if attempts[job.student] < ATTEMPTS:
                again.append(job)
            else:
                yield job, ENDED
            continue
        if isinstance(reply, Exception):
            raise reply
        yield job, reply


def _stop(pool: Sequence[Worker]) -> None:
    """Hang up: an idle worker ends by itself and takes its sandbox along; one at work is killed with it."""
    for worker in pool:
        worker.connection.close()
        if worker.job:
            worker.process.kill()
    for worker in pool:
        worker.process.join(20)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def run_dask(jobs: Iterable[Job], address: str, mode: Mode) -> Iterator[Done]:
    """Grade on a Dask cluster; workers should have one thread each. Nothing but jobs and grades travels.

    Raises:
        ReleaseError, SandboxError: nothing can be graded.
        RuntimeError: the package dask.distributed is missing, or no scheduler answers.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise RuntimeError(
            "--scheduler needs the package `distributed`: .venv/bin/python -m pip install distributed"
        ) from error
    from course_utils.grading.work import work

    try:
        client = Client(address, timeout=30)
    except (OSError, TimeoutError) as error:
        raise RuntimeError(f"No Dask scheduler answers at {address}.") from error
    with client:
        coming, given = iter(jobs), {}

        def give() -> list[Any]:
            """The next job, if there is one: the scheduler never holds a whole class's notebooks."""
            new = {client.submit(work, job, mode, pure=False, retries=0): job for job in islice(coming, 1)}
            given.update(new)
            return list(new)

        ahead = AHEAD * max(1, sum(client.nthreads().values()))
        running = as_completed([future for _ in range(ahead) for future in give()])
        for future in running:
            job, failed = given.pop(future), future.exception()
            if isinstance(failed, KilledWorker):
                yield job, ENDED
            elif failed is not None:
                raise failed
            else:
                yield job, future.result()
            future.release()
            running.update(give())
