"""The nbgrader course: for `cd assessments && nbgrader ...` or `jupyter lab` (formgrader), for the Validate
button where JUPYTER_CONFIG_PATH names this folder, and for `course build`, which takes the stub from here.

Grade with `course grade`; formgrader's own button grades one submission, and blocks the server meanwhile.
"""

import os
import sys
from pathlib import Path

import nbgrader
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute

import course_utils.grading
from course_utils.grading.execute import IsolatedExecute
from course_utils.grading.validate import leave_out_demos

HERE = Path(__file__).resolve().parent
c = get_config()  # noqa: F821  (traitlets defines it)

# nbgrader calls `alembic` by name, which lies beside this Python even where its environment is not active.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

c.CourseDirectory.course_id = "generative_vision"
c.CourseDirectory.root = str(HERE)
# Graders and formgrader share one file: wait for its lock instead of failing.
c.CourseDirectory.db_url = f"sqlite:///{HERE / 'gradebook.db'}?timeout=60"
# A module beside a notebook could shadow the course's own, in a release and in a submission.
c.CourseDirectory.ignore.append("*.py")

# What students find where the solution was. `course_utils.exercises` reads the error as "not attempted yet".
c.ClearSolutions.code_stub = {"python": "# your code here\nraise NotImplementedError"}
c.ClearSolutions.text_stub = "*Your answer here.*"

# The Validate button runs what `course grade` would, in the student's own account.
c.Execute.on_notebook_start = leave_out_demos
c.Execute.timeout = 300  # seconds a cell, of which students may add some that train
c.Execute.extra_arguments = ["--IPKernelApp.extra_extensions=course_utils.grading.kernel"]
c.KernelManager.transport_encryption = "auto"  # a kernel's ports are open to everybody on the machine
c.Autograde.autograde_preprocessors = [
    IsolatedExecute if step is Execute else step
    for step in Autograde.class_traits()["autograde_preprocessors"].default()
]

# Students write what feedback and formgrader show: nothing that runs survives in it. Pages need no network.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {
    "clean_html": "course_utils.grading.pages.clean_html",
    "markdown2html": "course_utils.grading.pages.markdown_to_html",
}
c.HTMLExporter.extra_template_basedirs = [
    str(Path(course_utils.grading.__file__).parent / "templates"),
    str(Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"),
]
