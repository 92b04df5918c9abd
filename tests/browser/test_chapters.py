"""Each chapter as a student meets it: opened, run from the top with nothing solved, every control moved."""

import io
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
FAILURES = (
    '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
)


@pytest.fixture(scope="module", params=CHAPTERS)
def chapter(request, lab, open_notebook):
    """A chapter's notebook after Run All."""
    shutil.copy(ROOT / "notebooks" / f"{request.param}.ipynb", lab.root)
    notebook = open_notebook(f"{request.param}.ipynb")
    notebook.run_all()
    yield SimpleNamespace(name=request.param, widgets=notebook.widgets())
    notebook.end_kernel()


def test_run_all_passes_through_unsolved_exercises(chapter, page):
    assert page.locator(FAILURES).count() == 0
    stored = nbformat.read(ROOT / "notebooks" / f"{chapter.name}.ipynb", as_version=4)
    graded = [cell for cell in stored.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert page.locator(".jp-OutputArea-output", has_text="not attempted yet").count() == len(graded)


def test_every_slider_moves_its_widget(chapter, screenshot):
    assert chapter.widgets
    for position, widget in enumerate(chapter.widgets):
        sliders = widget.host.locator("input[type=range]")
        assert sliders.count() + widget.host.locator("button").count() > 0
        widget.caption.scroll_into_view_if_needed()
        screenshot(f"{chapter.name}-{position}-before", widget.host)
        for slider in sliders.all():
            before = widget.caption.inner_text()
            label = slider.evaluate("input => input.labels[0].innerText")
            last = int(slider.get_attribute("max"))
            widget.drag(label, last if int(slider.input_value()) < last / 2 else 0)
            widget.settle()
            assert widget.caption.inner_text() != before
        screenshot(f"{chapter.name}-{position}-after", widget.host)


def test_every_button_moves_its_widget(chapter):
    """A button that goes on by itself is then called "pause": it is stopped."""
    for widget in chapter.widgets:
        for name in widget.host.locator("button:not([role=radio])").all_inner_texts():
            before = widget.caption.inner_text()
            widget.press(name)
            expect(widget.caption).not_to_have_text(before)
            if widget.button("pause").count():
                widget.press("pause")
            widget.settle()


def test_every_word_moves_its_widget(chapter):
    """Words to choose among are a group of radio buttons."""
    for widget in chapter.widgets:
        for word in widget.host.get_by_role("radio").all():
            if word.get_attribute("aria-checked") == "true":
                continue
            before = widget.caption.inner_text()
            word.click()
            expect(widget.caption).not_to_have_text(before)


def test_every_choice_changes_its_widget(chapter):
    for widget in chapter.widgets:
        for select in widget.host.locator("select").all():
            widget.caption.scroll_into_view_if_needed()
            before, chosen = widget.host.screenshot(), select.input_value()
            names = select.locator("option").all_inner_texts()
            select.select_option(next(name for name in reversed(names) if name != chosen))
            widget.settle()
            assert widget.host.screenshot() != before


def test_the_readmes_picture(chapter):
    """The bottleneck widget, dragged from one end to the other: build/bottleneck.gif (see `make picture`)."""
    if chapter.name != "01_autoencoders":
        return
    widget = chapter.widgets[0]
    stops = int(widget.slider("numbers in the code").get_attribute("max"))
    pictures = []
    for stop in (*range(stops + 1), *range(stops - 1, 0, -1)):
        widget.drag("numbers in the code", stop)
        widget.settle()
        pictures.append(Image.open(io.BytesIO(widget.host.screenshot())).convert("RGB").quantize(64))
    assert len({picture.tobytes() for picture in pictures[: stops + 1]}) == stops + 1
    path = ROOT / "build" / "bottleneck.gif"
    path.parent.mkdir(exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=700, loop=0, optimize=True)
