"""From a fresh clone to a running course: the real Makefile and scripts, with stand-ins for what they call.

clone     a folder with Makefile, .ci and the two files that decide what is installed
programs  a folder that is the whole PATH: the system's small tools, and the stand-ins that a test adds
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("awk", "cat", "cp", "grep", "id", "make", "mkdir", "rm", "sed", "sh", "touch")
OUTSIDE_MAKE = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
UP_TO_DATE = ("--assume-old", ".venv/.ready")  # tests never install anything into the project itself

# Stands for Python, and for the Python and the uv inside .venv: logs the call, makes .venv as venv does, and
# fails at the call that the file `fails` names.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*${{UV_DEFAULT_INDEX:+ from $UV_DEFAULT_INDEX}}" >>"{log}"
case "$*" in
    *"$(cat "{fails}")"*) echo "stand-in: no network" >&2; exit 1 ;;
    "-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/uv ;;
    *print*) echo python3.99-venv ;;
    *" config get "*) cat "{mirror}" ;;
esac
"""


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=OUTSIDE_MAKE | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def add_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in (*TOOLS, "basename"):
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "a clone, (new)"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


class Machine:
    """A clone on a machine that has nothing but make and a stand-in for Python."""

    def __init__(self, clone: Path, programs: Path) -> None:
        self.clone, self.programs = clone, programs
        self.log, self.fails, self.mirror = (programs / name for name in ("log", "fails", "mirror"))
        self.fails.write_text("nothing fails")
        self.mirror.touch()
        stand_in = STAND_IN.format(log=self.log, fails=self.fails, mirror=self.mirror)
        (programs / "python3").write_text(stand_in)
        (programs / "python3").chmod(0o755)

    def make(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """What make did, and the calls that it made."""
        self.log.write_text("")
        result = run("make", *arguments, cwd=self.clone, PATH=str(self.programs), **NO_MIRROR)
        calls = [line for line in self.log.read_text().splitlines() if not re.search(" -c | config ", line)]
        return result, calls


@pytest.fixture
def machine(clone, programs):
    return Machine(clone, programs)


NO_MIRROR = {"PIP_INDEX_URL": "", "UV_DEFAULT_INDEX": ""}
INSTALLED = [
    "python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt",
    "uv pip sync --quiet --python .venv --compile-bytecode --require-hashes requirements.txt",
    "uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .",
]
CREATED = ["python3 --version", "python3 -m venv --clear .venv"]


def test_help_explains_every_target_in_a_line():
    explained = re.findall(r"^make (\w+) +\S.*$", run("make").stdout, re.MULTILINE)
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()
    assert sorted([*explained, "packages"]) == sorted(declared)


def test_the_first_run_installs_and_the_second_has_nothing_to_do(machine):
    result, calls = machine.make("env")
    assert (result.returncode, calls) == (0, CREATED + INSTALLED), result.stderr
    assert (machine.clone / ".venv/.ready").read_text() == f"{machine.clone}\n"
    uv = (machine.clone / ".venv/uv.txt").read_text()
    assert re.fullmatch(r"uv==\S+ \\\n(    --hash=sha256:\w{64}( \\)?\n)+", uv)
    assert machine.make("env")[1] == []


def test_a_mirror_that_pip_uses_serves_uv(machine):
    machine.mirror.write_text("mirror/simple\n")
    assert machine.make("env")[1][-2:] == [f"{call} from mirror/simple" for call in INSTALLED[-2:]]


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_changed_pins_are_installed_into_the_same_environment(machine, name):
    machine.make("env")
    later = time.time() + 5
    os.utime(machine.clone / name, (later, later))
    assert machine.make("env")[1] == INSTALLED


@pytest.mark.parametrize("call", ["-m pip install", "pip sync", "--editable"])
def test_an_interrupted_installation_is_not_believed(machine, call):
    machine.fails.write_text(call)
    result, _ = machine.make("env")
    assert result.returncode != 0
    assert (
        "stand-in: no network\nmake: the packages were not installed, for the reason above" in result.stderr
    )
    assert not (machine.clone / ".venv/.ready").exists()
    machine.fails.write_text("nothing fails")
    assert machine.make("env")[1] == CREATED + INSTALLED


def test_a_moved_environment_is_made_anew(machine):
    machine.make("env")
    machine.clone = machine.clone.rename(machine.clone.with_name("moved"))
    assert machine.make("env")[1] == CREATED + INSTALLED


def test_an_environment_that_lost_its_python_is_made_anew(machine):
    machine.make("env")
    (machine.clone / ".venv/bin/python").unlink()
    assert machine.make("env")[1] == CREATED + INSTALLED


def test_the_newest_python_that_is_new_enough_is_taken(machine):
    add_program(
        machine.programs, "python3.13", "exit 127  # as pyenv's stand-in for a version that is not chosen"
    )
    (machine.programs / "python3.12").write_text((machine.programs / "python3").read_text())
    (machine.programs / "python3.12").chmod(0o755)
    assert machine.make("env")[1][1] == "python3.12 -m venv --clear .venv"


def one_sentence(stderr: str) -> str:
    """The script's own line; make adds one that names the target."""
    (line,) = [line for line in stderr.splitlines() if not line.startswith("make: ***")]
    return line


@pytest.mark.parametrize(
    ("fails", "arguments", "sentence"),
    [
        (
            "sys.version_info <",
            (),
            "make: Python 3.11 or newer was not found; "
            "install it, or say where it is: make PYTHON=/path/to/python3 ...",
        ),
        (
            "nothing fails",
            ("PYTHON=/no/python",),
            "make: PYTHON=/no/python is no Python 3.11 or newer; name another, or leave PYTHON out.",
        ),
        (
            "ensurepip",
            (),
            "make: python3 cannot create virtual environments; "
            "install its venv module (Debian, Ubuntu: python3.99-venv).",
        ),
    ],
)
def test_what_is_missing_is_named_in_one_sentence(machine, fails, arguments, sentence):
    machine.fails.write_text(fails)
    result, _ = machine.make("lab", *arguments)
    assert result.returncode != 0
    assert one_sentence(result.stderr) == sentence
    assert not (machine.clone / ".venv").exists()


def test_a_folder_that_cannot_be_written_to_is_named(machine):
    machine.fails.write_text("-m venv")
    result, _ = machine.make("env")
    assert "make: copy the course into a folder where .venv can be made." in result.stderr.splitlines()


@pytest.fixture
def packages(programs, clone):
    """Run .ci/packages on a Debian machine that has Chromium but no bubblewrap."""
    add_program(programs, "chromium", "exit 0")
    add_program(programs, "apt-get", f'echo "$*" >>"{programs}/log"')
    for name, script in {"grep": "exit 0", "id": "echo ${USER_ID}"}.items():
        (programs / name).unlink()
        add_program(programs, name, script)

    def run_packages(user_id: str) -> tuple[subprocess.CompletedProcess[str], str]:
        (programs / "log").write_text("")
        result = run(".ci/packages", cwd=clone, PATH=str(programs), USER_ID=user_id)
        return result, (programs / "log").read_text()

    return run_packages


def test_root_on_debian_gets_the_missing_packages(packages):
    result, log = packages("0")
    assert log == "update -qq\ninstall -qq --no-install-recommends bubblewrap\n"
    assert (result.returncode, result.stderr) == (0, "")


def test_others_are_told_which_packages_are_missing(packages):
    result, log = packages("1000")
    assert (result.returncode, log) == (0, "")
    assert result.stderr == (
        "make: these system packages are missing, and the tests that need them are skipped: bubblewrap\n"
    )


def test_nothing_is_said_where_nothing_is_missing(packages, programs):
    add_program(programs, "bwrap", "exit 0")
    result, log = packages("0")
    assert (result.stdout, result.stderr, log) == ("", "", "")


@pytest.mark.parametrize("status", [0, 2])
def test_continuous_integration_runs_the_tests_and_fails_with_them(programs, tmp_path, status):
    (programs / "make").unlink()
    add_program(programs, "make", f'echo "$PWD: make $* with CI=$CI"; exit {status}')
    for tool in ("bash", "dirname", "env"):
        (programs / tool).symlink_to(shutil.which(tool))
    result = subprocess.run(
        [ROOT / ".ci/run"],
        cwd=tmp_path,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (status, f"{ROOT}: make test with CI=true\n")


def test_the_whole_project_is_clean_for_ruff_and_mypy():
    result = run("make", *UP_TO_DATE, "lint")
    assert result.returncode == 0, result.stdout + result.stderr


def at_home_in(folder: Path) -> dict[str, str]:
    """The environment of somebody whose home is this folder, and whose Jupyter is as installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    return kept | {"HOME": str(folder)}


def test_a_home_that_cannot_be_written_to_stops_the_lab_with_a_sentence(tmp_path):
    home = tmp_path / "home"
    home.touch()
    lab = ["make", *UP_TO_DATE, "lab", "ARGS=--no-browser"]
    result = subprocess.run(
        lab, cwd=ROOT, env=at_home_in(home), capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode != 0
    said = " ".join(result.stdout.split())
    assert f"Jupyter cannot write to {home}/.jupyter (not a directory)." in said
    assert "To do: Name a folder that it may write to: make lab HOME=/path/to/folder" in said


@pytest.fixture
def lab(tmp_path):
    """`make lab` on a port that the system gives, at home in an empty folder; its address and its output."""
    home, output = tmp_path / "home", tmp_path / "output"
    home.mkdir()
    with output.open("w") as file:
        process = subprocess.Popen(
            ["make", *UP_TO_DATE, "lab", "PORT=0", "ARGS=--no-browser"],
            cwd=ROOT,
            env=at_home_in(home),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield process, output
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def wait_for_address(process: subprocess.Popen[bytes], output: Path) -> re.Match[str]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"(http://127\.0\.0\.1:\d+)(/\S*)\?token=(\w+)", output.read_text())
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(output.read_text())


@pytest.mark.slow
def test_the_lab_opens_on_the_first_chapter_and_leaves_the_notebooks_as_they_are(lab):
    before = {path: path.read_bytes() for path in ROOT.glob("*/*.ipynb")}
    host, page, token = wait_for_address(*lab).groups()
    assert page == "/lab/tree/notebooks/01_autoencoders.ipynb"
    for path in (page, "/api/contents/notebooks/01_autoencoders.ipynb"):
        request = urllib.request.Request(host + path, headers={"Authorization": f"token {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
    cells = json.loads(body)["content"]["cells"]
    assert all(cell["metadata"]["trusted"] for cell in cells if cell["cell_type"] == "code")
    assert {path: path.read_bytes() for path in ROOT.glob("*/*.ipynb")} == before
    assert not re.search(r"warn|error|^\[[EW] ", lab[1].read_text(), re.IGNORECASE | re.MULTILINE)
