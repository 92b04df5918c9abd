"""What the kernels that nbgrader starts do differently, piece by piece; test_validate.py sees it in use."""

import pytest

from course_utils.exercises.display import as_text
from course_utils.exercises.spec import Verdict
from course_utils.grading.kernel import repeat_failed_verdict

HEADER = {"msg_id": "of the cell"}


class Stderr:
    """As much of a kernel's stream as is needed here."""

    def __init__(self):
        self.parent_header, self.text = None, ""

    def write(self, text):
        self.text += text

    def flush(self):
        assert self.parent_header == HEADER  # else nobody knows which cell wrote


def verdict(score: float) -> str:
    message = "Your size is one too large.\nExpected 10."
    return as_text(Verdict("chapter.name", score, 2.5, score == 2.5, True, None, message, (), seed=0))


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        (verdict(0), True),
        (verdict(1.5), True),
        (verdict(2.5), False),
        ("Below, the course's own name is used until yours passes its check.", False),
        ("", False),
    ],
)
def test_only_a_verdict_that_costs_points_is_repeated(text, repeated):
    stderr = Stderr()
    message = {"content": {"data": {"text/plain": text}}, "parent_header": HEADER}
    assert repeat_failed_verdict(stderr, message) is message
    assert stderr.text == (text if repeated else "")


def test_messages_that_show_no_data_pass():
    message = {"content": {}, "parent_header": HEADER}
    assert repeat_failed_verdict(Stderr(), message) is message
