"""nbgrader for a student: handing in under the name of the hub, whatever the system calls the account."""

import os

c = get_config()  # noqa: F821  (traitlets defines it)

c.CourseDirectory.student_id = os.environ["JUPYTERHUB_USER"]
