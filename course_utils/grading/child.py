"""Inside the sandbox, in the process of one submission: its cells run, its answers are probed.

channel   socket to the grader; requests come in, replies go out (frames.py)
request   JSON: {"cell", "source", "seconds", "salvage"} or {"probe", "answer", "seconds", "cases"}; the cases
          follow, one message each (exercises/wire.py)
reply     JSON: {"status", "fault", "printed", "characters"} or {"kind"}; the observations follow
"""

from __future__ import annotations
import __future__

import ast
import builtins
import json
import linecache
import socket
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from course_utils.exercises.guard import OutOfTime, quiet, within
from course_utils.exercises.observe import Limits, describe, observe_all
from course_utils.exercises.spec import Case, Exercise
from course_utils.exercises.wire import from_bytes, to_bytes
from course_utils.grading.cells import only_defines
from course_utils.grading.decoy import CoursesOwn
from course_utils.grading.frames import Gone, receive, send

# Bound here, so that a cell that replaces them does not decide how the next one runs.
make_code, run_code, code_only = compile, exec, ast.PyCF_ONLY_AST
PRINTED = 5_000  # characters kept of what a cell prints
TRANSPARENT = {"time", "capture", "prun"}  # magics that run what they are given, in the notebook's names
UNBOUNDED = 1 << 62  # requests come from the grader


class Shell:
    """As much of IPython as a cell may call: what is timed or captured runs; other magics do nothing."""

    def __init__(self, run: Callable[[str], None]):
        self.run = run

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """%%time and its like run the cell below them."""
        if name in TRANSPARENT:
            self.run(cell)

    def run_line_magic(self, name: str, line: str, *_: object) -> None:
        """%time runs the rest of its line."""
        if name in TRANSPARENT:
            self.run(line)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def show(*objects: object, **_: object) -> None:
    """In the place of IPython's display."""
    for one in objects:
        print(repr(one))


class Interpreter:
    """The notebook's namespace, and the cells that ran in it."""

    def __init__(self, exercises: Mapping[str, Exercise]):
        self.exercises = exercises
        self.module = types.ModuleType("__main__")
        shell = Shell(lambda source: self._run_source(source, "<magic>", salvage=False))
        self.module.__dict__.update(get_ipython=lambda: shell, display=show, __builtins__=builtins)
        sys.modules["__main__"] = self.module
        self.flags = 0

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a cell; what it raised and printed."""
        status, fault = "ok", None
        with quiet(PRINTED) as printed:
            try:
                name, salvage = f"<{request['cell']}>", request["salvage"]
                within(request["seconds"], lambda: self._run_source(request["source"], name, salvage))
            except OutOfTime:
                status = "timeout"
                self._definitions(request)
            except BaseException as error:
                status, fault = "error", vars(describe(error))
        text = printed.beginning()
        return {"status": status, "fault": fault, "printed": text, "characters": printed.count}

    def _run_source(self, source: str, name: str, salvage: bool) -> None:
        source = TransformerManager().transform_cell(source)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        failed: BaseException | None = None
        for node in make_code(source, name, "exec", code_only).body:
            if failed and not only_defines(node):
                continue
            try:
                self._execute(node, name)
            except BaseException as error:
                if not salvage or not isinstance(error, Exception):
                    raise
                failed = failed or error
        if failed:
            raise failed

    def _execute(self, node: ast.stmt, name: str) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                self.flags |= getattr(__future__, alias.name).compiler_flag
        module = ast.Module([node], type_ignores=[])
        run_code(make_code(module, name, "exec", self.flags, dont_inherit=True), self.module.__dict__)

    def _definitions(self, request: dict[str, Any]) -> None:
        """What a cell that was stopped would still have defined."""
        if not request["salvage"]:
            return
        source = TransformerManager().transform_cell(request["source"])
        for node in filter(only_defines, ast.parse(source).body):
            try:
                self._execute(node, f"<{request['cell']}>")
            except Exception:  # it may need what was stopped
                continue

    def probe(self, request: dict[str, Any], cases: list[Case]) -> tuple[dict[str, Any], list[bytes]]:
        """Probe an answer on cases: what kind of thing it is, and what was observed."""
        answer = self.module.__dict__.get(request["answer"], self)
        if answer is self:
            return {"kind": "missing"}, []
        if not callable(answer):
            return {"kind": "value", "type": type(answer).__name__[:60]}, []
        exercise = self.exercises[request["probe"]]
        observations = observe_all(exercise, answer, cases, Limits(seconds=request["seconds"]))
        return {"kind": "callable"}, [to_bytes(seen) for seen in observations]


def serve(channel: socket.socket, exercises: Mapping[str, Exercise]) -> None:
    """Answer requests until the grader hangs up."""
    interpreter = Interpreter(exercises)
    while True:
        try:
            request = json.loads(receive(channel, UNBOUNDED))
        except Gone:
            return
        if "cell" in request:
            send(channel, json.dumps(interpreter.run(request)).encode())
            continue
        cases = [from_bytes(receive(channel, UNBOUNDED), Case) for _ in range(request["cases"])]
        reply, observations = interpreter.probe(request, cases)
        for message in (json.dumps(reply).encode(), *observations):
            send(channel, message)


def forget_references(exercise_module: types.ModuleType) -> None:
    """Let `check` and `mine_or_reference`, which students' own cells may call, do without references."""
    engine = sys.modules["course_utils.exercises.engine"]
    for owner in (engine, exercise_module):
        vars(owner)["check"] = lambda id, answer: 0.0
        vars(owner)["mine_or_reference"] = lambda id, answer: answer
        vars(owner)["grade"] = _no_grade


def _no_grade(*args: object, **kwargs: object) -> None:
    raise CoursesOwn("grade")
