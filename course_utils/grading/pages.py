"""What survives of students' outputs in feedback and formgrader: words, tables, pictures; nothing that runs.

nbconvert's own filter would print the tags of a heading, a paragraph or a picture instead of showing it.
"""

import re

import bleach
from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer

TEXT = {"a", "b", "br", "code", "del", "em", "i", "kbd", "s", "small", "span", "strong", "sub", "sup", "u"}
BLOCKS = {"blockquote", "dd", "details", "div", "dl", "dt", "hr", "li", "ol", "p", "pre", "summary", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"caption", "col", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
PICTURES = {"figcaption", "figure", "img"}
FRAMES = {"border", "border-collapse", "border-left", "margin", "max-width", "padding"}
INVISIBLE = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


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


def _allowed(tag: str, name: str, value: str) -> bool:
    """Pictures are part of the page, links lead out of it."""
    if name == "src":
        return tag == "img" and value.startswith("data:image/")
    if name == "href":
        return tag == "a" and not value.startswith("data:")
    return name in {"alt", "class", "colspan", "height", "id", "rowspan", "style", "title", "width"}
