"""nbgrader's validator, on the command line and behind JupyterLab's Validate button, agrees with `check`.

And formgrader finds the course, in the same server.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils.authoring.chapters import Chapter
from course_utils.authoring.source import read_source, student_notebook
from course_utils.exercises import grade
from course_utils.grading.validate import leave_out_demos

pytestmark = [pytest.mark.nbgrader, pytest.mark.slow]

EXERCISE = "autoencoders.conv_out_size"
SIGNATURE = "def conv_out_size(size, kernel, stride, padding):"
METADATA = '"locked": true, "schema_version": 3'
SOURCE = f"""
# %%
import os

from course_utils.exercises import check

# %%
os._exit(1)  # a demo: with it the kernel would end, and nothing be right

# %% nbgrader={{"grade_id": "conv_out_size", "grade": false, "solution": true, {METADATA}}}
{SIGNATURE}
    ### BEGIN SOLUTION
    return (size + 2 * padding - kernel) // stride + 1
    ### END SOLUTION

# %% nbgrader={{"grade_id": "conv_out_size-check", "grade": true, "points": 2, "solution": false, {METADATA}}}
check("{EXERCISE}", conv_out_size)

# %% nbgrader={{"grade_id": "profile-check", "grade": true, "points": 1, "solution": false, {METADATA}}}
float(os.environ["COURSE_PROFILE"] == "grade")
"""
ANSWERS = {
    "solved": f"""{SIGNATURE}
    os.write(2, b"from a file descriptor")
    return (size + 2 * padding - kernel) // stride + 1""",
    "half": f"""{SIGNATURE}
    return -((kernel - size - 2 * padding) // stride) + 1""",
    "untouched": f"{SIGNATURE}\n    raise NotImplementedError",
}
TOKEN = "a-token-for-this-test"
SECONDS_TO_START = 60


@pytest.fixture(scope="module")
def home(course) -> Path:
    """A student's folder with a small chapter in three states, inside the course's folder."""
    chapter = Chapter(course.root, "00_small")
    chapter.source.parent.mkdir()
    chapter.source.write_text(SOURCE, encoding="utf-8")
    released = student_notebook(chapter, read_source(chapter))
    folder = course.root / "home"
    folder.mkdir(exist_ok=True)
    for state, answer in ANSWERS.items():
        notebook = nbformat.from_dict(released)
        next(cell for cell in notebook.cells if cell.id == "conv_out_size").source = answer
        nbformat.write(notebook, folder / f"{state}.ipynb")
    return folder


def test_of_demos_only_definitions_that_others_use_are_run():
    sources = {
        "cell-000": "import torch",
        "cell-001": "from umap import UMAP\nfrom math import tau\ndef turn(x):\n    return x * tau\nturn(1)",
        "answer": "def answer(x):\n    return turn(x)",
        "cell-003": "UMAP()",
        "b1946ac9": "mine = answer(2)",
    }
    notebook = new_notebook(cells=[new_code_cell(source, id=id) for id, source in sources.items()])
    notebook.cells.insert(1, new_markdown_cell("turn"))
    notebook.cells[3].metadata["nbgrader"] = {"solution": True}
    leave_out_demos(notebook)
    assert [cell.source for cell in notebook.cells] == [
        "import torch",
        "turn",
        "from math import tau",
        "def turn(x):\n    return x * tau",
        sources["answer"],
        sources["b1946ac9"],
    ]


def points(answer: str) -> float:
    """What `grade` gives, whatever the seed."""
    namespace: dict[str, Any] = {"os": os}
    exec(answer, namespace)
    return grade(EXERCISE, namespace["conv_out_size"], seed=0).score


def test_the_states_are_what_they_are_called():
    assert [points(answer) for answer in ANSWERS.values()] == [2, 1, 0]


def test_nbgrader_validate_says_what_check_says(course, home):
    states = [f"{state}.ipynb" for state in ANSWERS]
    told = course.command(home, "validate", *states, JUPYTER_CONFIG_PATH=str(course.assessments))
    solved, half, untouched = re.split(r"(?=VALIDATION FAILED)", told)
    assert "Success! Your notebook passes all the tests." in solved
    assert "VALIDATION FAILED ON 1 CELL(S)" in half
    assert f"{EXERCISE}: partly right, 1 of 2 points\n    Known mistake: rounds-up.\n    Your size is" in half
    assert f"{EXERCISE}: not attempted yet, 0 of 2 points" in untouched


@pytest.fixture(scope="module")
def ask(course, home) -> Iterator[Callable[..., Any]]:
    """ask(path, body=None): what a Jupyter server answers that was started in assessments/."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = (f"--ServerApp.root_dir={course.root}", "--ServerApp.allow_root=True", "--no-browser")
    where = (f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}")
    with (course.root / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "server", *options, *where],
            cwd=course.assessments,
            env=course.environment,
            stdout=log,
            stderr=log,
        )

    def answer(path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    try:
        wait_for(lambda: answer("api/status"), server)
        yield answer
    finally:
        server.terminate()
        server.wait()


def wait_for(question: Callable[[], object], server: subprocess.Popen[bytes]) -> None:
    """Ask until there is an answer."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(urllib.error.URLError):
            question()
            return
        time.sleep(0.2)
    raise AssertionError(f"no answer within {SECONDS_TO_START} s")


def test_formgrader_lists_the_chapter(ask):
    (assignment,) = (one for one in ask("formgrader/api/assignments") if one["name"] == "01_autoencoders")
    assert assignment["status"] == "draft"
    assert assignment["source_path"] == "source/01_autoencoders"


def test_the_validate_button_says_why(ask):
    (failed,) = ask("assignments/validate", {"path": "home/half.ipynb"})["value"]["failed"]
    assert failed["source"] == f'check("{EXERCISE}", conv_out_size)'
    assert failed["raw_error"].startswith(
        f"{EXERCISE}: partly right, 1 of 2 points\nKnown mistake: rounds-up.\nYour size is one too large"
    )
    assert "Case:" in failed["raw_error"]
