"""The one writer: results go into nbgrader's gradebook, and notebooks to where formgrader and feedback look.

Writing the same results again changes nothing. A score that a person gave by hand stays, and is marked for
review where the automatic one below it has changed.
"""

from __future__ import annotations

import secrets
import shutil
import warnings
from collections.abc import Iterable
from typing import Any

from course_utils.grading.course import Course, CourseError, read_plain, write
from course_utils.grading.release import Release, read_release
from course_utils.grading.result import Result


def write_gradebook(course: Course, assignment: str, results: Iterable[Result]) -> int:
    """Write all results of an assignment; how many submissions were not as they should be already.

    Raises:
        CourseError: nbgrader does not know the assignment, or knows another release of it.
    """
    from nbgrader.api import Gradebook

    release = read_release(assignment, course.release(assignment))
    directory = course.directory
    changed = 0
    with warnings.catch_warnings(), Gradebook(directory.db_url, directory.course_id) as gradebook:
        warnings.simplefilter("ignore")  # SQLAlchemy's, about how nbgrader adds a submission
        require_known(gradebook, assignment, release)
        for result in results:
            late = write_scores(gradebook, result, release)
            changed += write_notebook(course, result)
            if late:
                assign_penalty(course, result)
    return changed


def require_known(gradebook: Any, assignment: str, release: Release) -> None:
    """Raise CourseError where the gradebook has not the cells of the release."""
    from nbgrader.api import MissingEntry

    try:
        cells = gradebook.find_notebook(assignment, assignment).grade_cells
    except MissingEntry:
        cells = []
    if {cell.name for cell in cells} != {question.check for question in release.questions}:
        raise CourseError(
            f"The gradebook does not know this release of {assignment}: "
            f"run `nbgrader generate_assignment {assignment}` again."
        )


def write_scores(gradebook: Any, result: Result, release: Release) -> bool:
    """The scores of one submission; whether a penalty for being late has to be looked at."""
    from nbgrader.api import MissingEntry

    try:
        gradebook.find_student(result.student)
    except MissingEntry:
        gradebook.add_student(result.student)
    when = {"timestamp": result.submitted} if result.submitted else {}
    submission = gradebook.update_or_create_submission(result.assignment, result.student, **when)
    if not when:
        submission.timestamp = None
    notebook = next(one for one in submission.notebooks if one.name == result.assignment)
    scores = {exercise.check: exercise.score for exercise in result.exercises}
    for grade in notebook.grades:
        if grade.auto_score != scores[grade.name]:
            grade.auto_score = scores[grade.name]
            grade.needs_manual_grade = grade.manual_score is not None
        elif grade.manual_score is None:
            grade.needs_manual_grade = False
    stubs = {cell.id: cell.source.strip() for cell in release.cells if cell.role == "answer"}
    unanswered = {one.cell for one in result.exercises if one.source.strip() == stubs[one.cell]}
    for comment in notebook.comments:
        comment.auto_comment = "No response." if comment.name in unanswered else None
    gradebook.db.commit()
    return submission.total_seconds_late > 0 or notebook.late_submission_penalty is not None


def assign_penalty(course: Course, result: Result) -> None:
    """nbgrader's own step for late submissions, as the course configures it."""
    from nbformat.v4 import new_notebook
    from nbgrader.preprocessors import AssignLatePenalties

    names = {"notebook": result.assignment, "assignment": result.assignment, "student": result.student}
    resources = {"nbgrader": {**names, "db_url": course.directory.db_url}}
    AssignLatePenalties(config=course.config).preprocess(new_notebook(), resources)


def write_notebook(course: Course, result: Result) -> bool:
    """The notebook in nbgrader's autograded/; whether it was another before. Old feedback is removed then."""
    names = result.student, result.assignment
    folder = course.folder("autograded", *names)
    path = folder / f"{result.assignment}.ipynb"
    kept = course.results(result.assignment) / f"{result.student}.ipynb"
    text = kept.read_text(encoding="utf-8")
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    for old in (folder, course.folder("feedback", *names)):
        if old.is_dir():
            shutil.rmtree(old)
    folder.mkdir(parents=True)
    # Where one student lacks either file, `nbgrader release_feedback` stops for everybody; it names what it
    # hands out by the secret.
    write(folder / "timestamp.txt", result.submitted or "")
    handed_in = read_plain(course.folder("submitted", *names) / "submission_secret.txt", 1_000)
    secret = (handed_in or b"").decode("utf-8", "replace") or secrets.token_hex(64)
    write(folder / "submission_secret.txt", secret)
    write(path, text)
    for file in folder.iterdir():
        file.chmod(0o444)
    return True
