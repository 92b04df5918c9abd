"""Submissions a minute: `course grade` beside stock `nbgrader autograde`, see benchmarks/grading.py."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import grading
from benchmarks.records import Row, beside, missing
from benchmarks.runner import Race
from benchmarks.setting import Setting

STOCK = "stock nbgrader autograde"


def run(setting: Setting) -> Iterator[Row]:
    count = setting.pick(tiny=1, quick=1, full=4)
    chapter = "06_forward_diffusion"
    name = f"submissions a minute, {count} of {chapter}"
    if not shutil.which("bwrap"):
        setting.progress(0, 1, "bubblewrap is missing")
        yield missing(name, "", STOCK, note="bubblewrap is not installed: without it, nothing is graded.")
        return
    demos = setting.pick(tiny=False, quick=False, full=True)
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        setting.progress(0, 3, "submissions are made")
        course = grading.make_course(Path(folder) / "course", chapter, count, demos)
        stock = shutil.copytree(course, Path(folder) / "stock")
        with (stock / grading.CONFIG).open("a") as config:
            config.write(grading.STOCK)
        setting.progress(1, 3, STOCK)
        theirs = a_minute(count, grading.run(stock, "nbgrader", "autograde", chapter)[0])
        words = ["course_utils.cli", "grade", chapter, "--workers", str(setting.threads)]
        setting.progress(2, 3, "course grade")
        ours = a_minute(count, grading.run(course, *words)[0])
    note = "Stock nbgrader runs whole notebooks" + (
        ", demos included." if demos else "; these have no demos."
    )
    yield beside(name, "", [ours], STOCK, [theirs], more_is_better=True, note=note)


def a_minute(count: int, seconds: float) -> float:
    return 60 * count / seconds


RACE = Race(
    name="grading",
    title="Grading",
    method="Half of the submissions are the course's answers, in the others every function is a little off;\n"
    "the same files on both sides, from the start of the command to its end. Stock nbgrader has no\n"
    "workers, ours one a thread. `python benchmarks/grading.py` races larger classes.",
    run=run,
    inputs=("benchmarks/races/grading.py", "benchmarks/grading.py", "course_utils", "assessments/source"),
    seconds={"tiny": 30, "quick": 40, "full": 100},
)
