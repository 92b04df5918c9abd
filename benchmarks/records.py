"""What a race yields, and the statistics behind it.

measured     median, and the range that half of the values lie in (all of them, where there are few)
ratio        how many times better ours is: above 1 ours is ahead, whatever the unit
row          one line of the table: ours, a peer's, and the ratio, round by round
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FEW = 8  # values; of fewer the whole range is shown


@dataclass(frozen=True)
class Measured:
    """One figure that was measured several times."""

    value: float  # the median
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: what was measured.
        unit: of ours and of theirs; "" for shares and counts.
        ours, theirs: None where it was not measured; the note says why.
        peer: "" where there is nothing to compare with.
        ratio: see the module.
        note: what a reader must know to judge the figures.
    """

    name: str
    unit: str
    ours: Measured | None
    peer: str = ""
    theirs: Measured | None = None
    ratio: Measured | None = None
    note: str = ""


def measured(values: Iterable[float]) -> Measured:
    """Median and spread. ValueError: there is no value."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("measured: a figure needs one value or more, got none.")
    low, high = ordered[0], ordered[-1]
    if len(ordered) >= FEW:
        low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Measured(statistics.median(ordered), low, high, len(ordered))


def beside(
    name: str,
    unit: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    *,
    more_is_better: bool = False,
    note: str = "",
) -> Row:
    """A row of two contenders that were measured in the same rounds: ours[i] just before or after theirs[i].

    The ratio is taken within each round, so that what slows a round down slows both.

    Raises:
        ValueError: the rounds are not as many, or none.
    """
    rounds = zip(ours, theirs, strict=True)
    ratios = [mine / other if more_is_better else other / mine for mine, other in rounds]
    return Row(name, unit, measured(ours), peer, measured(theirs), measured(ratios), note)


def alone(name: str, unit: str, values: Sequence[float], note: str = "") -> Row:
    """A row without a peer."""
    return Row(name, unit, measured(values), note=note)


def missing(name: str, unit: str, peer: str, ours: Sequence[float] = (), note: str = "") -> Row:
    """A row whose peer could not be measured; `note` says in words why."""
    return Row(name, unit, measured(ours) if ours else None, peer, note=note)


def to_json(row: Row) -> dict[str, Any]:
    return asdict(row)


def from_json(values: dict[str, Any]) -> Row:
    """The row that to_json wrote."""
    parts = {name: Measured(**values[name]) if values[name] else None for name in ("ours", "theirs", "ratio")}
    return Row(**{**values, **parts})
