"""A class graded twice: by one process, and by a local Dask cluster that loses a worker on the way.

    python benchmarks/cluster.py --chapter 06_forward_diffusion --count 300 --workers 2

Right, wrong and damaged submissions take turns. Ends with 1 unless both gradebooks and all results are equal.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from shutil import copytree

from distributed import LocalCluster
from grading import REPOSITORY, machine, make_course, run

NEITHER = ("seconds",)  # of a result: what differs between two runs


def main() -> None:
    """Grade on both sides and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chapter", default="06_forward_diffusion")
    parser.add_argument("--count", type=int, default=300, help="submissions (default: 300)")
    parser.add_argument("--workers", type=int, default=2, help="of the cluster (default: 2)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        single = make_course(Path(folder) / "single", args.chapter, args.count, demos=True)
        damage(single, args.chapter)
        (single / "results").mkdir()
        (single / "results" / "seed").write_text("0" * 64)  # the same cases on both sides
        cluster = copytree(single, Path(folder) / "cluster")
        alone, _ = run(single, "course_utils.cli", "grade", args.chapter)
        together = on_cluster(cluster, args)
        same = report(single, cluster, args.chapter)
    cores = sorted(os.sched_getaffinity(0))
    print(f"{args.count} submissions of {args.chapter}; {machine(cores)}")
    print(f"one process           {alone:8.1f} s  {alone / args.count:6.2f} s each")
    print(f"{args.workers} workers, one killed {together:8.1f} s  {together / args.count:6.2f} s each")
    sys.exit(0 if same else 1)


def damage(course: Path, chapter: str) -> None:
    """Damage every third submission, each in the next of a few ways."""
    papers = sorted(course.glob(f"submitted/*/{chapter}/{chapter}.ipynb"))
    for paper, spoil in zip(papers[2::3], cycle((without_tests, cut_off, twice, deadly))):
        paper.write_text(spoil(paper.read_text()))
        (paper.parent / "timestamp.txt").write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} UTC")


def without_tests(text: str) -> str:
    """The student deleted all checks."""
    return _with_cells(text, lambda cell: [] if _is(cell, "grade") else [cell])


def cut_off(text: str) -> str:
    """The disk was full."""
    return text[: len(text) // 2]


def twice(text: str) -> str:
    """Every answer was copied, grade_id and all."""
    return _with_cells(text, lambda cell: [cell, cell] if _is(cell, "solution") else [cell])


def deadly(text: str) -> str:
    """Every answer ends Python."""
    end = "import os; os._exit(3)"
    return _with_cells(text, lambda cell: [cell | {"source": end}] if _is(cell, "solution") else [cell])


def _is(cell: dict, kind: str) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get(kind))


def _with_cells(text: str, change: Callable[[dict], list[dict]]) -> str:
    notebook = json.loads(text)
    return json.dumps(notebook | {"cells": [new for cell in notebook["cells"] for new in change(cell)]})


def on_cluster(course: Path, args: argparse.Namespace) -> float:
    """Seconds; a worker is killed once a third of the results are there."""
    results = course / "results" / args.chapter
    with LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None) as cluster:
        command = [sys.executable, "-m", "course_utils.cli", "grade", args.chapter]
        command += ["--scheduler", cluster.scheduler_address]
        started = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        with subprocess.Popen(
            command, cwd=course, env=environment, stdout=subprocess.PIPE, text=True
        ) as grader:
            assert grader.stdout
            for line in grader.stdout:
                print(line, end="")
                if line.split()[:1] == [str(args.count // 3)]:
                    os.kill(cluster.workers[0].pid, signal.SIGKILL)
                    print(
                        f"worker {cluster.workers[0].pid} killed; {len(list(results.glob('*.json')))} results"
                    )
        if grader.returncode:
            sys.exit(f"course grade ended with {grader.returncode}")
        return time.perf_counter() - started


def report(single: Path, cluster: Path, chapter: str) -> bool:
    """Whether results and exported gradebooks are the same."""
    grades = []
    for course in (single, cluster):
        run(course, "nbgrader", "export")
        grades.append(sorted((course / "grades.csv").read_text().splitlines()))
    results = [dict(read_results(course / "results" / chapter)) for course in (single, cluster)]
    differ = [name for name in results[0] if results[0][name] != results[1].get(name)]
    print(f"results: {len(results[0])} and {len(results[1])}, different: {differ or 'none'}")
    print(
        f"gradebooks: {len(grades[0]) - 1} and {len(grades[1]) - 1} grades, equal: {grades[0] == grades[1]}"
    )
    return not differ and grades[0] == grades[1] and results[0].keys() == results[1].keys()


def read_results(folder: Path) -> Iterator[tuple[str, dict]]:
    """Results by student, without what may differ."""
    for path in folder.glob("*.json"):
        result = json.loads(path.read_text())
        yield path.stem, {key: value for key, value in result.items() if key not in NEITHER}


if __name__ == "__main__":
    main()
