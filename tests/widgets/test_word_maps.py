"""WordMaps: maps are enlarged as bilinear interpolation does it, scaled as told, and said in words."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course_utils.widgets.word_maps import COLOURS, DARKEST, enlarged, lit, place_of_peak, render


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**16))
def test_maps_are_enlarged_bilinearly(height, width, factor, seed):
    values = np.random.default_rng(seed).random((height, width))
    peer = F.interpolate(
        torch.from_numpy(values)[None, None], scale_factor=factor, mode="bilinear", align_corners=False
    )
    assert np.abs(enlarged(values, factor) - peer[0, 0].numpy()).max() < 1e-12


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((0, 0), "peak at the top left"),
        ((1, 4), "peak at the top"),
        ((2, 8), "peak at the top right"),
        ((3, 1), "peak at the left"),
        ((4, 4), "peak in the centre"),
        ((5, 6), "peak at the right"),
        ((8, 2), "peak at the bottom left"),
        ((7, 3), "peak at the bottom"),
        ((6, 7), "peak at the bottom right"),
    ],
)
def test_a_peak_is_found_in_its_ninth_of_the_image(place, said):
    values = np.random.default_rng(0).random((9, 9))
    values[place] = 2
    assert place_of_peak(values) == said


def test_without_a_peak_none_is_named():
    assert place_of_peak(np.zeros((3, 2))) == "read nowhere"
    assert place_of_peak(np.full((3, 2), 0.25)) == "the same everywhere"


def test_the_caption_says_word_place_share_and_scale(build):
    maps = np.zeros((3, 4, 3))
    maps[0, 0, 2], maps[1] = 6, 0.01
    words = ["seven", "{n} $of$ <i>", "seven"]
    widget = build("WordMaps", words=words, maps=maps, selected=0)
    assert widget.caption == (
        "“seven” (word 1 of 3): 98% of all attention, peak at the top right. "
        "Full brightness is 6, the maximum of all words."
    )
    widget.selected, widget.own = 1, True
    assert widget.caption == (
        "“{n} $of$ <i>” (word 2 of 3): 2.0% of all attention, the same everywhere. "
        "Full brightness is 0.01, the maximum of this word."
    )
    widget.selected, widget.alone, widget.own = 2, True, False
    assert widget.caption == (
        "“seven” (word 3 of 3): 0% of all attention, read nowhere. "
        "The scale ends at 6, the maximum of all words."
    )
    assert "{n} $of$" in repr(build("WordMaps", words=words, maps=maps, selected=1))
    widget.still()


def test_captions_of_steps_name_the_step(build):
    widget = build("WordMaps, steps")
    for widget.index, when in enumerate(("all steps", "980", "t = 490", "0")):
        assert widget.caption.startswith(f"“seven” (word 4 of 4, {when}): ")


def test_shares_do_not_depend_on_the_scale_of_the_maps(build, arguments):
    maps = arguments["WordMaps"]["maps"]
    small, large = (build("WordMaps", maps=factor * maps).content for factor in (1e-3, 1e3))
    for part in ("shares", "tints", "places", "largest"):
        assert small[part] == large[part]
    assert np.allclose(small["ratios"], large["ratios"])


def test_tints_are_shares_on_one_scale_for_all_steps(build, arguments):
    tints = np.array(build("WordMaps, steps").content["tints"])
    given = arguments["WordMaps, steps"]
    maps = np.concatenate([given["maps"][None], given["steps"]]).sum(axis=(2, 3))
    shares = maps / maps.sum(axis=1, keepdims=True)
    assert np.abs(tints - shares / shares.max()).max() < 1e-3
    assert tints.max() == 1


def test_the_browser_gets_each_map_in_parts_of_its_own_maximum(build, arguments):
    """A word with little attention keeps its shape."""
    maps = arguments["WordMaps"]["maps"] * np.array([1, 1e-4, 1, 0])[:, None, None]
    widget = build("WordMaps", maps=maps)
    image, sheet = (
        np.asarray(Image.open(io.BytesIO(file)))
        for file in (widget.pixels[: widget.content["bytes"]], widget.pixels[widget.content["bytes"] :])
    )
    assert np.array_equal(image, arguments["WordMaps"]["image"])
    most = maps.max(axis=(1, 2))
    (ratios,) = widget.content["ratios"]
    assert np.allclose(ratios, most / most.max())
    rebuilt = sheet.reshape(maps.shape) / 255 * (np.array(ratios) * most.max())[:, None, None]
    assert (np.abs(rebuilt - maps).max(axis=(1, 2)) <= most / 255).all()


def tiles(picture, image, count, gap=16):
    """The maps of a still, not enlarged: `count` arrays as large as the image, a small one."""
    large, small = 400 // max(image.shape[:2]), 176 // max(image.shape[:2])
    left = 48 + large * image.shape[1]
    wide = max(176, small * image.shape[1]) + gap
    area = picture[16 : 16 + small * image.shape[0]]
    return [area[::small, left + k * wide :][:, : small * image.shape[1] : small] for k in range(count)]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_a_still_shows_the_image_and_the_maps_of_all_words(arguments, alone, own):
    words, maps, image = (arguments["WordMaps"][name] for name in ("words", "maps", "image"))
    picture = render(words, maps, image, 1, alone, own)
    assert np.array_equal(picture[16:][: 25 * 16, 16:][:, : 25 * 12][::25, ::25], image)
    for values, tile in zip(maps, tiles(picture, image, 4), strict=True):
        shares = enlarged(values / (values.max() if own else maps.max()), 4)
        expected = COLOURS[(255 * shares).round().astype(int)] if alone else lit(image, shares)
        assert np.array_equal(tile, expected)


def test_what_is_not_read_is_dark_and_what_is_read_most_is_as_it_was():
    image = np.full((2, 3, 3), 200, np.uint8)
    shares = np.array([[0, 1, 0.5]] * 2)
    assert lit(image, shares)[0].tolist() == [3 * [round(200 * DARKEST)], 3 * [200], 3 * [115]]


def test_large_images_and_many_words_fit_a_still(build):
    words = [f"word{k}" for k in range(12)]
    maps = np.random.default_rng(1).random((12, 8, 8))
    picture = build("WordMaps", words=words, maps=maps, image=np.zeros((512, 512, 3), np.uint8)).still()
    assert picture.shape[0] < 800
    assert picture.shape[1] < 1500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"words": "a red a seven"},
            r"WordMaps: words must be one text or more.*got 'a red a seven'; prompt",
        ),
        ({"words": []}, r"words must be one text or more, none empty, got \[\]"),
        ({"words": ["a", "", "b", "c"]}, "none empty"),
        ({"words": [1, 2, 3, 4]}, r"words must be .* got \[1, 2, 3, 4\]"),
        ({"words": ["a", "red"]}, r"WordMaps: maps must be numbers of shape \(2, h, w\), got float64"),
        ({"maps": np.ones((4, 4))}, r"maps must be numbers of shape \(4, h, w\)"),
        ({"maps": np.full((4, 4, 3), np.nan)}, "maps must be finite, got 48 of 48"),
        ({"maps": -np.ones((4, 4, 3))}, "maps must not be negative, got -1; .* scores before"),
        ({"maps": np.zeros((4, 4, 3))}, "maps must hold more than zeros at every step, got 1 of 1"),
        ({"image": np.ones((16, 12, 3))}, r"WordMaps: image must be uint8 \(H, W\) or with 3 colours"),
        ({"image": np.zeros((16, 12), np.uint8)}, r"image must have the shape \(n 4, n 3, 3\) .* \(16, 12\)"),
        ({"image": np.zeros((16, 16, 3), np.uint8)}, r"for maps of 4 x 3, got \(16, 16, 3\); it may"),
        ({"image": np.zeros((18, 13, 3), np.uint8)}, r"got \(18, 13, 3\)"),
        ({"image": np.zeros((2, 1, 3), np.uint8)}, r"got \(2, 1, 3\)"),
        ({"stops": [1, 2]}, "WordMaps: lengths must be equal, got steps 0, stops 2"),
        ({"steps": np.ones((3, 4, 4, 3)), "stops": [1, 2]}, "got steps 3, stops 2"),
        ({"steps": np.ones((3, 4, 4, 3))}, "got steps 3, stops 0"),
        (
            {"steps": np.ones((3, 4, 3, 4)), "stops": [1, 2, 3]},
            r"steps must be numbers of shape \(S, 4, 4, 3\)",
        ),
        (
            {"steps": np.array([1, 0])[:, None, None, None] * np.ones((4, 4, 3)), "stops": [1, 2]},
            "steps must hold more than zeros at every step, got 1 of 2",
        ),
    ],
)
def test_it_refuses_what_does_not_fit(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build("WordMaps", **changes)
