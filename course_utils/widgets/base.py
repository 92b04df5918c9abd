"""What every widget of the course is: a state, a picture of it, and one script that draws it in the browser.

    content    what never changes: texts, places, colours. JSON, sent once
    pixels     the images, as one PNG file (see pictures.sheet), sent once
    state      the traits that a reader moves, e.g. index; assigning one moves its slider, and the other way

Nothing is computed in the browser: numbers arrive as text, and a slider only chooses among what was sent.
(NoiseMixer alone mixes pixels there: it has too many steps to send them.) Only the families that stand on
live.py ask the kernel for more, and what they show first they bring along.
The same script therefore also runs without a kernel, in the static twin of `text/html`: a figure with a still
picture, in whose place it puts a working widget where it may run.
"""

import base64
import html
import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from course_utils.plots import DATA
from course_utils.widgets import pictures
from course_utils.widgets.arguments import Extent

STATIC = Path(__file__).with_name("static")
SPAN = 4095  # places in a plane are sent as whole numbers 0..SPAN
STILL_COLOURS = 128  # a still is stored twice in each notebook, so it is kept small


@cache
def script(family: str, *parts: str) -> str:
    """The source of one family: style, common part, parts it shares with some, its own part.

    No import, no address, no build step.
    """
    styles = [STATIC / f"{name}.css" for name in ("widget", *parts, family)]
    style = "".join(path.read_text(encoding="utf-8") for path in styles if path.exists())
    pieces = [(STATIC / f"{name}.js").read_text(encoding="utf-8") for name in ("common", *parts, family)]
    constants = {"STYLE": style, "ACCENT": DATA, "SPAN": SPAN}
    head = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())
    return "\n".join([head, *pieces])


def module(family: str, *parts: str) -> str:
    """The script as the module that anywidget loads."""
    return f"{script(family, *parts)}\nexport default {{ render }};\n"


def in_plane(points: np.ndarray, extent: Extent) -> list[list[int]]:
    """x and y of all points (N, 2) as whole numbers: 0..SPAN within extent (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = extent
    shares = (points - (x0, y0)) / (x1 - x0, y1 - y0)
    return (shares * SPAN).round().astype(int).T.tolist()


class CourseWidget(anywidget.AnyWidget):
    """Base of the families: each defines FAMILY, STATE, the traits named there, `caption` and `still`."""

    FAMILY: ClassVar[str]  # its script is static/FAMILY.js
    PARTS: ClassVar[tuple[str, ...]] = ()  # further scripts that it is built upon
    STATE: tuple[str, ...]  # names of the traits that move

    content = traitlets.Dict().tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)

    def __init__(self, content: dict[str, Any], pixels: bytes = b"", **state: Any) -> None:
        super().__init__(content={"state": self.STATE, **content}, pixels=pixels, **state)

    @property
    def caption(self) -> str:
        """What the present state shows, in words: the sentence below the canvas."""
        raise NotImplementedError

    def still(self) -> np.ndarray:
        """A picture of the present state, (H, W, 3) uint8."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f'{type(self).__name__} "{self.content["title"]}": {self.caption}'

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        live, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        still = base64.b64encode(pictures.png(self.still(), STILL_COLOURS)).decode()
        return {**live, "text/html": self._twin(still), "image/png": still}, metadata

    def _twin(self, still: str) -> str:
        """HTML that needs neither kernel nor network; where no script may run, a picture and its caption."""
        title, caption = html.escape(self.content["title"]), html.escape(self.caption)
        values = {"content": self.content, **{name: getattr(self, name) for name in self.STATE}}
        data = {"values": values, "pixels": base64.b64encode(self.pixels).decode()}
        # Scripts sit in comments: sanitisers that print unwanted tags instead of dropping them drop comments.
        return f"""<div class="course-widget" data-family="{self.FAMILY}">
<figure style="margin:0.5em 0;max-width:800px"><p><strong>{title}</strong></p>
<img class="course-widget-still" alt="{title}. {caption}" \
src="data:image/png;base64,{still}" style="max-width:100%;border-radius:4px">
<figcaption>{caption}</figcaption></figure>
<script type="application/json" class="course-widget-data"><!--
{_inside_script(json.dumps(data, separators=(",", ":")))}
--></script>
<script><!--
(() => {{
"use strict";
{script(self.FAMILY, *self.PARTS)}
hydrateAll(document.currentScript, "{self.FAMILY}");
}})();
//--></script>
</div>"""


def _inside_script(text: str) -> str:
    """JSON in which nothing can end the script element or the comment inside of it."""
    return text.replace("<", r"\u003c").replace(">", r"\u003e")
