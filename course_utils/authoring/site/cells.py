"""The cells of a student's notebook, as a page shows them.

text      prose
code      code and what it put out
answer    code with the lines that students write left out
check     what the exercise before it is judged by; nobody has answered it yet, so the verdict is left out
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bs4 import BeautifulSoup
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode

from course_utils.authoring.chapters import AuthoringError
from course_utils.authoring.site.markdown import to_html
from course_utils.authoring.source import is_answer, is_check


@dataclass(frozen=True)
class Criterion:
    """One thing that a check looks at."""

    name: str
    points: str  # e.g. "1 point"; empty where it only leads to the next one


@dataclass(frozen=True)
class Cell:
    """HTML of one cell."""

    kind: str
    id: str
    html: str  # of the prose or the code
    outputs: Sequence[str] = ()
    points: float = 0.0
    criteria: Sequence[Criterion] = ()


def cells_of(notebook: NotebookNode) -> list[Cell]:
    """The cells that have something to show.

    Raises:
        AuthoringError: an output or a formula cannot be shown; it says in which cell.
    """
    return [_cell(cell) for cell in notebook.cells if cell.source.strip()]


def _cell(cell: NotebookNode) -> Cell:
    try:
        if cell.cell_type == "markdown":
            return Cell("text", cell.id, to_html(cell.source))
        code = str(Highlight2HTML(pygments_lexer="ipython3")(cell.source))
        if is_check(cell):
            points = float(cell.metadata.nbgrader["points"])
            return Cell("check", cell.id, code, points=points, criteria=list(_criteria(cell)))
        return Cell("answer" if is_answer(cell) else "code", cell.id, code, list(map(_output, cell.outputs)))
    except AuthoringError as error:
        raise AuthoringError(f"cell {cell.id}: {error}") from None


def _output(output: NotebookNode) -> str:
    """An output as HTML, else as text.

    Raises:
        AuthoringError: it is neither; a picture alone would have no alt text.
    """
    if output.output_type == "stream":
        return f'<pre class="output">{escape(output.text)}</pre>'
    data = output.get("data", {})
    if "text/html" in data:
        return str(data["text/html"])
    if set(data) == {"text/plain"}:
        return f'<pre class="output">{escape(data["text/plain"])}</pre>'
    raise AuthoringError(f"shows only {', '.join(data) or output.output_type}; a page shows HTML or text.")


def _criteria(cell: NotebookNode) -> Iterator[Criterion]:
    """What the stored verdict lists.

    Raises:
        AuthoringError: there is no such list.
    """
    verdict = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
    rows = BeautifulSoup(verdict, "html.parser").select("tr")
    if not rows:
        raise AuthoringError("stores no verdict with criteria; run `make build`.")
    for row in rows:
        name, _, points = (column.get_text() for column in row.select("td"))
        yield Criterion(name, points.removeprefix("0 of "))
