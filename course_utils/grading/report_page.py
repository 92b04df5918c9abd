"""The class report as one HTML page that needs no server, no script and no network.

It shows in light and dark, at the width of a phone, and on paper. All that students wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from course_utils.grading.report import (
    NOT_ATTEMPTED,
    OUTCOMES,
    PARTLY,
    RIGHT,
    WRONG,
    ExerciseCount,
    MisconceptionCount,
    Report,
    outcome,
)
from course_utils.grading.report_parts import concerns, near_identical_answers
from course_utils.grading.result import ExerciseResult, Result
from course_utils.grading.wording import counted, escaped, number

SHOWN_MISTAKES = 10
STYLE = Path(__file__).with_name("report_page.css")
CLASSES = {RIGHT: "right", PARTLY: "partly", WRONG: "wrong", NOT_ATTEMPTED: "none"}
SECTIONS = {
    "scores": "Scores",
    "exercises": "Exercises",
    "mistakes": "Misconceptions",
    "concerns": "To look at",
    "alike": "Near-identical answers",
    "changes": "Handed in again",
    "students": "Students",
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # nothing that slipped through would run or load


def page(report: Report, notes: Sequence[str] = ()) -> str:
    """The whole page.

    Args:
        notes: sentences for its top, such as what was left out.
    """
    title = f"Class report: {report.assignment}"
    parts = [
        _head(report, notes),
        _tiles(report),
        _section("scores", _scores(report)),
        _section("exercises", _exercises(report)),
        _section("mistakes", _mistakes(report)),
        _section("concerns", concerns(report)),
        _section("alike", near_identical_answers(report)),
        _section("changes", _changes(report)),
        _section("students", _students(report)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _section(id: str, content: str) -> str:
    return f'<section id="{id}"><h2>{SECTIONS[id]}</h2>{content}</section>'


def _head(report: Report, notes: Sequence[str]) -> str:
    links = "".join(f'<a href="#{id}">{name}</a>' for id, name in SECTIONS.items())
    said = list(notes)
    if len(report.releases) > 1:
        said.append("Some results belong to an earlier release of this chapter: grade again to compare them.")
    elif len(report.packages) > 1:
        said.append("Some results are from an earlier version of the course: grade again to compare them.")
    told = "".join(f'<p class="note warn">{escaped(note)}</p>' for note in said)
    days = sorted(result.submitted[:10] for result in report.results if result.submitted)
    span = f", handed in {days[0]} to {days[-1]}" if days else ""
    graded = f" Graded by course_utils {escaped(', '.join(report.packages))}." if report.packages else ""
    return (
        f"<header><h1>Class report: {escaped(report.assignment)}</h1>"
        f'<p class="quiet">{counted(len(report.results), "submission")}{escaped(span)}.{graded}</p>'
        f"<nav>{links}</nav>{told}</header>"
    )


def _tiles(report: Report) -> str:
    statuses, full = report.statuses, sum(score == report.points for score in report.scores)
    flagged = sum(bool(result.flags) for result in report.results)
    of_points = f"<small>of {number(report.points)}</small>"
    tiles = {
        "graded": statuses["graded"],
        "repaired": statuses["repaired"],
        "not gradable": statuses["not gradable"],
        "median score": f"{number(report.median)} {of_points}",
        "mean score": f"{number(report.mean)} {of_points}",
        "all points": full,
        "flagged": flagged,
    }
    inner = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles">{inner}</dl>'


def _scores(report: Report) -> str:
    if not report.results:
        return '<p class="quiet">Nobody has handed in yet.</p>'
    most = max(bar.count for bar in report.bars)
    columns = "".join(
        f'<div title="{number(bar.low)} to {number(bar.high)} points: {counted(bar.count, "student")}">'
        f'{bar.count or ""}<i style="height:{85 * bar.count / most:.1f}%"></i></div>'
        for bar in report.bars
    )
    ticks = "".join(f"<span>{number(bar.low)}</span>" for bar in report.bars)
    ticks += f"<b>{number(report.bars[-1].high)}</b>"
    words = "; ".join(f"{number(b.low)} to {number(b.high)}: {b.count}" for b in report.bars if b.count)
    return (
        '<p class="quiet small">How many students have how many points. A column holds the scores from the '
        "number below it up to the next; the last one also the full score.</p>"
        f'<div class="histogram" role="img" aria-label="Students by points. {words}.">{columns}</div>'
        f'<div class="ticks" aria-hidden="true">{ticks}</div>'
    )


def _exercises(report: Report) -> str:
    rows = "".join(_exercise(i, one) for i, one in enumerate(report.exercises, 1))
    return f"{_key()}{rows}"


def _key() -> str:
    inner = "".join(f'<span><i class="{CLASSES[name]}"></i>{name}</span>' for name in OUTCOMES)
    return f'<p class="key">{inner}</p>'


def _exercise(position: int, one: ExerciseCount) -> str:
    total = sum(one.outcomes.values())
    shares = [(CLASSES[name], count) for name, count in one.outcomes.items()]
    words = ", ".join(f"{count} {name}" for name, count in one.outcomes.items() if count)
    criteria = "".join(
        f'<div class="row"><span>{escaped(c.name)}{_worth(c.points)}</span>'
        f"{bar([('right', c.held), ('wrong', c.failed), ('none', c.not_reached)], 'thin')}"
        f'<span class="small">{_percent(c.held, total)} <span class="quiet">hold</span></span></div>'
        for c in one.criteria
    )
    return (
        f'<details class="exercise"><summary class="row"><span class="name">{position}. {escaped(one.name)}'
        f"</span>{bar(shares, label=words)}<span>{_percent(one.outcomes[RIGHT], total)} "
        f'<span class="quiet small">right</span></span></summary><div class="criteria">'
        f'<p class="quiet small">{escaped(words)}. Mean {number(one.mean)} of {number(one.points)} points.'
        f" Grey: not reached, for an earlier criterion failed.</p>{criteria}</div></details>"
    )


def _worth(points: float) -> str:
    return f' <span class="quiet small">{counted_points(points)}</span>' if points else ""


def counted_points(points: float) -> str:
    """ "1 point", "2.5 points"."""
    return f"{number(points)} point" + ("" if points == 1 else "s")


def bar(shares: Iterable[tuple[str, float]], kind: str = "", label: str = "", whole: float = 0) -> str:
    """A bar in parts, by colour class; `whole` is its full length, by default the sum."""
    parts = [(colour, value) for colour, value in shares if value]
    length = whole or sum(value for _, value in parts) or 1
    inner = "".join(f'<i class="{c}" style="width:{100 * v / length:.2f}%"></i>' for c, v in parts)
    told = (
        f'role="img" aria-label="{escaped(label)}" title="{escaped(label)}"'
        if label
        else 'aria-hidden="true"'
    )
    return f'<span class="bar {kind}" {told}>{inner}</span>'


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _mistakes(report: Report) -> str:
    if not report.misconceptions:
        return '<p class="quiet">No answer was recognised as a known mistake.</p>'
    intro = (
        '<p class="quiet small">Wrong answers that the course knows by name, how many students gave them, '
        "and the hint that these students were shown.</p>"
    )
    total = len(report.results)
    first, rest = report.misconceptions[:SHOWN_MISTAKES], report.misconceptions[SHOWN_MISTAKES:]
    more = f"<details><summary>{counted(len(rest), 'rarer one')}</summary>{_listed(rest, total)}</details>"
    return intro + _listed(first, total) + (more if rest else "")


def _listed(mistakes: Sequence[MisconceptionCount], total: int) -> str:
    return "".join(_mistake(one, total) for one in mistakes)


def _mistake(one: MisconceptionCount, total: int) -> str:
    count = len(one.students)
    return (
        f'<div class="mistake"><b>{count}</b><div><strong>{escaped(one.name)}</strong> '
        f'<span class="quiet">in {escaped(one.exercise.partition(".")[2])}, '
        f"{_percent(count, total)} of the class</span>"
        f"{bar([('wrong', count)], 'thin', whole=total)}<p>{escaped(one.hint)}</p>"
        f'<p class="small quiet who">{escaped(", ".join(one.students))}</p></div></div>'
    )


def _changes(report: Report) -> str:
    if not report.changes:
        return '<p class="quiet">Nobody has handed in a second time since the results were kept.</p>'
    rows = "".join(
        f"<tr><th scope='row'>{escaped(one.student)}</th>"
        f"<td class='n'>{number(one.before)} → {number(one.now)}</td>"
        f"<td class='n'>{_signed(one.now - one.before)}</td>"
        f"<td>{_differences(one.exercises)}</td></tr>"
        for one in report.changes
    )
    return (
        '<table class="stacked"><thead><tr><th scope="col">student</th><th scope="col" class="n">points</th>'
        '<th scope="col" class="n">change</th><th scope="col">exercises that changed</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _differences(exercises: dict[str, float]) -> str:
    words = (f"{escaped(id.partition('.')[2])} {_signed(value)}" for id, value in exercises.items())
    return ", ".join(words) or '<span class="quiet">none</span>'


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value).replace("-", "−")


def _students(report: Report) -> str:
    if not report.results:
        return '<p class="quiet">Nobody has handed in yet.</p>'
    numbers = "".join(f"<i>{i}</i>" for i in range(1, len(report.exercises) + 1))
    head = (
        '<div class="students-head"><span class="n wide"></span><span>student</span><span class="n">points'
        f'</span><span class="wide"></span><span class="cells">{numbers}</span>'
        '<span class="wide"></span></div>'
    )
    intro = (
        '<p class="quiet small">Best first. The squares are the exercises in the order above; open a line to '
        "read what the student was told.</p>"
    )
    ids = [one.id for one in report.exercises]
    rows = "".join(_student(i, one, report, ids) for i, one in enumerate(report.results, 1))
    return f"{intro}{_key()}{head}{rows}"


def _student(position: int, result: Result, report: Report, ids: Sequence[str]) -> str:
    by_id = {one.id: one for one in result.exercises}
    cells = "".join(_cell(id, by_id.get(id)) for id in ids)
    marks = ", ".join(_marks(result))
    return (
        f'<details class="student"><summary><span class="n quiet small">{position}</span>'
        f'<span class="name">{escaped(result.student)}</span><span class="n">{number(result.score)}</span>'
        f"{bar([('data', result.score)], 'thin', whole=report.points or 1)}"
        f'<span class="cells">{cells}</span><span class="marks">{escaped(marks)}</span></summary>'
        f'<div class="verdicts">{_told(result)}</div></details>'
    )


def _cell(id: str, one: ExerciseResult | None) -> str:
    if one is None:
        return "<i title='not asked'></i>"
    words = f"{id.partition('.')[2]}: {outcome(one)}, {number(one.score)} of {counted_points(one.points)}"
    return f'<i class="{CLASSES[outcome(one)]}" title="{escaped(words)}">{number(one.score)}</i>'


def _marks(result: Result) -> Iterable[str]:
    """What the instructor should know of a submission, in a word each."""
    if result.status != "graded":
        yield result.status
    if result.flags:
        yield counted(len(result.flags), "flag")
    if any(one.timed_out for one in result.exercises):
        yield "time-out"


def _told(result: Result) -> str:
    why = f'<p class="note">{escaped(result.why)}</p>' if result.why else ""
    repairs = "".join(f'<p class="note">{escaped(words)}</p>' for words in result.repairs)
    verdicts = "".join(
        f'<div class="verdict is-{CLASSES[outcome(one)]}">'
        f"<strong>{escaped(one.id.partition('.')[2])}</strong>: {outcome(one)}, "
        f"{number(one.score)} of {counted_points(one.points)}"
        + "".join(f"<p>{escaped(line)}</p>" for line in one.message.splitlines())
        + "</div>"
        for one in result.exercises
    )
    return why + repairs + verdicts
