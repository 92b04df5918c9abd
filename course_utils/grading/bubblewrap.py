"""The command line of the sandbox: what of this machine its processes see, and what they may do.

bubblewrap   makes namespaces and mounts, then starts the command as process 1
setpriv      gives up root for a user of its own, where root grades
scratch      the one folder that can be written to
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import course_utils

Mode: TypeAlias = Literal["bwrap", "none"]
PACKAGE = "/course"  # where the hollow package is mounted
SCRATCH = "/scratch"
START = "import sys; sys.path.insert(0, {!r}); from course_utils.grading.server import main; main()"
MISSING = (
    "The sandbox needs bubblewrap 0.8 or newer, which is missing: install the package `bubblewrap`. In a "
    "container or pod that was made for this job alone, say --sandbox none."
)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/sys/devices/system/cpu")
ROOM = 64_000_000  # bytes of the scratch folder


class SandboxError(Exception):
    """The sandbox cannot be started; the message says why and what to do."""


def environment(root: Path, mode: Mode) -> dict[str, str]:
    """What the process sees of the environment: nothing of ours."""
    scratch = SCRATCH if mode == "bwrap" else str(root / "scratch")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "MPLCONFIGDIR": scratch,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "COURSE_PROFILE": "grade",
        "COURSE_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def command_line(mode: Mode, root: Path) -> tuple[list[str], str]:
    """The command that starts server.py, and the scratch folder as it sees it.

    Raises:
        SandboxError: bubblewrap is missing or too old.
    """
    if mode == "none":
        python = [sys.executable, "-B", "-s", "-P", "-c", START.format(str(root / "package"))]
        return python, str(root / "scratch")
    require_bwrap()
    python = [
        str(Path(sys.prefix).resolve() / "bin" / "python"),
        "-B",
        "-s",
        "-P",
        "-c",
        START.format(PACKAGE),
    ]
    package = str(root / "package")
    mounts = [*_mounts(_python()), "--perms", "0755", "--dir", PACKAGE]
    mounts += ["--ro-bind", package, PACKAGE, "--dev", "/dev", "--proc", "/proc", "--perms", "1777"]
    mounts += ["--size", str(ROOM), "--tmpfs", SCRATCH, *_temporary(), "--chdir", SCRATCH]
    mounts += ["--remount-ro", "/dev", "--remount-ro", "/"]
    away = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    away += ["--hostname", "sandbox"]
    common = ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if os.geteuid():
        user = ["--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
        return ["bwrap", *away, *user, *common, *mounts, *python], SCRATCH
    # Root would be root of a user namespace, too: outside it, limits on processes do not hold for root.
    id = str(20_000 + os.getpid() % 40_000)
    capabilities = [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
    become = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--no-new-privs"]
    become += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    return ["bwrap", *away, *common, *capabilities, *mounts, *become, *python], SCRATCH


def require_bwrap() -> None:
    """Raise SandboxError where bubblewrap is missing or too old."""
    try:
        said = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=True).stdout
        version = tuple(int(part) for part in said.split()[-1].split(".")[:2])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise SandboxError(MISSING) from error
    if version < (0, 8):
        raise SandboxError(MISSING.replace("which is missing", f"and this is {said.split()[-1]}"))


def _python() -> list[Path]:
    """Folders of Python, and those outside of them that it imports from, as Debian's dist-packages."""
    elsewhere = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
    return [Path(folder).resolve() for folder in (sys.prefix, sys.base_prefix, *elsewhere)]


def is_shown(path: Path) -> bool:
    """Whether a path of this machine can be read in the sandbox."""
    return any(path.resolve().is_relative_to(shown) for shown in (*map(Path, SYSTEM), *_python()))


def _mounts(folders: Sequence[Path]) -> list[str]:
    """The system and Python, read-only, with parents that everybody may pass through."""
    words: list[str] = []
    for path in SYSTEM:
        if Path(path).is_symlink():
            words += ["--symlink", os.readlink(path), path]
        elif Path(path).is_dir():
            words += ["--ro-bind", path, path]
    for path in SETTINGS:
        if Path(path).exists():
            words += [*_parents(Path(path)), "--ro-bind", path, path]
    mounted = [Path(path) for path in SYSTEM]
    for folder in folders:
        if not any(folder.is_relative_to(done) for done in mounted):
            words += [*_parents(folder), "--ro-bind", str(folder), str(folder)]
            mounted.append(folder)
    secret = [*packages(folders), *answers()]
    hidden = [path for path in secret if any(path.is_relative_to(done) for done in mounted)]
    return words + [word for path in hidden for word in ("--perms", "0755", "--tmpfs", str(path))]


def packages(folders: Sequence[Path]) -> list[Path]:
    """The course's own package, wherever it is installed: this one, and those in or below these folders."""
    own = Path(course_utils.__file__).parent
    near = [folder / own.name for folder in (*folders, *map(Path, sys.path))]
    # Several Pythons may share a prefix, and a student's code may start any of them.
    prefixes = {*folders, Path("/usr"), Path("/usr/local")}
    deep = [path for prefix in prefixes for path in prefix.glob(f"lib*/python*/*-packages/{own.name}")]
    return sorted({path.resolve() for path in (own, *near, *deep) if path.is_dir()})


def answers() -> list[Path]:
    """Folders beside the package that hold solutions, where it is not installed apart from them."""
    beside = Path(course_utils.__file__).resolve().parents[1]
    return [path for path in (beside / "solutions", beside / "assessments") if path.is_dir()]


def _parents(path: Path) -> list[str]:
    return [
        word for parent in reversed(path.parents[:-1]) for word in ("--perms", "0755", "--dir", str(parent))
    ]


def _temporary() -> list[str]:
    """/tmp as another name of the scratch folder, unless Python itself lies below it."""
    return [] if any(path.is_relative_to("/tmp") for path in _python()) else ["--symlink", SCRATCH, "/tmp"]


def find_mode(wanted: str) -> Mode:
    """The mode of a command line's word; refuses at once where bubblewrap is wanted and missing."""
    if wanted == "none":
        return "none"
    require_bwrap()
    if not shutil.which("setpriv") and not os.geteuid():
        raise SandboxError("The sandbox needs setpriv, which is part of the package `util-linux`.")
    return "bwrap"
