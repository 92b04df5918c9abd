"""Markdown of a notebook as HTML, with formulas drawn."""

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from course_utils.authoring.chapters import AuthoringError
from course_utils.formulas import mathml


def to_html(text: str) -> str:
    """The text as HTML, without anchors.

    Raises:
        AuthoringError: a formula cannot be read.
    """
    return MarkdownWithMath(renderer=_Renderer(escape=False, exclude_anchor_links=True)).render(text)


class _Renderer(IPythonRenderer):
    """nbconvert's, with formulas drawn."""

    def inline_math(self, body: str) -> str:
        return _drawn(body, block=False)

    def block_math(self, body: str) -> str:
        return f'<span class="scroll formula">{_drawn(body, block=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def _drawn(formula: str, block: bool) -> str:
    try:
        return mathml(formula, block=block)
    except ValueError as error:
        raise AuthoringError(str(error)) from None
