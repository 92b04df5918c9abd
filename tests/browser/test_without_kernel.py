"""Widgets without a kernel: stored in notebooks and exported pages, or live ones whose kernel has gone."""

import re

import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

VIEW = "application/vnd.jupyter.widget-view+json"
TWINS = (
    *("scrubber", "coloured", "scatter", "latent_map", "threshold", "scrubber"),
    *("chooser", "arrows", "balance", "sweep"),
    *("mixer", "comparer"),
    *("curves", "anatomy"),
)


@pytest.fixture(scope="module")
def stored(example):
    """Cells as a build stores them: outputs without their live view."""
    bundles = [example[name]._repr_mimebundle_()[0] for name in TWINS]
    outputs = [{kind: data for kind, data in bundle.items() if kind != VIEW} for bundle in bundles]
    return [
        new_code_cell(name, outputs=[new_output("display_data", output)])
        for name, output in zip(TWINS, outputs, strict=True)
    ]


@pytest.fixture
def exported(stored, tmp_path, open_html):
    """The stored notebook as an exported page, open in the tab: its widgets in the order of TWINS."""
    exporter = HTMLExporter(mathjax_url="", require_js_url="")
    page = tmp_path / "page.html"
    page.write_text(exporter.from_notebook_node(new_notebook(cells=stored))[0], encoding="utf-8")
    opened = open_html(page)
    expect(opened.page.locator(".course-widget-live .caption:not(:empty)")).to_have_count(len(TWINS))
    return opened


def test_an_exported_page_keeps_its_sliders(exported, example):
    scrubber = exported.widget(0)
    expect(scrubber.caption).to_have_text(example["scrubber"].caption)
    scrubber.drag("latent numbers", 5)
    expect(scrubber.caption).to_have_text(example["scrubber"].content["captions"][5])
    assert np.array_equal(scrubber.pixels("frame")[..., 3], example["frames"][5])

    scatter = exported.widget(2)
    scatter.drag("image", 299)
    expect(scatter.caption).to_contain_text("Image 299,")
    assert np.abs(scatter.pixels("image")[..., 3].astype(int) - example["digits"][299]).max() <= 4

    latent_map = exported.widget(3)
    latent_map.drag("z2", 24)
    expect(latent_map.caption).to_contain_text(", 8.00)")
    assert np.abs(latent_map.pixels("decoded")[..., 3].astype(int) - example["decoded"][24, 11]).max() <= 4

    threshold = exported.widget(4)
    threshold.drag("threshold", 0)
    expect(threshold.caption).to_contain_text("100.0% of the anomalies are found")

    chooser = exported.widget(6)
    chooser.slider("to").select_option("1")
    chooser.drag("way", 0)
    expect(chooser.caption).to_have_text("0 to 1: 0% of the way.")
    assert np.array_equal(chooser.pixels("frame")[..., 3], example["way"][0, 1, 0])

    arrows = exported.widget(7)
    before = arrows.pixels("field")
    arrows.drag("noise σ", 0)
    expect(arrows.caption).to_have_text(example["arrows"].content["captions"][0])
    assert not np.array_equal(arrows.pixels("field"), before)

    balance = exported.widget(8)
    balance.drag("mean", 19)
    balance.drag("standard deviation", 8)
    expect(balance.caption).to_contain_text("+ gap 0.00 nats")

    sweep = exported.widget(9)
    sweep.drag("β", 4)
    expect(sweep.caption).to_have_text(example["sweep"].content["captions"][4])
    assert np.array_equal(sweep.pixels("frame")[..., 3], example["frames"][4])

    mixer = exported.widget(10)
    mixer.drag("t", 0)
    expect(mixer.caption).to_contain_text("t = 0: 99.99% of the variance is signal")
    mixed = mixer.pixels("rows")[:, :32, 3].astype(int)
    assert np.abs(mixed - example["digits"][0]).max() <= 6  # 0.01 of noise

    curves = exported.widget(12)
    before = curves.pixels("curves")
    curves.drag("updates", 4)
    expect(curves.caption).to_have_text(example["curves"].content["captions"][4])
    assert not np.array_equal(curves.pixels("curves"), before)

    anatomy = exported.widget(13)
    anatomy.slider("block").select_option("out")
    anatomy.drag("t", 3)
    expect(anatomy.caption).to_have_text("out, 1 x 32 x 32. Guesses the noise. This is level 999.")
    assert np.abs(anatomy.pixels("map-0")[..., 3].astype(int) + example["whole"][3, 0] - 255).max() <= 4


def test_twins_on_one_page_do_not_meddle(exported, example):
    first, last = exported.widget(0), exported.widget(5)
    last.drag("latent numbers", 0)
    expect(last.caption).to_have_text(example["scrubber"].content["captions"][0])
    expect(first.caption).to_have_text(example["scrubber"].caption)
    expect(exported.page.locator("img.course-widget-still:visible")).to_have_count(0)


def test_running_a_twin_twice_is_harmless(exported, example):
    """Pages that insert an output again run its script again."""
    exported.widget(0).drag("latent numbers", 4)
    exported.page.evaluate(
        """() => {
            const script = document.querySelector(".course-widget > script:not([type])");
            const again = document.createElement("script");
            again.textContent = script.textContent;
            script.replaceWith(again);
        }"""
    )
    expect(exported.page.locator(".course-widget-live")).to_have_count(len(TWINS))
    expect(exported.widget(0).caption).to_have_text(example["scrubber"].content["captions"][4])


def test_a_page_that_moves_scripts_away_still_wakes_its_twins(stored, tmp_path, open_html):
    """Some front ends run the scripts of an output in the page's head."""
    twin = stored[0].outputs[0].data["text/html"]
    inert, script = re.fullmatch(r"(.*)<script><!--(.*)//--></script>(.*)", twin, re.DOTALL).group(1, 2)
    page = tmp_path / "moved.html"
    page.write_text(f"<!doctype html><body>{inert}</div><p><script>{script}</script>", encoding="utf-8")
    moved = open_html(page).widget(0)
    moved.drag("latent numbers", 3)
    expect(moved.slider("latent numbers")).to_have_attribute("aria-valuetext", "16 latent numbers")


def test_a_page_that_the_browser_has_saved_wakes_again(exported, tmp_path, open_html, example):
    saved = tmp_path / "saved.html"
    saved.write_text(exported.page.content(), encoding="utf-8")
    again = open_html(saved).widget(0)
    again.drag("latent numbers", 1)
    expect(again.caption).to_have_text(example["scrubber"].content["captions"][1])


def test_a_twin_that_cannot_be_drawn_leaves_its_picture(stored, tmp_path, open_html, complaints):
    twin = stored[0].outputs[0].data["text/html"]
    page = tmp_path / "broken.html"
    page.write_text(re.sub(r'"pixels":"[^"]*"', '"pixels":"AAAA"', twin), encoding="utf-8")
    opened = open_html(page)
    expect(opened.page.locator(".course-widget-live")).to_have_count(0)
    expect(opened.page.locator("img.course-widget-still")).to_be_visible()
    assert "could not be decoded" in complaints.pop()


def test_on_a_dark_page_the_ink_is_light(stored, tmp_path, open_html, screenshot):
    twins = "".join(cell.outputs[0].data["text/html"] for cell in stored)
    page = tmp_path / "dark.html"
    page.write_text(f'<!doctype html><body style="background:#111;color:#eee">{twins}', encoding="utf-8")
    opened = open_html(page)
    live = opened.widget(0)
    expect(live.caption).not_to_be_empty()
    picture = live.pixels("frame")
    assert (picture[picture[..., 3] == 255][:, :3] == 0xEE).all()
    screenshot("twins-dark")


def test_a_phone_shows_everything_without_scrolling_sideways(exported, screenshot):
    page = exported.page
    page.set_viewport_size({"width": 360, "height": 740})
    for position in range(len(TWINS)):
        widget = exported.widget(position)
        widget.settle()
        inside = widget.host.bounding_box()
        for part in widget.host.locator("canvas, input, select, table, .caption").all():
            box = part.bounding_box()
            assert box["x"] >= inside["x"] - 0.5
            assert box["x"] + box["width"] <= inside["x"] + inside["width"] + 0.5
        screenshot(f"narrow-{TWINS[position]}", widget.host)
    page.set_viewport_size({"width": 1200, "height": 900})


def test_a_frame_is_painted_in_the_frame_after_its_event(exported, record_property):
    """Nothing is waited for between the mouse and the picture; how long it takes is reported, not judged."""
    for position, label, part in (
        (0, "latent numbers", 5),
        (2, "image", 200),
        (3, "z1", 20),
        (4, "threshold", 5),
        (6, "way", 4),
        (7, "noise σ", 0),
        (8, "mean", 30),
        (9, "β", 4),
        (10, "t", 600),
        (11, "t", 600),
        (12, "updates", 4),
        (13, "t", 3),
    ):
        widget = exported.widget(position)
        widget.host.evaluate(
            """host => {
                const root = host.shadowRoot;
                const [input, caption] = ["input", ".caption"].map(part => root.querySelector(part));
                let asked = 0;
                window.delays = [];
                input.addEventListener("input", event => { asked ||= event.timeStamp; });
                new MutationObserver(() => {
                    window.delays.push(performance.now() - asked);
                    asked = 0;
                }).observe(caption, {childList: true});
            }"""
        )
        widget.drag(label, part)
        widget.settle()
        delays = exported.page.evaluate("window.delays")
        assert delays
        record_property(f"{TWINS[position]}: median ms from event to picture", float(np.median(delays)))


def test_every_step_of_a_drag_is_mixed(exported, record_property):
    """As many pictures as positions, each another one; how long each takes is reported, not judged."""
    for position in (10, 11):
        widget = exported.widget(position)
        slider = widget.slider("t")
        slider.scroll_into_view_if_needed()
        widget.host.evaluate(
            """host => {
                const input = host.shadowRoot.querySelector("input");
                const context = host.shadowRoot.querySelector("[data-part=rows]").getContext("2d");
                const put = context.putImageData.bind(context);
                let asked = 0;
                Object.assign(window, {positions: new Set(), pictures: new Map(), delays: []});
                input.addEventListener("input", event => {
                    asked ||= event.timeStamp;
                    window.positions.add(input.value);
                });
                context.putImageData = (image, ...place) => {
                    put(image, ...place);
                    window.pictures.set(input.value, image.data.reduce((sum, byte) => sum + byte, 0));
                    if (asked) window.delays.push(performance.now() - asked);
                    asked = 0;
                };
            }"""
        )
        box, mouse = slider.bounding_box(), exported.page.mouse
        across = box["x"] + 8 + (box["width"] - 16) * 0.25
        mouse.move(across, box["y"] + box["height"] / 2)
        mouse.down()
        for step in range(1, 31):
            mouse.move(across + 3 * step, box["y"] + box["height"] / 2)
            widget.settle()
        mouse.up()
        widget.settle()
        positions, pictures, delays = exported.page.evaluate(
            "[[...window.positions], [...window.pictures], window.delays]"
        )
        drawn = dict(pictures)
        assert len(positions) == 30
        assert set(positions) <= set(drawn)
        assert len({drawn[at] for at in positions}) == 30
        record_property(f"{TWINS[position]}: median ms from event to mixed picture", float(np.median(delays)))


def test_a_trusted_notebook_shows_working_twins(lab, stored, write_notebook, open_notebook, example):
    path = write_notebook("trusted.ipynb", stored, trusted=True)
    notebook = open_notebook(path)
    first, last = notebook.widget(0), notebook.widget(5)
    first.drag("latent numbers", 5)
    expect(first.caption).to_have_text(example["scrubber"].content["captions"][5])
    assert np.array_equal(first.pixels("frame")[..., 3], example["frames"][5])
    slider = last.slider("latent numbers")
    slider.focus()
    notebook.page.keyboard.press("End")
    expect(slider).to_have_value("5")
    expect(slider).to_be_focused()


def test_an_untrusted_notebook_shows_pictures_and_captions(
    stored, write_notebook, open_notebook, example, screenshot
):
    # A signature covers the content: one cell more, and the notebook is nobody's.
    notebook = open_notebook(write_notebook("untrusted.ipynb", [*stored, new_code_cell("a cell more")]))
    for position, name in enumerate(TWINS):
        picture = notebook.cell(position).locator("img.course-widget-still")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.naturalWidth") == example[name].still().shape[1]
        expect(notebook.cell(position).locator("figcaption")).to_have_text(example[name].caption)
    expect(notebook.page.locator(".course-widget-live")).to_have_count(0)
    screenshot("untrusted")


def test_live_widgets_outlive_their_kernel(write_notebook, open_notebook, example_source, example):
    notebook = open_notebook(
        write_notebook("mortal.ipynb", [new_code_cell(example_source), new_code_cell("scrubber")])
    )
    notebook.run_all()
    live, captions = notebook.widget(1), example["scrubber"].content["captions"]
    expect(live.caption).to_have_text(captions[2])
    for farewell, index in (("session.kernel.restart()", 5), ("shutdown()", 0)):
        notebook.kernel("'nothing is under way'")
        notebook.page.evaluate(f"() => jupyterapp.shell.currentWidget.sessionContext.{farewell}")
        live.drag("latent numbers", index)
        expect(live.caption).to_have_text(captions[index])
        assert np.array_equal(live.pixels("frame")[..., 3], example["frames"][index])
