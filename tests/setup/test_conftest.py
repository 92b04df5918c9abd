"""What tests/conftest.py and pyproject.toml promise: no network, no skips in CI, settings of their own."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_utils.runtime import profile

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "192.0.2.1"  # reserved for documentation (RFC 5737): nobody has it


def test_a_test_cannot_reach_the_network():
    with socket.socket() as client, pytest.raises(UserWarning, match=f'with host "{ELSEWHERE}"'):
        client.connect((ELSEWHERE, 80))


def test_a_test_reaches_its_own_machine():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def test_a_process_that_a_test_starts_cannot_reach_the_network():
    code = f"import urllib.request; urllib.request.urlopen('http://{ELSEWHERE}', timeout=60)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Connection refused" in result.stderr


def test_the_shell_does_not_decide_how_tests_run():
    assert (profile().name, torch.get_num_threads()) == ("ci", 1)
    assert os.environ["JUPYTER_CONFIG_DIR"] != str(Path.home() / ".jupyter")


@pytest.mark.parametrize(
    ("ci", "status", "says"),
    [
        ("true", 1, "CI=true: no test may be skipped."),
        ("", 0, "Chromium is missing; install the package chromium to run this test."),
    ],
)
def test_a_test_that_cannot_run_is_skipped_with_a_reason_and_fails_in_ci(tmp_path, ci, status, says):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(
        "import pytest\n@pytest.mark.browser\ndef test_needs_chromium():\n    pass\n"
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--config-file",
            ROOT / "pyproject.toml",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, says in result.stdout) == (status, True), result.stdout
