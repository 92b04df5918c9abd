"""Running one notebook: what is kept, what is said while it runs, and how a failure is reported."""

import nbformat
import pytest

from course_utils.authoring import execute as module
from course_utils.authoring.chapters import AuthoringError
from course_utils.authoring.checks import outputs
from course_utils.authoring.execute import WIDGET_VIEW, execute


def notebook(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(text, id=f"cell-{number}") for number, text in enumerate(sources)]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_run(capsys, monkeypatch):
    """One run, seen from all sides: a kernel takes seconds to start."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # where it is set, ipykernel does not watch what C writes
    given = notebook(
        "import os",
        "print(os.environ['COURSE_PROFILE'], os.environ['COURSE_THREADS'], os.listdir('.'))",
        "import warnings; warnings.warn('from Python')",
        "_ = os.write(2, b'from C')",
        "from IPython.display import display",
        f"display({{'{WIDGET_VIEW}': {{}}, 'text/html': '<p>twin</p>', 'text/plain': 'twin'}}, raw=True)",
    )
    untouched = nbformat.from_dict(given)
    ran = execute(given, "sample", "ci", threads=1)
    assert given == untouched
    assert ran.cells[1].outputs[0].text == "ci 1 ['.ipython']\n"
    assert set(ran.cells[5].outputs[0].data) == {"text/html", "text/plain"}
    assert set(ran.metadata) == {"kernelspec", "language_info"}
    assert "version" not in ran.metadata.language_info
    assert all(cell.metadata == {} for cell in ran.cells)
    to_stderr = [problem for problem in outputs("sample", ran) if "writes to stderr" in problem]
    assert len(to_stderr) == 2
    progress = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 2)[0] for line in progress] == [f"sample {n + 1}/6 cell-{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (
            "raise NotImplementedError",
            "cell cell-1 calls an unsolved stub: wrap the answer in mine_or_reference",
        ),
        ("1 / 0", "cell cell-1 fails with ZeroDivisionError: division by zero\n\n(.*\n)*.*----> 1 1 / 0"),
        ("import os; os._exit(1)", "the kernel died in cell cell-1"),
        ("import time; time.sleep(60)", "cell cell-1 still runs after 1 s"),
        (
            "from ipywidgets import IntSlider; IntSlider()",
            "cell cell-1 shows a widget that has neither a text/html twin nor a PNG",
        ),
    ],
)
def test_a_failure_names_its_cell(monkeypatch, cell, sentence):
    monkeypatch.setattr(module, "CELL_TIMEOUT", 1)
    with pytest.raises(AuthoringError, match=f"^sample: {sentence}"):
        execute(notebook("'a sound cell'", cell), "sample", "ci")
