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
from course_utils.plots import DATA, MODEL, NOISE, STUDENT
from course_utils.widgets import Block
from course_utils.widgets.base import SPAN, STILL_COLOURS, CourseWidget, script
from course_utils.widgets.pictures import GREYS, fewer_greys

VIEW = "application/vnd.jupyter.widget-view+json"
MOVES = {
    "FrameScrubber": {"index": 4},
    "LatentScatter": {"selected": 19, "embedding": "UMAP"},
    "LatentMap": {"z1": 2.0, "z2": -1.0},
    "ThresholdSlider": {"index": 0},
    "FrameScrubber, choices": {"index": 3, "chosen": [1, 0]},
    "ArrowField": {"index": 2, "shown": "learned"},
    "ElboBalance": {"mean_index": 3, "std_index": 0},
    "LatentSweep": {"index": 4},
    "LatentWalk": {"row": 0, "column": 3},
    "NoiseMixer": {"index": 49},
    "NoiseMixer, schedules": {"index": 0, "shown": "cut"},
    "CurveScrubber": {"index": 2},
    "NetworkAnatomy": {"selected": 2, "index": 1},
    "LiveScrubber": {"settings": {"count": 5, "kind": "last"}, "index": 3},
    "LiveScrubber, text": {"settings": {"prompt": "a blue two", "seed": 2}, "index": 3},
    "WordMaps": {"selected": 0, "alone": True, "own": True},
    "WordMaps, steps": {"selected": 2, "index": 0, "alone": True, "own": True},
    "DuelTrainer": {"index": 1},
}
UNSAID = ("embedding", "shown")  # moves that the caption does not tell


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


def test_assigning_state_moves_caption_and_picture(kind, widget):
    for name, value in MOVES[kind].items():
        caption, still = widget.caption, widget.still()
        setattr(widget, name, value)
        assert getattr(widget, name) == value
        assert not np.array_equal(widget.still(), still)
        assert (widget.caption != caption) == (name not in UNSAID)


def test_state_and_content_are_what_the_browser_gets(kind, widget):
    assert {"content", "pixels", *widget.STATE} <= set(widget.keys)
    assert set(widget.content["state"]) == set(MOVES[kind])


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
        ("FrameScrubber, choices", "index", 4, r"FrameScrubber: index must lie in 0\.\.3, got 4"),
        ("FrameScrubber, choices", "chosen", [0, 3], r"chosen 'to' must lie in 0\.\.2, got 3"),
        ("FrameScrubber, choices", "chosen", [0], r"one position for each of 2 choices, got \[0\]"),
        ("FrameScrubber", "chosen", [0], r"one position for each of 0 choices, got \[0\]"),
        ("ArrowField", "index", 3, r"ArrowField: index must lie in 0\.\.2, got 3"),
        ("ArrowField", "shown", "all", r"shown must be one of 'both', 'exact', 'learned', got 'all'"),
        ("ElboBalance", "mean_index", 4, r"ElboBalance: mean_index must lie in 0\.\.3, got 4"),
        ("ElboBalance", "std_index", 3, r"ElboBalance: std_index must lie in 0\.\.2, got 3"),
        ("LatentSweep", "index", -1, r"LatentSweep: index must lie in 0\.\.4, got -1"),
        ("NoiseMixer", "index", 50, r"NoiseMixer: index must lie in 0\.\.49, got 50"),
        ("NoiseMixer", "shown", "slow", r"NoiseMixer: shown must be one of 'linear', got 'slow'"),
        ("NoiseMixer, schedules", "shown", "fast", r"one of 'linear', 'slow', 'cut', got 'fast'"),
        ("CurveScrubber", "index", 3, r"CurveScrubber: index must lie in 0\.\.2, got 3"),
        ("NetworkAnatomy", "index", 2, r"NetworkAnatomy: index must lie in 0\.\.1, got 2"),
        ("NetworkAnatomy", "selected", -1, r"NetworkAnatomy: selected must lie in 0\.\.3, got -1"),
        ("LiveScrubber", "index", 2, r"LiveScrubber: index must lie in 0\.\.1, got 2"),
        (
            "LiveScrubber",
            "settings",
            {"count": 2},
            r"settings must name the choices \['count', 'kind'\], got",
        ),
        (
            "LiveScrubber",
            "settings",
            {"count": 3, "kind": "last"},
            r"must hold one of \[2, 3\.5, 5\] for 'count', got 3; only what a control offers",
        ),
        (
            "LiveScrubber, text",
            "settings",
            {"prompt": 201 * "x", "seed": 0},
            r"LiveScrubber: settings must hold a text of at most 200 letters for 'prompt', got one of 201",
        ),
        ("LiveScrubber, text", "settings", {"prompt": 7, "seed": 0}, r"for 'prompt', got 7; the field"),
        ("WordMaps", "selected", 4, r"WordMaps: selected must lie in 0\.\.3, got 4"),
        ("WordMaps", "index", 1, r"WordMaps: index must lie in 0\.\.0, got 1"),
        ("WordMaps, steps", "index", 4, r"WordMaps: index must lie in 0\.\.3, got 4"),
        ("DuelTrainer", "index", 4, r"DuelTrainer: index must lie in 0\.\.3, got 4"),
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
    [
        ("FrameScrubber", {"index": 5}),
        ("FrameScrubber, choices", {"chosen": (2, 0)}),
        ("LatentScatter", {"selected": -1}),
        ("LatentMap", {"z": (0.0, 9.0)}),
        ("ArrowField", {"index": 3}),
        ("ElboBalance", {"std_index": 3}),
        ("LatentSweep", {"index": 5}),
        ("NoiseMixer", {"index": -1}),
        ("CurveScrubber", {"index": 3}),
        ("NetworkAnatomy", {"selected": 4}),
        ("WordMaps", {"selected": -1}),
        ("WordMaps, steps", {"index": 4}),
    ],
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


def test_two_runs_say_the_same(build, kind, widget):
    """Stored outputs are compared with those of a fresh run."""
    first, second = (item._repr_mimebundle_()[0] for item in (widget, build(kind)))
    assert {**first, VIEW: None} == {**second, VIEW: None}


def test_the_twin_holds_everything_and_asks_for_nothing(widget):
    twin = twin_of(widget)
    assert not re.findall(r"https?:|//cdn|import\s*\(|^\s*import ", twin, re.MULTILINE)
    assert twin.count("<figcaption>") == twin.count("<img ") == twin.count('class="course-widget-still"') == 1
    assert twin.count("<script") == twin.count("</script>") == 2
    assert not re.findall(r'\sid="', twin.split("<script>")[0])


def test_the_twin_starts_in_the_present_state(kind, widget):
    for name, value in MOVES[kind].items():
        setattr(widget, name, value)
    data = data_of(twin_of(widget))
    assert data["values"]["content"] == json.loads(json.dumps(widget.content))
    assert {name: data["values"][name] for name in widget.STATE} == MOVES[kind]
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


def test_without_choices_a_scrubber_knows_nothing_of_them(build):
    """Chapters whose scrubbers have no choices store what they always stored."""
    widget = build("FrameScrubber")
    assert widget.STATE == ("index",)
    assert "choices" not in widget.content
    assert "chosen" not in data_of(twin_of(widget))["values"]


def test_choices_lead_to_their_own_frames_and_the_slider_keeps_its_place(build):
    widget = build("FrameScrubber, choices", index=3)
    assert widget.chosen == [0, 2]
    seen = {}
    for a, b in np.ndindex(2, 3):
        widget.chosen = [a, b]
        assert widget.index == 3
        assert widget.caption == f"From {'xy'[a]} to {'xyz'[b]}, 3."
        seen[a, b] = widget.still().tobytes()
    assert len(set(seen.values())) == 6
    same = build("FrameScrubber, choices", captions=[f"Stop {k}." for k in range(4)], chosen=())
    assert same.chosen == [0, 0]
    assert same.content["captions"] == ["Stop 0.", "Stop 1.", "Stop 2.", "Stop 3."]
    same.chosen, same.index = [1, 2], 2
    assert same.caption == "Stop 2."


def test_sheets_of_choices_follow_the_order_of_the_names(build, arguments):
    """The frame of names (a, b) at stop k is tile (3 a + b) 4 + k, which is how the browser counts."""
    frames = arguments["FrameScrubber, choices"]["frames"]
    widget = build("FrameScrubber, choices")
    sheet, tiles = np.asarray(Image.open(io.BytesIO(widget.pixels))), widget.content["tiles"]
    for a, b, k in np.ndindex(2, 3, 4):
        row, column = divmod((3 * a + b) * 4 + k, tiles["columns"])
        assert np.array_equal(sheet[6 * row : 6 * row + 6, 5 * column : 5 * column + 5], frames[a, b, k])


def test_many_frames_come_in_fewer_greys_and_few_as_they_are(build):
    """Six models' frames are exact; 1,000 of 56 x 28 pixels cost a chapter about half a megabyte at most."""
    data = load("mnist", "test", size=28)
    digits = to_uint8(data.images[:200], data.value_range)[:, 0].numpy()
    pairs = np.concatenate([digits[:100], digits[100:]], axis=1)
    mixed = np.stack(
        [(pairs * (1 - t) + np.roll(pairs, 1, axis=0) * t) for t in np.linspace(0, 1, 10)], axis=1
    )
    digit = list("0123456789")
    widget = build(
        "FrameScrubber, choices",
        frames=mixed.astype(np.uint8).reshape(10, 10, 10, 56, 28),
        stops=range(10),
        captions=["A caption."] * 10,
        choices={"from": digit, "to": digit},
    )
    sheet = np.asarray(Image.open(io.BytesIO(widget.pixels)))
    assert len(np.unique(sheet)) == GREYS
    assert len(twin_of(widget)) < 600_000
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(build("FrameScrubber").pixels))))) > 2 * GREYS


def test_arrows_end_where_their_displacement_leads(build, arguments):
    content, given = build("ArrowField").content, arguments["ArrowField"]
    x0, x1, y0, y1 = given["extent"]
    starts = np.array(content["starts"]).T / SPAN * (x1 - x0, y1 - y0)
    for field, values in enumerate(given["fields"].values()):
        ends = np.array(content["ends"][field]).swapaxes(1, 2) / SPAN * (x1 - x0, y1 - y0)
        assert np.abs(ends - starts - values).max() < 2 * (y1 - y0) / SPAN


def test_a_single_field_is_shown_by_its_name(build, arguments):
    fields = {"exact": arguments["ArrowField"]["fields"]["exact"]}
    widget = build("ArrowField", fields=fields)
    assert widget.shown == "exact"
    with pytest.raises(TraitError, match="must be one of 'exact', got 'both'"):
        widget.shown = "both"


def test_the_printed_balance_adds_up_in_every_state(build, arguments):
    widget = build("ElboBalance")
    numbers = r"log p\(x\) = (\S+) = ELBO (\S+) \+ gap (\S+) nats\. ELBO = reconstruction (\S+) - KL (\S+)\."
    kl, gap = (arguments["ElboBalance"][part] for part in ("kl", "gap"))
    for widget.mean_index, widget.std_index in np.ndindex(4, 3):
        at = widget.mean_index, widget.std_index
        found = re.search(numbers, widget.caption)
        evidence, elbo, short, reconstruction, cost = (round(100 * float(text)) for text in found.groups())
        assert evidence == elbo + short == -230
        assert elbo == reconstruction - cost
        assert (short, cost) == (round(100 * gap[at]), round(100 * kl[at]))


def test_most_of_the_balance_lies_on_its_axis(build):
    content = build("ElboBalance").content
    elbo, reconstruction = np.array(content["elbo"]), np.array(content["reconstruction"])
    assert (elbo >= 0).mean() >= 0.5
    assert 0 < content["evidence"] < SPAN
    assert max(elbo.max(), reconstruction.max()) <= SPAN
    assert (elbo <= content["evidence"]).all()
    assert (elbo <= reconstruction).all()


def test_one_range_of_codes_and_bars_for_all_models(build):
    """What lies far out is cut, and changes nothing for the others."""
    clouds, bars = np.random.default_rng(0).normal(size=(5, 400, 2)) * 3, np.ones((5, 40))
    clouds[0, 0], bars[0, 0] = 1e6, 50
    labels = np.arange(400) % 10
    content = build("LatentSweep", clouds=clouds, labels=labels, bars=bars, active=bars > 0).content
    assert sum(height > 1 for row in content["bars"] for height in row) == 1
    reach = 1 / content["ring"]["radius"]  # the ring's radius is 2, the plot's width 2 * reach
    assert 8 < reach < 12
    places = np.array(content["clouds"])
    assert ((places >= 0) & (places <= SPAN)).all(axis=1).mean() > 0.98


def test_the_prior_ring_fits_where_all_codes_have_collapsed(build, arguments):
    clouds = np.zeros_like(arguments["LatentSweep"]["clouds"])
    bars = np.zeros((5, 8))
    content = build("LatentSweep", clouds=clouds, bars=bars, active=bars > 0).content
    assert 0.3 < content["ring"]["radius"] < 0.5
    assert np.array_equal(content["bars"], bars)


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
    source = script(widget.FAMILY, *widget.PARTS)
    assert source.isascii()
    assert "</script" not in source
    assert "-->" not in source  # it would end the comment that hides the script from sanitisers


def test_equal_frames_are_sent_once_and_found_again(build):
    a, b, c = np.random.default_rng(5).integers(0, 256, (3, 6, 5), np.uint8)
    widget = build("FrameScrubber", frames=np.stack([a, b, a, c, b]), index=0)
    assert widget.content["tileOf"] == [0, 1, 0, 2, 1]
    sheet = np.asarray(Image.open(io.BytesIO(widget.pixels)))
    assert sheet.sum(dtype=int) == sum(tile.sum(dtype=int) for tile in (a, b, c))
    first = widget.still()
    widget.index = 2
    assert np.array_equal(widget.still(), first)


def test_frames_that_differ_need_no_table(build):
    assert "tileOf" not in build("FrameScrubber").content


def test_a_single_schedule_is_not_chosen_among(build):
    widget = build("NoiseMixer")
    assert widget.STATE == ("index",)
    assert "shown" not in data_of(twin_of(widget))["values"]


def test_the_bytes_of_images_and_noise_are_what_was_given(build, arguments):
    """Images of 256 greys come as they are, noise to half a step of 8 / 65535; beyond -4..4 it is clipped."""
    x0, noise = arguments["NoiseMixer"]["x0"], 3 * arguments["NoiseMixer"]["noise"]
    widget = build("NoiseMixer", noise=noise)
    sheet, tiles = np.asarray(Image.open(io.BytesIO(widget.pixels))), widget.content["tiles"]
    corners = [divmod(k, tiles["columns"]) for k in range(9)]
    ink, upper, lower = np.array(
        [sheet[6 * row :, 5 * column :][:6, :5] for row, column in corners], float
    ).reshape(3, 3, 6, 5)
    assert np.abs(ink / 127.5 - 1 - x0).max() < 1e-9
    sent = 4 * ((256 * upper + lower) / 32767.5 - 1)
    assert np.abs(noise).max() > 4
    assert np.abs(sent - noise.clip(-4, 4)).max() <= 4 / 65535 + 1e-9


def test_shares_and_ratios_are_those_of_the_schedule(build):
    kept = np.array([1, 0.9999, 0.996, 0.5, 0.48, 0.0034, 4.04e-5, 0])
    widget = build("NoiseMixer", schedules={"own": kept}, label="step", index=4)
    assert widget.caption == (
        "step = 4: 48% of the variance is signal, 52% is noise; signal-to-noise ratio 0.923 (own)."
    )
    said = [
        ("100%", "0%", "infinite"),
        ("99.99%", "0.01%", "9,999"),
        ("99.6%", "0.4%", "249"),
        ("50%", "50%", "1.00"),
        ("48%", "52%", "0.923"),
        ("0.3%", "99.7%", "0.00341"),
        ("0.004%", "99.996%", "0.0000404"),
        ("0%", "100%", "0.00"),
    ]
    parts = widget.content["parts"]
    assert list(zip(*(parts[name].split(" ") for name in ("signal", "noise", "snr")), strict=True)) == said
    for texts, factor in zip(widget.content["factors"][0], (kept**0.5, (1 - kept) ** 0.5), strict=True):
        assert np.abs(np.array(texts.split(" "), float) - factor).max() <= 0.0005


def test_each_schedule_says_its_share_of_noise(build, arguments):
    widget = build("NoiseMixer, schedules")
    for widget.index in (0, 20, 49):
        found = re.findall(r"([\d.]+)% \((\w+)\)", widget.caption)
        schedules = arguments["NoiseMixer, schedules"]["schedules"]
        assert [name for _, name in found] == list(schedules)
        for share, name in found:
            assert float(share) == pytest.approx(100 * (1 - schedules[name][widget.index]), abs=0.5)
    assert widget.caption.startswith("t = 49: noise makes up ")


def test_four_schedules_of_a_thousand_steps_fit_into_a_notebook(build):
    """Whatever the step: noise does not compress."""
    data = load("mnist", "test", size=32)
    x0 = 2 * data.images[:8, 0].numpy() - 1
    noise = np.random.default_rng(0).normal(size=x0.shape)
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    schedules = {f"schedule {k}": kept**k for k in range(1, 5)}
    for index in (0, 999):
        widget = build("NoiseMixer", x0=x0, noise=noise, schedules=schedules, index=index)
        assert len(twin_of(widget)) < 250_000


def test_curves_lie_where_their_numbers_are(build, arguments):
    given, content = arguments["CurveScrubber"], build("CurveScrubber").content
    x = np.array(content["x"]) / SPAN
    assert np.abs(9 * x - given["x"]).max() < 9 / SPAN  # the axis goes from 0, where a mark lies, to 9
    low, high = -0.04 * 14, 1.04 * 14
    for sent, rows in zip(content["curves"], given["curves"].values(), strict=True):
        places = np.array(sent["rows"], float) / SPAN * (high - low) + low
        assert np.array_equal(np.isnan(places), np.isnan(np.atleast_2d(rows)))
        assert np.nanmax(np.abs(places - rows)) < (high - low) / SPAN
    for sent, way in zip(content["marks"], given["marks"].values(), strict=True):
        places = np.array([sent["x"], sent["y"]]).T / SPAN * (9, high - low) + (0, low)
        assert np.abs(places - way).max() < (high - low) / SPAN


def test_a_curve_without_stops_is_sent_once_and_a_mark_on_a_curve_shares_its_colour(build):
    content = build("CurveScrubber").content
    assert [len(curve["rows"]) for curve in content["curves"]] == [3, 1, 3]
    assert [entry["name"] for entry in content["legend"]] == ["moving", "still", "growing", "other"]
    assert [entry["colour"] for entry in content["legend"]] == [DATA, MODEL, NOISE, STUDENT]
    assert [mark["colour"] for mark in content["marks"]] == [DATA, STUDENT]


def test_the_note_tells_what_is_faint(build):
    both = "Faint curves: noise = 0.1. Faint dots: the way through all stops."
    assert build("CurveScrubber").content["note"] == both
    still = {"still": np.arange(5.0), "also": np.ones((3, 5))}
    assert build("CurveScrubber", curves=still, marks=None).content["note"] == ""
    assert build("CurveScrubber", curves={}).content["note"] == "Faint dots: the way through all stops."


def test_images_beside_curves_are_sent_once_or_not_at_all(build, arguments):
    a, b, _ = arguments["CurveScrubber"]["images"]
    repeated = build("CurveScrubber", images=np.stack([a, b, a]))
    assert repeated.content["tileOf"] == [0, 1, 0]
    bare = build("CurveScrubber", images=None)
    assert "tiles" not in bare.content
    assert bare.pixels == b""


def test_a_logarithmic_axis_goes_by_ratios(build):
    x, y = np.geomspace(1e-6, 1e6, 5), np.geomspace(1, 100, 5)
    content = build(
        "CurveScrubber", x=x, curves={"y": y}, marks=None, log_x=True, log_y=True, xlabel="SNR"
    ).content
    assert np.abs(np.diff(content["x"]) - SPAN / 4).max() <= 1
    assert np.ptp(np.diff(content["curves"][0]["rows"][0])) <= 1
    assert [text for _, text in content["xTicks"]] == ["10⁻⁶", "10⁻⁴", "0.01", "1", "100", "10000", "10⁶"]
    assert [text for _, text in content["yTicks"]] == ["1", "10", "100"]


def test_every_map_lies_in_the_sheet_where_the_browser_looks(build, arguments):
    widget = build("NetworkAnatomy")
    sheet = np.asarray(Image.open(io.BytesIO(widget.pixels)).convert("L"))
    for sent, block in zip(widget.content["blocks"], arguments["NetworkAnatomy"]["blocks"], strict=True):
        maps, corner = fewer_greys(block.maps), sent["maps"]
        assert (corner["count"], corner["height"], corner["width"]) == maps.shape[1:]
        for at, (index, which) in enumerate(np.ndindex(maps.shape[:2])):
            row, column = divmod(at, corner["columns"])
            y, x = corner["top"] + row * maps.shape[2], column * maps.shape[3]
            assert np.array_equal(sheet[y:, x:][: maps.shape[2], : maps.shape[3]], maps[index, which])


def test_a_chosen_block_says_what_it_is(build):
    widget = build("NetworkAnatomy", selected=2, index=1)
    assert widget.caption == "middle, 2 maps. It is here. Much noise."


def test_nine_blocks_of_eight_maps_fit_into_a_notebook(build):
    """Maps of normal noise, which hardly compress, at six levels."""
    rng, sides = np.random.default_rng(0), (32, 32, 16, 8, 8, 16, 32, 32, 32)
    maps = [rng.normal(128, 40, (6, 8, side, side)).clip(0, 255).astype(np.uint8) for side in sides]
    blocks = [Block(str(at), 0, at, "a shape", "A role.", each) for at, each in enumerate(maps)]
    widget = build("NetworkAnatomy", blocks=blocks, skips=(), stops=range(6), captions=["A caption."] * 6)
    assert len(twin_of(widget)) < 350_000
