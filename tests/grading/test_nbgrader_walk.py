"""From release to the exported scores of chapter 1: nbgrader's own commands, and `course grade` among them.

Four students hand in: `right` the course's solutions, one of which also writes to stderr; `wrong` a known
misconception in every answer; `half` some right answers, a partly right one, and stubs; `untouched` stubs.
What they should get is not written here: `grade` says it of the same code. All but `right` have deleted the
chapter's demos, as students may.
"""

import ast
import csv
import html
import re
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from course_utils.exercises import grade
from course_utils.exercises.spec import Verdict
from course_utils.grading.result import Result

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("needs_bubblewrap"),
]

CHAPTER = "01_autoencoders"
STUDENTS = ("right", "wrong", "half", "untouched")
NOISE = """
    import ctypes, os, sys, warnings
    warnings.warn("from Python")
    print("from Python", file=sys.stderr)
    os.write(2, b"from a file descriptor\\n")
    ctypes.CDLL(None).perror(b"from C")
"""
WRONG_ANSWERS = Path(__file__).with_name("wrong_answers.py")


def read(path: Path) -> dict[str, nbformat.NotebookNode]:
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def answer_cells(path: Path) -> dict[str, str]:
    """Sources of the cells that are graded, by exercise."""
    cells = read(path)
    return {name: cell.source for name, cell in cells.items() if f"{name}-check" in cells}


def wrong_answers() -> dict[str, str]:
    """Cells that hold one wrong answer each, by its name."""
    code = WRONG_ANSWERS.read_text(encoding="utf-8")
    _, *imports_and_answers = ast.parse(code).body
    imports = [node for node in imports_and_answers if not hasattr(node, "name")]
    head = "\n".join(ast.unparse(node) for node in imports)
    return {
        node.name: f"{head}\n\n\n{ast.get_source_segment(code, node)}"
        for node in imports_and_answers
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


@pytest.fixture(scope="module")
def solutions(course) -> dict[str, str]:
    return answer_cells(course.assessments / "source" / CHAPTER / f"{CHAPTER}.ipynb")


@pytest.fixture(scope="module")
def answers(solutions) -> dict[str, dict[str, str]]:
    """What each student writes, by exercise; what is left out is left untouched."""
    first, second, *others = solutions
    wrong = wrong_answers()
    assert set(wrong) == set(solutions)
    noisy = re.sub(r"(?m)^ +### BEGIN SOLUTION\n", lambda _: NOISE, solutions[first])
    return {
        "right": {**solutions, first: noisy},
        "wrong": wrong,
        "half": {second: wrong[second], **{name: solutions[name] for name in others[::2]}},
        "untouched": {},
    }


@pytest.fixture(scope="module")
def walked(course, answers):
    """The course after the whole walk; then `half` hands in once more, now all right, and is graded again."""
    course.teach("generate_assignment", CHAPTER)
    course.teach("release_assignment", CHAPTER)
    for student in STUDENTS:
        course.hand_in(student, answers[student], demos=student == "right")
    finish(course)
    (course.assessments / "grades.csv").rename(course.assessments / "first.csv")
    course.hand_in("half", answers["right"])
    finish(course)
    return course


def finish(course) -> None:
    """What the instructor does after a deadline, and again after a late submission."""
    course.teach("collect", CHAPTER, "--update", "--ExchangeCollect.check_owner=False")
    course.grade()
    course.teach("generate_feedback", CHAPTER)
    course.teach("release_feedback", CHAPTER)
    course.teach("export")


def expected(course, student: str, answers: dict[str, str]) -> dict[str, Verdict]:
    """What `grade` says of a student's code, with the seed that was recorded, by exercise."""
    seed = read_result(course, student).seed
    released = read(course.release)
    namespace: dict[str, object] = {}
    setup = next(cell.source for cell in released.values() if cell.cell_type == "code")
    exec(setup, namespace)
    verdicts = {}
    for name, stub in answer_cells(course.release).items():
        exec(answers.get(name, stub), namespace)
        exercise = f"{CHAPTER.partition('_')[2]}.{name}"
        verdicts[name] = grade(exercise, namespace[name], seed=seed)
    return verdicts


def read_result(course, student: str) -> Result:
    path = course.assessments / "results" / CHAPTER / f"{student}.json"
    return Result.from_json(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def verdicts(walked, answers) -> dict[str, dict[str, Verdict]]:
    """By student and exercise, for what each handed in last."""
    last = {**answers, "half": answers["right"]}
    return {student: expected(walked, student, last[student]) for student in STUDENTS}


def exported(path: Path) -> dict[str, float]:
    """Scores by student."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == CHAPTER]
    assert len(rows) == len(STUDENTS)
    return {row["student_id"]: float(row["score"]) for row in rows}


def total(verdicts: dict[str, Verdict]) -> float:
    return sum(verdict.score for verdict in verdicts.values())


def text_of(path: Path) -> str:
    """What a page says, without markup and with single spaces."""
    page = re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8"))
    return " ".join(html.unescape(page).split())


def test_the_students_are_what_they_are_called(verdicts, answers, walked):
    half = expected(walked, "half", answers["half"])
    assert all(verdict.passed for verdict in verdicts["right"].values())
    assert {name: verdict.misconception for name, verdict in verdicts["wrong"].items()} == {
        name: re.search(r'"""(.*)"""', code)[1] for name, code in answers["wrong"].items()
    }
    assert {verdict.status for verdict in half.values()} == {"right", "partly right", "not attempted yet"}
    assert not any(verdict.attempted for verdict in verdicts["untouched"].values())


def test_every_grade_is_the_score_that_grade_gives(walked, verdicts):
    with Gradebook(f"sqlite:///{walked.assessments / 'gradebook.db'}") as gradebook:
        graded = {
            student: {
                grade.name.removesuffix("-check"): grade.score
                for grade in gradebook.find_submission_notebook(CHAPTER, CHAPTER, student).grades
            }
            for student in STUDENTS
        }
    assert graded == {
        student: {name: verdict.score for name, verdict in by_name.items()}
        for student, by_name in verdicts.items()
    }


def test_the_exported_table_holds_the_sums(walked, verdicts):
    assert exported(walked.assessments / "grades.csv") == {
        student: pytest.approx(total(by_name)) for student, by_name in verdicts.items()
    }


def test_grading_again_replaces_the_old_score_and_no_other(walked, verdicts, answers):
    first = exported(walked.assessments / "first.csv")
    last = exported(walked.assessments / "grades.csv")
    assert first["half"] == pytest.approx(total(expected(walked, "half", answers["half"])))
    assert 0 < first["half"] < last["half"]
    assert {**first, "half": last["half"]} == last


def test_what_is_written_to_stderr_costs_nothing(walked, verdicts):
    assert exported(walked.assessments / "grades.csv")["right"] == total(verdicts["right"])


@pytest.mark.parametrize("student", STUDENTS)
def test_feedback_repeats_every_verdict_and_reaches_the_student(walked, verdicts, student):
    walked.study(student, "fetch_feedback", CHAPTER)
    pages = (walked.root / "home" / student / CHAPTER / "feedback").rglob("*.html")
    newest = max(pages, key=lambda page: page.parent.name)
    said = text_of(newest)
    for verdict in verdicts[student].values():
        assert " ".join(verdict.message.split()) in said
