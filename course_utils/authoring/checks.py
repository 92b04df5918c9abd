"""What must hold of a chapter's notebooks. Every check returns sentences: what is wrong, and what to do.

    drift      a committed notebook differs from what its source gives, in anything but outputs
    leak       a line of a solution can be read in what students get
    stub       an answer cell holds code that its solution does not have, or a solution still holds the stub
    exercises  check cells and the catalogue of exercises disagree
    outputs    something is stored that a reader should not see, or is missing

`name` is how messages call the notebook, e.g. "notebooks/01_autoencoders.ipynb".
"""

import ast
import difflib
import html
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import nbformat
from nbformat import NotebookNode

from course_utils.authoring.source import is_answer, is_check

MAX_CELL_LINES = 15
MAX_BYTES = 2_000_000
HARMLESS_TAGS = {"nbval-ignore-output"}
REGION = re.compile(r"^[^\n]*BEGIN SOLUTION.*?END SOLUTION[^\n]*$\n?", re.DOTALL | re.MULTILINE)
MARKER = re.compile(r"(BEGIN|END) SOLUTION")
TELLING = re.compile(r"\w+\W+\w+")  # a line with one name only ("else:", "return") gives nothing away
SHORTEST_TELLING_LINE = 10  # characters
# A path of the machine that built the notebook; not the tail of an address or of base64.
LOCAL_PATH = re.compile(r"(?<![\w+/.:-])/(home|root|tmp|usr|opt|var|mnt|work|private|Users)/\w|\b[A-Z]:\\\w")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def drift(name: str, committed: NotebookNode, built: NotebookNode) -> list[str]:
    """How a committed notebook differs from a freshly built one, outputs left out: one unified diff."""
    lines = list(
        difflib.unified_diff(
            _as_lines(committed), _as_lines(built), name, f"{name} as its source gives it", lineterm="", n=2
        )
    )
    if not lines:
        return []
    return [
        f"{name} is not what its source gives; run `make build` and commit the result.\n" + "\n".join(lines)
    ]


def solution_lines(source: NotebookNode) -> set[str]:
    """The lines that only solutions hold: stripped, telling, and nowhere in the code that students see."""
    code = [cell.source for cell in source.cells if cell.cell_type == "code"]
    shown = "\n".join(REGION.sub("", text) for text in code)
    secret = {
        line.strip() for text in code for region in REGION.findall(text) for line in region.splitlines()[1:-1]
    }
    return {
        line
        for line in secret
        if len(line) >= SHORTEST_TELLING_LINE and TELLING.search(line) and line not in shown
    }


def leaks(name: str, student: NotebookNode, source: NotebookNode) -> list[str]:
    """Solution markers and lines of solutions in a student's notebook, in its sources or its outputs."""
    secrets = sorted(solution_lines(source))
    problems = []
    for cell in student.cells:
        if MARKER.search(cell.source):
            problems.append(f"{name}: cell {cell.id} still holds a solution marker; run `make build`.")
        texts = [cell.source, *_output_texts(cell)]
        for line in secrets:
            if any(line in text for text in texts):
                problems.append(
                    f"{name}: cell {cell.id} shows a line of a solution: {line!r}. "
                    "Change what it says or prints, or write the line differently."
                )
    return problems


def stubs(name: str, student: NotebookNode, source: NotebookNode, stub: Sequence[str]) -> list[str]:
    """Answer cells: students see the stub and lines of the solution's cell, solutions hold no stub."""
    problems = []
    solved = {cell.id: _code_lines(cell) for cell in source.cells if is_answer(cell)}
    code_stub = [line for line in stub if not line.startswith("#")]
    for identifier, lines in solved.items():
        if any(line in code_stub for line in lines):
            problems.append(
                f"{name}: the solution of {identifier} still holds the stub; solve it in the source."
            )
    for cell in student.cells:
        if not is_answer(cell) or cell.cell_type != "code":
            continue
        foreign = [line for line in _code_lines(cell) if line not in {*stub, *solved.get(cell.id, [])}]
        if foreign:
            problems.append(
                f"{name}: cell {cell.id} holds a line that its solution does not have: {foreign[0]!r}. "
                "Run `make build`."
            )
    return problems


def exercises(name: str, source: NotebookNode, points: Mapping[str, float]) -> list[str]:
    """Check cells against the catalogue: every exercise of the chapter once, with its name and its points.

    Args:
        points: of each exercise of this chapter, by id.
    """
    problems, checked = [], []
    answers = {cell.id for cell in source.cells if is_answer(cell)}
    for cell in filter(is_check, source.cells):
        exercise = _checked_exercise(cell.source)
        checked.append(exercise)
        if exercise is None:
            problems.append(f'{name}: cell {cell.id} must end with check("exercise.id", answer), its points.')
        elif exercise not in points:
            problems.append(f"{name}: cell {cell.id} checks {exercise!r}, no exercise of this chapter.")
        else:
            problems += [f"{name}: {problem}" for problem in _mislabelled(cell, exercise, points, answers)]
    for exercise in points:
        if checked.count(exercise) != 1:
            problems.append(f"{name}: {exercise} is checked {checked.count(exercise)} times; check it once.")
    return problems


def cells(name: str, source: NotebookNode) -> list[str]:
    """Tags that would make a notebook test or a grader look away."""
    return [
        f"{name}: cell {cell.id} has the tag {tag!r}; only {', '.join(HARMLESS_TAGS)} is known here."
        for cell in source.cells
        for tag in cell.metadata.get("tags", [])
        if tag not in HARMLESS_TAGS
    ]


def long_cells(name: str, source: NotebookNode) -> list[str]:
    """Code cells of more than 15 lines, answers left out: a matter of style, so only a warning."""
    return [
        f"{name}: cell {cell.id} has {len(cell.source.splitlines())} lines; {MAX_CELL_LINES} hold one idea."
        for cell in source.cells
        if cell.cell_type == "code" and not is_answer(cell) and len(cell.source.splitlines()) > MAX_CELL_LINES
    ]


def outputs(name: str, notebook: NotebookNode) -> list[str]:
    """What a stored run must not hold (errors, stderr, traces of this machine), and that it ran at all."""
    problems = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            problems.append(f"{name}: cell {cell.id} was not run; run `make build`.")
        problems += [f"{name}: cell {cell.id} {problem}" for problem in _output_problems(cell)]
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        problems.append(
            f"{name} has {size / 1e6:.1f} MB, {MAX_BYTES / 1e6:.0f} are allowed; show fewer pictures."
        )
    return problems


def missing_pictures(name: str, student: NotebookNode, solution: NotebookNode) -> list[str]:
    """Cells whose picture the solution shows and the student's notebook does not."""
    shown = {cell.id for cell in student.cells if _has_picture(cell)}
    return [
        f"{name}: cell {cell.id} shows no picture, in the solution it does; use mine_or_reference."
        for cell in solution.cells
        if _has_picture(cell) and cell.id not in shown
    ]


def _as_lines(notebook: NotebookNode) -> list[str]:
    """Everything but outputs and execution counts, one line of text per line of source."""
    version = f"nbformat {notebook.nbformat}.{notebook.nbformat_minor}"
    lines = [f"{version} {json.dumps(notebook.metadata, sort_keys=True)}"]
    for cell in notebook.cells:
        lines.append(f"[{cell.cell_type} {cell.get('id')}] {json.dumps(cell.metadata, sort_keys=True)}")
        lines += cell.source.splitlines()
    return lines


def _code_lines(cell: NotebookNode) -> list[str]:
    return [line.strip() for line in cell.source.splitlines() if line.strip()]


def _output_texts(cell: NotebookNode) -> Iterator[str]:
    """Every text that a cell's outputs show, without markup's escapes; pictures are left out."""
    for output in cell.get("outputs", []):
        texts = [output.get("text"), output.get("evalue"), *output.get("traceback", [])]
        texts += [text for mime, text in output.get("data", {}).items() if not mime.startswith("image/")]
        for text in filter(None, texts):
            shown = text if isinstance(text, str) else json.dumps(text)
            yield html.unescape(shown).replace('\\"', '"')


def _output_problems(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"stores an error: {output.ename}: {output.evalue}."
        if output.output_type == "stream" and output.name == "stderr":
            first = output.text.strip().partition("\n")[0]
            yield f"writes to stderr: {first!r}. Remove the cause of the warning."
    for text in _output_texts(cell):
        if path := LOCAL_PATH.search(text):
            yield f"stores a path of this machine: {text[path.start() : path.start() + 40]!r}."
        if address := ADDRESS.search(text):
            yield f"stores a memory address, which no two runs share: {address.group()!r}."


def _has_picture(cell: NotebookNode) -> bool:
    return any(
        mime.startswith("image/") or (mime == "text/html" and "<img" in text)
        for output in cell.get("outputs", [])
        for mime, text in output.get("data", {}).items()
    )


def _mislabelled(
    cell: NotebookNode, exercise: str, points: Mapping[str, float], answers: Collection[str]
) -> Iterator[str]:
    """Graders find an answer by its exercise's name, and nbgrader takes points as they come."""
    answer = exercise.partition(".")[2]
    if cell.id != f"{answer}-check" or answer not in answers:
        yield f"cell {cell.id} must be called {answer}-check, and the answer's cell {answer}."
    given = cell.metadata.nbgrader.get("points")
    if given != points[exercise]:
        yield f"cell {cell.id} says {given} points; {exercise} has {points[exercise]:g}."


def _checked_exercise(code: str) -> str | None:
    """The exercise id in a check cell, whose last line is check("exercise.id", ...)."""
    match ast.parse(code).body[-1:]:
        case [ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str(exercise)), *_]))]:
            return exercise
    return None
