"""Live widgets in JupyterLab: mouse, keyboard and kernel move one and the same state.

All tests share one open notebook and the kernel behind it; each puts the widget it needs where it needs it.
"""

import itertools
import re

import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from course_utils.plots import DATA, HIGHLIGHT, MODEL, NOISE, REFERENCE

pytestmark = pytest.mark.browser


WIDGETS = (
    *("scrubber", "coloured", "scatter", "latent_map", "threshold"),
    *("chooser", "arrows", "balance", "sweep"),
    *("mixer", "comparer"),
    *("curves", "anatomy"),
)


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


def test_choices_keep_the_place_of_the_slider(shown, notebook, example, kernel_has):
    live, _ = shown("chooser")
    live.drag("way", 4)
    live.slider("from").select_option("2")
    expect(live.caption).to_have_text("2 to 3: 100% of the way.")
    expect(live.slider("way")).to_have_value("4")
    assert np.array_equal(live.pixels("frame")[..., 3], example["way"][2, 3, 4])
    kernel_has("(chooser.chosen, chooser.index)", ([2, 3], 4))
    notebook.kernel("chooser.chosen = (1, 0)")
    expect(live.slider("from")).to_have_value("1")
    expect(live.slider("to")).to_have_value("0")
    expect(live.caption).to_have_text("1 to 0: 100% of the way.")
    assert np.array_equal(live.pixels("frame")[..., 3], example["way"][1, 0, 4])
    assert "must lie in 0..3, got 4" in notebook.kernel("chooser.chosen = [4, 0]")


def test_the_keyboard_reaches_the_choices(shown, page):
    live, _ = shown("chooser")
    live.slider("way").focus()
    page.keyboard.press("Tab")
    expect(live.slider("from")).to_be_focused()
    page.keyboard.press("3")
    expect(live.caption).to_have_text("3 to 3: 50% of the way.")


def test_arrows_are_shown_as_chosen_and_move_with_the_slider(shown, notebook, kernel_has):
    live, expected = shown("arrows")
    for choice, seen in (("exact", (True, False)), ("learned", (False, True)), ("both", (True, True))):
        live.slider("arrows").select_option(choice)
        kernel_has("arrows.shown", choice)
        live.settle()
        assert (amount(live, "field", REFERENCE) > 0, amount(live, "field", MODEL) > 0) == seen
    before = live.pixels("field")
    live.drag("noise σ", 0)
    expect(live.caption).to_have_text(expected.content["captions"][0])
    assert not np.array_equal(live.pixels("field"), before)
    notebook.kernel("arrows.index, arrows.shown = 5, 'exact'")
    expect(live.slider("arrows")).to_have_value("exact")
    expect(live.slider("noise σ")).to_have_value("5")


def test_an_arrow_ends_where_its_displacement_leads(shown, example):
    """Of a long arrow, its colour lies along the whole way, and no further."""
    live, expected = shown("arrows")
    live.drag("noise σ", 5)
    live.slider("arrows").select_option("exact")
    live.settle()
    picture = live.pixels("field")
    height, width = picture.shape[:2]
    start = np.array(expected.content["starts"])[:, 0] / 4095  # the arrow in the lower left corner
    end = np.array(expected.content["ends"][0][5])[:, 0] / 4095
    spans = np.array([width - 44, height - 34])  # 36 and 8 pixels left and right, 8 and 26 above and below
    wanted = np.array([int(REFERENCE[at : at + 2], 16) for at in (1, 3, 5)])
    for share, inked in ((0.05, True), (0.5, True), (0.95, True), (-0.1, False)):
        x, y = np.round((start + share * (end - start)) * spans).astype(int)
        assert bool((picture[height - 26 - y, 36 + x, :3] == wanted).all()) == inked


def test_dragging_q_onto_the_posterior_closes_the_gap(shown, page, kernel_has):
    live, expected = shown("balance")
    places = expected.content
    before = amount(live, "balance", HIGHLIGHT)
    box = live.canvas("curves").bounding_box()

    def top_of_q(mean, std):
        across, up = places["means"][mean], places["peaks"][std]
        x, y = 42 + across * (box["width"] - 50), 8 + (1 - up) * (box["height"] - 44)
        return live.point("curves", x / box["width"], y / box["height"])

    page.mouse.move(*top_of_q(8, 12))
    page.mouse.down()
    page.mouse.move(*top_of_q(19, 8), steps=6)  # mean 0.9, standard deviation 0.5: the posterior's, nearly
    page.mouse.up()
    expect(live.caption).to_contain_text("q has mean 0.9 and standard deviation 0.50")
    expect(live.caption).to_contain_text("= ELBO -1.60 + gap 0.00 nats")
    expect(live.slider("mean")).to_have_value("19")
    expect(live.slider("standard deviation")).to_have_value("8")
    kernel_has("(balance.mean_index, balance.std_index)", (19, 8))
    after = amount(live, "balance", HIGHLIGHT)
    assert after < 0.2 * before  # what remains is the patch beside the gap's name


def test_each_slider_of_the_balance_moves_its_own_number(shown, notebook):
    live, _ = shown("balance")
    seen = []
    for label, position, said in (
        ("mean", 35, "q has mean 2.5 and standard deviation 0.70"),
        ("standard deviation", 0, "q has mean 2.5 and standard deviation 0.10"),
        ("mean", 0, "q has mean -1.0 and standard deviation 0.10"),
    ):
        live.drag(label, position)
        expect(live.caption).to_contain_text(said)
        expect(live.caption).to_contain_text("log p(x) = -1.60 =")
        seen.append((live.pixels("curves"), live.pixels("balance")))
    for (curves, bars), (other_curves, other_bars) in itertools.pairwise(seen):
        assert not np.array_equal(curves, other_curves)
        assert not np.array_equal(bars, other_bars)


def test_images_codes_and_bars_follow_one_slider(shown, example, kernel_has):
    live, expected = shown("sweep")
    seen = []
    for index in (0, 4, 2):
        live.drag("β", index)
        expect(live.caption).to_have_text(expected.content["captions"][index])
        assert np.array_equal(live.pixels("frame")[..., 3], example["frames"][index])
        seen.append((live.pixels("cloud"), amount(live, "bars", MODEL)))
        kernel_has("sweep.index", index)
    assert not np.array_equal(seen[0][0], seen[1][0])
    assert seen[0][1] > seen[2][1] > seen[1][1]  # more is paid at small β


def test_the_browser_mixes_what_the_formula_says(shown, example, kernel_has):
    """From nearly x0 to nearly noise: sqrt(kept) x0 + sqrt(1 - kept) noise, in ink."""
    live, _ = shown("mixer")
    x0, noise = example["x0"], example["noise"]
    for t in (500, 0):
        live.drag("t", t)
        expect(live.slider("t")).to_have_value(str(t))
        live.settle()
        kept = example["linear"][t]
        assert ink_error(live, kept**0.5 * x0 + (1 - kept) ** 0.5 * noise) <= 1
        picture = live.pixels("rows")
        assert (picture[picture[..., 3] == 255][:, :3] == live.ink()).all()
        kernel_has("mixer.index", t)
    assert ink_error(live, x0) < 6 < ink_error(live, noise)  # 0.01 of noise is left
    live.drag("t", 999)
    live.settle()
    assert ink_error(live, noise) < 6 < ink_error(live, x0)


def test_the_marker_on_the_curves_is_dragged_and_the_keyboard_steps(shown, page, kernel_has):
    live, expected = shown("mixer")
    slider, factors = live.slider("t"), expected.content["factors"][0]
    page.mouse.move(*live.point("curves", 0.5, 0.5))
    page.mouse.down()
    expect(slider).not_to_have_value("250")
    page.mouse.move(*live.point("curves", 1.2, 0.5), steps=6)  # beyond the edge the pointer keeps its hold
    page.mouse.up()
    expect(slider).to_have_value("999")
    assert live.host.locator(".legend b").all_inner_texts() == [text.split(" ")[999] for text in factors]
    slider.focus()
    for key, t in (("ArrowLeft", 998), ("PageDown", 898), ("PageUp", 998), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        expect(slider).to_have_value(str(t))
    expect(slider).to_have_attribute("aria-valuetext", "t = 1")
    kernel_has("mixer.index", 1)


@pytest.mark.parametrize("t", [0, 250, 999])
def test_the_histogram_counts_the_mixed_pixels(shown, notebook, example, t):
    """Bars are as high as numpy's counts say, to 4 pixels: the dashes of N(0, 1) run through them."""
    live, _ = shown("mixer")
    notebook.kernel(f"mixer.index = {t}")
    expect(live.slider("t")).to_have_value(str(t))
    live.settle()
    picture = live.pixels("histogram").astype(int)
    height, width = picture.shape[0] - 44, picture.shape[1] - 50  # without the axes around the plot
    bars = ((picture[..., 0] - picture[..., 2] > 100) & (picture[..., 3] > 100))[8 : 8 + height]  # orange
    middles = 42 + ((np.arange(50) + 0.5) / 50 * width).astype(int)
    kept = example["linear"][t]
    mixed = kept**0.5 * example["x0"] + (1 - kept) ** 0.5 * example["noise"]
    density = np.histogram(mixed, 50, (-3, 3), density=True)[0] * (np.abs(mixed) <= 3).mean()
    assert np.abs(bars.sum(axis=0)[middles] - height * (density / 0.8).clip(max=1)).max() <= 4


def test_each_schedule_mixes_its_own_row_and_one_is_plotted(shown, notebook, example, kernel_has):
    live, expected = shown("comparer")
    live.drag("t", 700)
    live.settle()
    for row, kept in enumerate(schedule[700] for schedule in example["schedules"].values()):
        assert ink_error(live, kept**0.5 * example["x0"] + (1 - kept) ** 0.5 * example["noise"], row) <= 1
    seen = set()
    for name, texts in zip(example["schedules"], expected.content["factors"], strict=True):
        live.slider("curves of").select_option(name)
        kernel_has("comparer.shown", name)
        live.settle()
        assert live.host.locator(".legend b").all_inner_texts() == [text.split(" ")[700] for text in texts]
        expect(live.host.locator(".legend").nth(1)).to_contain_text(f"pixels of x_t, {name}")
        seen.add(live.pixels("curves").tobytes() + live.pixels("histogram").tobytes())
    assert len(seen) == 4
    notebook.kernel("comparer.shown, comparer.index = 'linear', 0")
    expect(live.slider("curves of")).to_have_value("linear")
    expect(live.slider("t")).to_have_value("0")


@pytest.mark.parametrize("index", [0, 1, 4])
def test_curves_and_dots_lie_where_their_numbers_are(shown, example, kernel_has, index):
    """Each in its colour; a curve ends where nothing was measured; the axes stay as they are."""
    live, expected = shown("curves")
    live.drag("updates", index)
    expect(live.caption).to_have_text(expected.content["captions"][index])
    kernel_has("curves.index", index)
    assert np.array_equal(live.pixels("image")[..., 3], example["digits"][[0, 1, 2, 1, 0][index]])
    live.settle()
    picture, left = live.pixels("curves"), axes_left(expected)
    lowest, highest = np.nanmin(example["measured"]), example["losses"].max()
    spare = 0.04 * np.log10(highest / lowest)

    def bears(colour, at, height):
        """Whether the colour lies within 2 pixels of a place on the axes."""
        across, up = at / 999, np.log10(height / lowest) + spare
        x = round(left + across * (picture.shape[1] - left - 10))
        y = round(8 + (1 - up / (np.log10(highest / lowest) + 2 * spare)) * (picture.shape[0] - 48))
        near = picture[y - 2 : y + 3, x - 2 : x + 3, :3]
        return bool((near == rgb(colour)).all(axis=2).any())

    levels, loss = example["levels"], example["losses"][index]
    assert all(bears(DATA, levels[i], loss[i]) for i in range(1, 39) if index < 4)
    assert all(bears(MODEL, levels[i], example["losses"][-1][i]) for i in range(1, 39, 6))
    reached = [bears(NOISE, levels[i], 0.9 * loss[i]) for i in range(1, 39)]
    assert reached == [i < 8 * (index + 1) for i in range(1, 39)]
    dots = [bears(DATA, levels[4 + 8 * k], example["losses"][k, 4 + 8 * k]) for k in range(5)]
    assert dots[index]


def test_only_the_curve_of_the_stop_is_drawn_and_the_first_one_faint(shown, notebook):
    live, _ = shown("curves")
    seen = []
    for index in (0, 2):
        notebook.kernel(f"curves.index = {index}")
        expect(live.slider("updates")).to_have_value(str(index))
        live.settle()
        faint = np.abs(live.pixels("curves").astype(int) - [*rgb(DATA), 89]).max(axis=2) <= 2
        seen.append((amount(live, "curves", DATA), int(faint.sum())))
    assert seen[1][0] == pytest.approx(seen[0][0], rel=0.3)
    assert seen[1][1] > 2 * seen[0][1]  # at the first stop there is only the path of the dot


def test_clicking_a_block_shows_its_maps(shown, page, example, kernel_has):
    live, expected = shown("anatomy")
    for selected in (0, 2, 3, 4):
        box = expected.content["blocks"][selected]["box"]
        up = (box["top"] + box["height"] / 2) / expected.content["height"]
        page.mouse.click(*live.point("network", box["middle"], up))
        expect(live.caption).to_contain_text(f"{expected.content['blocks'][selected]['name']}, ")
        kernel_has("anatomy.selected", selected)
        assert shows_maps(live, example, selected, 1)
        orange = np.nonzero((live.pixels("network")[..., :3] == rgb(MODEL)).all(axis=2))
        height, width = live.pixels("network").shape[:2]
        assert np.mean(orange[1]) / width == pytest.approx(box["middle"], abs=0.01)
        assert np.mean(orange[0]) / height == pytest.approx(up, abs=0.01)
    page.mouse.click(*live.point("network", 0.5, 0.1))  # between the arms of the U: nothing lies there
    live.settle()
    expect(live.caption).to_contain_text("out, ")


def test_the_slider_moves_the_maps_of_the_chosen_block(shown, notebook, example, kernel_has):
    live, _ = shown("anatomy")
    for index in (3, 0):
        live.drag("t", index)
        expect(live.caption).to_have_text(
            f"down, 3 x 16 x 16. Halves the resolution. This is level {(0, 250, 500, 999)[index]}."
        )
        assert shows_maps(live, example, 1, index)
        kernel_has("anatomy.index", index)
    notebook.kernel("anatomy.selected, anatomy.index = 4, 2")
    expect(live.slider("block")).to_have_value("out")
    expect(live.slider("t")).to_have_value("2")
    assert shows_maps(live, example, 4, 2)
    expect(live.host.locator("canvas[data-part^=map]:visible")).to_have_count(1)


def test_arrow_keys_walk_through_the_network(shown, page, kernel_has):
    live, _ = shown("anatomy")
    live.canvas("network").focus()
    for key, name in (
        ("ArrowRight", "middle"),
        ("ArrowRight", "up"),
        ("ArrowUp", "out"),
        ("ArrowUp", "out"),
        ("ArrowLeft", "up"),
        ("ArrowDown", "middle"),
    ):
        page.keyboard.press(key)
        expect(live.slider("block")).to_have_value(name)
        expect(live.canvas("network")).to_be_focused()
    kernel_has("anatomy.selected", 2)
    live.slider("block").focus()
    page.keyboard.press("s")
    expect(live.caption).to_contain_text("stem, 3 x 32 x 32.")


@pytest.mark.parametrize("name", [name for name in WIDGETS if name != "coloured"])
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
            "chooser": {"index": int(rng.integers(5)), "chosen": rng.integers(4, size=2).tolist()},
            "arrows": {"index": int(rng.integers(6))},
            "balance": {"mean_index": int(rng.integers(36)), "std_index": int(rng.integers(29))},
            "sweep": {"index": int(rng.integers(5))},
            "mixer": {"index": int(rng.integers(1000))},
            "comparer": {"index": int(rng.integers(1000))},
            "curves": {"index": int(rng.integers(5))},
            "anatomy": {"selected": int(rng.integers(5)), "index": int(rng.integers(4))},
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


def ink_error(widget, values, row=0):
    """How far, of 255, the ink of a mixer's row is from 8 images of 32 x 32: at most, in 99.9% of the pixels.

    The rest is for noise that was clipped.
    """
    picture = widget.pixels("rows")[34 * row :][:32, :, 3].astype(int)
    images = np.stack([picture[:, 34 * k :][:, :32] for k in range(8)])
    return np.quantile(np.abs(images - 127.5 * (values.clip(-1, 1) + 1)), 0.999)


def rgb(colour):
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def amount(widget, part, colour):
    """How many pixels of a canvas bear exactly this colour, on a light page."""
    return int((widget.pixels(part)[..., :3] == rgb(colour)).all(axis=2).sum())


def axes_left(expected):
    """How many pixels lie left of the axes of a CurveScrubber: room for its numbers."""
    return 26 + 6.5 * max(len(text) for _, text in expected.content["yTicks"])


def shows_maps(widget, example, selected, index):
    """Whether the maps of an anatomy are those of a block at a stop: all, each in its place."""
    whole, half = example["whole"], example["half"]
    maps = (whole, half, half[..., ::2, ::2], 255 - half, 255 - whole[:, :1])[selected][index]
    return all(shows(widget, f"map-{m}", image) for m, image in enumerate(maps))


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
