"""Seconds for each submission: `course grade` beside stock `nbgrader autograde`, on the same cores.

    python benchmarks/grading.py --chapter 06_forward_diffusion --count 60 --cores 2

Half of the submissions are the course's answers; in the others every function is a little off. Both sides
grade the same files from the start of their command to its end, gradebook included. Stock nbgrader has no
workers; it runs whole notebooks, demos included (--without-demos hands in none). Processor seconds tell more
than seconds where the machine has other things to do.
"""

import argparse
import ast
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CONFIG = "nbgrader_config.py"
STOCK = """
c.Autograde.autograde_preprocessors = Autograde.class_traits()["autograde_preprocessors"].default()
"""
OFF = """

_right_{name} = {name}


def {name}(*args, **named):
    result = _right_{name}(*args, **named)
    return [one + 0.125 for one in result] if isinstance(result, list | tuple) else result + 0.125
"""


def main() -> None:
    """Grade on both sides and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chapter", default="01_autoencoders")
    parser.add_argument("--count", type=int, default=6, help="submissions (default: 6)")
    parser.add_argument("--cores", type=int, default=2, help="cores for both, and workers (default: 2)")
    parser.add_argument("--without-demos", action="store_true", help="hand in answers and checks only")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: args.cores]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        course = make_course(Path(folder) / "course", args.chapter, args.count, not args.without_demos)
        stock = shutil.copytree(course, Path(folder) / "stock")
        with (stock / CONFIG).open("a") as config:
            config.write(STOCK)
        taken = {"stock nbgrader autograde": run(stock, "nbgrader", "autograde", args.chapter)}
        for workers in sorted({1, len(cores)}):
            ours = shutil.copytree(course, Path(folder) / f"ours-{workers}")
            words = ["course_utils.cli", "grade", args.chapter, "--workers", str(workers)]
            taken[f"course grade --workers {workers}"] = run(ours, *words)
    print(f"{args.count} submissions of {args.chapter}; {machine(cores)}")
    base = next(iter(taken.values()))
    print("in brackets: processor seconds, of all cores")
    for name, (clock, processor) in taken.items():
        each = f"{clock / args.count:7.2f} ({processor / args.count:6.2f}) s each"
        faster = f"{base[0] / clock:5.1f} ({base[1] / processor:5.1f}) times as fast"
        print(f"{name:26} {clock:8.1f} s  {each}  {faster}")


def make_course(folder: Path, chapter: str, count: int, demos: bool) -> Path:
    """An nbgrader course in which so many students have handed in."""
    folder.mkdir()
    shutil.copy(REPOSITORY / "assessments" / CONFIG, folder)
    shutil.copytree(REPOSITORY / "assessments" / "source" / chapter, folder / "source" / chapter)
    run(folder, "nbgrader", "generate_assignment", chapter)
    solution = json.loads((REPOSITORY / "solutions" / f"{chapter}.ipynb").read_bytes())
    answers = {
        cell["id"]: "".join(cell["source"])
        for cell in solution["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
    }
    release = json.loads((folder / "release" / chapter / f"{chapter}.ipynb").read_bytes())
    for number in range(count):
        target = folder / "submitted" / f"student-{number:04d}" / chapter
        target.mkdir(parents=True)
        notebook = json.dumps(
            dict(release, cells=list(cells(release, answers, demos, wrong=number % 2 == 1)))
        )
        (target / f"{chapter}.ipynb").write_text(notebook)
        (target / "timestamp.txt").write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} UTC")
    return folder


def cells(release: dict, answers: dict[str, str], demos: bool, wrong: bool) -> Iterator[dict]:
    """The release's cells with answers in them."""
    first = next(cell for cell in release["cells"] if cell["cell_type"] == "code")
    for cell in release["cells"]:
        if cell["id"] in answers:
            source = answers[cell["id"]]
            names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            off = "".join(OFF.format(name=name) for name in names) if wrong else ""
            yield cell | {"source": source + off}
        elif demos or cell is first or "nbgrader" in cell["metadata"]:
            yield cell


def run(folder: Path, module: str, *arguments: str) -> tuple[float, float]:
    """Seconds that a command takes, on the clock and of processors; its output is shown where it fails."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, processor


def machine(cores: list[int]) -> str:
    """In words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    load = os.getloadavg()[0]
    return f"{len(cores)} cores of {model or platform.machine()}, load before and beside it {load:.1f}"


if __name__ == "__main__":
    main()
