"""What families share that ask their kernel: numbered requests, one answer to each, errors as answers.

    request   {"number": int, ...}        from a view in the browser; each is larger than those before it
    answer    {"number": int, ...}        to that request, binary buffers beside it
              {"number": int, "error": str}    instead of it, where answering failed
    busy      bool                        a request is being answered

A view counts as busy until its newest request is answered. Where nothing comes for PATIENCE seconds and the
kernel has not said that it is busy with this widget, the view says that no kernel answers.
"""

import traceback
from typing import Any, ClassVar

import traitlets

from course_utils.plots import HIGHLIGHT
from course_utils.widgets.base import CourseWidget

PATIENCE = 20.0  # seconds
MESSAGES = {
    "busy": "computing ...",
    "failed": "This could not be computed: {error}",
    "silent": "There is no answer from the kernel. If a cell is running, wait for it; else run this one.",
}
Answer = tuple[dict[str, Any], list[bytes]]


def last_line(error: BaseException) -> str:
    """What a traceback of this error ends with, e.g. "ValueError: steps must be positive"."""
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


class LiveWidget(CourseWidget):
    """Base of the families that ask their kernel: each also defines `answer`."""

    PARTS: ClassVar[tuple[str, ...]] = ("live",)

    busy = traitlets.Bool().tag(sync=True)

    def __init__(self, content: dict[str, Any], pixels: bytes = b"", **state: Any) -> None:
        common = {"patience": PATIENCE, "messages": MESSAGES, "warning": HIGHLIGHT}
        super().__init__(content | common, pixels, **state)
        self.on_msg(self._receive)

    def answer(self, request: dict[str, Any]) -> Answer:
        """What the kernel has to say to a request: JSON, and buffers beside it."""
        raise NotImplementedError

    def _receive(self, _: CourseWidget, request: dict[str, Any], __: list[memoryview]) -> None:
        """Answer a request. Whatever goes wrong, an interrupt too, is told to the reader of the widget."""
        self.busy = True
        try:
            answer, buffers = self.answer(request)
        except (Exception, KeyboardInterrupt) as error:
            answer, buffers = {"error": last_line(error)}, []
        try:
            self.send({**answer, "number": request["number"]}, buffers)
        finally:
            self.busy = False  # after the answer, which somebody waits for
