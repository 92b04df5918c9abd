"""nbgrader's execute step, done by the isolated grader: for `nbgrader autograde` and formgrader's button.

`course grade` does the same for many submissions at once, and is not stopped by a damaged one.
"""

from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from course_utils.grading.bubblewrap import find_mode
from course_utils.grading.course import Course
from course_utils.grading.work import work


class IsolatedExecute(NbGraderPreprocessor):
    """Grades what was handed in, in the sandbox, and hands on the notebook with the verdicts."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        names = resources["nbgrader"]
        course = Course(Path(self.config.CourseDirectory.root))
        job = course.job(names["assignment"], names["student"], course.release(names["assignment"]))
        graded = work(job, find_mode("bwrap"))
        course.keep(job, graded)
        return nbformat.reads(graded.notebook, as_version=4), resources
