"""How a verdict looks: a quiet card in HTML, and the same words as plain text.

Styles are inline and colours of text are JupyterLab's own, so that the card is readable in light and dark
themes, and where scripts and style sheets are removed.
"""

from html import escape

from course_utils.exercises.spec import CriterionResult, Verdict

COLOURS = {  # bluish green, orange, vermillion, grey of the Okabe-Ito palette
    "right": "#009E73",
    "partly right": "#E69F00",
    "not right yet": "#D55E00",
    "not attempted yet": "#999999",
}
CARD = (
    "border-left: 4px solid {colour}; padding: 0.3em 0 0.3em 0.9em; margin: 0.3em 0; max-width: 50em; "
    "color: var(--jp-ui-font-color1, inherit); font-family: var(--jp-content-font-family, sans-serif);"
)
TABLE = "margin: 0.3em 0; color: inherit; font-size: inherit;"
CELL = "padding: 0.1em 1.2em 0.1em 0; text-align: left;"


def as_text(verdict: Verdict) -> str:
    """A headline, the name of the mistake if it is a known one, then the message."""
    return "\n".join([_headline(verdict), *_mistake(verdict), verdict.message])


def as_html(verdict: Verdict, with_seed: bool = True) -> str:
    """What the text says, in paragraphs; the criteria folded away, the seed that drew the cases."""
    headline, *rest = _headline(verdict).split(": ", 1)
    paragraphs = "".join(
        f'<p style="margin: 0.3em 0;">{escape(line)}</p>'
        for line in [*_mistake(verdict), *verdict.message.splitlines()]
    )
    rows = "".join(_row(result) for result in verdict.criteria)
    table = f'<table style="{TABLE}"><tbody>{rows}</tbody></table>'
    failed = verdict.attempted and not verdict.passed
    seed = f"Cases drawn with seed {verdict.seed}." if failed and with_seed else ""
    criteria = f'<details><summary style="cursor: pointer;">Criteria</summary>{table}{seed}</details>'
    title = f"<strong>{escape(headline)}</strong>: {escape(''.join(rest))}"
    return card(f"<div>{title}</div>{paragraphs}{criteria}", COLOURS[verdict.status])


def card(content: str, colour: str) -> str:
    """HTML content with a coloured bar at its left."""
    return f'<div style="{CARD.format(colour=colour)}">{content}</div>'


def note(text: str) -> str:
    """One grey sentence."""
    return card(f"<div>{escape(text)}</div>", COLOURS["not attempted yet"])


def show(html: str, text: str) -> None:
    """Display both; without IPython, print the text."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.display import display
    except ImportError:
        print(text)
        return
    if InteractiveShell.initialized():
        display({"text/html": html, "text/plain": text}, raw=True)
    else:
        print(text)


def _headline(verdict: Verdict) -> str:
    return f"{verdict.exercise}: {verdict.status}, {verdict.score:g} of {_points(verdict.points)}"


def _mistake(verdict: Verdict) -> list[str]:
    return [f"Known mistake: {verdict.misconception}."] if verdict.misconception else []


def _points(points: float) -> str:
    return f"{points:g} point" + ("" if points == 1 else "s")


def _row(result: CriterionResult) -> str:
    outcome = {True: "holds", False: "does not hold", None: "not reached"}[result.held]
    points = f"{result.earned:g} of {_points(result.points)}" if result.points else ""
    cells = "".join(f'<td style="{CELL}">{escape(text)}</td>' for text in (result.name, outcome, points))
    return f"<tr>{cells}</tr>"
