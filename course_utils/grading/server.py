"""The parent of all students' processes, inside the sandbox: it imports torch once, then forks.

It runs no student's code and reads nothing that a student's process sends: the grader hands over a socket
for each submission, the child answers on that. Where this is process 1 of its namespace (bwrap), no signal
from a child reaches it. It is not dumpable, so no child can look into it.

control   socket to the grader, standard input. In: an order (JSON), then for each submission a byte with the
          child's socket, and a byte to end it. Out: {"ready"} once, then {"end"} for each submission
scratch   the only folder that can be written to; emptied between submissions
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.abc
import importlib.util
import json
import os
import resource
import select
import signal
import socket
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_utils import exercises as package
from course_utils.exercises import engine
from course_utils.grading.child import forget_references, serve
from course_utils.grading.frames import receive, send
from course_utils.grading.seccomp import confine, prctl

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
LAST = 0.2  # seconds in which a child may end by itself once the grader has said goodbye
TICK = 0.05  # seconds between two looks at the memory in use
UNBOUNDED = 1 << 62
PAGE = resource.getpagesize()
EXERCISES = "course_utils.exercises."


class Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules whose sources came as messages: they lie in no file that a child could read."""

    def __init__(self, sources: Mapping[str, str]):
        self.sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        package = f"{name}.__init__" in self.sources
        if not package and name not in self.sources:
            return None
        return importlib.util.spec_from_loader(name, self, origin=f"<{name}>", is_package=package)

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        source = self.sources.get(f"{name}.__init__") or self.sources[name]
        exec(compile(source, f"{Path(__file__).parents[1]}/{name}", "exec"), module.__dict__)


def main() -> None:
    """Prepare, then serve submissions until the grader hangs up."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    control = socket.socket(fileno=os.dup(0))
    order = json.loads(receive(control, UNBOUNDED))
    exercises = prepare(order)
    send(control, json.dumps({"ready": os.getpid()}).encode())
    while True:
        signal_byte, sockets, *_ = socket.recv_fds(control, 1, 1)
        if not signal_byte:
            return
        end = one_submission(control, socket.socket(fileno=sockets[0]), exercises, order)
        empty(Path(order["scratch"]))
        send(control, json.dumps({"end": end}).encode())


def prepare(order: Mapping[str, Any]) -> dict[str, Any]:
    """Import what submissions import, and the probes; forget everything else about the exercises."""
    with contextlib.suppress(Exception):  # a release that imports what is not there: its cell will say so
        exec(order["imports"], {})
    finder = Sources(order["sources"])
    sys.meta_path.insert(0, finder)
    found = {id: engine.find(id) for id in order["exercises"]}
    stripped = strip(found)
    finder.sources = {}
    sys.meta_path.remove(finder)
    forget_references(package)
    order["sources"].clear()
    gc.collect()
    gc.freeze()
    return stripped


def strip(exercises: Mapping[str, Any]) -> dict[str, Any]:
    """The exercises with nothing but their probes; the modules of their chapters with what these need."""
    kept: dict[str, set[str]] = {}
    for exercise in exercises.values():
        reach(exercise.probe, kept)
    bare = {
        id: replace(one, cases=None, criteria=(), misconceptions=(), accepts=(), reference="")
        for id, one in exercises.items()
    }
    for name, module in list(sys.modules.items()):
        if _is_chapter(name):
            for entry in list(vars(module)):
                if not entry.startswith("__") and entry not in kept.get(name, ()):
                    del vars(module)[entry]
    return bare


def reach(function: Any, kept: dict[str, set[str]]) -> None:
    """Add the names that a function needs, itself and through what it calls, by module."""
    for inner in _functions(function):
        module = inner.__module__
        if not _is_chapter(module):
            continue
        names = kept.setdefault(module, set())
        for name in _names(inner.__code__) & set(inner.__globals__) - names:
            names.add(name)
            reach(inner.__globals__[name], kept)
        for cell in inner.__closure__ or ():
            reach(cell.cell_contents, kept)


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """The functions that a value is, or that a class or a container holds."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, type) and _is_chapter(value.__module__):
        for base in value.__mro__[:-1]:
            members = (getattr(one, "fget", getattr(one, "__func__", one)) for one in vars(base).values())
            yield from (member for member in members if isinstance(member, types.FunctionType))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _functions(item)
    elif isinstance(value, dict):
        yield from _functions(list(value.values()))
    elif isinstance(value, functools.partial):
        yield from _functions([value.func, *value.args, *value.keywords.values()])


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


def _is_chapter(module: object) -> bool:
    """Whether a module belongs to the exercises of a chapter, not to what all exercises share."""
    return str(module).startswith(EXERCISES) and str(module).split(".")[2] in engine.CHAPTERS


def one_submission(
    control: socket.socket, channel: socket.socket, exercises: Mapping[str, Any], order: Mapping[str, Any]
) -> str:
    """Fork a child for a submission, wait for its end or the grader's, end all it started; how it ended."""
    child = os.fork()
    if not child:
        try:
            become_student(control, order)
            serve(channel, exercises)
        finally:
            os._exit(0)
    channel.close()
    end = watch(control, child, order["memory"])
    end_all()
    return end


def become_student(control: socket.socket, order: Mapping[str, Any]) -> None:
    """Give up what a student's process must not have: the control socket, output, limits, system calls."""
    control.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    limits = {
        resource.RLIMIT_AS: used + order["memory"],
        resource.RLIMIT_CPU: order["seconds"],
        resource.RLIMIT_NPROC: order["processes"],
        resource.RLIMIT_FSIZE: order["file"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (least, least))
    confine()


def watch(control: socket.socket, child: int, memory: int) -> str:
    """Wait until the child is dead and the grader has said so, or the grader alone; how it ended."""
    end = ""
    handle = os.pidfd_open(child)
    try:
        while True:
            waiting: list[Any] = [control] if end else [control, handle]
            ready, _, _ = select.select(waiting, [], [], None if end else TICK)
            if control in ready:
                if not control.recv(1):  # the grader is gone
                    end_all()
                    os._exit(0)
                if not end and select.select([handle], [], [], LAST)[0]:
                    end = _how(os.waitpid(child, 0)[1])
                return end or "hung up"
            if handle in ready:
                end = _how(os.waitpid(child, 0)[1])
                end_all()
            elif not end and memory_in_use() > memory:
                end = "memory"
                end_all()
    finally:
        os.close(handle)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit {code}"


def memory_in_use() -> int:
    """Bytes of their own that all descendants hold together."""
    own = _own_memory(os.getpid())
    return sum(max(0, _own_memory(pid) - own) for pid in descendants())


def _own_memory(pid: int) -> int:
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    except (OSError, ValueError):  # it has just ended
        return 0
    return (resident - shared) * PAGE


def descendants() -> list[int]:
    """All processes that this one started, directly or not; orphans come back to it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(stat[1])
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        children = [pid for pid, its_parent in parents.items() if its_parent == parent]
        found += children
        todo += children
    return found


def end_all() -> None:
    """Kill every descendant and wait until none is left."""
    while True:
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def empty(folder: Path) -> None:
    """Delete everything in a folder; what resists ends the sandbox, and a new one is started."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            empty(Path(entry.path))
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)


if __name__ == "__main__":
    main()
