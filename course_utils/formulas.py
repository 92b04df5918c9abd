"""Formulas as MathML, which browsers draw without a script and without a network."""

import re
from functools import cache
from html import unescape

from math_core import LatexError, LatexToMathML

TALL_BASE = re.compile(r"(<m(?:sub|sup|subsup)>)(<mo minsize[^>]*>[^<]*</mo>)")


@cache
def mathml(formula: str, *, block: bool) -> str:
    """A formula in LaTeX, without its dollars, as MathML Core.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        drawn = LatexToMathML().convert_with_local_state(unescape(formula).strip(), displaystyle=block)
    except LatexError as error:
        raise ValueError(f"The formula {formula.strip()!r} cannot be read: {error}.") from None
    # Chromium draws a tall bracket that bears an exponent small and low, unless it is in a row of its own.
    return TALL_BASE.sub(r"\1<mrow>\2</mrow>", drawn)
