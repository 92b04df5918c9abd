"""One training shared by processes: images a second of each, by the number of processes.

The command is what README shows, torchrun with `course train`; the progress lines are not read, but the card.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.records import Row, alone, beside
from benchmarks.runner import REPOSITORY, Race
from benchmarks.setting import Setting

NAME = "latent-64"  # of the autoencoders: it trains fast and is measured fast
ALONE = "one process"


def run(setting: Setting) -> Iterator[Row]:
    steps, rounds = setting.pick(tiny=40, quick=60, full=200), setting.pick(tiny=1, quick=1, full=2)
    counts = (1,) if setting.budget == "tiny" else (1, 2)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(rounds):
        for place, count in enumerate(counts):
            setting.progress(turn * len(counts) + place, rounds * len(counts), f"{count} at once")
            rates[count].append(images_a_second(count, steps))
    yield alone("one process: images a second", "", rates[1])
    if 2 in rates:
        note = (
            "Ahead: two processes beside one, both with one thread each; twice as fast is the most there is."
        )
        yield beside(
            "two processes: images a second", "", rates[2], ALONE, rates[1], more_is_better=True, note=note
        )
        yield alone("two processes: images a second, each", "", [rate / 2 for rate in rates[2]])


def images_a_second(processes: int, steps: int) -> float:
    """Of all processes together."""
    with TemporaryDirectory(prefix="course-bench-") as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        training = ["train", "autoencoders", "--only", NAME, "--steps", str(steps), "--out", folder]
        command = [sys.executable, *launcher, "-m", "course_utils.cli", *training]
        environment = os.environ | {"COURSE_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"torchrun of {processes} processes failed:\n{done.stderr[-3000:]}")
        card = json.loads((Path(folder) / "autoencoders" / f"{NAME}.json").read_text())
    return card["steps"] * card["batch_size"] / max(1, card["seconds"])


RACE = Race(
    name="torchrun",
    title="One training shared by processes",
    method="`torchrun --nproc-per-node N .venv/bin/course train autoencoders` with one thread a process, in\n"
    "turns; the seconds are those of the card, without start and measuring. The losses are those of\n"
    "one process: a test.",
    run=run,
    inputs=(
        "benchmarks/races/torchrun.py",
        "course_utils/checkpoints/recipes",
        "course_utils/autoencoders.py",
    ),
    seconds={"tiny": 10, "quick": 45, "full": 120},
)
