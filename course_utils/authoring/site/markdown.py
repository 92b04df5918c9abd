"""Markdown of a notebook as HTML. Formulas become MathML, which browsers draw without a script."""

import re
from functools import cache
from html import unescape

from math_core import LatexError, LatexToMathML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from course_utils.authoring.chapters import AuthoringError

TALL_BASE = re.compile(r"(<m(?:sub|sup|subsup)>)(<mo minsize[^>]*>[^<]*</mo>)")


def to_html(text: str) -> str:
    """The text as HTML, without anchors.

    Raises:
        AuthoringError: a formula cannot be read.
    """
    return MarkdownWithMath(renderer=_Renderer(escape=False, exclude_anchor_links=True)).render(text)


@cache
def mathml(formula: str, *, block: bool) -> str:
    """A formula in LaTeX, without its dollars, as MathML Core.

    Raises:
        AuthoringError: it cannot be read.
    """
    try:
        drawn = LatexToMathML().convert_with_local_state(unescape(formula).strip(), displaystyle=block)
    except LatexError as error:
        raise AuthoringError(f"The formula {formula.strip()!r} cannot be read: {error}.") from None
    # Chromium draws a tall bracket that bears an exponent small and low, unless it is in a row of its own.
    return TALL_BASE.sub(r"\1<mrow>\2</mrow>", drawn)


class _Renderer(IPythonRenderer):
    """nbconvert's, with formulas drawn."""

    def inline_math(self, body: str) -> str:
        return mathml(body, block=False)

    def block_math(self, body: str) -> str:
        return f'<span class="scroll formula">{mathml(body, block=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")
