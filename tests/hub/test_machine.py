"""The two hubs of one machine, before anybody logs in: what they refuse, write, and give to whom."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_server.base.websocket import WebSocketMixin
from traitlets.config import Config, PyFileConfigLoader

ROOT = Path(__file__).parents[2]
HUB = ROOT / "hub"


@pytest.fixture
def trial(tmp_path, monkeypatch, proxy) -> Config:
    """What trial_config.py sets, for a folder of its own."""
    monkeypatch.setenv("COURSE_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("PORT", "8123")
    return PyFileConfigLoader("trial_config.py", str(HUB)).load_config()


def start(config: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start JupyterHub where its configuration refuses."""
    kept = {name: value for name, value in os.environ.items() if name != "COURSE_HUB"}
    return subprocess.run(
        [sys.executable, "-m", "jupyterhub", "--config", HUB / config],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]


def test_the_trial_listens_on_this_machine_only(trial):
    addresses = [
        trial.JupyterHub.bind_url,
        trial.JupyterHub.hub_bind_url,
        trial.ConfigurableHTTPProxy.api_url,
    ]
    assert trial.JupyterHub.bind_url == "http://127.0.0.1:8123"
    assert all(address.startswith("http://127.0.0.1:") for address in addresses)
    assert len(set(addresses)) == 3


def test_the_trial_writes_to_its_folder_alone(trial, tmp_path):
    folder = tmp_path / "hub"
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in folder.iterdir()}
    assert modes == {"course": "0o700", "state": "0o700", "exchange": "0o1777"}
    places = [
        trial.JupyterHub.db_url,
        trial.JupyterHub.cookie_secret_file,
        trial.ConfigurableHTTPProxy.pid_file,
    ]
    places += [
        trial.SimpleLocalProcessSpawner.home_dir_template,
        trial.Spawner.environment["COURSE_EXCHANGE"],
    ]
    assert all(str(folder) in place for place in places)
    chapters = {path.name for path in (folder / "course" / "source").iterdir()}
    assert chapters == {path.name for path in (ROOT / "assessments" / "source").iterdir()}


def test_what_an_instructor_has_changed_stays_and_what_is_missing_comes_back(trial, tmp_path):
    source = tmp_path / "hub" / "course" / "source"
    changed, missing = source / "01_autoencoders" / "01_autoencoders.ipynb", source / "02_denoising"
    changed.write_text("mine")
    shutil.rmtree(missing)
    PyFileConfigLoader("trial_config.py", str(HUB)).load_config()
    assert (changed.read_text(), missing.exists()) == ("mine", True)


def test_passwords_are_drawn_once_and_kept_from_others(trial, tmp_path, capsys):
    path = tmp_path / "hub" / "state" / "passwords.json"
    drawn = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    again = PyFileConfigLoader("trial_config.py", str(HUB)).load_config()
    authenticator = again.SharedPasswordAuthenticator
    assert [authenticator.user_password, authenticator.admin_password] == list(drawn.values())
    assert drawn["students"] in capsys.readouterr().out


def started(trial: Config, name: str) -> SimpleNamespace:
    spawner = SimpleNamespace(
        user=SimpleNamespace(name=name), environment=trial.Spawner.environment, notebook_dir=""
    )
    trial.Spawner.pre_spawn_hook(spawner)
    return spawner


def test_a_student_gets_no_path_to_the_course_folder(trial, tmp_path):
    ada = started(trial, "ada")
    assert ada.notebook_dir == ""
    assert not [value for value in ada.environment.values() if "hub/course" in value]
    assert "JUPYTER_CONFIG_PATH" not in trial.Spawner.environment


def test_the_instructor_starts_in_the_course_folder(trial, tmp_path):
    teacher = started(trial, "instructor")
    assert teacher.notebook_dir == str(tmp_path / "hub" / "course")
    assert teacher.notebook_dir in teacher.environment["JUPYTER_CONFIG_PATH"].split(":")


def test_a_process_that_asks_for_too_much_gets_an_error_and_goes_on(trial):
    from machine import LimitedTrial  # the configuration has put its folder on the path

    code = "try:\n    bytearray(2**30)\nexcept MemoryError:\n    print(len(bytearray(2**20)))"
    limited = LimitedTrial(mem_limit=400 * 2**20)
    limited.home_dir = os.getcwd()
    result = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=limited.make_preexec_fn("ada"),
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == str(2**20), result.stderr


def test_what_students_do_without_is_off_in_server_and_browser(trial):
    paths = started(trial, "ada").environment["JUPYTER_CONFIG_PATH"].split(":")
    loaded = PyFileConfigLoader("jupyter_server_config.py", str(HUB / "jupyter/student")).load_config()
    off = {name for name, on in loaded.ServerApp.jpserver_extensions.items() if not on}
    disabled: set[str] = set()
    for path in map(Path, paths):
        for file in path.glob("jupyter_server_config.d/*.json"):
            off |= json.loads(file.read_text())["ServerApp"]["jpserver_extensions"].keys()
        for file in path.glob("labconfig/page_config.json"):
            disabled |= json.loads(file.read_text())["disabledExtensions"].keys()
    assert {"jupyter_lsp", "jupyterlab_jupytext", "notebook"} <= off
    assert {"@jupyterlab/lsp-extension", "jupyterlab-jupytext", "@jupyter-notebook/lab-extension"} <= disabled
    kept = {"assignment_list", "validate_assignment", "jupyter_server_terminals"}
    assert not kept & {name.rpartition(".")[2] for name in off}


@pytest.mark.parametrize(
    "path", [HUB / "jupyter/everyone/jupyter_server_config.py", HUB.parent / ".jupyter/jupyter_lab_config.py"]
)
def test_a_browsers_line_to_its_kernel_outlives_the_first_ping(path):
    """No answer comes before the first ping: who waits for as long as that hangs up on everybody."""
    loaded = PyFileConfigLoader(path.name, str(path.parent)).load_config()
    line = WebSocketMixin()
    line.settings = dict(loaded.ServerApp.get("tornado_settings", {}))
    assert line.ping_timeout >= 2 * line.ping_interval


def test_a_class_needs_a_folder():
    assert one_sentence(start("jupyterhub_config.py")) == (
        "COURSE_HUB is not set: name the folder that this hub may write to, e.g. COURSE_HUB=/srv/course."
    )


def test_a_class_does_not_start_where_everybody_reads_the_solutions(trial, tmp_path):
    from machine import refuse_readable

    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir(mode=0o750)
    shared.mkdir()
    shared.chmod(0o755)
    refuse_readable(own)
    with pytest.raises(
        SystemExit, match=f"Everybody on this machine can read {shared}: run chmod o-rwx on it"
    ):
        refuse_readable(own, shared)


@pytest.fixture
def clone(tmp_path):
    """A folder with what .ci/proxy reads, and a stand-in for npm; it fails where a file `fails` is."""
    folder = tmp_path / "clone"
    for name in (".ci/proxy", "hub/proxy/package.json", "hub/proxy/package-lock.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    npm = folder / ".venv" / "bin" / "npm"
    npm.parent.mkdir(parents=True)
    npm.write_text('#!/bin/sh\necho "$*" >>calls\n[ ! -e fails ]\n')
    npm.chmod(0o755)
    return folder


def install(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([clone / ".ci" / "proxy"], cwd=clone, capture_output=True, text=True)


def test_the_proxy_is_installed_once_and_again_when_its_lock_changes(clone):
    for _ in range(2):
        assert install(clone).returncode == 0
    assert (clone / "calls").read_text().count("ci --prefix .venv/proxy.new") == 1
    with (clone / "hub/proxy/package-lock.json").open("a") as lock:
        lock.write("\n ")
    assert install(clone).returncode == 0
    assert (clone / "calls").read_text().count("\n") == 2


def test_a_proxy_that_cannot_be_fetched_is_one_sentence(clone):
    (clone / "fails").touch()
    result = install(clone)
    assert one_sentence(result).startswith("make: configurable-http-proxy was not installed")
    assert not list((clone / ".venv").glob("proxy*"))


def test_the_lock_names_versions_and_hashes_and_no_registry():
    lock = json.loads((HUB / "proxy" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not [name for name, package in packages.items() if "resolved" in package]
