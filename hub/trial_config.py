"""`make hub`: the course on a JupyterHub for trying out, on this machine only, with made-up accounts.

Students log in under any name with one password, the instructor with another. All of them are you: nothing
keeps a student's notebook from reading what you can read. A class needs jupyterhub_config.py or Kubernetes.
Everything that it writes is in build/hub, or in the folder that COURSE_HUB names.
"""

import json
import os
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

c = get_config()  # noqa: F821  (traitlets defines it)

INSTRUCTOR = "instructor"
PORT = os.environ.get("PORT", "8888")
folders = machine.Folders(Path(os.environ.get("COURSE_HUB") or machine.PROJECT / "build" / "hub").resolve())
machine.configure(c, folders, INSTRUCTOR)

# Others on this machine can reach the address: the passwords are drawn, and kept for the next start.
passwords = folders.state / "passwords.json"
if not passwords.exists():
    passwords.touch(0o600)
    passwords.write_text(json.dumps({"students": secrets.token_hex(8), INSTRUCTOR: secrets.token_hex(16)}))
password = json.loads(passwords.read_text())

c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT}"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = password["students"]
c.SharedPasswordAuthenticator.admin_password = password[INSTRUCTOR]
c.Authenticator.admin_users = {INSTRUCTOR}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = machine.LimitedTrial
c.SimpleLocalProcessSpawner.home_dir_template = str(folders.root / "home" / "{username}")
c.Spawner.environment["COURSE_ONE_USER"] = "1"
if os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]  # in a container there may be nobody else

print(
    f"The course opens at {c.JupyterHub.bind_url}\n"
    f"    students:    any name, password {password['students']}\n"
    f"    instructor:  {INSTRUCTOR}, password {password[INSTRUCTOR]}\n"
    "Control-C ends it.",
    flush=True,
)
