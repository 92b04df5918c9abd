"""What the widgets refuse, and in which words."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_utils.widgets import Block, Run
from course_utils.widgets.arguments import require_images, require_numbers


class Still:
    """A duel in which nothing moves, with one part of its view changed."""

    def __init__(self, **part: object) -> None:
        parts = {"real": np.zeros((4, 2)), "fake": np.ones((3, 2)), "arrows": np.ones((3, 2))}
        parts |= {"heat": np.eye(3), "extent": (0, 1, 0, 1), "losses": [], "steps": (0, 0)}
        self.shown = SimpleNamespace(**parts | part)

    def nothing(self) -> None: ...

    reset = discriminator_step = generator_step = nothing

    def view(self) -> SimpleNamespace:
        return self.shown


ZEROS = np.zeros((20, 6, 5), np.uint8)
STEM = Block("stem", 0, 0, "20 x 6 x 5", "It is first.", ZEROS.reshape(2, 10, 6, 5))
USE_TO_UINT8 = r"got float64 of shape .*; pass uint8: use course_utils\.data\.to_uint8"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "FrameScrubber",
            {"frames": ZEROS / 255},
            r"FrameScrubber: frames must be uint8 \(K, H, W\).*" + USE_TO_UINT8,
        ),
        (
            "FrameScrubber",
            {"frames": ZEROS[:5, None]},
            r"frames must have the shape .* \(5, 1, 6, 5\); .*\[:, 0\]",
        ),
        ("FrameScrubber", {"frames": ZEROS[:0]}, "frames must hold at least one image"),
        ("FrameScrubber", {"stops": [1, 2]}, "lengths must be equal, got frames 5, stops 2, captions 5"),
        ("FrameScrubber", {"captions": []}, "captions 0; one may have been cut"),
        ("LatentScatter", {"images": ZEROS / 255}, r"LatentScatter: images must be uint8 \(N, h, w\)"),
        ("LatentScatter", {"reconstructions": ZEROS / 255}, "reconstructions must be uint8"),
        ("LatentScatter", {"images": ZEROS[:9]}, r"shapes must be equal, got images \(9, 6, 5\)"),
        ("LatentScatter", {"errors": np.zeros(19)}, "got images 20, errors 19, labels 20"),
        ("LatentScatter", {"errors": np.full(20, np.nan)}, "got 20 of 20 values NaN or infinite; the model"),
        ("LatentScatter", {"labels": np.zeros(20)}, r"labels must be integers of shape \(N\), got float64"),
        ("LatentScatter", {"labels": np.full(20, 10)}, r"labels must lie in 0\.\.9, got 10\.\.10"),
        ("LatentScatter", {"embeddings": {}}, "embeddings must name at least one layout"),
        (
            "LatentScatter",
            {"embeddings": {"t-SNE": np.zeros((2, 20))}},
            r"embeddings\['t-SNE'\].*\(20, 2\), got",
        ),
        ("LatentMap", {"decoded": ZEROS.reshape(5, 4, 6, 5)}, "on a square grid of 2 x 2 places or more"),
        ("LatentMap", {"decoded": ZEROS[:1, None]}, "on a square grid of 2 x 2 places or more"),
        ("LatentMap", {"decoded": ZEROS}, r"decoded must have the shape \(G, G, h, w\)"),
        ("LatentMap", {"extent": (2, -2, -1, 3)}, r"x0 < x1 and y0 < y1, got \(2, -2, -1, 3\)"),
        ("LatentMap", {"extent": (0, 1)}, r"extent must be numbers of shape \(4\)"),
        ("LatentMap", {"codes": np.zeros((30, 3))}, r"codes must be numbers of shape \(N, 2\)"),
        ("LatentMap", {"labels": np.zeros(29, int)}, "got codes 30, labels 29"),
        ("LatentMap", {"distances": np.zeros((4, 5))}, r"distances must be numbers of shape \(5, 5\)"),
        ("ThresholdSlider", {"thresholds": np.linspace(1, 0, 9)}, r"thresholds must ascend.*np\.unique"),
        (
            "ThresholdSlider",
            {"thresholds": np.linspace(0, 1, 8)},
            r"counts must be integers of shape \(8, 4\)",
        ),
        (
            "ThresholdSlider",
            {"counts": np.zeros((9, 4), int)},
            r"must be 40 and .* 20, got \[0, 0, 0, 0\]; the order",
        ),
        ("ThresholdSlider", {"counts": np.tile([21, 0, 40, -1], (9, 1))}, r"got \[21, 0, 40, -1\]"),
        ("ThresholdSlider", {"anomalous_scores": []}, "anomalous_scores must be numbers"),
        ("ThresholdSlider", {"anomalous_name": "zeros"}, "must differ, got 'zeros' twice"),
        (
            "FrameScrubber, choices",
            {"frames": ZEROS[:12].reshape(3, 2, 2, 6, 5)},
            r"as long as its names: \(2, 3\) before K, H, W, got shape \(3, 2, 2, 6, 5\); axes follow",
        ),
        (
            "FrameScrubber, choices",
            {"frames": ZEROS},
            r"must have the shape \(C1, C2, K, H, W\) or .* \(20, 6, 5\)",
        ),
        (
            "FrameScrubber, choices",
            {"captions": [["a"] * 4] * 2},
            r"captions must be .* shape \(2, 4\) beside .* \(2, 3\)",
        ),
        (
            "FrameScrubber, choices",
            {"captions": [["a"], ["b", "c"], "d", "e"]},
            "lists inside may differ in length",
        ),
        (
            "FrameScrubber, choices",
            {"captions": ["a"] * 3},
            "lengths must be equal, got frames 4, stops 4, captions 3",
        ),
        ("FrameScrubber, choices", {"choices": {"way": ["a", "b"]}}, "must not bear the slider's label"),
        (
            "FrameScrubber, choices",
            {"choices": {"from": "xy"}},
            r"choices\['from'\] must be a list of different names, got 'xy'",
        ),
        ("FrameScrubber, choices", {"choices": {"from": ["x", "x"]}}, r"different names, got \['x', 'x'\]"),
        (
            "ArrowField",
            {"points": np.zeros((3, 25))},
            r"ArrowField: points must be numbers of shape \(K, N, 2\)",
        ),
        ("ArrowField", {"places": np.zeros((2, 9))}, r"places must be numbers of shape \(G, 2\)"),
        ("ArrowField", {"fields": {}}, r"fields must be one or two, none named 'both', got \[\]"),
        ("ArrowField", {"fields": {"both": np.zeros((3, 9, 2))}}, r"got \['both'\]; 'both' is what"),
        (
            "ArrowField",
            {"fields": {"exact": np.zeros((9, 2))}},
            r"fields\['exact'\] must be numbers of shape \(3, 9, 2\), got",
        ),
        ("ArrowField", {"stops": [1]}, "lengths must be equal, got points 3, stops 1, captions 3"),
        ("ArrowField", {"extent": (-2, 2, 3, -3)}, r"ArrowField: extent must be .* got \(-2, 2, 3, -3\)"),
        ("ElboBalance", {"means": [0, 0, 1, 2]}, "ElboBalance: means must ascend"),
        ("ElboBalance", {"stds": [0.0, 0.5, 1]}, r"stds must be positive, got 0; .*exp\(0\.5 \* logvar\)"),
        ("ElboBalance", {"kl": np.zeros((3, 4))}, r"kl must be numbers of shape \(4, 3\)"),
        (
            "ElboBalance",
            {"kl": -np.ones((4, 3))},
            "kl must not be negative, got -1 nats; a divergence never is",
        ),
        (
            "ElboBalance",
            {"log_evidence": -2.2998},
            r"must equal log_evidence for every q, -2\.2998 nats, got -2\.3 at mean \d, std \d; a term may",
        ),
        ("ElboBalance", {"log_evidence": [-2.3]}, r"log_evidence must be numbers of shape \(\)"),
        ("ElboBalance", {"posterior": np.zeros(32)}, r"posterior must be numbers of shape \(33\)"),
        ("LatentSweep", {"frames": ZEROS[:4]}, "lengths must be equal, got frames 4, clouds 5, bars 5"),
        ("LatentSweep", {"clouds": np.zeros((5, 29, 2))}, r"clouds must be numbers of shape \(K, 30, 2\)"),
        ("LatentSweep", {"bars": -np.ones((5, 8))}, "bars must not be negative, got -1; .*clip it there"),
        (
            "LatentSweep",
            {"active": np.ones((5, 8))},
            r"active must be bool of shape \(5, 8\) like bars, got float64",
        ),
        ("LatentSweep", {"active": np.ones((5, 7), bool)}, r"got bool of shape \(5, 7\)"),
        (
            "NoiseMixer",
            {"x0": ZEROS[:3] + 255},
            r"x0 must lie in -1\.\.1, got 255\.\.255; .* \(0, 255\), or bear",
        ),
        ("NoiseMixer", {"x0": ZEROS[:3, None]}, r"NoiseMixer: x0 must be numbers of shape \(N, h, w\)"),
        (
            "NoiseMixer",
            {"noise": np.zeros((4, 6, 5))},
            r"shapes must be equal, got x0 \(3, 6, 5\), noise \(4, 6, 5\)",
        ),
        ("NoiseMixer", {"noise": np.full((3, 6, 5), np.inf)}, "noise must be finite, got 90 of 90"),
        ("NoiseMixer", {"schedules": {}}, "schedules must be one to 4, got 0; each has a row"),
        ("NoiseMixer", {"schedules": {name: [1, 0] for name in "abcde"}}, "one to 4, got 5; .*shrink"),
        (
            "NoiseMixer",
            {"schedules": {"a": [1, 0], "b": [1, 0.5, 0]}},
            r"lengths must be equal, got schedules\['a'\] 2, schedules\['b'\] 3",
        ),
        ("NoiseMixer", {"schedules": {"a": [0.5]}}, r"schedules\['a'\] must hold two steps or more, got 1"),
        ("NoiseMixer", {"schedules": {"a": [[1, 0]]}}, r"schedules\['a'\] must be numbers of shape \(T\)"),
        (
            "NoiseMixer",
            {"schedules": {"a": [9.0, -0.1]}},
            r"must lie in 0\.\.1, got -0\.1\.\.9; .*logarithms",
        ),
        (
            "NoiseMixer",
            {"schedules": {"a": [1e-4, 0.02]}},
            r"must not rise from step to step, got 0\.0001 at first and 0\.02 at last; these may be betas",
        ),
        ("CurveScrubber", {"x": [1.0, 2, 2, 3, 4]}, r"CurveScrubber: x must ascend"),
        ("CurveScrubber", {"x": [1.0]}, "x must hold two numbers or more, got 1; a curve needs a range"),
        (
            "CurveScrubber",
            {"curves": {"a": np.zeros((5, 3))}},
            r"curves\['a'\] must be .* \(K, N\) = \(3, 5\) or \(N,\) = \(5,\), got float64 of shape \(5, 3\)",
        ),
        (
            "CurveScrubber",
            {"curves": {"a": [1, np.inf, np.nan, 0, -np.inf]}},
            "must be finite, or NaN where nothing is drawn, got 2 infinite and 1 NaN of 5 values; the model",
        ),
        ("CurveScrubber", {"curves": {"a": np.full(5, np.nan)}}, "got 0 infinite and 5 NaN of 5 values"),
        ("CurveScrubber", {"curves": {"a": list("abcde")}}, r"curves\['a'\] must be numbers .* got <U1"),
        ("CurveScrubber", {"curves": {}, "marks": {}}, "must have one to 6 names, got 0; each has a colour"),
        ("CurveScrubber", {"curves": {name: np.zeros(5) for name in "abcdef"}}, "one to 6 names, got 8"),
        ("CurveScrubber", {"marks": {"a": np.zeros((2, 2))}}, r"marks\['a'\] must be .* shape \(3, 2\), got"),
        ("CurveScrubber", {"marks": {"a": np.full((3, 2), np.nan)}}, "must be finite, got 6 of 6 values NaN"),
        ("CurveScrubber", {"captions": ["a"]}, "lengths must be equal, got stops 3, captions 1"),
        ("CurveScrubber", {"images": ZEROS[:2]}, "lengths must be equal, got images 2, stops 3"),
        ("CurveScrubber", {"images": ZEROS[:3] / 255}, r"images must be uint8 \(K, H, W\).*" + USE_TO_UINT8),
        (
            "CurveScrubber",
            {"log_x": True},
            "with log_x all numbers along the axis must be positive, got 0; NaN leaves a number out",
        ),
        ("CurveScrubber", {"log_y": True}, "with log_y all numbers along the axis must be positive, got 0;"),
        ("NetworkAnatomy", {"blocks": []}, r"NetworkAnatomy: blocks must be one or more .* got \[\]"),
        ("NetworkAnatomy", {"blocks": [STEM, STEM]}, r"different names, got \['stem', 'stem'\]; skips and"),
        (
            "NetworkAnatomy",
            {"blocks": [STEM, replace(STEM, name="b")]},
            r"different places \(level, column\) from 0 on, got \[\(0, 0\), \(0, 0\)\]; the drawing",
        ),
        ("NetworkAnatomy", {"blocks": [replace(STEM, level=-1)]}, r"from 0 on, got \[\(-1, 0\)\]"),
        ("NetworkAnatomy", {"blocks": [STEM], "skips": [("stem", "out")]}, r"two .* got \('stem', 'out'\)"),
        (
            "NetworkAnatomy",
            {"skips": [("in", "in")]},
            r"must name two of the blocks \['in', .*; names must be",
        ),
        (
            "NetworkAnatomy",
            {"blocks": [replace(STEM, maps=ZEROS)]},
            r"maps of 'stem' must have the shape \(K, M, h, w\), got \(20, 6, 5\)",
        ),
        (
            "NetworkAnatomy",
            {"blocks": [replace(STEM, maps=ZEROS[None] / 255)]},
            r"maps of 'stem' must be uint8 .*" + USE_TO_UINT8,
        ),
        (
            "NetworkAnatomy",
            {"blocks": [replace(STEM, maps=ZEROS[None])]},
            "lengths must be equal, got maps of 'stem' 1, stops 2",
        ),
        ("NetworkAnatomy", {"stops": [1]}, "lengths must be equal, got stops 1, captions 2"),
        (
            "LiveScrubber",
            {"choices": {}},
            r"LiveScrubber: choices must be one or more, none named like the slider, 'image', got \[\]",
        ),
        ("LiveScrubber", {"choices": {"image": [1, 2]}}, r"got \['image'\]; screen readers"),
        (
            "LiveScrubber",
            {"choices": {"count": [2], "kind": ()}},
            r"got \(\); one text, not in a list, becomes",
        ),
        (
            "LiveScrubber, text",
            {"choices": {"prompt": 201 * "x", "seed": [0]}},
            r"LiveScrubber: choices must hold a text of at most 200 letters for 'prompt', got one of 201",
        ),
        (
            "LiveScrubber, text",
            {"start": {"prompt": None}},
            r"start must hold a text .*, got None; the field",
        ),
        ("LiveScrubber, text", {"known": [{"prompt": 201 * "x"}]}, r"known must hold a text .* one of 201"),
        ("LiveScrubber", {"choices": {"count": [2, "3"]}}, r"choices\['count'\] must be a list of different"),
        ("LiveScrubber", {"choices": {"count": [1, 1.0]}}, r"different numbers .* got \[1, 1\.0\]"),
        ("LiveScrubber", {"choices": {"count": []}}, r"different numbers .* got \[\]"),
        ("LiveScrubber", {"choices": {"count": [True, False]}}, r"different numbers .* got \[True, False\]"),
        ("LiveScrubber", {"choices": {"count": [np.nan]}}, r"different numbers .* got \[nan\]"),
        (
            "LiveScrubber",
            {"start": {"number": 2}},
            r"start must name the choices .* got \['number'\]; a name",
        ),
        ("LiveScrubber", {"known": [{"kind": "both"}]}, r"known must hold one of .* for 'kind', got 'both'"),
        ("LiveScrubber", {"run": lambda **_: ZEROS}, "run must return a Run, got ndarray; Run"),
        ("LiveScrubber", {"run": lambda **_: Run(ZEROS / 255, [], [])}, "LiveScrubber: frames must be uint8"),
        (
            "LiveScrubber",
            {"run": lambda **_: Run(ZEROS, [1], ["a"])},
            "got frames 20, stops 1, captions 1; one may",
        ),
        ("DuelTrainer", {"recorded": 0}, "DuelTrainer: recorded must be at least 1, got 0"),
        ("DuelTrainer", {"duel": Still(real=np.zeros((4, 3)))}, r"real must be numbers of shape \(N, 2\)"),
        (
            "DuelTrainer",
            {"duel": Still(fake=np.full((3, 2), np.nan))},
            "fake must be finite, .* may have div",
        ),
        (
            "DuelTrainer",
            {"duel": Still(arrows=np.zeros((4, 2)))},
            r"arrows must be numbers of shape \(3, 2\)",
        ),
        (
            "DuelTrainer",
            {"duel": Still(heat=np.eye(3) - 1)},
            r"heat must lie in 0\.\.1 .* got -1\.\.0 .* sigmoid",
        ),
        ("DuelTrainer", {"duel": Still(heat=np.ones((3, 2)))}, r"on a square grid .* of shape \(3, 2\)"),
        (
            "DuelTrainer",
            {"duel": Still(extent=(0, 0, 1, 1))},
            r"DuelTrainer: extent must be \(x0, x1, y0, y1\)",
        ),
    ],
)
def test_an_error_says_what_came_and_what_is_likely(build, kind, changes, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **changes)


def test_tensors_are_welcome(build):
    widget = build("FrameScrubber", frames=torch.zeros(5, 6, 5, dtype=torch.uint8))
    assert widget.still().dtype == np.uint8


def test_a_balance_off_by_less_than_a_ten_thousandth_passes(build):
    """Terms come from quadrature and float32."""
    assert build("ElboBalance", log_evidence=-2.29995).caption.count("-2.30") == 1


DTYPES = st.sampled_from(["uint8", "int64", "float32", "bool", "complex64", "U3"])
ANY_ARRAY = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3))


@given(ANY_ARRAY, st.booleans())
def test_images_pass_as_they_are_or_are_refused(array, colour):
    """Nothing is converted, broadcast or guessed."""
    right = array.ndim == 3 or (colour and array.ndim == 4 and array.shape[-1] == 3)
    if array.dtype == np.uint8 and right and array.size:
        assert require_images("W", "x", array, "N h w", colour) is array
    else:
        with pytest.raises(ValueError, match=r"^W: x must"):
            require_images("W", "x", array, "N h w", colour)


@given(ANY_ARRAY, st.booleans())
def test_numbers_pass_as_they_are_or_are_refused(array, integer):
    kinds = "iu" if integer else "iuf"
    right = array.dtype.kind in kinds and array.ndim == 2 and array.shape[1] == 2 and len(array)
    if right and np.isfinite(array).all():
        assert require_numbers("W", "x", array, ("N", 2), integer) is array
    else:
        with pytest.raises(ValueError, match=r"^W: x must"):
            require_numbers("W", "x", array, ("N", 2), integer)
