"""The IPython extension of kernels that nbgrader starts: those of the Validate button.

nbgrader gives a cell no points once anything reaches stderr: a warning, a progress bar, a line from C++. Here
both streams are one, so that such a line stays readable in the feedback and costs nothing. The profile is set
here, and not in nbgrader's own process: that may be a JupyterLab server, which starts people's kernels too.
"""

import os
import re
import sys
from functools import partial
from textwrap import fill
from typing import Any

from ipykernel.iostream import OutStream
from ipykernel.zmqshell import ZMQInteractiveShell

WIDTH = 72  # characters
STDOUT, STDERR = 1, 2  # file descriptors: what compiled code writes to
HEADLINE = re.compile(r"^.+: .+, ([\d.]+) of ([\d.]+) points?$", re.MULTILINE)  # of a verdict in plain text


def load_ipython_extension(shell: ZMQInteractiveShell) -> None:
    """Called by IPython before the first cell."""
    os.environ["COURSE_PROFILE"] = "grade"
    if os.environ.get("NBGRADER_EXECUTION") == "validate":
        assert isinstance(sys.stderr, OutStream)
        shell.display_pub.register_hook(partial(repeat_failed_verdict, sys.stderr))
    os.dup2(STDOUT, STDERR)
    sys.stderr = sys.stdout


def repeat_failed_verdict(stderr: OutStream, message: dict[str, Any]) -> dict[str, Any]:
    """Write on stderr why a check failed: the Validate button shows it, and would say "Partial credit".

    In short lines: its dialog does not break them, and `nbgrader validate` cuts them off.
    """
    text = message["content"].get("data", {}).get("text/plain", "")
    headline = HEADLINE.match(text)
    if headline and float(headline[1]) < float(headline[2]):
        stderr.parent_header = message["parent_header"]  # the cell it belongs to
        stderr.write("\n".join(fill(line, WIDTH, break_on_hyphens=False) for line in text.splitlines()))
        stderr.flush()
    return message
