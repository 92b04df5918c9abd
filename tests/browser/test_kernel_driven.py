"""Widgets that ask their kernel, in JupyterLab: what they show before, afterwards and without it."""

import itertools
import os
import re
import runpy
import signal
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from course_utils.plots import DATA
from course_utils.widgets.live import MESSAGES

pytestmark = pytest.mark.browser
SOURCE = Path(__file__).with_name("kernel_example.py")
WIDGETS = ("scrubber", "trainer")
QUICK = {0: 5, 1: 6}  # seconds that an answer may take to be quick, and the cell with such a scrubber
ACROSS = "Step {} of {}, {} pixels across."


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(SOURCE))


@pytest.fixture(scope="module")
def run(write_notebook, open_notebook):
    """run(name, patience=20): a notebook that ran and shows each widget twice, every answer taken for a quick
    one; then a scrubber for each of QUICK.
    """

    def start(name, patience=20):
        first = (
            "from course_utils.widgets import live, live_scrubber\n"
            f"live.PATIENCE, live_scrubber.QUICK = {patience}, 3600\n{SOURCE.read_text()}"
        )
        others = [f"live_scrubber.QUICK = {quick}\noffered()" for quick in QUICK]
        cells = [new_code_cell(cell) for cell in (first, *WIDGETS, *WIDGETS, *others)]
        notebook = open_notebook(write_notebook(name, cells))
        notebook.run_all()
        return notebook

    return start


@pytest.fixture(scope="module")
def notebook(run):
    return run("kernel_driven.ipynb")


def shown(notebook, name):
    return notebook.widget(1 + WIDGETS.index(name))


@pytest.fixture
def scrubber(notebook):
    """The live scrubber in its first state."""
    live = shown(notebook, "scrubber")
    start = {"steps": 5, "width": 4.0, "direction": "across"}
    notebook.kernel(f"scrubber.settings, scrubber.index = {start}, 4\ncomputed.clear()")
    expect(live.caption).to_have_text(ACROSS.format(5, 5, 4.0))
    return live


@pytest.fixture
def trainer(notebook):
    """The live trainer after a press of reset."""
    live = shown(notebook, "trainer")
    live.press("reset")
    expect(live.caption).to_contain_text("Before the first step.")
    return live


@pytest.fixture
def hold(lab):
    """A file that holds up all computations until the test calls hold.unlink()."""
    file = lab.root / "hold"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def busy(widget, state=True):
    expect(widget.host.locator(".stage")).to_have_attribute("aria-busy", str(state).lower())


def frames(example, steps=5, width=4.0, direction="across"):
    return example["stripes"](steps, width, direction).frames


def test_new_settings_are_computed_meanwhile_the_old_frame_is_dimmed(scrubber, notebook, example, hold):
    before = scrubber.pixels("frame")
    scrubber.drag("width", 1)
    busy(scrubber)
    expect(scrubber.caption).to_have_text(MESSAGES["busy"])
    expect(scrubber.host.locator(".stage")).to_have_css("opacity", "0.35")
    assert np.array_equal(scrubber.pixels("frame"), before)
    hold.unlink()
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 6.0))
    busy(scrubber, False)
    expect(scrubber.host.locator(".stage")).to_have_css("opacity", "1")
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, width=6.0)[4])
    has = "print(scrubber.settings['width'], computed, scrubber.busy)"
    notebook.kernel_prints(has, "6.0 [(5, 6.0, 'across')] False")


def test_what_was_computed_is_shown_at_once_and_asks_nothing(scrubber, notebook, example, hold):
    """Known beforehand: (5, 8.5). The kernel could not answer now."""
    scrubber.drag("width", 2)
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 8.5))
    busy(scrubber, False)
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, width=8.5)[4])
    scrubber.drag("width", 0)
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 4.0))
    notebook.kernel_prints("print(computed)", "[]")


def test_the_newest_of_many_changes_wins(scrubber, notebook, example, hold):
    """One is being computed; of those that are asked for meanwhile, only the last one is computed too."""
    steps = scrubber.slider("steps")
    scrubber.drag("steps", 0)
    notebook.page.wait_for_timeout(600)  # the pause before the request, which is now on its way
    scrubber.slider("direction").select_option("down")
    notebook.page.wait_for_timeout(600)
    steps.focus()
    notebook.page.keyboard.press("End")
    notebook.page.wait_for_timeout(600)
    hold.unlink()
    expect(scrubber.caption).to_have_text("Step 9 of 9, 4.0 pixels down.")
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, 9, direction="down")[8])
    notebook.kernel_prints("print(computed)", "[(3, 4.0, 'across'), (9, 4.0, 'down')]")
    notebook.page.keyboard.press("Home")
    expect(scrubber.caption).to_have_text("Step 3 of 3, 4.0 pixels down.")


# Two changes of a slider, 30 ms apart: the browser keeps the order of its timers, however late they are.
DRAG = """async (slider, [first, last]) => {
    for (const at of [first, last]) {
        slider.value = at;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise(later => setTimeout(later, 30));
    }
}"""


@pytest.mark.parametrize(
    ("cell", "computed"),
    [(1, "[(9, 8.5, 'down'), (3, 8.5, 'down')]"), (QUICK[0], "[(3, 8.5, 'down')]")],
    ids=["a quick kernel is asked at once", "a slow one when the drag is over"],
)
def test_a_drag_begins_no_long_computation_on_its_way(scrubber, notebook, cell, computed):
    live = notebook.widget(cell)
    live.slider("direction").select_option("down")
    live.drag("width", 2)  # the first answers
    expect(live.caption).to_have_text("Step 5 of 5, 8.5 pixels down.")
    notebook.kernel("computed.clear()")
    live.slider("steps").evaluate(DRAG, ["2", "0"])
    expect(live.caption).to_have_text("Step 3 of 3, 8.5 pixels down.")
    notebook.kernel_prints("print(computed)", computed)


def test_a_quick_kernel_that_takes_its_time_is_told_of_a_little_later(notebook, hold):
    """What comes at once is shown without a word before."""
    live = notebook.widget(QUICK[1])
    hold.unlink()
    live.drag("width", 1)
    expect(live.caption).to_have_text(ACROSS.format(5, 5, 6.0))
    hold.touch()
    live.drag("steps", 2)
    expect(live.caption).to_have_text(MESSAGES["busy"])
    hold.unlink()
    expect(live.caption).to_have_text(ACROSS.format(9, 9, 6.0))


def test_runs_of_other_lengths_and_sizes_bring_their_own_slider(scrubber, notebook, example, screenshot):
    """The last frame stays the last; any other keeps its place, as far as there is one."""
    slider = scrubber.slider("step")
    scrubber.drag("steps", 2)
    expect(scrubber.caption).to_have_text(ACROSS.format(9, 9, 4.0))
    assert scrubber.pixels("frame").shape == (24, 56, 4)
    expect(slider).to_have_attribute("max", "8")
    expect(slider).to_have_attribute("aria-valuetext", "9 of all steps")
    scrubber.drag("step", 6)
    expect(scrubber.caption).to_have_text(ACROSS.format(7, 9, 4.0))
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, 9)[6])
    notebook.kernel_prints("print(scrubber.index, scrubber.caption)", "6 " + ACROSS.format(7, 9, 4.0))
    scrubber.drag("steps", 1)
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 4.0))
    scrubber.drag("step", 1)
    scrubber.drag("steps", 2)
    expect(scrubber.caption).to_have_text(ACROSS.format(2, 9, 4.0))
    screenshot("live-scrubber", scrubber.host)


def test_an_error_is_told_and_the_old_frames_stay(scrubber, notebook, page, screenshot):
    before = scrubber.pixels("frame")
    scrubber.slider("direction").select_option("up")
    expect(scrubber.caption).to_have_text("This could not be computed: there is no way up")
    expect(scrubber.caption).to_have_class(re.compile("failed"))
    busy(scrubber, False)
    assert np.array_equal(scrubber.pixels("frame"), before)
    screenshot("live-scrubber-failed", scrubber.host)
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    notebook.kernel_prints("print(scrubber.caption)", "This could not be computed: there is no way up")
    scrubber.slider("direction").select_option("across")
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 4.0))
    expect(scrubber.caption).not_to_have_class(re.compile("failed"))


def test_assigning_settings_in_python_is_like_choosing(scrubber, notebook, example):
    notebook.kernel("scrubber.settings = {'steps': 3, 'width': 8.5, 'direction': 'across'}")
    expect(scrubber.slider("steps")).to_have_value("0")
    expect(scrubber.caption).to_have_text(ACROSS.format(3, 3, 8.5))
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, 3, 8.5)[2])
    refused = notebook.kernel("scrubber.settings = {'steps': 4, 'width': 8.5, 'direction': 'across'}")
    assert "must hold one of [3, 5, 9] for 'steps', got 4" in refused


def test_arrow_keys_choose_settings(scrubber, page):
    slider = scrubber.slider("width")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 8.5))
    expect(slider).to_be_focused()
    expect(slider).to_have_attribute("aria-valuetext", "8.5")


def views(example, presses):
    """Of a duel of this process: its view after each press."""
    duel = example["TinyDuel"]()
    for name in presses:
        for player in {"D step": "D", "G step": "G", "both": "DG", "both × 25": 25 * "DG"}[name]:
            (duel.discriminator_step if player == "D" else duel.generator_step)()
        yield duel.view()


def test_each_button_makes_its_steps(trainer, example, notebook):
    presses = ("D step", "G step", "both", "both × 25")
    seen = [(trainer.pixels("field").tobytes(), trainer.pixels("losses").tobytes())]
    for name, view in zip(presses, views(example, presses), strict=True):
        trainer.press(name)
        d, g = view.steps
        expect(trainer.caption).to_contain_text(f"D has made {d} step")
        busy(trainer, False)
        trainer.settle()
        d_loss, g_loss = view.losses[-1]
        loss = f"{g_loss:.2f}" if g else "none"
        expect(trainer.caption).to_contain_text(f"Loss of D: {d_loss:.2f}, of G: {loss}.")
        seen.append((trainer.pixels("field").tobytes(), trainer.pixels("losses").tobytes()))
        notebook.kernel_prints("print(trainer._duel.steps)", f"({d}, {g})")
    assert [len(set(parts)) for parts in zip(*seen, strict=True)] == [5, 5]


def test_after_a_reset_the_same_presses_make_the_same_picture(trainer):
    pictures = []
    for _ in range(2):
        for name in ("both", "D step", "both × 25", "G step"):
            trainer.press(name)  # not waiting for any: no press is lost
        expect(trainer.caption).to_contain_text("D has made 27 steps, G 27 steps.")
        busy(trainer, False)
        trainer.settle()
        pictures.append(trainer.pixels("field"))
        trainer.press("reset")
        expect(trainer.caption).to_contain_text("Before the first step.")
    assert np.array_equal(*pictures)


def test_many_steps_move_the_picture_on_several_times(trainer):
    trainer.host.evaluate(
        """host => {
            window.captions = new Set();
            const caption = host.shadowRoot.querySelector(".caption");
            const observer = new MutationObserver(() => window.captions.add(caption.textContent));
            observer.observe(caption, {childList: true});
        }"""
    )
    trainer.press("both × 25")
    expect(trainer.caption).to_contain_text("D has made 25 steps, G 25 steps.")
    assert len(trainer.host.page.evaluate("[...window.captions]")) > 1


def test_play_goes_on_until_it_is_paused(trainer, notebook):
    trainer.press("play")
    expect(trainer.caption).to_contain_text(re.compile(r"D has made ([3-9]|\d\d+) steps"))
    trainer.press("pause")
    expect(trainer.button("play")).to_be_visible()
    busy(trainer, False)
    trainer.settle()
    stopped = trainer.caption.inner_text()
    trainer.host.page.wait_for_timeout(500)
    assert trainer.caption.inner_text() == stopped
    trainer.press("play")
    trainer.press("reset")
    expect(trainer.caption).to_contain_text("Before the first step.")
    trainer.host.page.wait_for_timeout(300)
    expect(trainer.caption).to_contain_text("Before the first step.")


def test_buttons_are_reached_by_keyboard(trainer, page):
    trainer.button("D step").focus()
    page.keyboard.press("Enter")
    expect(trainer.caption).to_contain_text("D has made 1 step, G 0 steps.")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(trainer.caption).to_contain_text("D has made 1 step, G 1 step.")


def test_points_and_heat_lie_where_the_duel_has_them(trainer, example):
    """What D finds real is blue, what it finds fake is orange; nothing is where it is undecided."""
    trainer.press("both × 25")
    expect(trainer.caption).to_contain_text("D has made 25 steps")
    busy(trainer, False)
    trainer.settle()
    (view,) = views(example, ["both × 25"])
    picture = trainer.pixels("field")
    height, width = picture.shape[:2]
    ratio = width / trainer.canvas("field").bounding_box()["width"]
    left, right, top, bottom = 36 * ratio, width - 8 * ratio, 8 * ratio, height - 26 * ratio

    def at(x, y):
        across, up = (x + 3) / 6, (y + 3) / 6
        return picture[round(bottom - up * (bottom - top)), round(left + across * (right - left))]

    inside = (view.real.abs() < 2.9).all(dim=1)
    blue = [at(x, y)[:3] for x, y in view.real[inside].tolist()]
    assert (
        np.mean([np.array_equal(colour, rgb(DATA)) for colour in blue]) > 0.7
    )  # others are covered by fakes
    drawn = np.concatenate([view.real, view.fake, view.fake + view.arrows])
    for i, j in itertools.product(range(1, 31, 3), repeat=2):
        x, y = -3 + 6 * j / 31, -3 + 6 * i / 31
        if np.hypot(*(drawn - (x, y)).T).min() < 0.4:
            continue
        sure = 2 * view.heat[i, j].item() - 1
        assert abs(int(at(x, y)[3]) - 0.45 * 255 * abs(sure)) < 30


def rgb(colour):
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def test_two_views_of_a_widget_show_the_same(scrubber, trainer, notebook):
    others = [notebook.widget(3), notebook.widget(4)]
    scrubber.drag("width", 1)
    trainer.press("both")
    for first, other in zip((scrubber, trainer), others, strict=True):
        first.settle()
        expect(other.caption).to_have_text(first.caption.inner_text())
        other.settle()
    assert np.array_equal(scrubber.pixels("frame"), others[0].pixels("frame"))
    assert np.array_equal(trainer.pixels("field"), others[1].pixels("field"))
    others[1].press("both")
    expect(trainer.caption).to_contain_text("D has made 2 steps, G 2 steps.")


def test_themes(scrubber, trainer, notebook, page, screenshot):
    trainer.press("both × 25")
    busy(trainer, False)
    for theme in ("Dark", "Light"):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme}")
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
        for name in WIDGETS:
            live = shown(notebook, name)
            live.settle()
            screenshot(f"live-{name}-{theme.lower()}", live.host)


@pytest.fixture(scope="module")
def impatient(run):
    """A notebook whose widgets wait for one second."""
    return run("impatient.ipynb", patience=1)


@pytest.fixture
def doomed(run):
    """Another one, whose kernel is nobody else's."""
    return run("doomed.ipynb", patience=1)


def test_a_kernel_that_is_busy_elsewhere_is_missed_and_answers_later(impatient, lab, screenshot):
    scrubber, trainer = shown(impatient, "scrubber"), shown(impatient, "trainer")
    impatient.start("while not Path('enough').exists(): time.sleep(0.05)")
    trainer.press("both")
    scrubber.drag("width", 1)
    for widget in (scrubber, trainer):
        expect(widget.caption).to_have_text(MESSAGES["silent"])
        expect(widget.caption).to_have_class(re.compile("failed"))
        busy(widget, False)
    screenshot("live-trainer-silent", trainer.host)
    (lab.root / "enough").touch()
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 6.0))
    expect(trainer.caption).to_contain_text("D has made 1 step, G 1 step.")


def test_a_long_computation_is_waited_for(impatient, hold):
    """Longer than the patience that a kernel gets which has not begun."""
    scrubber = impatient.widget(QUICK[0])
    scrubber.drag("width", 1)
    scrubber.host.page.wait_for_timeout(3000)
    expect(scrubber.caption).to_have_text(MESSAGES["busy"])
    hold.unlink()
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 6.0))


@pytest.mark.parametrize("farewell", ["session.kernel.restart()", "shutdown()", "killed"])
def test_without_its_kernel_a_widget_says_so(doomed, farewell, hold, complaints):
    scrubber, trainer = shown(doomed, "scrubber"), shown(doomed, "trainer")
    process = int(doomed.kernel("import os\nprint(os.getpid())"))
    scrubber.drag("width", 1)  # under way when the kernel goes
    scrubber.host.page.wait_for_timeout(600)
    if farewell == "killed":
        os.kill(process, signal.SIGKILL)
    else:
        doomed.page.evaluate(f"() => jupyterapp.shell.currentWidget.sessionContext.{farewell}")
    # A kernel that is shut down still says why it broke off; the others say nothing more.
    expect(scrubber.caption).to_have_class(re.compile("failed"))
    if farewell == "killed":  # JupyterLab says so too
        doomed.page.locator(".jp-Dialog").get_by_role("button", name="OK").click()
    trainer.press("both")
    expect(trainer.caption).to_have_text(MESSAGES["silent"])
    scrubber.drag("steps", 2)
    expect(scrubber.caption).to_have_text(MESSAGES["silent"])
    busy(scrubber, False)
    scrubber.drag("steps", 1)
    scrubber.drag("width", 2)  # known beforehand
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 8.5))
    # ipywidgets itself notes in the console that its state reaches nobody.
    complaints[:] = [text for text in complaints if "Could not send widget sync message" not in text]


@pytest.fixture
def twins(example, tmp_path, open_html):
    """Both twins on a page of their own; twins(style) opens it."""
    parts = "".join(example[name]._repr_mimebundle_()[0]["text/html"] for name in WIDGETS)

    def open_(style=""):
        page = tmp_path / "twins.html"
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><body style="{style}">{parts}', encoding="utf-8"
        )
        opened = open_html(page)
        for at, name in enumerate(WIDGETS):
            expect(opened.widget(at).caption).to_have_text(example[name].caption)
        return opened

    return open_


def test_the_twin_of_a_scrubber_offers_what_was_computed(twins, example):
    """Known are (5, 4, across), (5, 8.5, across) and (3, 4, down)."""
    scrubber = twins().widget(0)
    expect(scrubber.host.locator(".note")).to_contain_text("Others need a running kernel.")
    assert scrubber.slider("direction").locator("option").all_inner_texts() == ["across", "down"]
    expect(scrubber.slider("width")).to_have_attribute("max", "1")
    scrubber.drag("width", 1)
    expect(scrubber.caption).to_have_text(ACROSS.format(5, 5, 8.5))
    scrubber.drag("step", 0)
    assert np.array_equal(scrubber.pixels("frame")[..., 3], frames(example, width=8.5)[0])
    scrubber.slider("direction").select_option(
        "down"
    )  # what is known of it has other steps and another width
    expect(scrubber.caption).to_have_text("Step 1 of 3, 4.0 pixels down.")
    expect(scrubber.slider("steps")).to_have_value("0")
    expect(scrubber.slider("width")).to_have_value("0")


def test_the_twin_of_a_trainer_moves_through_recorded_turns(twins, example):
    trainer = twins().widget(1)
    assert trainer.host.locator("button").count() == 0
    expect(trainer.host.locator(".note").last).to_contain_text("More need a running kernel.")
    captions = [record["caption"] for record in example["trainer"].content["recorded"]]
    seen = []
    for turn in (0, 5, 12):
        trainer.drag("turns", turn)
        expect(trainer.caption).to_have_text(captions[turn])
        trainer.settle()
        seen.append((trainer.pixels("field").tobytes(), trainer.pixels("losses").tobytes()))
    assert [len(set(parts)) for parts in zip(*seen, strict=True)] == [3, 3]


def test_twins_fit_a_phone_and_a_dark_page(twins, page, screenshot):
    twins("background:#111;color:#eee")
    page.set_viewport_size({"width": 360, "height": 740})
    for at, name in enumerate(WIDGETS):
        widget = twins("background:#111;color:#eee").widget(at)
        widget.settle()
        inside = widget.host.bounding_box()
        for part in widget.host.locator("canvas, input, select, .caption").all():
            box = part.bounding_box()
            assert box["x"] >= inside["x"] - 0.5
            assert box["x"] + box["width"] <= inside["x"] + inside["width"] + 0.5
        screenshot(f"twin-narrow-{name}", widget.host)
    page.set_viewport_size({"width": 1200, "height": 900})
