"""The widgets around the pictures: traits that move, a mimebundle that works everywhere."""

import base64
import io
import json
import re

import numpy as np
import pytest
from nbconvert.filters.strings import clean_html
from PIL import Image
from traitlets import TraitError

from course_utils.data import load, to_uint8
from course_utils.widgets.base import STILL_COLOURS, CourseWidget, script

VIEW = "application/vnd.jupyter.widget-view+json"
MOVES = {
    "FrameScrubber": {"index": 4},
    "LatentScatter": {"selected": 19, "embedding": "UMAP"},
    "LatentMap": {"z1": 2.0, "z2": -1.0},
    "ThresholdSlider": {"index": 0},
}


def twin_of(widget: CourseWidget) -> str:
    return widget._repr_mimebundle_()[0]["text/html"]


def data_of(twin: str) -> dict:
    """What the twin hands to its script."""
    found = re.findall(
        r'<script type="application/json" class="course-widget-data">(.*?)</script>', twin, re.DOTALL
    )
    assert len(found) == 1
    text = found[0].strip()
    assert text.startswith("<!--")
    assert text.endswith("-->")
    return json.loads(text[4:-3])


def test_assigning_state_moves_caption_and_picture(widget):
    for name, value in MOVES[type(widget).__name__].items():
        caption, still = widget.caption, widget.still()
        setattr(widget, name, value)
        assert getattr(widget, name) == value
        assert not np.array_equal(widget.still(), still)
        assert (widget.caption != caption) == (name != "embedding")


def test_state_and_content_are_what_the_browser_gets(widget):
    assert {"content", "pixels", *widget.STATE} <= set(widget.keys)
    assert set(widget.content["state"]) == set(MOVES[type(widget).__name__])


@pytest.mark.parametrize(
    ("family", "name", "value", "message"),
    [
        (
            "FrameScrubber",
            "index",
            5,
            r"FrameScrubber: index must lie in 0\.\.4, got 5; positions count from 0",
        ),
        ("FrameScrubber", "index", -1, r"got -1"),
        ("LatentScatter", "selected", 20, r"LatentScatter: selected must lie in 0\.\.19, got 20"),
        ("LatentScatter", "embedding", "PCA", r"embedding must be one of 't-SNE', 'UMAP', got 'PCA'"),
        ("LatentMap", "z1", 2.1, r"LatentMap: z1 must lie in -2\.\.2, got 2\.1; nothing was decoded beyond"),
        ("LatentMap", "z2", -1.1, r"LatentMap: z2 must lie in -1\.\.3, got -1\.1"),
        ("ThresholdSlider", "index", 9, r"ThresholdSlider: index must lie in 0\.\.8, got 9"),
    ],
)
def test_state_outside_is_refused_and_stays(build, family, name, value, message):
    widget = build(family)
    before = getattr(widget, name)
    with pytest.raises(TraitError, match=message):
        setattr(widget, name, value)
    assert getattr(widget, name) == before


@pytest.mark.parametrize(
    ("family", "changes"),
    [("FrameScrubber", {"index": 5}), ("LatentScatter", {"selected": -1}), ("LatentMap", {"z": (0.0, 9.0)})],
)
def test_a_start_outside_is_refused(build, family, changes):
    with pytest.raises(TraitError, match="must lie in"):
        build(family, **changes)


def test_the_bundle_has_a_live_view_a_twin_a_picture_and_a_line(widget):
    data, _ = widget._repr_mimebundle_()
    assert data[VIEW]["model_id"] == widget.model_id
    assert widget.caption in data["text/plain"]
    assert widget.content["title"] in data["text/plain"]
    assert "\n" not in data["text/plain"]
    still = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert (still.height, still.width) == widget.still().shape[:2]


def test_the_still_keeps_white_white_and_loses_little(widget):
    whole = widget.still()
    stored = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(widget._repr_mimebundle_()[0]["image/png"]))).convert("RGB")
    )
    assert len(np.unique(stored.reshape(-1, 3), axis=0)) <= STILL_COLOURS
    assert (stored[(whole == 255).all(axis=2)] == 255).all()
    assert np.abs(stored.astype(int) - whole).mean() < 1


def test_two_runs_say_the_same(build, widget):
    """Stored outputs are compared with those of a fresh run."""
    first, second = (item._repr_mimebundle_()[0] for item in (widget, build(type(widget).__name__)))
    assert {**first, VIEW: None} == {**second, VIEW: None}


def test_the_twin_holds_everything_and_asks_for_nothing(widget):
    twin = twin_of(widget)
    assert not re.findall(r"https?:|//cdn|import\s*\(|^\s*import ", twin, re.MULTILINE)
    assert twin.count("<figcaption>") == twin.count("<img ") == twin.count('class="course-widget-still"') == 1
    assert twin.count("<script") == twin.count("</script>") == 2
    assert not re.findall(r'\sid="', twin.split("<script>")[0])


def test_the_twin_starts_in_the_present_state(widget):
    for name, value in MOVES[type(widget).__name__].items():
        setattr(widget, name, value)
    data = data_of(twin_of(widget))
    assert data["values"]["content"] == json.loads(json.dumps(widget.content))
    assert {name: data["values"][name] for name in widget.STATE} == MOVES[type(widget).__name__]
    assert base64.b64decode(data["pixels"]) == widget.pixels


def test_without_scripts_the_picture_and_the_caption_remain(widget):
    """What is left when a sanitiser drops all scripts, and when one prints tags but drops comments."""
    twin = twin_of(widget)
    bare = re.sub(r"<script.*?</script>", "", twin, flags=re.DOTALL)
    assert f"<figcaption>{widget.caption}</figcaption>" in bare
    assert re.search(r'<img class="course-widget-still" alt="[^"]+" src="data:image/png;base64,[^"]+"', bare)
    printed = clean_html(twin)
    assert widget.caption in printed
    assert "course-widget-data" in printed
    assert not [
        word for word in ("sentence", "hydrate", "const ", "}") if word in printed.split("figcaption")[-1]
    ]


def test_text_from_outside_cannot_end_the_script(build):
    caption = '</script><!-- <b> --> & "quoted" {braces}'
    widget = build("FrameScrubber", captions=[caption] * 5, title="<i>'t")
    twin = twin_of(widget)
    assert data_of(twin)["values"]["content"]["captions"][0] == caption
    assert twin.count("</script>") == 2
    assert "<b>" not in twin
    assert "<i>" not in twin


def test_sheets_hold_every_image_in_its_place(build):
    frames = np.random.default_rng(5).integers(0, 256, (7, 4, 9, 3), np.uint8)
    names = ["x"] * 7
    widget = build("FrameScrubber", frames=frames, stops=names, captions=names, index=6)
    sheet, tiles = np.asarray(Image.open(io.BytesIO(widget.pixels))), widget.content["tiles"]
    assert not tiles["grey"]
    for k, frame in enumerate(frames):
        row, column = divmod(k, tiles["columns"])
        assert np.array_equal(sheet[4 * row : 4 * row + 4, 9 * column : 9 * column + 9], frame)


def test_numbers_are_worded_once_for_both_sides(build):
    assert build("FrameScrubber").content["stops"] == ["2", "4", "8.5", "1000000", "all"]
    assert build("FrameScrubber").content["words"][0] == "2 numbers"
    scatter = build("LatentScatter")
    assert (
        scatter.caption
        == "Image 3, labelled 3: error 0.004 MSE per pixel, larger than 15% of the errors here."
    )
    threshold = build("ThresholdSlider")
    passed, false_alarms, missed, found = map(int, threshold.content["counts"][threshold.index])
    assert f"{found / (found + missed):.1%} of the anomalies are found" in threshold.caption
    assert f"{false_alarms / (false_alarms + passed):.1%} of the normal images" in threshold.caption


def test_the_map_says_where_a_hole_is(build):
    widget = build("LatentMap")  # distances grow with z2: 0 to 4.8, holes beyond 2
    widget.z1, widget.z2 = -2.0, 3.0
    assert widget.caption == "z = (-2.0, 3.0) lies in a hole: the nearest of the training codes is 4 away."
    widget.z2 = -1.0
    assert widget.caption == "z = (-2.0, -1.0): the nearest of the training codes is 0 away."
    widget.z1 = -1.6  # what is shown was decoded at the grid point beside
    assert widget.caption.startswith("z = (-2.0, -1.0)")


def test_the_largest_widgets_of_a_chapter_fit_into_a_notebook(build):
    """600 digits with blurred copies, a map of 31 x 31, six grids of 3 x 10: a chapter may weigh 2 MB."""
    data = load("mnist", "test", size=32)
    digits = to_uint8(data.images[:961], data.value_range)[:, 0].numpy()
    blurred = (digits // 2 + np.roll(digits, 1, axis=2) // 2).astype(np.uint8)
    cloud = np.random.default_rng(0).normal(size=(600, 2))
    labels = data.labels[:600].numpy()
    grids = blurred[:180].reshape(6, 3, 10, 32, 32).swapaxes(2, 3).reshape(6, 96, 320)
    widgets = [
        build("FrameScrubber", frames=grids, stops=range(6), captions=["A caption."] * 6),
        build(
            "LatentScatter",
            embeddings={"t-SNE": cloud, "UMAP": cloud},
            images=digits[:600],
            reconstructions=blurred[:600],
            errors=np.abs(cloud[:, 0]),
            labels=labels,
        ),
        build(
            "LatentMap",
            decoded=blurred.reshape(31, 31, 32, 32),
            distances=np.ones((31, 31)),
            codes=cloud,
            labels=labels,
        ),
        build("ThresholdSlider"),
    ]
    assert sum(len(twin_of(widget)) for widget in widgets) < 900_000


def test_the_script_is_one_piece_of_plain_javascript(widget):
    source = script(widget.FAMILY)
    assert source.isascii()
    assert "</script" not in source
    assert "-->" not in source  # it would end the comment that hides the script from sanitisers
