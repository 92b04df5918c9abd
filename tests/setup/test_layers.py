"""The package is a stack: a module imports only from those that stand above it in ARCHITECTURE's order."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import course_utils

PACKAGE = Path(course_utils.__file__).parent
ORDER = (
    "runtime",
    "validation",
    "formulas",
    "data",
    "classifier",
    *("autoencoders", "denoising", "vae", "gan", "dcgan", "diffusion", "stable_diffusion"),
    "training",
    "metrics",
    "checkpoints",
    "plots",
    "widgets",
    "exercises",
    "grading",
    "authoring",
    "doctor",
    "cli",
)
INSTRUCTORS = ("grading", "authoring")  # only the command line imports them
INTERACTIVE = (
    "IPython",
    "anywidget",
    "ipywidgets",
    "jupyter_core",
    "jupytext",
    "nbconvert",
    "nbformat",
    "nbgrader",
)
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def part(path: Path) -> str:
    """The module or subpackage of course_utils that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> Iterator[str]:
    """Parts of course_utils that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("course_utils."))


def test_every_module_has_its_place_in_the_order():
    assert {part(path) for path in SOURCES} <= set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_those_above_it(path):
    own = part(path)
    above = set(ORDER[: ORDER.index(own)]) - (set(INSTRUCTORS) if own != "cli" else set())
    assert set(imported_parts(path)) - {own} <= above


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("module", ["course_utils", "course_utils.cli", "course_utils.doctor"])
def test_torch_is_not_imported_before_it_is_needed(module):
    result = run_python(f"import sys, {module}; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr


def test_training_runs_where_jupyter_is_not_installed():
    """The machine that retrains the released models has torch, numpy and safetensors."""
    result = run_python(
        f"import sys; sys.modules.update(dict.fromkeys({INTERACTIVE}))\n"
        "import course_utils.autoencoders, course_utils.cli, course_utils.data, course_utils.training\n"
        "import course_utils.checkpoints.command"
    )
    assert result.returncode == 0, result.stderr
