"""Run a notebook and keep what a reader should see.

Every run starts in an empty folder with an empty IPython profile: a chapter needs nothing beside its
notebook.
"""

import copy
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from traitlets.config import Config

from course_utils.authoring.chapters import AuthoringError
from course_utils.authoring.source import NOTEBOOK_METADATA

CELL_TIMEOUT = 900  # seconds; live training is meant to stay within one minute on two cores
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Progress:
    """Says which cell has run, and remembers it for errors."""

    def __init__(self, label: str, notebook: NotebookNode) -> None:
        self.label = label
        self.total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
        self.done = 0
        self.cell_id = "its first cell"
        self.started = time.monotonic()

    def start(self, cell: NotebookNode, **_: Any) -> None:
        self.cell_id = cell.id
        self.started = time.monotonic()

    def end(self, cell: NotebookNode, **_: Any) -> None:
        self.done += 1
        seconds = time.monotonic() - self.started
        print(f"{self.label} {self.done}/{self.total} {cell.id} {seconds:.1f} s", flush=True)


def execute(notebook: NotebookNode, label: str, profile: str, threads: int | None = None) -> NotebookNode:
    """A copy of the notebook with the outputs of a run from top to bottom.

    Args:
        notebook: left unchanged.
        label: begins every line of progress, e.g. "01_autoencoders student".
        profile: value of COURSE_PROFILE in the kernel.
        threads: value of COURSE_THREADS in the kernel; None leaves it as it is.

    Raises:
        AuthoringError: a cell fails, runs out of time or kills the kernel, or a widget has no still.
    """
    executed = copy.deepcopy(notebook)
    progress = Progress(label, executed)
    with TemporaryDirectory(prefix="course-build-") as folder, TemporaryDirectory() as sockets:
        client = NotebookClient(
            executed,
            timeout=CELL_TIMEOUT,
            config=Config(KernelManager=_transport(Path(sockets))),
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": folder}},
            on_cell_execute=progress.start,
            on_cell_executed=progress.end,
        )
        try:
            client.execute(env=_environment(Path(folder), profile, threads))
        except CellExecutionError as error:
            raise AuthoringError(_failure(progress, error)) from None
        except CellTimeoutError:
            raise AuthoringError(
                f"{label}: cell {progress.cell_id} still runs after {CELL_TIMEOUT} s; make it smaller."
            ) from None
        except DeadKernelError:
            raise AuthoringError(
                f"{label}: the kernel died in cell {progress.cell_id}; the likely cause is too little memory."
            ) from None
    executed.metadata = copy.deepcopy(NOTEBOOK_METADATA)
    _drop_live_widgets(executed, label)
    return executed


def _transport(folder: Path) -> dict[str, str]:
    """Sockets in a folder of their own: a port that looks free may be taken before the kernel opens it."""
    if os.name == "nt":  # has no such sockets
        return {"transport_encryption": "auto"}  # else every kernel warns
    return {"transport": "ipc", "ip": str(folder / "kernel")}


def _environment(folder: Path, profile: str, threads: int | None) -> dict[str, str]:
    environment = {**os.environ, "COURSE_PROFILE": profile, "IPYTHONDIR": str(folder / ".ipython")}
    if threads is not None:
        environment["COURSE_THREADS"] = str(threads)
    return environment


def _failure(progress: Progress, error: CellExecutionError) -> str:
    if error.ename == "NotImplementedError":
        what = "calls an unsolved stub: wrap the answer in mine_or_reference"
    else:
        what = f"fails with {error.ename}: {strip_ansi(error.evalue)}"
    return f"{progress.label}: cell {progress.cell_id} {what}\n\n{strip_ansi(error.traceback)}"


def _drop_live_widgets(notebook: NotebookNode, label: str) -> None:
    """Keep each widget's twin and still; its live view needs the kernel that has just ended."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.pop(WIDGET_VIEW, None) is None:
                continue
            output.get("metadata", {}).pop(WIDGET_VIEW, None)
            if not {"text/html", "image/png"} & set(data):
                raise AuthoringError(
                    f"{label}: cell {cell.id} shows a widget that has neither a text/html twin nor a PNG; "
                    "without a kernel nobody sees it."
                )
