"""What students wrote, as a page shows it: nothing that runs, nothing that asks the net, formulas drawn."""

import re
from pathlib import Path

import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config import PyFileConfigLoader

from course_utils.grading.pages import clean_html, markdown_to_html

ASSESSMENTS = Path(__file__).parents[2] / "assessments"


@pytest.mark.parametrize(
    "markup",
    [
        '<div style="border-left: 4px solid red; margin: 0.3em 0;"><p>Right.</p></div>',
        "<details><summary>Criteria</summary><table><tbody><tr><td>type</td></tr></tbody></table></details>",
        '<img src="data:image/png;base64,AAAA" alt="a digit" class="course-widget-still">',
        '<h2 id="see-it">See it</h2><p>x &lt; y, <em>so</em> <a href="https://example.org">read on</a></p>',
    ],
)
def test_words_tables_and_pictures_are_left_as_they_are(markup):
    assert clean_html(markup) == markup


@pytest.mark.parametrize(
    ("markup", "left"),
    [
        ("<script>alert(1)</script>a", "a"),
        ("<SCRIPT type='application/json'>{}</SCRIPT >a<style>b {}</style>", "a"),
        ('<p onclick="run()">a</p>', "<p>a</p>"),
        ('<a href="javascript:run()">a</a>', "<a>a</a>"),
        ('<a href="data:text/html,x">a</a>', "<a>a</a>"),
        ('<img src="https://example.org/seen.png">', "<img>"),
        ('<img src="data:text/html;base64,AAAA">', "<img>"),
        ('<p style="background: url(https://example.org)">a</p>', '<p style="">a</p>'),
        ("<iframe src='https://example.org'></iframe><form><input>a</form>", "a"),
        ("<svg onload=run()><p>a</p>", "<p>a</p>"),
        ("<script>alert(1)", "alert(1)"),
    ],
)
def test_what_runs_or_loads_is_gone(markup, left):
    assert clean_html(markup).strip() == left


MARKDOWN = r"""# It *works*

Of $x_t^2 < 3$ and $\text{<script>run()</script>}$, <b onclick="run()">half</b>;
![$\text{" onerror="run()}$](x.png)

$$\frac{a}{b}$$

$\unreadable{$ <script>run()</script> [a](javascript:run())
"""


def test_words_of_a_student_keep_their_formulas_and_lose_what_runs():
    page = markdown_to_html(MARKDOWN)
    assert "<h1>It <em>works</em></h1>" in page
    assert page.count("<math") == 3 and "<mfrac>" in page
    assert r"$\unreadable{$" in page
    assert "<b>half</b>" in page
    assert not [active for active in ("<script", "javascript:", "onclick", '" onerror') if active in page]


def test_a_page_of_feedback_needs_no_network():
    config = PyFileConfigLoader("nbgrader_config.py", str(ASSESSMENTS)).load_config()
    step = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
    notebook = new_notebook(cells=[new_markdown_cell(MARKDOWN)])
    names = {"notebook": "01", "score": 1, "max_score": 2, "late_penalty": 0}
    page, _ = HTMLExporter(config=step.config).from_notebook_node(notebook, {"nbgrader": names})
    assert "<mfrac>" in page and "01 (Score: 1.0 / 2.0)" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
