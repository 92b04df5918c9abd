"""The notebook that formgrader and feedback show: the release with the student's answers and the verdicts.

Its outputs are written here, none comes from a submission as it is: what cells printed is plain text, and a
check shows its verdict as it does in the notebook, and returns its score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from course_utils.exercises.display import as_html, as_text
from course_utils.exercises.spec import Fault, Verdict
from course_utils.grading.rebuild import Rebuilt, Shown
from course_utils.grading.release import Release
from course_utils.grading.result import Result
from course_utils.grading.wording import plain

KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
Outcome = tuple[dict[str, Any] | None, str | None]


def feedback_notebook(
    release: Release,
    rebuilt: Rebuilt,
    result: Result,
    verdicts: Mapping[str, Verdict],
    outcomes: Mapping[str, Outcome],
) -> str:
    """The notebook as JSON.

    Args:
        verdicts: by the check's cell.
        outcomes: of cells, by key: the reply, and why the process ended.
    """
    cells = [_shown(one, verdicts, outcomes) for one in rebuilt.shown]
    notebook = {
        "cells": [*_head(result), *cells],
        "metadata": {**KERNEL, "course_inputs": result.inputs},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _head(result: Result) -> list[dict[str, Any]]:
    """A cell of words where there is something to say about the whole submission."""
    lines = [f"- {repair}" for repair in result.repairs]
    if result.status == "not gradable":
        lines = [f"**This submission earned no points.** {result.why}", *lines]
    elif lines:
        lines = ["**Your notebook was repaired before it was graded:**", "", *lines]
    if not lines:
        return []
    return [{"cell_type": "markdown", "id": "repairs", "metadata": {}, "source": "\n".join(lines)}]


def _shown(one: Shown, verdicts: Mapping[str, Verdict], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    cell = dict(one.cell)
    if cell["cell_type"] != "code":
        return cell
    check = cell["metadata"].get("nbgrader", {}).get("grade_id")
    if check in verdicts:
        return cell | {"outputs": _verdict_outputs(verdicts[check])}
    return cell | {
        "outputs": [out for key in one.steps for out in _cell_outputs(*outcomes.get(key, (None, None)))]
    }


def _verdict_outputs(verdict: Verdict) -> list[dict[str, Any]]:
    """As `check` leaves them: a card, and the score."""
    card = {"text/html": as_html(verdict, with_seed=False), "text/plain": as_text(verdict)}
    score = {"text/plain": repr(float(verdict.score))}
    return [
        {"output_type": "display_data", "data": card, "metadata": {}},
        {"output_type": "execute_result", "data": score, "metadata": {}, "execution_count": None},
    ]


def _cell_outputs(reply: dict[str, Any] | None, lost: str | None) -> list[dict[str, Any]]:
    lines = []
    if reply:
        lines += [reply["printed"]] if reply["printed"] else []
        lines += [f"[{fault_in_words(reply['fault'])}]"] if reply["fault"] else []
        lines += (
            ["[Stopped: it was still running when its time was up.]"] if reply["status"] == "timeout" else []
        )
    lines += [f"[{lost}]"] if lost else []
    text = plain("\n".join(line.rstrip("\n") for line in lines))
    return [{"output_type": "stream", "name": "stdout", "text": text + "\n"}] if text else []


def fault_in_words(fault: Fault) -> str:
    """The exception in a sentence."""
    where = f" ({fault.where})" if fault.where else ""
    return f"{fault.kind}: {fault.message}{where}"[:600]
