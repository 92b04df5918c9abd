"""nbgrader for everybody on the hub: where assignments are exchanged, and how Validate runs a notebook."""

import os

from course_utils.grading.validate import leave_out_demos

c = get_config()  # noqa: F821  (traitlets defines it)

c.CourseDirectory.course_id = "generative_vision"
c.Exchange.root = os.environ["COURSE_EXCHANGE"]
# In the trial and in containers all accounts are one user of the system: a file's owner proves nothing.
c.ExchangeCollect.check_owner = not os.environ["COURSE_ONE_USER"]

# As in assessments/nbgrader_config.py, which students cannot read.
c.Execute.on_notebook_start = leave_out_demos
c.Execute.timeout = 300  # seconds a cell
c.Execute.extra_arguments = ["--IPKernelApp.extra_extensions=course_utils.grading.kernel"]
