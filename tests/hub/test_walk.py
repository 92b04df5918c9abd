"""Two chapters through the hub in Chromium: released, worked on, handed in, graded, and the feedback read.

In chapter 1, ada has every answer right, ben makes one known mistake, and cy answers nothing; in chapter 6,
ben makes another one. First answers are typed, others are written into the fetched file, in which the demos
after the first exercise are left out, as students may, so that Validate has less to run.
"""

import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from course_utils.exercises.engine import find
from course_utils.grading.result import Result

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FIRST, SIXTH = "01_autoencoders", "06_forward_diffusion"
SUM_FOR_MEAN = """def reconstruction_error(x_hat, x):
    return (x_hat - x).square().flatten(1).sum(dim=1)"""
WITHOUT_ROOTS = """def q_sample(x0, t, alphas_cumprod, noise):
    share = alphas_cumprod[t].view(-1, 1, 1, 1).to(x0.dtype)
    return share * x0 + (1 - share) * noise"""


def solutions(chapter: str) -> dict[str, str]:
    """The answers of a chapter's source, by exercise."""
    cells = {cell.id: cell for cell in nbformat.read(source(chapter), as_version=4).cells}
    answers = {name: cell.source for name, cell in cells.items() if f"{name}-check" in cells}
    return {name: re.sub(r"(?m)^ *### (BEGIN|END) SOLUTION\n?", "", code) for name, code in answers.items()}


def source(chapter: str) -> Path:
    return ROOT / "assessments" / "source" / chapter / f"{chapter}.ipynb"


def write_answers(path: Path, answers: dict[str, str], typed: bool) -> None:
    """Fill in all answers, but not the first if that is typed, and leave out the demos that come after it."""
    notebook = nbformat.read(path, as_version=4)
    ids = [cell.id for cell in notebook.cells]
    first, *others = (id for id in ids if id in answers)
    kept = ids.index(first)
    notebook.cells = [
        cell for position, cell in enumerate(notebook.cells) if position < kept or "nbgrader" in cell.metadata
    ]
    for cell in notebook.cells:
        if cell.id in others or (cell.id == first and not typed):
            cell.source = answers[cell.id]
    path.unlink()
    nbformat.write(notebook, path)


def hint_of(exercise: str, misconception: str) -> str:
    """What a known mistake is told."""
    (known,) = (one for one in find(exercise).misconceptions if one.name == misconception)
    return flat(known.hint)


def flat(text: str) -> str:
    """A text with single spaces."""
    return " ".join(text.split())


class Teacher:
    """The instructor, at JupyterLab and at formgrader in a tab of its own."""

    def __init__(self, person) -> None:
        self.person = person
        with person.context.expect_page() as opened:
            person.menu("Course", "Formgrader")
        self.formgrader: Page = opened.value
        self.row("01_autoencoders").wait_for()

    def row(self, chapter: str) -> Locator:
        return self.formgrader.locator("tr", has_text=chapter)

    def press(self, chapter: str, column: str, says: str) -> None:
        """Click a chapter's icon, wait for what formgrader says, and dismiss it."""
        self.row(chapter).locator(f"td.{column} a").click()
        expect(self.formgrader.get_by_text(f"Successfully {says}")).to_be_visible()
        self.formgrader.get_by_role("button", name="OK", exact=True).click()

    def release(self, chapter: str) -> None:
        self.press(chapter, "assign", "created the student version")
        self.press(chapter, "release", "released")

    def grade(self, chapter: str) -> None:
        """Collect in formgrader, and type `course grade` in a terminal."""
        self.formgrader.reload()
        self.press(chapter, "collect", "collected")
        page = self.person.page
        if not page.locator(".jp-Terminal").count():
            page.locator(".jp-LauncherCard", has_text="Terminal").click()
            page.locator(".jp-Terminal .xterm-helper-textarea").focus()
            page.wait_for_timeout(2000)  # its prompt is drawn, not text of the page
        done = self.person.hub.course / f"graded-{chapter}"
        page.keyboard.type(f"course grade {chapter} && touch {done}\n")
        for _ in range(600):
            if done.exists():
                break
            page.wait_for_timeout(200)
        self.person.screenshot(f"{chapter}-graded")
        assert done.exists()

    def give_back(self, chapter: str) -> None:
        self.formgrader.reload()
        self.press(chapter, "generate-feedback", "generated feedback")
        self.press(chapter, "release-feedback", "released feedback")

    def result(self, chapter: str, student: str) -> Result:
        path = self.person.hub.course / "results" / chapter / f"{student}.json"
        return Result.from_json(path.read_text(encoding="utf-8"))


class Student:
    """Somebody at the Assignments panel and in a chapter's notebook."""

    def __init__(self, person) -> None:
        self.person, self.page = person, person.page
        person.menu("Nbgrader", "Assignment List")

    def listed(self, part: str, chapter: str) -> Locator:
        """A chapter in one part of the panel: released, fetched or submitted."""
        return self.page.locator(f"#{part}_assignments_list > .list_item", has_text=chapter)

    def fetch(self, chapter: str, answers: dict[str, str], typed: bool = False) -> None:
        self.page.get_by_role("tab", name="Assignments").click()
        self.page.locator("#refresh_assignments_list").click()
        self.listed("released", chapter).get_by_role("button", name="Fetch").click()
        self.listed("fetched", chapter).locator(".assignment-notebooks-link").click()
        write_answers(self.person.home / chapter / f"{chapter}.ipynb", answers, typed)

    def open_and_run(self, chapter: str, cells: int) -> None:
        """Open the notebook from the panel, and run its first cells."""
        notebook = self.listed("fetched", chapter).locator(".nested_list_item")
        notebook.get_by_role("link", name=chapter).click()
        expect(self.page.locator("#jp-bottom-panel")).to_contain_text(f"{chapter}.ipynb")
        expect(self.page.locator("#jp-bottom-panel")).to_contain_text("| Idle")
        self.cell(0).click()
        self.page.keyboard.press("Escape")
        for _ in range(cells):
            self.page.keyboard.press("Shift+Enter")

    def cell(self, position: int) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(position)

    def type_answer(self, name: str, answer: str) -> None:
        """Replace a stub by typing, and run it and its check."""
        cells = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
        cells.filter(has_text=f"def {name}").locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(answer)
        self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.press("Shift+Enter")
        expect(self.page.get_by_text(": right, 2 of 2 points").last).to_be_visible()

    def validate(self) -> str:
        """What the Validate button, which saves the notebook, says of it."""
        self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").get_by_role(
            "button", name="Validate"
        ).click()
        dialog = self.page.locator(".jp-Dialog", has_text="Validation Results")
        expect(dialog).to_be_visible(timeout=240_000)
        said = dialog.inner_text()
        self.person.screenshot(f"{self.person.name}-validated")
        dialog.get_by_role("button", name="Ok", exact=True).click()
        return said

    def submit(self, chapter: str) -> None:
        self.page.get_by_role("tab", name="Assignments").click()
        self.listed("fetched", chapter).get_by_role("button", name="Submit").click()
        expect(self.listed("submitted", chapter)).to_be_visible()

    def read_feedback(self, chapter: str) -> str:
        """Fetch the feedback in the panel, go to its folder, open the page; what it says."""
        self.page.get_by_role("tab", name="Assignments").click()
        self.page.locator("#refresh_assignments_list").click()
        submitted = self.listed("submitted", chapter)
        submitted.get_by_role("button", name="Fetch Feedback").click()
        submitted.get_by_text("(view feedback)").click()
        self.page.locator(".jp-DirListing-item", has_text=f"{chapter}.html").dblclick()
        viewer = self.page.frame_locator(".jp-MainAreaWidget:not(.lm-mod-hidden) iframe")
        expect(viewer.get_by_text(f"{chapter} (Score:")).to_be_visible()
        self.person.screenshot(f"{self.person.name}-{chapter}-feedback")
        return flat(viewer.locator("body").inner_text())


@pytest.fixture(scope="module")
def teacher(log_in) -> Teacher:
    return Teacher(log_in("instructor"))


@pytest.fixture(scope="module")
def students(log_in, teacher) -> dict[str, Student]:
    teacher.release(FIRST)
    return {name: Student(log_in(name)) for name in ("ada", "ben", "cy")}


def test_chapter_1_from_its_release_to_a_students_feedback(teacher, students):
    right = solutions(FIRST)
    first = next(iter(right))
    answers = {"ada": right, "ben": right | {"reconstruction_error": SUM_FOR_MEAN}}
    for name, student in students.items():
        student.fetch(FIRST, answers.get(name, {first: ""}), typed=True)
        student.open_and_run(FIRST, 7)
    for name, student in students.items():
        widget = student.page.locator(".course-widget-live").first
        expect(widget.locator(".caption")).to_contain_text("numbers for 1,024 pixels")
        slider = widget.get_by_label("numbers in the code", exact=True)
        slider.focus()
        student.page.keyboard.press("End")
        expect(widget.locator(".caption")).to_contain_text("64 numbers for 1,024 pixels")
        student.person.screenshot(f"{name}-widget")
    for name in answers:
        students[name].type_answer(first, right[first])
    assert "Success" in students["ada"].validate()
    hint = hint_of("autoencoders.reconstruction_error", "sum-instead-of-mean")
    assert hint in flat(students["ben"].validate())
    for student in students.values():
        student.submit(FIRST)

    teacher.grade(FIRST)
    teacher.give_back(FIRST)
    results = {name: teacher.result(FIRST, name) for name in students}
    assert results["ada"].score == results["ada"].points > results["ben"].score > results["cy"].score == 0
    assert hint in students["ben"].read_feedback(FIRST)
    assert hint not in students["ada"].read_feedback(FIRST)


def test_chapter_6_names_a_known_mistake_in_its_feedback(teacher, students):
    ben = students["ben"]
    teacher.formgrader.reload()
    teacher.release(SIXTH)
    ben.fetch(SIXTH, solutions(SIXTH) | {"q_sample": WITHOUT_ROOTS})
    ben.submit(SIXTH)

    teacher.grade(SIXTH)
    teacher.give_back(SIXTH)
    verdicts = {one.id: one for one in teacher.result(SIXTH, "ben").exercises}
    assert verdicts["forward_diffusion.q_sample"].misconception == "without-roots"
    said = ben.read_feedback(SIXTH)
    assert "Known mistake: without-roots." in said
    assert hint_of("forward_diffusion.q_sample", "without-roots") in said
