"""Every bad state of a machine that the doctor knows, each with the sentence that names it and what to do."""

import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import webbrowser
from collections import namedtuple

import pytest
import torch

from course_utils import doctor
from course_utils.data import files
from course_utils.doctor import CHECKS, Finding


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return parser.parse_args(argv)


def only(monkeypatch, *programs: str) -> None:
    """Let these be the only programs on the PATH."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name in programs else None)


def write_json(path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name", ["python", "packages", "torch", "gpu", "data", "kernel", "widgets", "nbgrader", "home"]
)
def test_all_is_well_in_the_projects_environment(name):
    finding = doctor.examine(CHECKS[name])
    assert (finding.status, finding.what_to_do) == ("ok", ""), finding


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert doctor.check_python() == Finding(
        "problem",
        "This is Python 3.10.4, the course needs 3.11 or newer.",
        "Install a newer Python, delete .venv, then: make env",
    )


def test_a_shared_python_is_a_warning_except_in_conda(monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    finding = doctor.check_python()
    assert finding.status == "warning"
    assert f"({sys.executable}) is shared with everything else" in finding.what
    assert finding.what_to_do == "Give the course an environment of its own: make env"
    monkeypatch.setenv("CONDA_PREFIX", sys.prefix)
    assert doctor.check_python().status == "ok"


def test_missing_and_other_versions_of_packages_are_named(monkeypatch):
    installed = importlib.metadata.version

    def version(package):
        if package == "nbgrader":
            raise importlib.metadata.PackageNotFoundError
        return "1.0" if package == "numpy" else installed(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    finding = doctor.check_packages()
    assert (finding.status, finding.what_to_do) == ("warning", doctor.REPAIR)
    assert finding.what.startswith("2 of ")
    assert f"nbgrader (pinned {installed('nbgrader')}, here missing)" in finding.what
    assert f"numpy (pinned {installed('numpy')}, here 1.0)" in finding.what


def test_only_the_first_packages_are_named(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "0.0.0.1")
    finding = doctor.check_packages()
    assert finding.what.count("pinned ") == 3
    assert re.search(r"here 0\.0\.0\.1\) and \d+ more\.$", finding.what)


def test_a_package_without_its_lock_is_not_compared(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "PROJECT", tmp_path)
    assert doctor.check_packages().status == "ok"


@pytest.mark.parametrize(
    ("cuda", "programs", "reason"),
    [
        (None, (), "this torch is built for CPUs only"),
        ("13.2", (), "no NVIDIA driver is installed"),
        ("13.2", ("nvidia-smi",), "torch, built for CUDA 13.2, cannot use the installed NVIDIA driver"),
    ],
)
def test_a_gpu_that_was_asked_for_and_is_not_there(monkeypatch, cuda, programs, reason):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    only(monkeypatch, *programs)
    assert (
        doctor.check_gpu().what == f"None ({reason}): demos train small, and show shipped models beside that."
    )
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert doctor.check_gpu() == Finding(
        "problem",
        f"COURSE_PROFILE=gpu asks for a GPU, but {reason}.",
        "Unset COURSE_PROFILE to run on the CPU, or mend the GPU's driver.",
    )


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert doctor.check_gpu() == Finding(
        "ok", "NVIDIA H200; the course runs in the profile gpu on NVIDIA H200."
    )


def test_a_profile_that_means_nothing(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    finding = doctor.check_gpu()
    assert finding.status == "problem"
    assert finding.what == "COURSE_PROFILE must be one of ci, grade, cpu, gpu, got 'fast'."


def test_a_data_folder_that_does_not_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA_DIR", f"{tmp_path}/none")
    assert doctor.check_data() == Finding(
        "problem",
        f"COURSE_DATA_DIR names {tmp_path}/none, which is no folder.",
        "Correct it, or unset it to use the packed data.",
    )


def test_a_data_folder_in_another_layout(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    (tmp_path / "raw").mkdir()
    assert doctor.check_data() == Finding(
        "warning",
        f"COURSE_DATA_DIR names {tmp_path}, where no folder MNIST/raw is found.",
        "Put MNIST's four files there, or unset COURSE_DATA_DIR; the packed copy serves meanwhile.",
    )


@pytest.fixture
def shared_raw(monkeypatch, tmp_path):
    """An empty MNIST/raw in the folder that COURSE_DATA_DIR names."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    return folder


def test_a_data_folder_that_lacks_a_file(shared_raw):
    finding = doctor.check_data()
    assert finding.status == "problem"
    assert f"{shared_raw} holds neither train-images-idx3-ubyte nor" in finding.what
    assert "unset COURSE_DATA_DIR" in finding.what_to_do


def test_a_damaged_data_file(shared_raw):
    (shared_raw / "train-images-idx3-ubyte").write_bytes(b"no images")
    finding = doctor.check_data()
    assert finding.status == "problem"
    assert f"train-images-idx3-ubyte in {shared_raw} is damaged" in finding.what
    assert finding.what_to_do == "Replace the file by a fresh copy."


def test_a_data_file_that_may_not_be_read(monkeypatch):
    def refuse(source, file):
        raise PermissionError(13, "Permission denied", f"/data/{file.name}")

    monkeypatch.setattr(files, "read", refuse)
    assert doctor.check_data() == Finding(
        "problem", "/data/train-images-idx3-ubyte cannot be read (Permission denied).", "Make it readable."
    )


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    """Write kernel python3 into a folder that Jupyter prefers to this environment's."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    def write(program: str) -> str:
        folder = tmp_path / "kernels" / "python3"
        write_json(
            folder / "kernel.json",
            {"argv": [program, "-m", "ipykernel_launcher"], "display_name": "Python 3"},
        )
        return str(folder)

    return write


def test_a_kernel_of_another_python(kernels, tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    folder = kernels(f"{tmp_path}/python")
    assert doctor.check_kernel() == Finding(
        "problem",
        f"The kernel python3 in {folder} starts {tmp_path}/python, not the Python of this environment.",
        "Start by make lab, which prefers the project's kernel, or: jupyter kernelspec remove python3",
    )


def test_a_kernel_whose_python_is_gone(kernels):
    folder = kernels("/gone/python")
    assert doctor.check_kernel() == Finding(
        "problem",
        f"The kernel python3 in {folder} starts /gone/python, which does not exist.",
        "Remove it: jupyter kernelspec remove python3",
    )


@pytest.mark.parametrize("program", ["python", "python3", "python3.11"])
def test_a_bare_name_means_this_python(kernels, program):
    kernels(program)
    assert doctor.check_kernel() == Finding("ok", f"python3 starts {sys.executable}.")


def test_no_kernel_at_all(monkeypatch):
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.ensure_native_kernel", False)
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager._find_spec_directory", lambda *_: None)
    assert doctor.check_kernel() == Finding(
        "problem", "Jupyter knows no kernel python3, which every notebook asks for.", doctor.REPAIR
    )


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A folder of Jupyter settings that come before this environment's."""
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    return tmp_path


def test_disabled_widgets_are_a_problem(settings):
    write_json(settings / "labconfig/page_config.json", {"disabledExtensions": {"anywidget": True}})
    assert doctor.check_widgets() == Finding(
        "problem", "JupyterLab does not load anywidget: the sliders stay empty.", doctor.REPAIR
    )


def test_missing_widgets_are_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    assert "@jupyter-widgets/jupyterlab-manager, anywidget" in doctor.check_widgets().what


def test_disabled_nbgrader_is_a_warning(settings):
    lab = "@jupyter/nbgrader:assignment-list"
    server = "nbgrader.server_extensions.validate_assignment"
    write_json(settings / "labconfig/page_config.json", {"disabledExtensions": {lab: True}})
    write_json(
        settings / "jupyter_server_config.d/off.json", {"ServerApp": {"jpserver_extensions": {server: False}}}
    )
    assert doctor.check_nbgrader() == Finding(
        "warning",
        f"JupyterLab does not load {server}, {lab}: it cannot fetch or validate assignments.",
        "Enable them: jupyter server extension enable NAME, or jupyter labextension enable NAME",
    )


def test_what_make_lab_sets_leaves_students_what_they_need(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(doctor.PROJECT / ".jupyter"))
    assert {doctor.check_widgets().status, doctor.check_nbgrader().status} == {"ok"}


def test_a_home_that_cannot_be_written_to(monkeypatch, tmp_path):
    (tmp_path / "home").touch()
    monkeypatch.setenv("JUPYTER_DATA_DIR", f"{tmp_path}/home/data")
    assert doctor.check_home() == Finding(
        "problem",
        f"Jupyter cannot write to {tmp_path}/home/data (not a directory).",
        "Name a folder that it may write to: make lab HOME=/path/to/folder",
    )


def test_the_fuller_of_two_disks_counts(monkeypatch, tmp_path):
    usage = namedtuple("usage", "free")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: usage(0.5 * doctor.GIB if path == tmp_path else 2**40)
    )
    assert doctor.check_disk() == Finding(
        "warning",
        f"Only 0.5 GiB are free in {tmp_path}; checkpoints and submissions may not fit.",
        "Free some space: 2 GiB are enough.",
    )
    monkeypatch.setenv("HOME", f"{tmp_path}/none")
    assert doctor.check_disk() == Finding("ok", f"1024 GiB are free in {doctor.PROJECT}.")


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**22, "SC_PAGE_SIZE": 2**12}.__getitem__)
    monkeypatch.setattr(doctor, "CGROUP_MEMORY", tmp_path / "memory.max")
    assert doctor.check_memory() == Finding("ok", "16 GiB.")
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor.check_memory() == Finding("ok", "16 GiB.")
    (tmp_path / "memory.max").write_text(f"{3 * doctor.GIB}\n")
    assert doctor.check_memory() == Finding(
        "warning",
        "Only 3.0 GiB of memory; two notebooks at once may not fit.",
        "Shut down the kernels of notebooks that are not in use.",
    )


def test_a_machine_without_a_browser(monkeypatch):
    def none():
        raise webbrowser.Error

    only(monkeypatch)
    monkeypatch.setattr(webbrowser, "get", none)
    assert doctor.check_browser() == Finding(
        "warning",
        "No browser was found on this machine.",
        'Start by make lab ARGS="--no-browser" and open the address that it prints.',
    )


def test_a_browser_that_only_the_system_knows(monkeypatch):
    only(monkeypatch)
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("open"))
    assert doctor.check_browser() == Finding("ok", "open.")


def test_programs_that_only_tests_need(monkeypatch):
    only(monkeypatch, "chromium")
    assert doctor.check_tests() == Finding(
        "warning",
        "bubblewrap not found; the course runs without, make test skips some tests.",
        "Install what is missing, e.g. on Debian: apt install bubblewrap",
    )
    only(monkeypatch, "chromium", "bwrap")
    assert doctor.check_tests() == Finding("ok", "chromium and bubblewrap are here.")


def test_what_cannot_be_opened_is_a_finding():
    def check():
        raise OSError("libgomp.so.1: cannot open shared object file")

    assert doctor.examine(check) == Finding(
        "problem",
        "This could not be looked at (libgomp.so.1: cannot open shared object file).",
        doctor.REPAIR,
    )


@pytest.mark.parametrize(
    ("package", "fallen"),
    [
        ("torch", {"torch", "gpu", "data"}),
        ("jupyter_core", {"kernel", "widgets", "nbgrader", "home"}),
    ],
)
def test_the_other_checks_answer_where_a_package_is_missing(package, fallen):
    code = f"import sys; sys.modules[{package!r}] = None; from course_utils.cli import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    findings = json.loads(result.stdout)
    assert result.returncode == 1, result.stderr
    assert list(findings) == list(CHECKS)
    assert {name for name, finding in findings.items() if finding["status"] == "problem"} == fallen
    assert all(findings[name]["what"].startswith(package) for name in fallen)


FINDINGS = {
    "python": Finding("ok", "Python 3.11.7."),
    "data": Finding("problem", "MNIST is damaged.", "Replace the file by a fresh copy."),
    "disk": Finding("warning", "Only 0.5 GiB are free."),
    "tests": Finding("warning", "bubblewrap not found."),
}


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {name: lambda f=finding: f for name, finding in FINDINGS.items()})
    monkeypatch.setenv("COLUMNS", "40")


def test_the_findings_read_as_a_table(machine, capsys):
    assert doctor.run(parse()) == 1
    assert capsys.readouterr().out == (
        "ok       python    Python 3.11.7.\n"
        "problem  data      MNIST is damaged.\n"
        "                   To do: Replace the\n"
        "                   file by a fresh copy.\n"
        "warning  disk      Only 0.5 GiB are\n"
        "                   free.\n"
        "warning  tests     bubblewrap not found.\n"
        "1 problem, 2 warnings.\n"
    )


def test_quiet_leaves_out_what_is_well(machine, capsys):
    assert doctor.run(parse("--quiet", "--only", "python")) == 0
    assert capsys.readouterr().out == ""
    assert doctor.run(parse("--quiet", "--only", "python", "disk")) == 0
    assert capsys.readouterr().out.endswith("free.\n1 warning.\n")


def test_a_healthy_machine_is_told_so(machine, capsys):
    assert doctor.run(parse("--only", "python")) == 0
    assert capsys.readouterr().out.endswith("\nAll is well.\n")


def test_json_for_programs(machine, capsys):
    assert doctor.run(parse("--json", "--only", "data")) == 1
    assert json.loads(capsys.readouterr().out) == {
        "data": {
            "status": "problem",
            "what": "MNIST is damaged.",
            "what_to_do": "Replace the file by a fresh copy.",
        }
    }


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_colour_is_for_terminals(machine, monkeypatch, capsys, no_color, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    doctor.run(parse("--only", "data"))
    assert ("\033[31mproblem\033[0m  data      MNIST" in capsys.readouterr().out) is coloured
