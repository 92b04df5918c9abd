"""Live widgets in JupyterLab: mouse, keyboard and kernel move one and the same state.

All tests share one open notebook and the kernel behind it; each puts the widget it needs where it needs it.
"""

import itertools
import re

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


WIDGETS = ("scrubber", "coloured", "scatter", "latent_map", "threshold")


@pytest.fixture(scope="module")
def notebook(write_notebook, open_notebook, example_source):
    cells = [new_code_cell(source) for source in (example_source, *WIDGETS)]
    opened = open_notebook(write_notebook("live.ipynb", cells))
    opened.run_all()
    return opened


@pytest.fixture
def shown(notebook, example):
    """shown(name): the live widget, back in its first state, and the same widget in this process."""

    def show(name):
        expected = example[name]
        for trait in expected.STATE:
            notebook.kernel(f"{name}.{trait} = {getattr(expected, trait)!r}")
        live = notebook.widget(1 + WIDGETS.index(name))
        expect(live.caption).to_have_text(expected.caption)
        return live, expected

    return show


@pytest.fixture
def kernel_has(notebook):
    """kernel_has("scrubber.index", 3): wait until the kernel knows."""

    def wait(expression, value):
        notebook.kernel_prints(f"print({expression})", str(value))

    return wait


def test_dragging_the_slider_shows_the_frame_and_tells_the_kernel(shown, example, kernel_has):
    live, _ = shown("scrubber")
    live.drag("latent numbers", 5)
    expect(live.caption).to_have_text(example["scrubber"].content["captions"][5])
    picture = live.pixels("frame")
    assert np.array_equal(picture[..., 3], example["frames"][5])  # opacity is brightness
    assert (picture[picture[..., 3] == 255][:, :3] == live.ink()).all()
    kernel_has("scrubber.index", 5)


def test_arrow_keys_belong_to_the_focused_slider(shown, page, kernel_has):
    live, expected = shown("scrubber")
    slider = live.slider("latent numbers")
    slider.focus()
    for key, index in (
        ("ArrowLeft", 1),
        ("ArrowDown", 0),
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("End", 5),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        expect(slider).to_have_value(str(index))
        expect(slider).to_be_focused()
        expect(live.caption).to_have_text(expected.content["captions"][index])
    expect(slider).to_have_attribute("aria-valuetext", "2 latent numbers")
    expect(live.canvas("frame")).to_have_attribute("aria-label", expected.content["captions"][0])
    kernel_has("scrubber.index", 0)


def test_assigning_in_python_moves_the_slider(shown, notebook, example):
    live, expected = shown("scrubber")
    assert notebook.kernel("scrubber.index = 4") == ""
    expect(live.slider("latent numbers")).to_have_value("4")
    expect(live.caption).to_have_text(expected.content["captions"][4])
    assert np.array_equal(live.pixels("frame")[..., 3], example["frames"][4])
    assert "must lie in 0..5, got 6" in notebook.kernel("scrubber.index = 6")
    expect(live.slider("latent numbers")).to_have_value("4")


def test_a_busy_kernel_holds_nothing_up(shown, lab, notebook, example, kernel_has):
    live, expected = shown("scrubber")
    notebook.start("import pathlib, time\nwhile not pathlib.Path('enough').exists(): time.sleep(0.05)")
    live.drag("latent numbers", 0)
    expect(live.caption).to_have_text(expected.content["captions"][0])
    assert np.array_equal(live.pixels("frame")[..., 3], example["frames"][0])
    (lab.root / "enough").touch()
    kernel_has("scrubber.index", 0)


def test_colours_are_drawn_as_they_are(shown, example):
    live, _ = shown("coloured")
    live.drag("channel", 2)
    expect(live.caption).to_have_text("blue")
    assert np.array_equal(live.pixels("frame")[..., :3], example["colours"][2])


def test_pointing_at_a_dot_shows_it_and_clicking_keeps_it(shown, page, example, kernel_has):
    live, expected = shown("scatter")
    before = live.pixels("cloud")
    here, other = lonely_dot(expected, 0), lonely_dot(expected, 1)

    page.mouse.move(*dot(live, expected, here))
    expect(live.caption).to_contain_text(f"Image {here}, labelled {example['labels'][here]}: error")
    assert shows(live, "image", example["digits"][here])
    assert shows(live, "reconstruction", example["reconstructions"][here])
    assert not np.array_equal(live.pixels("cloud"), before)

    page.mouse.move(*live.point("cloud", 0.5, 1.1))
    expect(live.caption).to_have_text(expected.caption)
    assert np.array_equal(live.pixels("cloud"), before)

    page.mouse.click(*dot(live, expected, other))
    page.mouse.move(*live.point("cloud", 0.5, 1.1))
    expect(live.caption).to_contain_text(f"Image {other}, ")
    kernel_has("scatter.selected", other)


def test_the_keyboard_walks_through_the_cloud(shown, page, kernel_has):
    live, expected = shown("scatter")
    canvas, slider = live.canvas("cloud"), live.slider("image")
    x = expected.content["embeddings"]["components 1, 2"][0]
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).not_to_have_value("17")
    walked = int(slider.input_value())
    assert x[walked] > x[17]
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(live.caption).to_contain_text(f"Image {walked - 1},")
    kernel_has("scatter.selected", walked - 1)


def test_choosing_another_embedding_moves_the_dots(shown, notebook, kernel_has):
    live, _ = shown("scatter")
    before = live.pixels("cloud")
    live.slider("embedding").select_option("components 3, 4")
    kernel_has("scatter.embedding", "components 3, 4")
    assert not np.array_equal(live.pixels("cloud"), before)
    notebook.kernel("scatter.embedding = 'components 1, 2'")
    expect(live.slider("embedding")).to_have_value("components 1, 2")
    assert np.array_equal(live.pixels("cloud"), before)


def test_dragging_on_the_map_decodes_there(shown, notebook, page, example, kernel_has):
    live, _ = shown("latent_map")
    page.mouse.move(*live.point("map", 0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*live.point("map", 0.999, 0.001), steps=6)
    page.mouse.move(*live.point("map", 1.3, -0.3))  # beyond the edge the pointer keeps its hold
    page.mouse.up()
    expect(live.caption).to_contain_text(
        "z = (10.00, 8.00) lies in a hole: the nearest of the training codes is"
    )
    assert shows(live, "decoded", example["decoded"][24, 24])
    kernel_has("(latent_map.z1, latent_map.z2)", (10.0, 8.0))
    expect(live.caption).to_have_text(notebook.kernel("print(latent_map.caption)").strip())


def test_two_sliders_move_the_same_place(shown, page, example, kernel_has):
    live, _ = shown("latent_map")
    live.drag("z1", 20)
    live.drag("z2", 3)
    live.slider("z2").press("ArrowLeft")
    expect(live.caption).to_contain_text("z = (7.00, -6.67)")
    assert shows(live, "decoded", example["decoded"][2, 20])
    live.canvas("map").focus()
    page.keyboard.press("ArrowUp")
    expect(live.caption).to_contain_text("z = (7.00, -6.00)")
    expect(live.slider("z2")).to_have_value("3")
    kernel_has("(latent_map.z1, latent_map.z2)", (7.0, -6.0))


def test_the_background_of_the_map_changes(shown):
    live, _ = shown("latent_map")
    seen = [live.pixels("map")]
    for name in ("decoded images", "nothing"):
        live.slider("background").select_option(name)
        live.settle()
        seen.append(live.pixels("map"))
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(seen))


def test_the_threshold_moves_by_its_line_and_by_its_slider(shown, page, kernel_has):
    live, expected = shown("threshold")
    last = len(expected.content["texts"]) - 1
    page.mouse.move(*live.point("histogram", 0.3, 0.4))
    page.mouse.down()
    page.mouse.move(*live.point("histogram", 1.2, 0.4), steps=6)
    page.mouse.up()
    expect(live.slider("threshold")).to_have_value(str(last))
    live.drag("threshold", 10)
    kernel_has("threshold.index", 10)
    passed, false_alarms, missed, found = expected.content["counts"][10]
    rows = live.host.locator("tbody tr")
    expect(rows.nth(0)).to_have_text(re.compile(f"{passed} normals passed.*{false_alarms} false alarms"))
    expect(rows.nth(1)).to_have_text(re.compile(f"{missed} anomalies missed.*{found} anomalies found"))


@pytest.mark.parametrize("name", ["scrubber", "scatter", "latent_map", "threshold"])
def test_browser_and_python_word_every_state_alike(shown, notebook, name):
    live, expected = shown(name)
    rng = np.random.default_rng(0)
    x0, x1, y0, y1 = (-8, 10, -8, 8)
    for _ in range(5):
        state = {
            "scrubber": {"index": int(rng.integers(6))},
            "scatter": {"selected": int(rng.integers(300))},
            "latent_map": {"z1": float(rng.uniform(x0, x1)), "z2": float(rng.uniform(y0, y1))},
            "threshold": {
                "index": int(rng.integers(len(expected.content["counts"]) if name == "threshold" else 1))
            },
        }[name]
        lines = [f"{name}.{trait} = {value!r}" for trait, value in state.items()]
        caption = notebook.kernel("\n".join([*lines, f"print({name}.caption)"])).strip()
        expect(live.caption).to_have_text(caption)


def test_both_themes_of_jupyterlab_are_readable(shown, notebook, page, screenshot):
    live, _ = shown("scrubber")
    for theme, dark in (("Dark", True), ("Light", False)):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme}")
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
        live.settle()
        assert (sum(live.ink()) > 3 * 127) == dark
        picture = live.pixels("frame")
        assert (picture[picture[..., 3] == 255][:, :3] == live.ink()).all()
        for position, name in enumerate(WIDGETS, start=1):
            screenshot(f"live-{name}-{theme.lower()}", notebook.widget(position).host)


def shows(widget, part, image):
    """Whether a canvas shows this image and no other; large collections come in 32 steps of grey."""
    return np.abs(widget.pixels(part)[..., 3].astype(int) - image).max() <= 4


def lonely_dot(widget, which):
    """One of the dots that no other comes near to."""
    x, y = np.array(widget.content["embeddings"]["components 1, 2"])
    distance = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    return int(np.argsort(-distance.min(axis=1))[which])


def dot(live, widget, index):
    """Where on the page a dot lies: 12 pixels of margin around the unit square."""
    x, y = (values[index] / 4095 for values in widget.content["embeddings"]["components 1, 2"])
    width = live.canvas("cloud").bounding_box()["width"]
    return live.point("cloud", (12 + x * (width - 24)) / width, (12 + (1 - y) * (width - 24)) / width)
