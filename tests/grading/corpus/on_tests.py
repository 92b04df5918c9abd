"""Attacks on the cells that grade, on nbgrader's metadata, and on what runs them."""

import json
from collections.abc import Callable, Iterator

from .hostile import Attacks, Hostile, Yard
from .release import Paper, Release, new_cell

SHADOW = b"""\
# A module of the student's own, in place of the real one.
import os
BREACH = "BREACH a file of the submission shadows a module"
try:
    open(os.path.join(%r, "BREACH"), "a").write(BREACH)
except OSError:
    pass
def check(*args, **kwargs):
    return 100.0
def grade(*args, **kwargs):
    raise RuntimeError(BREACH)
mine_or_reference = check
"""
SHADOWED = (
    "torch",
    "numpy",
    "course_utils",
    "safetensors",
    "sitecustomize",
    "usercustomize",
    "json",
    "pickle",
)

CELLS = {  # run by the kernel, above the target, which is answered wrong
    "drops-asserts": """
        import ast
        class Drop(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()
        get_ipython().ast_transformers.append(Drop())
    """,
    "rewrites-checks": """
        get_ipython().input_transformers_post.append(
            lambda lines: ["100.0\\n"] if any("check(" in line for line in lines) else lines
        )
    """,
    "compiles-without-asserts": """
        import builtins
        compile_as_before = builtins.compile
        def lenient(source, file, mode, *args, **kwargs):
            return compile_as_before(source, file, mode, optimize=2)
        builtins.compile = lenient
    """,
    "session-sends-praise": """
        session = get_ipython().kernel.session
        send_as_before = session.send
        def send(stream, kind, content=None, *args, **kwargs):
            if kind == "error":
                kind, content = "execute_result", {"data": {"text/plain": "100.0"}, "metadata": {}}
            return send_as_before(stream, kind, content, *args, **kwargs)
        session.send = send
    """,
    "runs-no-cells": """
        async def run_cell_async(*args, **kwargs):
            return None
        get_ipython().run_cell_async = get_ipython().run_cell = run_cell_async
    """,
    "displays-points": """
        sys.displayhook(100.0)
        raise SystemExit
    """,
    "closeness": """
        import numpy, numpy.testing, torch, torch.testing, math, builtins
        for module in (numpy, numpy.testing, torch, torch.testing, math, torch.Tensor):
            for name in ("allclose", "isclose", "equal", "array_equal", "assert_close", "assert_allclose"):
                if hasattr(module, name):
                    setattr(module, name, lambda *args, **kwargs: True)
        builtins.AssertionError = type("Never", (Exception,), {})
    """,
    "judges-itself": """
        import course_utils.exercises as exercises
        from course_utils.exercises import engine, judge, criteria, compare
        from dataclasses import replace
        def praise(exercise, cases, observations, seed, expected=()):
            return judge._verdict(exercise, [judge.Rung(c, True) for c in exercise.criteria], seed, "", None)
        engine.judge = judge.judge = praise
        exercises.check = engine.check = lambda id, answer: engine.find(id).points
        exercises.grade = engine.grade = lambda id, answer, **kwargs: praise(engine.find(id), [], [], 0)
        compare.STAGES = criteria.STAGES = ()
        check = exercises.check
    """,
    "observes-the-reference": """
        from course_utils.exercises import engine, observe
        as_before = observe.observe
        def observing(exercise, answer, *args, **kwargs):
            return as_before(exercise, exercise.load_reference(), *args, **kwargs)
        observe.observe = observing
    """,
    "wire-is-bent": """
        from course_utils.exercises import wire
        from course_utils.exercises.spec import Observation
        wire.to_bytes = lambda record: (2**62).to_bytes(8, "little") + b"{" * 1000
        wire.save = lambda tensors: (2**62).to_bytes(8, "little")
    """,
    "operators-of-tensors": """
        import torch
        torch.Tensor.__eq__ = torch.Tensor.__ne__ = lambda self, other: True
        torch.Tensor.numpy = torch.Tensor.detach = torch.Tensor.clone = lambda self, *a, **k: self
    """,
    "points-by-a-name": """
        def check(id, answer):
            return 100.0
        score = points = total_score = max_score = 100.0
    """,
}


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All of them."""
    attack = Attacks(release, yard, "tests")
    for name, cell in CELLS.items():
        yield attack(f"tests-{name}", cell=cell)
    for name, edit in EDITS.items():
        first, target = release.first.cell, release.target.cell
        paper = release.paper({first: release.right[first], target: release.wrong})
        edit(release, paper)
        yield attack.of_bytes(f"tests-{name}", paper.bytes())
    shadow = SHADOW % str(yard.folder)
    for name in SHADOWED:
        yield attack(f"tests-shadows-{name}", files={f"{name}/__init__.py": shadow, f"{name}.py": shadow})


def _skip_execution(release: Release, paper: Paper) -> None:
    for one in release.asked:
        paper.cell(one.check)["metadata"]["tags"] = ["skip-execution", "raises-exception"]


def _check_is_a_number(release: Release, paper: Paper) -> None:
    for one in release.asked:
        paper.cell(one.check)["source"] = "100.0"


def _checks_another(release: Release, paper: Paper) -> None:
    """Every check asks for the one exercise that is right."""
    for one in release.asked:
        paper.cell(one.check)["source"] = paper.cell(release.first.check)["source"]


def _worth_more(release: Release, paper: Paper) -> None:
    for one in release.asked:
        paper.cell(one.check)["metadata"]["nbgrader"] |= {"points": 1000, "locked": False}


def _grade_ids_exchanged(release: Release, paper: Paper) -> None:
    """The right answer under the name of the exercise that is worth more."""
    one, other = paper.cell(release.first.check), paper.cell(release.target.check)
    ids = one["metadata"]["nbgrader"]["grade_id"], other["metadata"]["nbgrader"]["grade_id"]
    other["metadata"]["nbgrader"]["grade_id"], one["metadata"]["nbgrader"]["grade_id"] = ids


def _extra_credit(release: Release, paper: Paper) -> None:
    cell = new_cell("50.0")
    marks = {"grade": True, "grade_id": "bonus", "locked": True, "points": 50, "solution": False}
    cell["metadata"]["nbgrader"] = {**marks, "schema_version": 3, "cell_type": "code"}
    paper.cells.append(cell)


def _manual_answer(release: Release, paper: Paper) -> None:
    """An answer cell that asks to be graded by hand, and says so itself."""
    paper.cell(release.target.cell)["metadata"]["nbgrader"] |= {"grade": True, "points": 50}


def _outputs_forged(release: Release, paper: Paper) -> None:
    for one in release.asked:
        cell = paper.cell(one.check)
        data = {"text/plain": [f"{one.points}"], "text/html": ["<script>alert(1)</script>"]}
        output = {"output_type": "execute_result", "execution_count": 1, "data": data, "metadata": {}}
        cell |= {"outputs": [output], "execution_count": 1}


def _results_forged(release: Release, paper: Paper) -> None:
    """A result in the notebook's own metadata, for graders that look there."""
    forged = json.dumps({"status": "graded", "score": 1000})
    paper.metadata |= {"nbgrader": json.loads(forged), "result": forged, "kernelspec": {"name": "bash"}}


EDITS: dict[str, Callable[[Release, Paper], None]] = {
    "skip-execution": _skip_execution,
    "check-is-a-number": _check_is_a_number,
    "checks-another": _checks_another,
    "worth-more": _worth_more,
    "grade-ids-exchanged": _grade_ids_exchanged,
    "extra-credit": _extra_credit,
    "manual-answer": _manual_answer,
    "outputs-forged": _outputs_forged,
    "results-forged": _results_forged,
}
