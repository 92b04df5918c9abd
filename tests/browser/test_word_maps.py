"""WordMaps in Chromium: words clicked, pointed at, walked through by keys; without a kernel and with one."""

import re

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from course_utils.plots import HIGHLIGHT
from course_utils.widgets.word_maps import COLOURS, enlarged, lit

pytestmark = pytest.mark.browser

SOURCE = """
import numpy as np
from course_utils.widgets import WordMaps
rng = np.random.default_rng(0)
image = rng.integers(0, 256, (32, 24, 3), np.uint8)
steps = rng.gamma(0.5, 1, (3, 5, 8, 6)) * np.array([1, 3, 0.2, 1, 2])[:, None, None]
maps, words = steps.mean(axis=0), "a red seven on a".split()
plain = WordMaps(words, maps, image, title="Where words are read", label="prompt", selected=2)
stepwise = WordMaps(
    words, maps, image, title="Where words are read, step by step", label="prompt", steps=steps,
    stops=["t = 980", "t = 490", "t = 0"],
)
"""
WIDGETS = ("plain", "stepwise")


@pytest.fixture(scope="module")
def known():
    names = {}
    exec(SOURCE, names)
    return names


@pytest.fixture
def twins(open_html, tmp_path, known):
    """twins(style): both twins on a page of this style."""

    def open_(style=""):
        path = tmp_path / "twins.html"
        parts = "".join(known[name]._repr_mimebundle_()[0]["text/html"] for name in WIDGETS)
        path.write_text(
            f"<!doctype html><meta charset='utf-8'><body style='{style}'>{parts}", encoding="utf-8"
        )
        opened = open_html(path)
        for at, name in enumerate(WIDGETS):
            expect(opened.widget(at).caption).to_have_text(known[name].caption)
        return opened

    return open_


def word(live, at):
    return live.host.get_by_role("radio").nth(at)


def shown(live, known, maps, at, alone=False, own=False):
    """Whether the canvas shows the map of a word as Python draws it, to the parts in which maps are sent."""
    live.settle()
    most = maps[at].max() if own else maps.max()
    shares = enlarged(maps[at] / most, 4)
    picture = live.pixels("picture")
    assert (picture[..., 3] == 255).all()
    expected = coloured(shares) if alone else lit(known["image"], shares)
    return np.abs(picture[..., :3].astype(int) - expected).max() <= (4 if alone else 1)


def coloured(shares):
    return COLOURS[(255 * shares).round().astype(int)].astype(int)


def test_clicking_a_word_shows_its_map(twins, known):
    live = twins().widget(0)
    assert live.host.get_by_role("radio").all_inner_texts() == known["words"]
    assert shown(live, known, known["maps"], 2)
    for at in (1, 4, 0):
        word(live, at).click()
        expect(live.caption).to_contain_text(f"“{known['words'][at]}” (word {at + 1} of 5)")
        assert shown(live, known, known["maps"], at)
        for other in range(5):
            expect(word(live, other)).to_have_attribute("aria-checked", str(other == at).lower())


def test_the_chosen_word_is_bold_and_underlined_and_no_word_moves(twins):
    live = twins().widget(0)
    before = [word(live, at).bounding_box() for at in range(5)]
    for at in (3, 1):
        word(live, at).click()
        live.settle()
        expect(word(live, at)).to_have_css("font-weight", "700")
        expect(word(live, at)).to_have_css("text-decoration-line", "underline")
        expect(word(live, 2)).to_have_css("font-weight", "400")
        expect(word(live, 2)).to_have_css("text-decoration-line", "none")
        assert [word(live, at).bounding_box() for at in range(5)] == before


def test_pointing_shows_a_word_as_long_as_it_lasts(twins, known, page):
    live = twins().widget(0)
    word(live, 4).hover()
    expect(live.caption).to_contain_text("“a” (word 5 of 5)")
    assert shown(live, known, known["maps"], 4)
    expect(word(live, 2)).to_have_attribute("aria-checked", "true")
    page.mouse.move(5, 5)
    expect(live.caption).to_have_text(known["plain"].caption)
    assert shown(live, known, known["maps"], 2)


def test_keys_walk_through_the_words_and_around_their_ends(twins, page):
    live = twins().widget(0)
    assert [word(live, at).get_attribute("tabindex") for at in range(5)] == ["-1", "-1", "0", "-1", "-1"]
    word(live, 2).focus()
    for key, at in (
        ("ArrowRight", 3),
        ("ArrowDown", 4),
        ("ArrowRight", 0),
        ("ArrowLeft", 4),
        ("ArrowUp", 3),
        ("Home", 0),
        ("End", 4),
    ):
        page.keyboard.press(key)
        expect(word(live, at)).to_be_focused()
        expect(live.caption).to_contain_text(f"(word {at + 1} of 5)")
        expect(word(live, at)).to_have_attribute("tabindex", "0")
    page.keyboard.press("Tab")
    expect(live.slider("map alone")).to_be_focused()
    page.keyboard.press("Space")
    expect(live.caption).to_contain_text("The scale ends at")
    expect(live.host.get_by_role("radiogroup", name="prompt")).to_have_count(1)


def test_scales_and_colours_follow_the_boxes(twins, known):
    live, maps = twins().widget(0), known["maps"]
    scales = []
    for alone, own in ((False, True), (True, True), (True, False)):
        live.slider("map alone").set_checked(alone)
        live.slider("each word by itself").set_checked(own)
        whose = "this word" if own else "all words"
        start = "The scale ends at" if alone else "Full brightness is"
        most = f"{maps[2].max() if own else maps.max():.3g}"
        expect(live.caption).to_contain_text(f"{start} {most}, the maximum of {whose}.")
        expect(live.host.locator(".ramp span")).to_have_text(most)
        assert shown(live, known, maps, 2, alone, own)
        scales.append(live.pixels("scale")[0, :, :3])
    assert np.array_equal(scales[1], COLOURS)
    assert np.array_equal(scales[2], COLOURS)
    assert scales[0][0].tolist() == 3 * [38]
    assert scales[0][-1].tolist() == 3 * [255]


def test_the_slider_goes_through_the_steps(twins, known):
    live = twins().widget(1)
    expect(live.slider("step")).to_have_attribute("aria-valuetext", "all steps")
    backgrounds = set()
    for index, stop in ((2, "t = 490"), (3, "t = 0"), (1, "t = 980")):
        live.drag("step", index)
        expect(live.caption).to_contain_text(f"“a” (word 1 of 5, {stop}):")
        assert shown(live, known, known["steps"][index - 1], 0)
        backgrounds.add(tints(live))
    assert len(backgrounds) == 3


def tints(live):
    backgrounds = (
        word(live, at).evaluate("word => getComputedStyle(word).backgroundColor") for at in range(5)
    )
    return tuple(float(re.findall(r"[\d.]+", text)[3]) for text in backgrounds)


def test_the_tint_of_a_word_is_its_share(twins, known):
    live = twins().widget(0)
    sums = known["maps"].sum(axis=(1, 2))
    assert np.abs(np.array(tints(live)) - 0.5 * sums / sums.max()).max() < 0.005
    red = word(live, 1).evaluate("word => getComputedStyle(word).backgroundColor")
    assert [int(text) for text in re.findall(r"\d+", red)[:3]] == [
        int(HIGHLIGHT[at : at + 2], 16) for at in (1, 3, 5)
    ]
    largest = f"{sums.max() / sums.sum():.0%}"
    expect(live.host.locator(".ramp").first).to_have_text(f"0{largest}")


def test_both_themes_and_a_phone_show_everything(twins, page, screenshot):
    for name, style in (("light", ""), ("dark", "background:#111;color:#eee")):
        for width in (1200, 360):
            page.set_viewport_size({"width": width, "height": 900})
            opened = twins(style)
            for at in range(2):
                live = opened.widget(at)
                live.slider("map alone").set_checked(at == 1)
                live.settle()
                inside = live.host.bounding_box()
                for part in live.host.locator("canvas, input, button, .caption, .ramp").all():
                    box = part.bounding_box()
                    assert box["x"] >= inside["x"] - 0.5
                    assert box["x"] + box["width"] <= inside["x"] + inside["width"] + 0.5
            screenshot(f"word-maps-{name}-{width}")
    page.set_viewport_size({"width": 1200, "height": 900})


@pytest.fixture(scope="module")
def notebook(write_notebook, open_notebook):
    opened = open_notebook(
        write_notebook("word_maps.ipynb", [new_code_cell(cell) for cell in (SOURCE, *WIDGETS)])
    )
    opened.run_all()
    return opened


def test_in_jupyterlab_the_kernel_hears_of_it_and_can_move_it(notebook, known):
    live = notebook.widget(2)
    word(live, 3).click()
    live.drag("step", 2)
    live.slider("each word by itself").check()
    notebook.kernel_prints(
        "print(stepwise.selected, stepwise.index, stepwise.alone, stepwise.own)", "3 2 False True"
    )
    expect(live.caption).to_have_text(notebook.kernel("print(stepwise.caption)").strip())
    assert shown(live, known, known["steps"][1], 3, own=True)
    notebook.kernel("stepwise.selected, stepwise.index, stepwise.alone, stepwise.own = 1, 0, True, False")
    expect(live.slider("step")).to_have_value("0")
    expect(word(live, 1)).to_have_attribute("aria-checked", "true")
    expect(live.slider("map alone")).to_be_checked()
    expect(live.slider("each word by itself")).not_to_be_checked()
    expect(live.caption).to_have_text(notebook.kernel("print(stepwise.caption)").strip())
    assert shown(live, known, known["maps"], 1, alone=True)


def test_in_jupyterlab_arrow_keys_stay_with_the_words(notebook, page):
    live = notebook.widget(1)
    word(live, 2).click()
    page.keyboard.press("ArrowRight")
    expect(word(live, 3)).to_be_focused()
    notebook.kernel_prints("print(plain.selected)", "3")
    word(live, 0).hover()
    expect(live.caption).to_contain_text("(word 1 of 5)")
    notebook.kernel_prints("print(plain.selected)", "3")
