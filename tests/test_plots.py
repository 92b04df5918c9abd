"""Figures: labelled, captioned, described, and drawn from the data they are given."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from course_utils import plots
from course_utils.training import TrainStep


def picture(bundle):
    source = re.search(r'src="data:image/png;base64,([^"]+)"', bundle["text/html"])[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("L"))


def test_a_figure_shows_caption_and_alt_text_escaped():
    fig, _ = plots.figure(3, 2, alt='a "plot" <of> nothing', caption="x < y & z")
    bundle = fig.mimebundle()
    assert 'alt="a &quot;plot&quot; &lt;of&gt; nothing"' in bundle["text/html"]
    assert "x &lt; y &amp; z</figcaption>" in bundle["text/html"]
    assert bundle["text/plain"] == "Figure: x < y & z"


def test_image_rows_draw_ink_dark_in_named_rows():
    paper_and_ink = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    fig = plots.image_rows(
        {"first": paper_and_ink}, (0, 1), alt="two squares", caption="left paper, right ink", gap=0
    )
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == ["first"]
    blank = plots.image_rows(
        {"first": torch.zeros(2, 1, 4, 4)}, (0, 1), alt="two squares", caption="paper only", gap=0
    )
    assert picture(fig.mimebundle()).mean() < picture(blank.mimebundle()).mean() - 40


def test_lines_have_labels_and_a_legend_only_where_there_is_a_choice():
    one = plots.lines({"a": ([0, 1], [2, 3])}, xlabel="x", ylabel="y", alt="a", caption="c")
    two = plots.lines(
        {"a": ([0, 1], [2, 3]), "b": ([0, 1], [3, 2])}, xlabel="x", ylabel="y", alt="a", caption="c"
    )
    assert (one.axes[0].get_xlabel(), one.axes[0].get_ylabel()) == ("x", "y")
    assert one.axes[0].get_legend() is None
    assert [text.get_text() for text in two.axes[0].get_legend().get_texts()] == ["a", "b"]
    assert two.axes[0].lines[1].get_color() == plots.MODEL


def test_tile_lays_images_out_in_rows_and_columns():
    rows = [torch.full((3, 1, 2, 2), value) for value in (0.0, 1.0)]
    rows[0][2] = 0.6
    tiled = plots.tile(rows, (0, 1))
    assert tiled.shape == (4, 6)
    assert tiled.dtype == np.uint8
    assert (tiled[:2, 4:] == 153).all()
    assert (tiled[2:] == 255).all()


def test_tile_keeps_colours_apart():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.rand(3, 3, 2, 5, generator=generator) for _ in range(2)]
    tiled = plots.tile(rows, (0, 1))
    assert tiled.shape == (4, 15, 3) and tiled.dtype == np.uint8
    for channel in range(3):
        alone = plots.tile([row[:, channel : channel + 1] for row in rows], (0, 1))
        assert (tiled[..., channel] == alone).all()


def test_image_rows_show_colours_as_they_are_with_nothing_between():
    red_and_blue = torch.full((2, 3, 4, 6), -1.0)
    red_and_blue[0, 0] = red_and_blue[1, 2] = 1
    red_and_blue[1, 1] = 0
    fig = plots.image_rows(
        {"first": red_and_blue, "second": -red_and_blue},
        (-1, 1),
        columns=("a", "b"),
        alt="four squares",
        caption="two colours and their opposites",
        gap=1,
    )
    drawn = np.asarray(fig.axes[0].images[0].get_array())
    assert drawn.shape == (2 * 6, 2 * 8, 4)
    cells = drawn.reshape(2, 6, 2, 8, 4).swapaxes(1, 2)
    colours = [[(255, 0, 0, 255), (0, 128, 255, 255)], [(0, 255, 255, 255), (255, 128, 0, 255)]]
    for row, column in np.ndindex(2, 2):
        cell = cells[row, column]
        assert (cell[1:-1, 1:-1] == colours[row][column]).all()
        assert cell[..., 3].sum() == 255 * 4 * 6  # the gap is transparent
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == ["first", "second"]
    assert [tick.get_text() for tick in fig.axes[0].get_xticklabels()] == ["a", "b"]


def test_a_coloured_picture_has_its_colours_on_the_page():
    green = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    fig = plots.image_rows({"green": green}, (0, 1), alt="green", caption="green", gap=0)
    source = re.search(r'src="data:image/png;base64,([^"]+)"', fig.mimebundle()["text/html"])[1]
    page = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")).astype(int)
    assert (abs(page - [0, 255, 0]).sum(axis=2) < 30).mean() > 0.2


def records(count):
    return (TrainStep(step, 1 / step) for step in range(1, count + 1))


def test_watch_passes_every_record_on_without_a_notebook():
    assert [record.step for record in plots.watch(records(4), 4, label="a", ylabel="loss")] == [1, 2, 3, 4]


def test_watch_updates_one_display_and_ends_at_the_last_step(monkeypatch):
    shown = []
    monkeypatch.setattr(
        plots,
        "_display_handle",
        lambda: type("Handle", (), {"update": lambda _, data, raw: shown.append(data)})(),
    )
    list(plots.watch(records(5), 5, label="a net", ylabel="loss", every=0))
    assert len(shown) == 5
    assert "a net: step 5 of 5, loss 0.2000" in shown[-1]["text/plain"]
    assert "left" in shown[0]["text/plain"]


def test_in_a_notebook_a_figure_is_displayed_once(monkeypatch):
    shell = InteractiveShell.instance()
    try:
        shown = []
        monkeypatch.setattr(shell.display_pub, "publish", lambda data, **_: shown.append(data))
        fig, _ = plots.figure(2, 2, alt="a", caption="c")
        assert shell.display_formatter.format(fig) == ({}, {})
        assert [sorted(data) for data in shown] == [["text/html", "text/plain"]]
        list(plots.watch(records(2), 2, label="b", ylabel="loss"))
        assert "b: step 2 of 2" in shown[-1]["text/plain"]
    finally:
        InteractiveShell.clear_instance()


def test_ten_classes_have_ten_colours():
    assert len(set(plots.CLASS_COLOURS)) == 10


@pytest.mark.parametrize(
    "colour", [plots.DATA, plots.MODEL, plots.NOISE, plots.STUDENT, plots.REFERENCE, plots.HIGHLIGHT]
)
def test_role_colours_are_hex(colour):
    assert re.fullmatch("#[0-9A-F]{6}", colour)


def test_a_table_shows_names_figures_and_what_is_stressed():
    shown = plots.table(
        ("trained", "σ < 1", "best"), {"a & b": ["1.0", "20"], "c": ["3", "4"]}, caption="dB", bold={(1, 0)}
    )
    assert repr(shown) == "trained  σ < 1  best\n  a & b    1.0    20\n      c      3     4\ndB"
    page = shown._repr_html_()
    assert '<th scope="col">σ &lt; 1</th>' in page
    assert '<tr><th scope="row">a &amp; b</th><td>1.0</td><td>20</td></tr>' in page
    assert '<tr><th scope="row">c</th><td><b>3</b></td><td>4</td></tr>' in page
    assert ">dB</caption>" in page


def test_a_table_refuses_rows_of_another_length():
    with pytest.raises(ValueError, match="each row needs 2 cells, row 'b' has 1"):
        plots.table(("name", "x", "y"), {"a": ["1", "2"], "b": ["1"]}, caption="none")
