"""What survives of students' words and outputs in feedback and formgrader: words, formulas, tables, pictures;
nothing that runs, nothing that asks the net.

nbconvert's own filter would print the tags of a heading, a paragraph or a picture instead of showing it, and
nbgrader's pages put Markdown in as it is. The template beside this module leaves out the script that drew
formulas.
"""

import re

import bleach
from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from course_utils.formulas import mathml

TEXT = {"a", "b", "br", "code", "del", "em", "i", "kbd", "s", "small", "span", "strong", "sub", "sup", "u"}
BLOCKS = {"blockquote", "dd", "details", "div", "dl", "dt", "hr", "li", "ol", "p", "pre", "summary", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"caption", "col", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
PICTURES = {"figcaption", "figure", "img"}
FRAMES = {"border", "border-collapse", "border-left", "margin", "max-width", "padding"}
INVISIBLE = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
FORMULA = re.compile(r'<span class="formula-(\d+)"></span>')  # stands for one while the rest is cleaned


def clean_html(markup: object) -> str:
    """HTML without scripts, forms, frames, handlers and addresses that a browser would load by itself.

    Takes the place of nbconvert's filter of that name.
    """
    return bleach.clean(
        INVISIBLE.sub("", str(markup)),
        tags=TEXT | BLOCKS | HEADINGS | TABLES | PICTURES,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=CSSSanitizer(allowed_css_properties=FRAMES | ALLOWED_CSS_PROPERTIES),
        strip=True,
    )


def markdown_to_html(text: str) -> str:
    """Markdown as clean HTML, with formulas as MathML. Takes the place of nbconvert's markdown2html."""
    renderer = _Formulas()
    cleaned = clean_html(MarkdownWithMath(renderer=renderer).render(text))
    drawn = dict(enumerate(renderer.drawn))
    return FORMULA.sub(lambda found: drawn.get(int(found[1]), ""), cleaned)


class _Formulas(IPythonRenderer):
    """nbconvert's, with formulas drawn and kept aside. One that cannot be read stays as it was written."""

    def __init__(self) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.drawn: list[str] = []

    def inline_math(self, body: str) -> str:
        return self._draw(body, block=False) or str(super().inline_math(body))

    def block_math(self, body: str) -> str:
        return self._draw(body, block=True) or str(super().block_math(body))

    def latex_environment(self, name: str, body: str) -> str:
        drawn = self._draw(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)
        return drawn or str(super().latex_environment(name, body))

    def _draw(self, formula: str, block: bool) -> str:
        try:
            self.drawn.append(mathml(formula, block=block))
        except ValueError:
            return ""
        return f'<span class="formula-{len(self.drawn) - 1}"></span>'


def _allowed(tag: str, name: str, value: str) -> bool:
    """Pictures are part of the page, links lead out of it."""
    if name == "src":
        return tag == "img" and value.startswith("data:image/")
    if name == "href":
        return tag == "a" and not value.startswith("data:")
    return name in {"alt", "class", "colspan", "height", "id", "rowspan", "style", "title", "width"}
