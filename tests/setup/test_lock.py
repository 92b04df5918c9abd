"""Whatever is installed is pinned, with hashes and without addresses, and the same for pip and for conda."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
BLOCKS = re.findall(r"^\w.*\n(?:    .*\n)*", LOCK, re.MULTILINE)  # a pin and the lines that belong to it
PINS = [Requirement(block.partition("\\")[0]) for block in BLOCKS]


def test_each_pin_names_one_version_and_its_hashes():
    assert len(BLOCKS) > 100
    for block, pin in zip(BLOCKS, PINS, strict=True):
        assert [specifier.operator for specifier in pin.specifier] == ["=="], block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml"])
def test_locks_hold_no_address(name):
    assert not re.search(r"://|--(extra-)?index|--find-links| @ ", (ROOT / name).read_text(encoding="utf-8"))


def test_what_pyproject_asks_for_is_pinned_within_its_bounds():
    groups = PROJECT["optional-dependencies"].values()
    for wanted in map(Requirement, chain(PROJECT["dependencies"], *groups)):
        pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert pins, f"{wanted.name} is not pinned; run: make lock"
        for pin in pins:
            version = str(pin.specifier).removeprefix("==")
            assert wanted.specifier.contains(version), f"{pin} is outside {wanted}; run: make lock"


def test_parsers_that_no_schema_needs_do_not_slow_down_every_start():
    """jsonschema builds them whenever it finds them: see pyproject.toml."""
    assert importlib.util.find_spec("jsonschema")
    assert not importlib.util.find_spec("rfc3987_syntax")


def test_conda_gets_the_pins_of_pip():
    python, pip, pinned = ENVIRONMENT["dependencies"]
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip == "pip"
    assert [Requirement(line) for line in pinned["pip"]] == PINS


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    """A hub installs the package without its folder: data, checkpoints and scripts come with the modules."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "course_utils", tmp_path / "course_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('.'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("course_utils/")}
    here = (path for path in (tmp_path / "course_utils").rglob("*") if path.is_file())
    assert packed == {path.relative_to(tmp_path).as_posix() for path in here}
