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
    ("family", "changes", "message"),
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
    ],
)
def test_an_error_says_what_came_and_what_is_likely(build, family, changes, message):
    with pytest.raises(ValueError, match=message):
        build(family, **changes)


def test_tensors_are_welcome(build):
    widget = build("FrameScrubber", frames=torch.zeros(5, 6, 5, dtype=torch.uint8))
    assert widget.still().dtype == np.uint8


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
