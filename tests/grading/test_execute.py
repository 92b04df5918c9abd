"""nbgrader's own autograde, as the course configures it: it does not run students' code by itself."""

import pytest
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute
from traitlets.config import PyFileConfigLoader

from course_utils.grading.execute import IsolatedExecute


@pytest.fixture(scope="module")
def steps(course):
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course.assessments)).load_config()
    return Autograde(config=config).autograde_preprocessors


def test_the_isolated_grader_takes_the_place_of_execution(steps):
    assert IsolatedExecute in steps
    assert not any(issubclass(step, Execute) for step in steps)
