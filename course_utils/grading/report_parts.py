"""The parts of the class report that ask for a person's eye: flags, repairs, time-outs, answers alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from course_utils.grading.report import Report
from course_utils.grading.similarity import Group
from course_utils.grading.wording import counted, escaped

NOTHING = '<p class="quiet">Nothing.</p>'
SHOWN_GROUPS = 40  # of which the sources are on the page
SHOWN_SOURCES = 6  # of a group
SHOWN_PAIRS = 20
SHOWN_LENGTH = 4_000  # characters of a source


def concerns(report: Report) -> str:
    """Everything but scores: what could not be graded, was stopped, called the course's own, was flagged."""
    parts = [
        _table("Not gradable", ("student", "why"), _not_gradable(report)),
        _table(
            "Answers that call the course's own implementation", ("exercise", "students"), _calling(report)
        ),
        _table("Time-outs", ("exercise", "students"), _by_exercise(report.timed_out())),
        _table("Flags", ("student", "kind", "cell", "what was seen"), _flags(report)),
        _table("Repairs", ("student", "what was repaired"), _repairs(report)),
    ]
    found = "".join(parts)
    intro = (
        '<p class="quiet small">Flags and repairs cost no points. Flags come from reading the code: look '
        "before you judge.</p>"
    )
    return intro + found if found else NOTHING


def near_identical_answers(report: Report) -> str:
    """Groups, with what they rest on, and the answers side by side."""
    intro = (
        '<p class="quiet small">Answers that are almost the same once names, numbers, comments and layout '
        "are set aside. A flag, not a verdict: the larger an answer and the fewer have written it, the more "
        "it says. Stubs, short answers and what many have written are left out.</p>"
    )
    if not report.groups:
        return intro + NOTHING
    sources = {(r.student, one.id): one.source for r, one in report.answers()}
    shown = "".join(_group(group, sources, i < SHOWN_GROUPS) for i, group in enumerate(report.groups))
    return f"{intro}{_together(report.groups)}<h3>Group by group</h3>{shown}"


def _not_gradable(report: Report) -> list[Sequence[str]]:
    return [(r.student, r.why) for r in report.results if r.status == "not gradable"]


def _calling(report: Report) -> list[Sequence[str]]:
    return _by_exercise(report.calling_the_reference())


def _flags(report: Report) -> list[Sequence[str]]:
    return [(r.student, flag.kind, flag.cell, flag.text) for r in report.results for flag in r.flags]


def _repairs(report: Report) -> list[Sequence[str]]:
    return [(r.student, " ".join(r.repairs)) for r in report.results if r.repairs]


def _by_exercise(pairs: Iterable[tuple[str, str]]) -> list[Sequence[str]]:
    who: dict[str, list[str]] = defaultdict(list)
    for student, exercise in pairs:
        who[exercise.partition(".")[2]].append(student)
    return [(exercise, ", ".join(sorted(students))) for exercise, students in who.items()]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Nothing at all where there are no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escaped(row[0])}</th>'
        + "".join(f"<td>{escaped(c)}</td>" for c in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<h3>{title} <span class="quiet">({len(rows)})</span></h3>'
        f'<table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _together(groups: Sequence[Group]) -> str:
    """Pairs who are alike more than once: that says more than any single answer."""
    alike: dict[tuple[str, ...], list[Group]] = defaultdict(list)
    for group in groups:
        for pair in combinations(group.students, 2):
            alike[pair].append(group)
    often = sorted(
        (pair for pair, found in alike.items() if len(found) > 1),
        key=lambda pair: (-sum(group.size for group in alike[pair]), pair),
    )
    rows = [
        (
            " and ".join(pair),
            ", ".join(group.exercise.partition(".")[2] for group in alike[pair]),
            f"{sum(group.size for group in alike[pair])} parts",
        )
        for pair in often[:SHOWN_PAIRS]
    ]
    table = _table("Pairs alike in several exercises", ("students", "alike in", "together"), rows)
    left = len(often) - SHOWN_PAIRS
    return table + (f'<p class="quiet small">And {counted(left, "pair")} more.</p>' if left > 0 else "")


def _group(group: Group, sources: Mapping[tuple[str, str], str], with_sources: bool) -> str:
    how = "letter for letter" if group.verbatim else f"{100 * group.alike:.0f} % alike"
    summary = (
        f"<strong>{escaped(group.exercise.partition('.')[2])}</strong>: {escaped(', '.join(group.students))} "
        f'<span class="quiet">({how}, {group.size} parts)</span>'
    )
    if not with_sources:
        return f"<p>{summary}</p>"
    listed = "".join(
        f'<div><span class="small">{escaped(student)}</span>'
        f"<pre>{escaped(sources[student, group.exercise].strip()[:SHOWN_LENGTH])}</pre></div>"
        for student in group.students[: 1 if group.verbatim else SHOWN_SOURCES]
    )
    return f'<details><summary>{summary}</summary><div class="sources">{listed}</div></details>'
