"""Writes RESULTS.md from what races have found.

A row has a column for the CPU and one for a GPU; what was not run there is left empty. A race that was not
run here keeps the section that it has, with the machine named below it, as long as its method is the same.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.records import Measured, Row
from benchmarks.runner import Outcome, Race, kept

DEVICES = {"cpu": "CPU", "cuda": "GPU"}
HEAD = """# Beside peers

Written by `make bench`{words}. *Ahead* says how many times better ours is than
the peer, above 1 in our favour: the median over rounds in which both took turns. In brackets: the range of
half of the rounds, of all where there are fewer than eight. Seconds belong to the machine named below; only
ratios can be carried elsewhere. What was not run on a device is left empty.
"""


def results(races: Sequence[Race], folder: Path, before: str = "", words: str = "") -> str:
    """The whole text, of all that is kept in the folder; `before` is the text that it replaces."""
    parts = [HEAD.format(words=words)]
    for race in races:
        found = {device: kept(folder / device / f"{race.name}.json") for device in DEVICES}
        outcomes = {device: outcome for device, outcome in found.items() if outcome}
        parts.append(section(race, outcomes) if outcomes else standing(race, before) or unrun(race))
    return "\n".join(parts)


def standing(race: Race, before: str) -> str:
    """The race's section in an earlier text; "" where it is not there, or was measured in another way."""
    start = before.find(f"## {race.title}\n\n{race.method}\n")
    if start < 0:
        return ""
    section, *_ = before[start:].split("\n## ", maxsplit=1)
    return section.rstrip("\n") + "\n"


def unrun(race: Race) -> str:
    return f'## {race.title}\n\n{race.method}\n\nNot run yet: `make bench ARGS="--only {race.name}"`.\n'


def section(race: Race, outcomes: dict[str, Outcome]) -> str:
    """One race."""
    lines = [f"## {race.title}", "", race.method, ""]
    for kind, heads in (("races", RACES), ("figures", FIGURES)):
        rows = [line for line in joined(outcomes) if bool(line[0].peer) == (kind == "races")]
        if rows:
            lines += [*heads, *(cells(kind, row, by_device) for row, by_device in rows), ""]
    notes = dict.fromkeys(row.note for outcome in outcomes.values() for row in outcome.rows if row.note)
    lines += [f"- {note}" for note in notes]
    lines += ["", *(provenance(outcome) for outcome in outcomes.values()), ""]
    return "\n".join(lines)


RACES = (
    "| | peer | ahead, CPU | ours | peer's | ahead, GPU | ours | peer's |",
    "|:---|:---|---:|---:|---:|---:|---:|---:|",
)
FIGURES = ("| | CPU | GPU |", "|:---|---:|---:|")


def joined(outcomes: dict[str, Outcome]) -> Iterable[tuple[Row, dict[str, Row]]]:
    """Each row once, with what every device found; in the order in which they first came."""
    table: dict[tuple[str, str], dict[str, Row]] = {}
    for device, outcome in outcomes.items():
        for row in outcome.rows:
            table.setdefault((row.name, row.peer), {})[device] = row
    return [(next(iter(by_device.values())), by_device) for by_device in table.values()]


def cells(kind: str, row: Row, by_device: dict[str, Row]) -> str:
    """One line of a table."""
    name = f"{row.name}, {row.unit}" if row.unit else row.name
    columns = [name, row.peer] if kind == "races" else [name]
    for device in DEVICES:
        found = by_device.get(device)
        figures = (found.ratio, found.ours, found.theirs) if found else (None, None, None)
        columns += [shown(figure) for figure in (figures if kind == "races" else figures[1:2])]
    return f"| {' | '.join(columns)} |"


def shown(figure: Measured | None) -> str:
    """A figure with its spread, three significant digits; nothing where there is none."""
    if figure is None:
        return ""
    spread = f" ({digits(figure.low)} to {digits(figure.high)})" if figure.count > 1 else ""
    return f"{digits(figure.value)}{spread}"


def digits(value: float) -> str:
    """Three significant digits, in plain decimals."""
    if not value:
        return "0"
    places = max(0, 2 - int(f"{abs(value):e}".partition("e")[2]))
    return f"{value:,.{places}f}"


def provenance(outcome: Outcome) -> str:
    """Where the figures come from, in one line."""
    listed = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
    return (
        f"{DEVICES[outcome.device]}: {outcome.machine}; load {outcome.load:g} when it began; {listed}; "
        f"{outcome.seconds:,.0f} s."
    )
