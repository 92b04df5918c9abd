"""The chapters of this course: what is committed is what their sources give."""

from pathlib import Path

import jupytext
import pytest

from course_utils.authoring.build import check
from course_utils.authoring.chapters import Chapter, find_chapters, orphans

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = find_chapters(REPOSITORY)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_no_drift_no_leak_no_stub_in_a_solution(chapter: Chapter):
    assert check([chapter]) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_opening_and_saving_in_jupyterlab_leaves_the_source_alone(chapter: Chapter):
    source = chapter.source.read_text(encoding="utf-8")
    assert jupytext.writes(jupytext.reads(source, "py:percent"), "py:percent") == source


def test_every_notebook_has_a_source():
    assert orphans(REPOSITORY) == []
