"""What the widgets refuse, and in which words."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_utils.widgets.arguments import require_images, require_numbers

ZEROS = np.zeros((20, 6, 5), np.uint8)
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
