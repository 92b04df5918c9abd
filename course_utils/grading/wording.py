"""Text that students wrote, made fit for a page: nothing in it can run, hide, or turn round what follows."""

import html
import re

# Control characters but line feed and tab; half surrogate pairs; marks that turn the direction of writing.
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(text: str) -> str:
    """The text with a box for every character that cannot be shown; lines end as they do on this machine."""
    return UNFIT.sub("□", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(text: object) -> str:
    """The text as HTML, for content and for attributes in double quotes."""
    return html.escape(plain(str(text)))


def number(value: float) -> str:
    """At most two digits after the point, and none that say nothing."""
    return f"{round(value, 2):g}"


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 student", "2 students"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
