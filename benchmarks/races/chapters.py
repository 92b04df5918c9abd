"""Seconds and memory of each chapter: opened, which is a kernel and the first cell, and run to its end.

The notebook is the one with solutions, in the profile of the machine, as a student would run it. The memory
is the largest that its kernel held, as the operating system counts it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from benchmarks.records import Row, alone
from benchmarks.runner import REPOSITORY, Race
from benchmarks.setting import Setting

# Kilobytes since the process began; what getrusage counts includes the process that started it.
PEAK = 'print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))'
LIMIT = 900  # seconds a cell


def run(setting: Setting) -> Iterator[Row]:
    chapters = sorted((REPOSITORY / "solutions").glob("*.ipynb"))
    chosen = setting.pick(tiny=[], quick=[], full=chapters)
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in chosen} or {"an empty one": short()}
    slowest = 0.0
    for place, (name, notebook) in enumerate(notebooks.items()):
        setting.progress(place, len(notebooks), name)
        opened, ran, memory = measure(notebook, REPOSITORY / "solutions", setting.threads)
        slowest = max(slowest, opened + ran)
        yield alone(f"{name}: opened", "s", [opened])
        yield alone(f"{name}: run", "s", [ran])
        yield alone(f"{name}: memory", "MB", [memory])
    yield alone("the slowest, opened and run", "s", [slowest])


def short() -> NotebookNode:
    """A notebook that costs nothing: only to see that all runs."""
    return new_notebook(cells=[new_code_cell("x = 1", id="a"), new_code_cell("assert x == 1", id="b")])


def measure(notebook: NotebookNode, folder: Path, threads: int) -> tuple[float, float, float]:
    """Seconds to open it, seconds for the rest, and megabytes.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    environment = os.environ | {"COURSE_THREADS": str(threads), "JUPYTER_PREFER_ENV_PATH": "1"}
    first, *rest = (place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    with TemporaryDirectory() as sockets:
        transport = {"transport": "ipc", "ip": f"{sockets}/kernel"}
        client = NotebookClient(
            notebook,
            timeout=LIMIT,
            kernel_name="python3",
            config=Config(KernelManager=transport),
            resources={"metadata": {"path": str(folder)}},
        )
        start = time.perf_counter()
        with client.setup_kernel(env=environment):
            client.execute_cell(notebook.cells[first], first)
            opened = time.perf_counter() - start
            for position in rest:
                client.execute_cell(notebook.cells[position], position)
            ran = time.perf_counter() - start - opened
            notebook.cells.append(new_code_cell(PEAK, id="peak"))
            asked = client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    return opened, ran, int(asked.outputs[0].text) / 1024


RACE = Race(
    name="chapters",
    title="Each chapter",
    method="The notebook with solutions, run once from top to bottom; opened means that the kernel runs and\n"
    "the first cell is over. Memory: the most that the kernel held.",
    run=run,
    inputs=("benchmarks/races/chapters.py", "course_utils", "solutions"),
    seconds={"tiny": 5, "quick": 5, "full": 720},
)
