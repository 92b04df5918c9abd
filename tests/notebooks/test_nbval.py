"""nbval in strict mode does what the notebooks' tests rely on: it compares what is stored with a fresh run.

One run over two notebooks: one agrees with what is stored, the other differs in every cell.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

pytestmark = pytest.mark.slow

SANITIZE = Path(__file__).parents[1] / "nbval_sanitize.cfg"
OPTIONS = ("--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE))
PARALLEL = ("--numprocesses", "2", "--dist", "loadscope")
TWIN = (
    '<div class="frame"><script type="application/json" class="course-widget-data">{data}</script>'
    '<img class="course-widget-still" alt="{alt}" src="data:image/png;base64,{still}"><p>{caption}</p></div>'
)


def twin(data: str = "[1,\n2]", still: str = "AAAA", alt: str = "a map", caption: str = "t = 250") -> str:
    return TWIN.format(data=data, still=still, alt=alt, caption=caption)


def cell(source: str, *outputs: nbformat.NotebookNode, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    metadata = {"tags": list(tags)} if tags else {}
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1, metadata=metadata)


def printed(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text)


def returned(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("execute_result", {"text/plain": text}, execution_count=1)


def stored(html: str) -> nbformat.NotebookNode:
    """A widget as `course build` stores it: without its live view."""
    return nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "a widget"})


def shows(html: str) -> str:
    """Source of a cell that shows a widget."""
    live = {"application/vnd.jupyter.widget-view+json": {"model_id": "random"}}
    data = {**live, "text/html": html, "text/plain": "a widget"}
    return f"from IPython.display import display; display({data!r}, raw=True)"


AGREES = {
    "the profile is that of nbval": cell("import os; print(os.environ['COURSE_PROFILE'])", printed("ci\n")),
    "streams are joined": cell("print('x'); print('y')", printed("x\ny\n")),
    "a result": cell("6 * 7", returned("42")),
    "a widget's data and still may differ": cell(
        shows(twin(data="[1,\n2]", still="AAAA")), stored(twin(data="[3]", still="BBBB"))
    ),
    "a tagged cell may differ": cell(
        "import time; print(time.time())", printed("0\n"), tags=("nbval-ignore-output",)
    ),
}
DIFFERS = {
    "mismatch 'stdout'": cell("print(2)", printed("1\n")),
    "mismatch 'text/plain'": cell("6 * 7", returned("41")),
    "t = 251": cell(shows(twin(caption="t = 250")), stored(twin(caption="t = 251"))),
    "a plot": cell(shows(twin(alt="a map")), stored(twin(alt="a plot"))),
    "Missing output fields": cell("pass", printed("gone\n")),
    "Unexpected output fields": cell("import warnings; warnings.warn('old')"),
    "ZeroDivisionError": cell("1 / 0", tags=("nbval-ignore-output",)),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """What nbval says against each cell, "" where it agrees; and what it prints."""
    folder = tmp_path_factory.mktemp("nbval")
    for name, cells in (("agrees", AGREES), ("differs", DIFFERS)):
        nbformat.write(nbformat.v4.new_notebook(cells=list(cells.values())), folder / f"{name}.ipynb")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--junitxml", "report.xml", *OPTIONS, *PARALLEL, "."],
        cwd=folder,
        env={**os.environ, "COURSE_PROFILE": "ci"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    report = ElementTree.parse(folder / "report.xml")
    said = {
        f"{case.get('classname')} {case.get('name')}": case.findtext("failure", "")
        for case in report.iter("testcase")
    }
    return said, result.stdout


@pytest.mark.parametrize("case", AGREES)
def test_what_agrees_passes(run, case):
    assert run[0][f"agrees.ipynb Cell {list(AGREES).index(case)}"] == ""


@pytest.mark.parametrize("told", DIFFERS)
def test_what_differs_fails_in_words(run, told):
    assert told in run[0][f"differs.ipynb Cell {list(DIFFERS).index(told)}"]


def test_each_notebook_stays_with_one_worker(run):
    pairs = set(re.findall(r"\[(gw\d)\].* (?:PASSED|FAILED) \S*?(\w+)\.ipynb::", run[1]))
    assert sorted(notebook for _, notebook in pairs) == ["agrees", "differs"]
