"""What the kernel's side of a widget does with requests, without a browser: answers, errors, streams."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from course_utils.plots import DATA, MODEL
from course_utils.widgets import Run, duel_trainer, live_scrubber
from course_utils.widgets.base import SPAN
from course_utils.widgets.live import last_line


@pytest.fixture
def ask():
    """ask(widget, number, **request): hand a request over as a browser does; returns (answer, buffers)."""

    def hand_over(widget, number, **request):
        answers = []
        widget.send = lambda answer, buffers: answers.append((answer, buffers))
        widget._handle_custom_msg({"number": number, **request}, [])
        (answer,) = answers
        assert answer[0]["number"] == number
        assert not widget.busy
        return answer

    return hand_over


@pytest.fixture
def counted(arguments):
    """A run that keeps account of its calls."""
    given = arguments["LiveScrubber"]["run"]

    def run(**settings):
        run.calls.append(settings)
        return given(**settings)

    run.calls = []
    return run


def test_what_is_known_is_computed_when_the_widget_is_made(build, counted):
    widget = build("LiveScrubber", run=counted, start={"count": 3.5})
    expected = [(3.5, "first"), (5, "first"), (3.5, "last")]
    assert [tuple(call.values()) for call in counted.calls] == expected
    assert [record["positions"] for record in widget.content["known"]] == [(1, 0), (2, 0), (1, 1)]
    assert widget.settings == {"count": 3.5, "kind": "first"}
    assert widget.index == 2
    assert widget.caption == "The first 3.5: 2."


def test_an_answer_holds_the_frames_of_its_settings_and_is_kept(build, counted, ask, arguments):
    widget = build("LiveScrubber", run=counted)
    counted.calls.clear()
    for number in (5, 9):
        record, (pixels,) = ask(widget, number, positions=[1, 1])
    assert counted.calls == [{"count": 3.5, "kind": "last"}]
    assert record["stops"] == ["0", "1", "2"]
    assert record["words"] == ["0 images", "1 images", "2 images"]
    frames = arguments["LiveScrubber"]["run"](3.5, "last").frames
    columns = record["tiles"]["columns"]
    sheet = np.frombuffer(pixels, np.uint8).reshape(-1, 5 * columns)
    for k, frame in enumerate(frames):
        row, column = divmod(k, columns)
        assert np.array_equal(sheet[6 * row :, 5 * column :][:6, :5], frame)


def test_a_run_sees_the_values_that_were_given(build, counted):
    """Browsers send 2 for 2.0, and numpy's numbers are no JSON."""
    widget = build(
        "LiveScrubber", run=counted, choices={"count": np.array([2.0, 3.0]), "kind": ["last"]}, known=()
    )
    widget.settings = {"kind": "last", "count": 3}
    assert widget.caption == "The last 3.0: 1."
    assert all(type(call["count"]) is float for call in counted.calls)
    assert list(widget.settings) == ["count", "kind"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first line\nlast line"), "last line"),
        (ZeroDivisionError("float division by zero"), "ZeroDivisionError: float division by zero"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_an_error_is_an_answer(build, counted, ask, error, said, capsys):
    def fail(**settings):
        if settings["count"] == 3.5:
            raise error
        return counted(**settings)

    widget = build("LiveScrubber", run=fail)
    answer, buffers = ask(widget, 1, positions=[1, 0])
    assert answer == {"error": said, "number": 1}
    assert buffers == []
    assert capsys.readouterr() == ("", "")
    assert last_line(error) == said
    answer, _ = ask(widget, 2, positions=[2, 0])
    assert "error" not in answer


def test_settings_that_cannot_be_computed_leave_the_picture(build, counted):
    def fail(**settings):
        if settings["count"] == 3.5:
            raise ValueError("no halves")
        return counted(**settings)

    widget = build("LiveScrubber", run=fail)
    widget.settings = {"count": 5, "kind": "last"}
    before = widget.still()
    widget.settings = {"count": 3.5, "kind": "last"}
    assert widget.caption == "This could not be computed: ValueError: no halves"
    assert np.array_equal(widget.still(), before)
    widget.settings = {"count": 2, "kind": "last"}
    assert widget.caption == "The last 2: 1."


def test_what_is_written_reaches_the_run_stripped_and_is_kept(build, arguments, ask):
    """Commas and brackets in a text are no ends of it."""
    calls = []

    def run(**settings):
        calls.append(settings)
        return arguments["LiveScrubber, text"]["run"](**settings)

    widget = build("LiveScrubber, text", run=run)
    known = [record["positions"] for record in widget.content["known"]]
    assert known == [("a red seven", 0), ("two, or three", 0)]
    assert widget.content["choices"][0] == {"name": "prompt", "most": 200}
    calls.clear()
    for number, text in ((1, '  1,0 ["a\\ {b} '), (2, '1,0 ["a\\ {b}'), (3, "two, or three"), (4, " ")):
        record, _ = ask(widget, number, positions=[text, 1])
        assert record["positions"] == (text, 1)
        assert record["captions"][0] == f"“{text.strip()}”: 0."
    expected = ['1,0 ["a\\ {b}', "two, or three", ""]
    assert calls == [{"prompt": prompt, "seed": 1} for prompt in expected]
    widget.settings = {"seed": 1, "prompt": "\ttwo, or three\n"}
    assert widget.settings == {"prompt": "two, or three", "seed": 1}
    assert len(calls) == 3


def test_a_text_that_is_too_long_is_an_error_and_no_run(build, ask):
    widget = build("LiveScrubber, text")
    widget._run = None
    answer, _ = ask(widget, 1, positions=[201 * "x", 0])
    assert answer["error"] == (
        "ValueError: LiveScrubber: settings must hold a text of at most 200 letters for 'prompt', "
        "got one of 201; the field takes no longer ones."
    )
    assert "error" in ask(widget, 2, positions=[5, 0])[0]


def test_a_long_text_breaks_into_lines_below_the_frame(build):
    widget = build("LiveScrubber, text")
    short = widget.still()
    widget.settings = {"prompt": 40 * "word ", "seed": 0}
    long = widget.still()
    assert long.shape[1] <= 80 * 14 + 32
    assert long.shape[0] == short.shape[0] + 2 * live_scrubber.LINE
    assert (long[-28:] < 128).any()  # the last line is on the card, not below it


def test_busy_lasts_as_long_as_the_run(build, counted, ask):
    seen = []

    def run(**settings):
        seen.append(widget.busy if widget else None)
        return counted(**settings)

    widget = None
    widget = build("LiveScrubber", run=run, known=())
    ask(widget, 1, positions=[2, 1])
    assert seen == [None, True]


def test_a_still_shows_the_frame_and_names_the_settings(arguments):
    frame = np.full((6, 5), 255, np.uint8)
    few, many = (live_scrubber.render(frame, {"guidance": value}) for value in (1.0, 7.5))
    assert few.dtype == np.uint8
    assert few.shape == many.shape
    assert (few[16:-64, 16:300] == 0).all()
    assert not np.array_equal(few, many)


def test_presses_make_their_steps_and_one_of_many_sends_several_pictures(build, ask):
    widget = build("DuelTrainer")
    duel, pictures = widget._duel, []
    widget.observe(lambda change: pictures.append(change["new"]["caption"]), "now")
    for press, steps, count in (
        ("D step", (1, 0), 1),
        ("G step", (1, 1), 1),
        ("both", (2, 2), 1),
        ("both × 25", (27, 27), 5),
        ("reset", (0, 0), 1),
    ):
        pictures.clear()
        ask(widget, 1, press=press)
        assert duel.steps == steps
        assert len(pictures) == count
        assert pictures[-1] == widget.now["caption"]


def test_a_reset_brings_the_same_stream_again(build, ask):
    widget = build("DuelTrainer")
    first = widget.now
    seen = []
    for _ in range(2):
        ask(widget, 1, press="both")
        ask(widget, 2, press="D step")
        seen.append(widget.now)
        ask(widget, 3, press="reset")
        assert widget.now == first
    assert seen[0] == seen[1] != first


def test_the_twin_has_recorded_turns_and_the_duel_begins_anew(build, arguments, ask):
    duel = arguments["DuelTrainer"]["duel"]
    duel.generator_step()
    widget = build("DuelTrainer")
    assert duel.steps == (0, 0)
    captions = [record["caption"] for record in widget.content["recorded"]]
    assert captions[0] == widget.now["caption"] == duel_trainer.SENTENCES["start"]
    for turn in range(1, 4):
        ask(widget, turn, press="both")
        assert widget.now["caption"] == captions[turn]
        assert widget.now["fake"] == widget.content["recorded"][turn]["fake"]
    assert [("real" in record) for record in widget.content["recorded"]] == [True, False, False, False]


def test_an_unknown_press_or_a_diverged_network_is_told(build, ask):
    widget = build("DuelTrainer")
    assert ask(widget, 1, press="win")[0]["error"] == "KeyError: 'win'"
    before = widget.now
    for weight in widget._duel.generator.parameters():
        weight.data.fill_(np.nan)
    answer, _ = ask(widget, 2, press="D step")
    assert "DuelTrainer: fake must be finite" in answer["error"]
    assert widget.now == before
    ask(widget, 3, press="reset")
    assert widget.now["caption"] == duel_trainer.SENTENCES["start"]


def view(**parts):
    heat = np.array([[0.0, 0.25], [0.5, 1.0]])
    given = {
        "real": np.array([[0.0, 0.0]]),
        "fake": np.array([[0.5, 1.0]]),
        "arrows": np.array([[0.5, -1.0]]),
    }
    given |= {
        "heat": heat,
        "extent": (-1.0, 1.0, -2.0, 2.0),
        "losses": [(1.5, float("nan"))],
        "steps": (1, 0),
    }
    return SimpleNamespace(**given | parts)


def still_duel(shown):
    nothing = {name: lambda: None for name in ("reset", "discriminator_step", "generator_step")}
    return SimpleNamespace(view=lambda: shown, **nothing)


def test_a_view_arrives_as_places_bytes_and_words(build):
    widget = build("DuelTrainer", duel=still_duel(view()))
    now = widget.now
    assert now["real"] == [[round(SPAN / 2)], [round(SPAN / 2)]]
    assert now["fake"] == [[round(0.75 * SPAN)], [round(0.75 * SPAN)]]
    assert np.abs(np.array(now["arrows"]) - [[0.25 * SPAN], [-0.25 * SPAN]]).max() <= 1
    assert list(now["heat"]) == [127, 254, 0, 64]  # the upper row first
    assert now["caption"] == "D has made 1 step, G 0 steps. Loss of D: 1.50, of G: none."
    assert now["losses"]["y"] == [[round(0.75 * SPAN)], [None]]
    assert now["losses"]["x"] == [round(SPAN / 20)]


def test_losses_below_zero_and_long_ones_fit_their_axes(build):
    """A critic's loss may be negative; of very many losses some are left out."""
    losses = [(-3.0 * k / 1000, k / 1000) for k in range(1000)]
    curves = build("DuelTrainer", duel=still_duel(view(losses=losses))).now["losses"]
    places = np.array(curves["y"])
    assert places.min() >= 0
    assert places.max() <= SPAN
    assert 200 < len(curves["x"]) <= duel_trainer.MOST_LOSSES
    assert {text: share for share, text in curves["yTicks"]}["0"] == pytest.approx(5 / 6)  # from -5 to 1
    assert curves["xTicks"][-1] == (1.0, "1000")


def test_an_extent_that_moves_is_refused(build, ask):
    shown = view()
    widget = build("DuelTrainer", duel=still_duel(shown))
    shown.extent = (-2.0, 2.0, -2.0, 2.0)
    assert "extents must be equal" in ask(widget, 1, press="both")[0]["error"]


def amount(picture, colour):
    return int((picture == [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2).sum())


def test_a_still_of_a_duel_shows_heat_points_and_losses():
    plain = duel_trainer.render(view(heat=np.full((2, 2), 0.5)))
    assert (plain[60:80, 90:110] >= 254).all()
    sure = duel_trainer.render(view(heat=np.ones((2, 2))))
    pale = [round(255 - 0.45 * (255 - int(DATA[at : at + 2], 16))) for at in (1, 3, 5)]
    assert np.abs(sure[60:80, 90:110].astype(int) - pale).max() <= 3
    rising = duel_trainer.render(view(losses=[(k / 50, 1 - k / 50) for k in range(50)]))
    assert amount(rising[200:480, 700:], DATA) > amount(plain[200:480, 700:], DATA) + 200
    assert amount(rising[200:480, 700:], MODEL) > 200


def test_runs_may_differ_in_length_and_size(build):
    def run(count, kind):
        size = int(count) + 4
        return Run(np.zeros((int(count), size, size, 3), np.uint8), range(int(count)), ["x"] * int(count))

    widget = build("LiveScrubber", run=run)
    sheets = [widget.pixels[slice(*record["bytes"])] for record in widget.content["known"]]
    tiles = [record["tiles"] for record in widget.content["known"]]
    assert [tile["width"] for tile in tiles] == [6, 9, 6]
    assert not any(tile["grey"] for tile in tiles)
    for sheet, tile in zip(sheets, tiles, strict=True):
        assert Image.open(io.BytesIO(sheet)).width == tile["columns"] * tile["width"]
    assert sum(map(len, sheets)) == len(widget.pixels)
