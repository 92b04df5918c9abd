"""Runs races, one after another, and keeps what they found.

    folder    build/bench: <device>/<race>.json each, with the fingerprint of all that the race depends on

A race that is there with the fingerprint of today is not run again. One that fails loses only itself.
"""

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.records import Row, from_json, to_json
from benchmarks.setting import Setting
from course_utils.training import write_atomically

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Race:
    """One race.

    Args:
        name: of its file.
        title: above its rows.
        method: below its title, how it was measured.
        run: yields its rows.
        inputs: files and folders of the repository; a change there makes the race run again.
        seconds: what it takes on two cores, roughly, by budget: for the time that is left.
        on_gpu: it means something on a GPU.
    """

    name: str
    title: str
    method: str
    run: Callable[[Setting], Iterator[Row]]
    inputs: Sequence[str]
    seconds: dict[str, float]
    on_gpu: bool = False


@dataclass(frozen=True)
class Outcome:
    """A race that is over."""

    race: str
    device: str  # "cpu" or "cuda"
    fingerprint: str
    machine: str
    load: float  # before the race
    budget: str
    minutes: float
    seconds: float
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)


def fingerprint(race: Race, setting: Setting) -> str:
    """Of all that decides what a race would find: its code, what it measures, versions, machine, budget."""
    facts = [machine.describe(setting.device, setting.threads), machine.versions()]
    facts += [setting.budget, setting.minutes, sys.version]
    digest = hashlib.sha256(json.dumps(facts).encode())
    common = (f"benchmarks/{name}.py" for name in ("records", "timing", "setting"))
    for path in sorted({file for name in (*race.inputs, *common) for file in files(REPOSITORY / name)}):
        digest.update(f"{path.relative_to(REPOSITORY)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def files(path: Path) -> list[Path]:
    """The file, or all in the folder but what Python leaves there. FileNotFoundError: neither."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"fingerprint: a race names {path} as its input, and it is not there.")
    return [one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts]


def kept(path: Path) -> Outcome | None:
    """What an earlier run found."""
    if not path.is_file():
        return None
    values: dict[str, Any] = json.loads(path.read_text())
    return Outcome(**{**values, "rows": [from_json(row) for row in values["rows"]]})


def keep(path: Path, outcome: Outcome) -> None:
    values = asdict(outcome) | {"rows": [to_json(row) for row in outcome.rows]}
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())


def run_all(heats: Sequence[tuple[Race, Setting]], folder: Path, again: bool) -> list[str]:
    """Run each race where it has to be; returns the names of those that failed, after saying why."""
    failed = []
    waiting = [heat for heat in heats if again or not is_over(*heat, folder)]
    for race, setting in heats:
        if (race, setting) not in waiting:
            say(f"{race.name} on {setting.device.type}: kept from an earlier run")
    for place, (race, setting) in enumerate(waiting):
        later = sum(race.seconds[setting.budget] for race, setting in waiting[place + 1 :])
        try:
            keep(path_of(race, setting, folder), run(race, setting, Shown(race, setting, later)))
        except Exception:
            traceback.print_exc()
            say(f"{race.name} on {setting.device.type}: failed, for the reason above")
            failed.append(race.name)
    return failed


def is_over(race: Race, setting: Setting, folder: Path) -> bool:
    """Whether a race of today's fingerprint is kept."""
    outcome = kept(path_of(race, setting, folder))
    return outcome is not None and outcome.fingerprint == fingerprint(race, setting)


def path_of(race: Race, setting: Setting, folder: Path) -> Path:
    return folder / setting.device.type / f"{race.name}.json"


def run(race: Race, setting: Setting, shown: "Shown") -> Outcome:
    """One race, with its threads."""
    load, print_, start = machine.load(), fingerprint(race, setting), time.perf_counter()
    with surroundings(setting):
        rows = list(race.run(Setting(**{**vars(setting), "progress": shown})))
    return Outcome(
        race=race.name,
        device=setting.device.type,
        fingerprint=print_,
        machine=machine.describe(setting.device, setting.threads),
        load=round(load, 2),
        budget=setting.budget,
        minutes=setting.minutes,
        seconds=round(time.perf_counter() - start, 1),
        versions=machine.versions(),
        rows=rows,
    )


@contextmanager
def surroundings(setting: Setting) -> Iterator[None]:
    """Threads and profile of the package and of all processes that a race starts; put back at its end."""
    environment, threads = dict(os.environ), torch.get_num_threads()
    name = "gpu" if setting.device.type == "cuda" else "cpu"
    os.environ |= {"COURSE_PROFILE": name, "COURSE_THREADS": str(setting.threads)}
    torch.set_num_threads(setting.threads)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= environment
        torch.set_num_threads(threads)


class Shown:
    """Progress of a race: a line every few seconds, with what is left of it and of the whole run."""

    def __init__(self, race: Race, setting: Setting, later: float, every: float = 5.0):
        self.label = f"{race.name} on {setting.device.type}"
        self.expected, self.later, self.every = race.seconds[setting.budget], later, every
        self.start, self.shown = time.perf_counter(), 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.perf_counter()
        if now - self.shown < self.every:
            return
        self.shown = now
        left = (now - self.start) * (total - done) / done if done else self.expected
        ahead = f"{left:.0f} s left, of all races {(left + self.later) / 60:.0f} min"
        say(f"{self.label}  {done}/{total}  {what}  {ahead}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
