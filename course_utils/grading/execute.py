"""nbgrader's execute step, with a seed that belongs to the submission."""

import os
from typing import Any

from nbgrader.preprocessors import Execute


class SeededExecute(Execute):
    """Runs a submission so that grading it again draws the same cases, and other students get other cases."""

    def start_new_kernel(self, **kwargs: Any) -> None:
        submission = self.resources["nbgrader"]
        seed = f"{submission['assignment']} {submission['student']}"
        super().start_new_kernel(env={**os.environ, "COURSE_GRADE_SEED": seed}, **kwargs)
