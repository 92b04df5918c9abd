"""LatentWalk in Chromium: dragged, played and paused, without a kernel and with one."""

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from course_utils.widgets import LatentWalk

pytestmark = pytest.mark.browser

SOURCE = """
import numpy as np
from course_utils.widgets import LatentWalk
frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 5), np.uint8)
captions = [[f"Row {row}, column {column}." for column in range(4)] for row in range(3)]
walk = LatentWalk(frames, (range(3), range(4)), captions, title="Walk", labels=("down", "across"), column=1)
walk
"""


@pytest.fixture(scope="module")
def known():
    names = {}
    exec(SOURCE, names)
    return names


@pytest.fixture
def twin(open_html, tmp_path, known):
    walk: LatentWalk = known["walk"]
    path = tmp_path / "twin.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'>{walk._repr_mimebundle_()[0]['text/html']}")
    return open_html(path).widget(0)


def shows(live, frame):
    return np.array_equal(live.pixels("frame")[..., 3], frame)


def test_both_sliders_move_the_image(twin, known):
    expect(twin.caption).to_have_text("Row 0, column 1.")
    twin.drag("down", 2)
    expect(twin.caption).to_have_text("Row 2, column 1.")
    twin.drag("across", 3)
    expect(twin.caption).to_have_text("Row 2, column 3.")
    twin.settle()
    assert shows(twin, known["frames"][2, 3])


def test_play_walks_along_the_path_and_a_hand_on_a_slider_stops_it(twin, known, screenshot):
    button = twin.host.get_by_role("button", name="play")
    button.focus()
    twin.host.page.keyboard.press("Enter")
    for place in ("Row 0, column 2.", "Row 0, column 3.", "Row 1, column 3.", "Row 1, column 2."):
        expect(twin.caption).to_have_text(place)
    screenshot("latent-walk", twin.host)
    twin.drag("down", 0)
    expect(twin.host.get_by_role("button", name="play")).to_be_visible()
    stopped = twin.caption.inner_text()
    twin.host.page.wait_for_timeout(500)
    assert twin.caption.inner_text() == stopped


def test_the_walk_ends_where_it_began(twin):
    twin.drag("down", 2)
    twin.drag("across", 2)
    twin.host.get_by_role("button", name="play").click()
    for place in ("Row 2, column 3.", "Row 0, column 0."):
        expect(twin.caption).to_have_text(place)
    twin.host.get_by_role("button", name="pause").click()
    expect(twin.host.get_by_role("button", name="play")).to_be_visible()


def test_it_is_usable_on_a_narrow_page(twin, page, screenshot):
    page.set_viewport_size({"width": 360, "height": 700})
    screenshot("latent-walk-narrow", twin.host)
    box = twin.host.bounding_box()
    assert box["width"] <= 360
    for label in ("down", "across"):
        slider = twin.slider(label).bounding_box()
        assert slider["width"] >= 100 and slider["x"] + slider["width"] <= 360
    page.set_viewport_size({"width": 1200, "height": 900})


def test_in_jupyterlab_the_kernel_hears_of_it_and_can_move_it(write_notebook, open_notebook, known):
    notebook = open_notebook(write_notebook("walk.ipynb", [new_code_cell(SOURCE)]))
    notebook.run_all()
    live = notebook.widget(0)
    live.drag("across", 3)
    notebook.kernel_prints("print(walk.row, walk.column)", "0 3")
    assert notebook.kernel("walk.row = 2") == ""
    expect(live.caption).to_have_text("Row 2, column 3.")
    assert shows(live, known["frames"][2, 3])
