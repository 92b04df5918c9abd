"""Where students' code runs: no network, no files but a read-only system and an empty folder, no other
processes, no capabilities, limits on memory, processes, files and time.

mode     "bwrap" (bubblewrap), or "none": a bare process, for a container or pod that was made for this job
sandbox  a process that has imported what the chapter imports, and forks for each submission (server.py)
session  the connection to the process of one submission (child.py)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from course_utils.exercises.spec import Case, Fault, Observation
from course_utils.exercises.wire import from_bytes, to_bytes
from course_utils.grading.bubblewrap import ROOM, Mode, SandboxError, command_line, environment
from course_utils.grading.frames import Gone, Late, receive, send
from course_utils.grading.hollow import build_hollow, probe_sources

Reply = TypeVar("Reply")
FOLDER = "course-grade-"  # then the number of the process that made it
MB = 1_000_000
PRINTED = 5_000  # characters kept of what a cell prints
START_SECONDS = 900.0  # torch can take minutes from a cold network disk


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Args:
        memory: bytes, beyond what the libraries take.
        processes: with all threads.
        file: bytes of the largest file, and of the scratch folder.
        reply: bytes that an exercise's observations may have.
        cell, probe: seconds for one cell, and for one exercise.
        grace: seconds beyond those in which a process should have stopped a cell or an answer by itself.
        total: seconds of computing for all of it.
    """

    memory: int = 2_000 * MB
    processes: int = 64
    file: int = ROOM
    reply: int = 32 * MB
    cell: float = 20.0
    probe: float = 20.0
    grace: float = 15.0
    total: float = 180.0


@dataclass(frozen=True)
class Asked:
    """What a chapter's sandbox has to know: its exercises, and the imports of its first cell."""

    exercises: tuple[str, ...]
    imports: str


class Sandbox:
    """A started sandbox. It is started again where a submission broke it."""

    def __init__(self, asked: Asked, mode: Mode = "bwrap", limits: Limits | None = None):
        self.asked, self.mode, self.limits = asked, mode, limits or Limits()
        sweep()
        prefix = f"{FOLDER}{os.getpid()}-"
        self.folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None
        self.first = 0  # process 1 of the sandbox, by its number out here
        root = Path(self.folder.name)
        root.chmod(0o755)
        build_hollow(root / "package", asked.exercises)
        (root / "package").chmod(0o755)
        (root / "scratch").mkdir(mode=0o700)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.folder.cleanup()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A process for one submission. Afterwards nothing of it is left; `session.end` says how it ended.

        Raises:
            SandboxError: the sandbox does not start.
        """
        session = Session(self._fork(), self.limits)
        try:
            yield session
        finally:
            session.channel.close()
            session.end = self._end()

    def _fork(self) -> socket.socket:
        """The connection to a new process; a sandbox that has died since the last one is started again."""
        mine, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self.control or self.start(), [b"f"], [theirs.fileno()])
            except OSError:
                socket.send_fds(self.start(), [b"f"], [theirs.fileno()])
        return mine

    def start(self) -> socket.socket:
        """Start the process and wait until it has imported everything.

        Raises:
            SandboxError: it does not start.
        """
        self.stop()
        root = Path(self.folder.name)
        command, scratch = command_line(self.mode, root)
        control, theirs = socket.socketpair()
        said_to, says = os.pipe()
        if self.mode == "bwrap":
            command[1:1] = ["--json-status-fd", str(says)]
        with theirs, (root / "log").open("w+b") as log:
            self.process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env=environment(root, self.mode),
                cwd="/",
                pass_fds=[says] if self.mode == "bwrap" else [],
            )
            self.control = control
            theirs.close()
            os.close(says)
            with open(said_to) as status:
                self.first = json.loads(status.readline() or "{}").get("child-pid", 0)
            try:
                send(control, json.dumps(self._order(scratch)).encode())
                receive(control, MB, time.monotonic() + START_SECONDS)
            except (Gone, Late) as error:
                log.seek(0)
                said = log.read().decode("utf-8", "replace").strip()[-2_000:]
                self.stop()
                raise SandboxError(f"The sandbox does not start: {said or 'it said nothing.'}") from error
        return control

    def _order(self, scratch: str) -> dict[str, Any]:
        return {
            "exercises": self.asked.exercises,
            "imports": self.asked.imports,
            "sources": probe_sources(self.asked.exercises),
            "scratch": scratch,
            "memory": self.limits.memory,
            "processes": self.limits.processes,
            "file": self.limits.file,
            "seconds": int(self.limits.total),
        }

    def stop(self) -> None:
        """End the process and everything in it."""
        if self.control:
            self.control.close()
        if self.process:
            # bwrap dies with its process 1, which no signal of bwrap's would reach: it has another user.
            if self.first and self.process.poll() is None:
                os.kill(self.first, signal.SIGKILL)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process, self.control, self.first = None, None, 0

    def _end(self) -> str:
        """Tell the parent that this submission is over; how its process ended."""
        assert self.control
        try:
            send_byte(self.control)
            reply = json.loads(receive(self.control, MB, time.monotonic() + 30))
            return str(reply["end"])
        except (Gone, Late, ValueError):
            self.stop()
            return "broken"


def send_byte(control: socket.socket) -> None:
    """One byte: the end of a submission."""
    try:
        control.settimeout(10)
        control.sendall(b"e")
    except OSError as error:
        raise Gone from error


class Garbled(Exception):
    """The process of a submission replied with something else than a reply."""


@dataclass
class Session:
    """Requests to the process of one submission. Its replies are not to be believed, only judged.

    Every request raises Gone, Late, TooLong or Garbled where the process is lost, or no longer honest.
    """

    channel: socket.socket
    limits: Limits
    end: str = ""

    def run(self, cell: str, source: str, salvage: bool) -> dict[str, Any]:
        """Run a cell; the reply of child.Interpreter.run."""
        seconds = self.limits.cell
        request = {"cell": cell, "source": source, "seconds": seconds, "salvage": salvage}
        deadline = time.monotonic() + seconds + self.limits.grace
        send(self.channel, json.dumps(request).encode(), deadline)
        return _reply(receive(self.channel, MB, deadline), _checked_run)

    def probe(self, exercise: str, answer: str, cases: Sequence[Case]) -> tuple[str, list[Observation]]:
        """Probe an answer: "callable" with observations, "missing", or the name of another type."""
        seconds = self.limits.probe
        deadline = time.monotonic() + seconds + self.limits.grace
        request = {"probe": exercise, "answer": answer, "seconds": seconds, "cases": len(cases)}
        for message in (json.dumps(request).encode(), *map(to_bytes, cases)):
            send(self.channel, message, deadline)
        kind = _reply(receive(self.channel, MB, deadline), _checked_kind)
        room, observations = self.limits.reply, []
        for _ in cases if kind == "callable" else ():
            data = receive(self.channel, room, deadline)
            room -= len(data)
            observations.append(_reply(data, lambda data: from_bytes(data, Observation)))
        return kind, observations


def _reply(data: bytes, read: Callable[[bytes], Reply]) -> Reply:
    """What `read` makes of a reply; whatever is wrong with it is wrong with the sender."""
    try:
        return read(data)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Garbled from error


def _checked_run(data: bytes) -> dict[str, Any]:
    reply = json.loads(data)
    fault = reply["fault"] and Fault(*(reply["fault"][key] for key in ("kind", "message", "where")))
    if type(reply["printed"]) is not str or type(reply["characters"]) is not int:
        raise ValueError("not a reply")
    return {"status": str(reply["status"]), "fault": fault, "printed": reply["printed"][:PRINTED]}


def _checked_kind(data: bytes) -> str:
    reply = json.loads(data)
    return str(reply["type"]) if reply["kind"] == "value" else str(reply["kind"])


def sweep() -> None:
    """Remove folders of processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        owner = folder.name.removeprefix(FOLDER).partition("-")[0]
        with contextlib.suppress(OSError):
            if (
                owner.isdecimal()
                and folder.stat().st_uid == os.geteuid()
                and not Path(f"/proc/{owner}").exists()
            ):
                shutil.rmtree(folder)
