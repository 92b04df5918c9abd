import nbformat

from course_utils.grading.execute import SeededExecute


def seed_of(student: str) -> str:
    """What a kernel sees that grades this student's submission."""
    cell = nbformat.v4.new_code_cell("import os; print(os.environ['COURSE_GRADE_SEED'])")
    resources = {"nbgrader": {"assignment": "01_autoencoders", "student": student}}
    graded, _ = SeededExecute().preprocess(nbformat.v4.new_notebook(cells=[cell]), resources)
    return graded.cells[0].outputs[0].text.strip()


def test_the_seed_belongs_to_the_submission():
    assert [seed_of(student) for student in ("ada", "blaise")] == [
        "01_autoencoders ada",
        "01_autoencoders blaise",
    ]
