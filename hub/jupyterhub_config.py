"""JupyterHub for a class on one machine, with the accounts of its system. Run it as root: see hub/README.md.

COURSE_HUB          folder that this hub may write to, e.g. /srv/course
COURSE_INSTRUCTOR   the account that teaches (default: instructor)
COURSE_MEMORY       the most memory that each process may take (default: 4G)
COURSE_DATA_DIR, SD_MODEL_DIR, COURSE_PROFILE, COURSE_THREADS     as the course reads them, for everybody
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

c = get_config()  # noqa: F821  (traitlets defines it)

instructor = os.environ.get("COURSE_INSTRUCTOR", "instructor")
if not os.environ.get("COURSE_HUB"):
    sys.exit(
        "COURSE_HUB is not set: name the folder that this hub may write to, e.g. COURSE_HUB=/srv/course."
    )
# The package is everybody's, since their kernels import it; what holds answers is not.
machine.refuse_readable(machine.PROJECT / "solutions", machine.PROJECT / "assessments")

folders = machine.Folders(Path(os.environ["COURSE_HUB"]).resolve())
machine.configure(c, folders, instructor)
for path in (folders.course, *folders.course.rglob("*")):
    shutil.chown(path, instructor)

# This machine only: put a web server with a certificate in front, one that passes WebSockets on.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allow_all = True  # whoever has an account here takes part
c.JupyterHub.spawner_class = machine.Limited
c.Spawner.environment["COURSE_ONE_USER"] = ""
