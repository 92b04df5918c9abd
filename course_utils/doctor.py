"""`course doctor`: what is missing or wrong on this machine, in plain words, and what to do about it.

    check      a function without arguments that looks at one thing and returns a finding; it imports what it
               looks at itself, so that the others still answer where torch or Jupyter cannot be imported
    finding    one sentence that says what is, and, unless all is well, what to do
    status     "ok" · "warning": the course runs, a part of it will not · "problem": the course will not run

The command ends with 1 where there is a problem, else with 0.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
import warnings
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

PROJECT = Path(__file__).resolve().parents[1]
REPAIR = "Make the environment anew (on a hub, ask whoever runs it): delete .venv, then: make env"

OLDEST_PYTHON = (3, 11)
GIB = 2**30
LITTLE_DISK = 2 * GIB  # a student's checkpoints, caches and submissions
LITTLE_MEMORY = 4 * GIB  # a kernel with torch takes 1 to 2, JupyterLab and a browser most of the rest
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")  # the limit of a container; absent elsewhere

BROWSERS = ("chromium", "google-chrome", "chrome", "firefox", "microsoft-edge", "brave-browser", "opera")
TEST_PROGRAMS = {"chromium": "chromium", "bwrap": "bubblewrap"}  # command: Debian's package
NBGRADER_SERVER = (
    "nbgrader.server_extensions.assignment_list",
    "nbgrader.server_extensions.validate_assignment",
)
NBGRADER_LAB = ("@jupyter/nbgrader:assignment-list", "@jupyter/nbgrader:validate-assignment")
WIDGETS_LAB = ("@jupyter-widgets/jupyterlab-manager", "anywidget")

COLOURS = {"ok": "\033[32m", "warning": "\033[33m", "problem": "\033[31m"}
PLAIN = "\033[0m"


@dataclass(frozen=True)
class Finding:
    status: Literal["ok", "warning", "problem"]
    what: str
    what_to_do: str = ""


def check_python() -> Finding:
    """Is this Python 3.11 or newer, in an environment of its own?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(
            "problem",
            f"This is Python {version}, the course needs 3.11 or newer.",
            "Install a newer Python, delete .venv, then: make env",
        )
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        return Finding(
            "warning",
            f"Python {version} ({sys.executable}) is shared with everything else on this machine.",
            "Give the course an environment of its own: make env",
        )
    return Finding("ok", f"Python {version} in {sys.prefix}.")


def check_packages() -> Finding:
    """Does this environment hold the versions that requirements.txt pins?"""
    from packaging.requirements import Requirement

    pins = PROJECT / "requirements.txt"
    if not pins.is_file():
        return Finding("ok", "The package was installed without requirements.txt: nothing to compare with.")
    lines = re.findall(r"^(\w\S*==.*?) *\\$", pins.read_text(encoding="utf-8"), re.MULTILINE)
    wanted = [pin for pin in map(Requirement, lines) if not pin.marker or pin.marker.evaluate()]
    here = {pin.name: _installed_version(pin.name) for pin in wanted}
    wrong = [
        f"{pin.name} (pinned {str(pin.specifier)[2:]}, here {here[pin.name] or 'missing'})"
        for pin in wanted
        if not pin.specifier.contains(here[pin.name] or "0", prereleases=True)
    ]
    if wrong:
        some = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        return Finding(
            "warning", f"{len(wrong)} of {len(wanted)} packages are not as pinned: {some}.", REPAIR
        )
    return Finding("ok", f"{len(wanted)} packages, all in the pinned version.")


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_torch() -> Finding:
    """Can torch be imported, and on how many threads does it run?"""
    import torch

    return Finding("ok", f"torch {torch.__version__} on {torch.get_num_threads()} CPU threads.")


def check_gpu() -> Finding:
    """Is there a GPU, and if COURSE_PROFILE asks for one, can it be had?"""
    import torch

    from course_utils.runtime import profile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a driver that it cannot use; the finding says so
        has_gpu = torch.cuda.is_available()
    reason = _why_no_gpu(torch.version.cuda)
    if os.environ.get("COURSE_PROFILE") == "gpu" and not has_gpu:
        return Finding(
            "problem",
            f"COURSE_PROFILE=gpu asks for a GPU, but {reason}.",
            "Unset COURSE_PROFILE to run on the CPU, or mend the GPU's driver.",
        )
    try:
        chosen = profile()
    except ValueError as error:
        return _from_error(error)
    if has_gpu:
        return Finding("ok", f"{torch.cuda.get_device_name()}; the course runs in the {chosen}.")
    return Finding("ok", f"None ({reason}): demos train small, and show shipped models beside that.")


def _why_no_gpu(cuda: str | None) -> str:
    if cuda is None:
        return "this torch is built for CPUs only"
    if not shutil.which("nvidia-smi"):
        return "no NVIDIA driver is installed"
    return f"torch, built for CUDA {cuda}, cannot use the installed NVIDIA driver"


def check_data() -> Finding:
    """Is MNIST whole, wherever it is read from?"""
    from course_utils.data import files

    try:
        for file in files.MNIST.files.values():
            files.read(files.MNIST, file)
    except (OSError, files.CorruptDataError) as error:
        return _from_error(error)
    folder = files.locate(files.MNIST, file).parent
    shared = os.environ.get(files.ENVIRONMENT)
    if shared and not folder.is_relative_to(shared):
        return Finding(
            "warning",
            f"{files.ENVIRONMENT} names {shared}, where no folder {files.MNIST.folder}/raw is found.",
            f"Put MNIST's four files there, or unset {files.ENVIRONMENT}; the packed copy serves meanwhile.",
        )
    return Finding("ok", f"MNIST is whole, in {folder}.")


def check_kernel() -> Finding:
    """Does the kernel python3, which every notebook names, run in this environment?"""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("problem", "Jupyter knows no kernel python3, which every notebook asks for.", REPAIR)
    program = spec.argv[0]
    if re.fullmatch(r"python[\d.]*", program):
        program = sys.executable  # what Jupyter puts in the place of a bare name
    what = f"The kernel python3 in {spec.resource_dir} starts {program}"
    if not shutil.which(program):
        return Finding(
            "problem", f"{what}, which does not exist.", "Remove it: jupyter kernelspec remove python3"
        )
    if Path(program).parent != Path(sys.executable).parent:
        return Finding(
            "problem",
            f"{what}, not the Python of this environment.",
            "Start by make lab, which prefers the project's kernel, or: jupyter kernelspec remove python3",
        )
    return Finding("ok", f"python3 starts {program}.")


def check_widgets() -> Finding:
    """Will JupyterLab draw the sliders?"""
    missing = _missing_in_lab(WIDGETS_LAB)
    if missing:
        return Finding(
            "problem", f"JupyterLab does not load {', '.join(missing)}: the sliders stay empty.", REPAIR
        )
    return Finding("ok", "JupyterLab loads the extensions that draw the sliders.")


def check_nbgrader() -> Finding:
    """Can assignments be fetched, validated and submitted from JupyterLab?"""
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.extension.config import ExtensionConfigManager

    enabled = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    missing = [name for name in NBGRADER_SERVER if not enabled.get(name)] + _missing_in_lab(NBGRADER_LAB)
    if missing:
        return Finding(
            "warning",
            f"JupyterLab does not load {', '.join(missing)}: it cannot fetch or validate assignments.",
            "Enable them: jupyter server extension enable NAME, or jupyter labextension enable NAME",
        )
    return Finding("ok", "JupyterLab loads nbgrader's list of assignments and its validation.")


def _missing_in_lab(extensions: Iterable[str]) -> list[str]:
    """Those of the extensions ("package" or "package:plugin") that are disabled or not installed."""
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_page_config

    page = get_page_config(jupyter_path("labextensions"))
    installed = {extension["name"] for extension in page["federated_extensions"]}
    disabled = set(page["disabledExtensions"])
    packages = {extension: extension.partition(":")[0] for extension in extensions}
    return [
        name for name, package in packages.items() if package not in installed or {name, package} & disabled
    ]


def check_home() -> Finding:
    """May Jupyter write where it keeps settings, keys and running servers?"""
    from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

    for folder in (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()):
        reason = _why_not_writable(Path(folder))
        if reason:
            return Finding(
                "problem",
                f"Jupyter cannot write to {folder} ({reason}).",
                "Name a folder that it may write to: make lab HOME=/path/to/folder",
            )
    return Finding("ok", f"{Path.home()} is writable.")


def _why_not_writable(folder: Path) -> str | None:
    """None where files can be made: in the folder, or in the nearest one above it that exists."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        return os.strerror(error.errno or 0).lower()
    return None


def check_disk() -> Finding:
    """Is there room for what a student makes?"""
    free = {folder: shutil.disk_usage(folder).free for folder in (PROJECT, Path.home()) if folder.exists()}
    folder, least = min(free.items(), key=lambda item: item[1])
    if least < LITTLE_DISK:
        return Finding(
            "warning",
            f"Only {least / GIB:.1f} GiB are free in {folder}; checkpoints and submissions may not fit.",
            f"Free some space: {LITTLE_DISK // GIB} GiB are enough.",
        )
    return Finding("ok", f"{least / GIB:.0f} GiB are free in {folder}.")


def check_memory() -> Finding:
    """Is there room for a kernel with torch beside JupyterLab and a browser?"""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CGROUP_MEMORY.read_text().strip() if CGROUP_MEMORY.is_file() else "max"
    total = total if limit == "max" else min(total, int(limit))
    if total < LITTLE_MEMORY:
        return Finding(
            "warning",
            f"Only {total / GIB:.1f} GiB of memory; two notebooks at once may not fit.",
            "Shut down the kernels of notebooks that are not in use.",
        )
    return Finding("ok", f"{total / GIB:.0f} GiB.")


def check_browser() -> Finding:
    """Can JupyterLab open a browser here?"""
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    try:
        found = found or webbrowser.get().name
    except webbrowser.Error:
        return Finding(
            "warning",
            "No browser was found on this machine.",
            'Start by make lab ARGS="--no-browser" and open the address that it prints.',
        )
    return Finding("ok", f"{found}.")


def check_tests() -> Finding:
    """Are the programs here that only tests need?"""
    missing = [package for command, package in TEST_PROGRAMS.items() if not shutil.which(command)]
    if missing:
        return Finding(
            "warning",
            f"{' and '.join(missing)} not found; the course runs without, make test skips some tests.",
            f"Install what is missing, e.g. on Debian: apt install {' '.join(missing)}",
        )
    return Finding("ok", f"{' and '.join(TEST_PROGRAMS.values())} are here.")


CHECKS: dict[str, Callable[[], Finding]] = {
    "python": check_python,
    "packages": check_packages,
    "torch": check_torch,
    "gpu": check_gpu,
    "data": check_data,
    "kernel": check_kernel,
    "widgets": check_widgets,
    "nbgrader": check_nbgrader,
    "home": check_home,
    "disk": check_disk,
    "memory": check_memory,
    "browser": check_browser,
    "tests": check_tests,
}


def examine(check: Callable[[], Finding]) -> Finding:
    """The check's finding; what it could not import or open is a finding as well."""
    try:
        return check()
    except ImportError as error:
        return Finding("problem", f"{error.name or 'A package'} cannot be imported ({error}).", REPAIR)
    except OSError as error:
        return Finding("problem", f"This could not be looked at ({error}).", REPAIR)


def _from_error(error: Exception) -> Finding:
    """The course's own errors read "function: what is. What to do."; Python's say what is."""
    if isinstance(error, OSError) and error.filename:
        what, what_to_do = f"{error.filename} cannot be read ({error.strerror})", "Make it readable."
    else:
        what, _, what_to_do = re.sub(r"^\w+: ", "", str(error)).partition(". ")
    return Finding("problem", f"{what.rstrip('.')}.", what_to_do)


def describe(findings: dict[str, Finding], *, columns: int, colour: bool) -> str:
    """The findings in lines of at most `columns` characters (long paths stay whole); the last line counts."""
    return "\n".join(
        [*(_lines(name, finding, columns, colour) for name, finding in findings.items()), _count(findings)]
    )


def _lines(name: str, finding: Finding, columns: int, colour: bool) -> str:
    head = f"{finding.status:9}{name:10}"
    indent = " " * len(head)
    sentences = [finding.what, *([f"To do: {finding.what_to_do}"] if finding.what_to_do else [])]
    text = "\n".join(
        textwrap.fill(
            sentence,
            columns,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for sentence in sentences
    )
    coloured = f"{COLOURS[finding.status]}{finding.status}{PLAIN}" if colour else finding.status
    return coloured + head[len(finding.status) :] + text[len(head) :]


def _count(findings: dict[str, Finding]) -> str:
    counts = Counter(finding.status for finding in findings.values())
    bad = [(counts[status], status) for status in ("problem", "warning") if counts[status]]
    return (
        ", ".join(f"{number} {status}{'s' * (number > 1)}" for number, status in bad) + "."
        if bad
        else "All is well."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", nargs="+", choices=CHECKS, default=CHECKS, metavar="CHECK", help=f"of: {', '.join(CHECKS)}"
    )
    parser.add_argument("--quiet", action="store_true", help="leave out what is well")
    parser.add_argument(
        "--json", action="store_true", help="for programs: {check: {status, what, what_to_do}}"
    )


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 if one of them is a problem, else 0."""
    findings = {name: examine(CHECKS[name]) for name in args.only}
    shown = {name: found for name, found in findings.items() if not (args.quiet and found.status == "ok")}
    if args.json:
        print(json.dumps({name: asdict(finding) for name, finding in shown.items()}, indent=2))
    elif shown:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(describe(shown, columns=shutil.get_terminal_size().columns, colour=colour))
    return int(any(finding.status == "problem" for finding in findings.values()))
