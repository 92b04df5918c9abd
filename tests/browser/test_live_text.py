"""LiveScrubber with a text to write: typed, entered, left, refused; in JupyterLab and without a kernel."""

import re

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from course_utils.widgets.live import MESSAGES

pytestmark = pytest.mark.browser

SOURCE = """
import numpy as np
from course_utils.widgets import LiveScrubber, Run

computed = []


def write(prompt, guidance):
    computed.append((prompt, guidance))
    if "nine" in prompt:
        raise ValueError("there is no nine")
    red = 20 + len(prompt) % 100
    frames = np.stack([np.full((12, 16, 3), (red + 50 * k, 40, 200), np.uint8) for k in range(3)])
    return Run(frames, [1, 2, 3], [f"“{prompt}”, guidance {guidance}, step {k + 1}." for k in range(3)])


writer = LiveScrubber(
    write,
    {"prompt": "a red seven", "guidance": [1.0, 4.0]},
    title="Text to image",
    label="step",
    known=[{"prompt": "a “blue”, blue two, " + 8 * "and much more of it, "}, {"prompt": "", "guidance": 4.0}],
)
"""
START = "“a red seven”, guidance 1.0, step 3."


@pytest.fixture(scope="module")
def notebook(write_notebook, open_notebook):
    opened = open_notebook(
        write_notebook("live_text.ipynb", [new_code_cell(cell) for cell in (SOURCE, "writer")])
    )
    opened.run_all()
    return opened


@pytest.fixture
def live(notebook):
    """The live widget in its first state; nothing computed since."""
    shown = notebook.widget(1)
    notebook.kernel("writer.settings, writer.index = {'prompt': 'a red seven', 'guidance': 1.0}, 2")
    expect(shown.caption).to_have_text(START)
    expect(shown.slider("prompt")).to_have_value("a red seven")
    shown.settle()
    notebook.kernel("computed.clear()")
    return shown


def shows(live, prompt, step):
    live.settle()
    red = 20 + len(prompt) % 100 + 50 * (step - 1)
    return bool((live.pixels("frame") == (red, 40, 200, 255)).all())


def hint(live):
    return live.host.get_by_text("press Enter")


def test_typing_asks_once_and_not_before_enter(live, notebook, page):
    live.slider("prompt").click()
    page.keyboard.press("ControlOrMeta+a")
    expect(hint(live)).to_be_hidden()
    page.keyboard.type("two, green threes ", delay=20)
    expect(hint(live)).to_be_visible()
    page.wait_for_timeout(600)
    assert notebook.kernel("print(computed)").strip() == "[]"
    expect(live.caption).to_have_text(START)
    page.keyboard.press("Enter")
    expect(live.caption).to_have_text("“two, green threes”, guidance 1.0, step 3.")
    expect(live.slider("prompt")).to_have_value("two, green threes")
    expect(live.slider("prompt")).to_be_focused()
    expect(hint(live)).to_be_hidden()
    assert shows(live, "two, green threes", 3)
    page.keyboard.press("Enter")  # nothing has changed
    page.keyboard.press("Tab")
    page.wait_for_timeout(600)
    notebook.kernel_prints("print(computed)", "[('two, green threes', 1.0)]")
    notebook.kernel_prints("print(writer.settings['prompt'])", "two, green threes")


def test_leaving_the_field_asks_too(live, notebook, page):
    live.slider("prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type(" and a half")
    live.drag("guidance", 1)  # the mouse takes the focus away
    expect(live.caption).to_have_text("“a red seven and a half”, guidance 4.0, step 3.")
    notebook.kernel_prints("print(computed[-1])", "('a red seven and a half', 4.0)")
    asked = notebook.kernel("print(len(computed))").strip()
    live.slider("prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type("  ")
    page.keyboard.press("Tab")  # spaces around a text are none of it
    expect(live.slider("prompt")).to_have_value("a red seven and a half")
    page.wait_for_timeout(600)
    notebook.kernel_prints("print(len(computed))", asked)


def test_what_is_being_written_outlives_an_answer(live, notebook, page):
    notebook.kernel("writer.index = 0")
    expect(live.slider("step")).to_have_value("0")
    live.slider("prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type(" in")
    notebook.kernel("writer.settings = {'prompt': 'a red seven', 'guidance': 4.0}")
    expect(live.caption).to_have_text("“a red seven”, guidance 4.0, step 1.")
    expect(live.slider("prompt")).to_have_value("a red seven in")
    page.keyboard.type(" snow")
    page.keyboard.press("Enter")
    expect(live.caption).to_have_text("“a red seven in snow”, guidance 4.0, step 1.")
    notebook.kernel("writer.settings = {'prompt': 'other', 'guidance': 4.0}")
    expect(live.slider("prompt")).to_have_value("other")


def test_what_was_written_before_is_shown_at_once(live, notebook, page):
    for text in ("one of many", "a red seven", "one of many"):
        live.slider("prompt").fill(text)
        page.keyboard.press("Enter")
        expect(live.caption).to_have_text(f"“{text}”, guidance 1.0, step 3.")
        assert shows(live, text, 3)
    notebook.kernel_prints("print(computed)", "[('one of many', 1.0)]")


def test_an_error_stays_in_the_caption_and_the_old_frames_stay(live, notebook, page, screenshot):
    before = live.pixels("frame")
    live.slider("prompt").fill("a nine")
    page.keyboard.press("Enter")
    expect(live.caption).to_have_text(MESSAGES["failed"].format(error="ValueError: there is no nine"))
    expect(live.caption).to_have_class(re.compile("failed"))
    live.settle()
    assert np.array_equal(live.pixels("frame"), before)
    page.keyboard.type(" or ten")
    expect(live.caption).to_have_class(re.compile("failed"))
    screenshot("live-text-failed", live.host)
    live.slider("prompt").fill("a red seven")
    page.keyboard.press("Enter")
    expect(live.caption).to_have_text(START)
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0


def test_a_long_text_is_cut_in_the_field(live, notebook, page):
    live.slider("prompt").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(250 * "x")
    page.keyboard.press("Enter")
    expect(live.caption).to_have_text(f"“{200 * 'x'}”, guidance 1.0, step 3.")
    notebook.kernel_prints("print(len(computed[-1][0]))", "200")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_themes(live, notebook, page, screenshot, theme):
    notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme}")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    live.slider("prompt").click()
    page.keyboard.type("!")
    live.settle()
    field = live.slider("prompt").evaluate("field => getComputedStyle(field).color")
    assert [int(value) for value in re.findall(r"\d+", field)[:3]] == live.ink()
    screenshot(f"live-text-{theme.lower()}", live.host)
    page.keyboard.press("Backspace")


@pytest.fixture
def twin(open_html, tmp_path):
    """twin(style): the twin on a page of this style; and the widget that it is a twin of."""

    def open_(style=""):
        names = {}
        exec(SOURCE, names)
        path = tmp_path / "twin.html"
        bundle, _ = names["writer"]._repr_mimebundle_()
        path.write_text(f"<!doctype html><meta charset='utf-8'><body style='{style}'>{bundle['text/html']}")
        shown = open_html(path).widget(0)
        expect(shown.caption).to_have_text(START)
        return shown, names["writer"]

    return open_


def test_the_twin_offers_the_texts_that_were_computed(twin):
    shown, writer = twin()
    texts = [record["positions"][0] for record in writer.content["known"]]
    assert shown.slider("prompt").locator("option").evaluate_all("all => all.map(one => one.value)") == texts
    assert shown.host.locator("input[type=text]").count() == 0
    expect(shown.host.locator(".note")).to_contain_text("Others need a running kernel.")
    for text, guidance in ((texts[1], "1.0"), (texts[2], "4.0"), (texts[0], "1.0")):
        shown.slider("prompt").select_option(text)
        expect(shown.caption).to_have_text(f"“{text}”, guidance {guidance}, step 3.")
        expect(shown.slider("prompt")).to_have_value(text)
        assert shows(shown, text, 3)
    shown.drag("guidance", 1)  # known with the empty text alone
    expect(shown.caption).to_have_text("“”, guidance 4.0, step 3.")


@pytest.mark.parametrize("style", ["", "background:#111;color:#eee"])
def test_the_twin_fits_a_phone(twin, page, screenshot, style):
    page.set_viewport_size({"width": 360, "height": 740})
    shown, _ = twin(style)
    shown.slider("prompt").select_option(index=1)
    shown.settle()
    fits(shown)
    screenshot(f"twin-narrow-text{'-dark' if style else ''}", shown.host)
    page.set_viewport_size({"width": 1200, "height": 900})


def fits(shown):
    inside = shown.host.bounding_box()
    for part in shown.host.locator("canvas, input, select, .caption, .note").all():
        box = part.bounding_box()
        assert box["x"] >= inside["x"] - 0.5
        assert box["x"] + box["width"] <= inside["x"] + inside["width"] + 0.5
