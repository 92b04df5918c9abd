"""Painted digits: a hue that can be read back, and grey levels that know nothing of it."""

import colorsys
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import colours, load

SIDES = st.integers(1, 6)
SEEDS = st.integers(0, 999)
HUES = st.floats(-10, 10)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)


def grey(n, h, w, seed=0, dtype=torch.float64):
    return torch.rand(n, 1, h, w, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def hues(n, seed=0, dtype=torch.float64):
    return torch.rand(n, generator=torch.Generator().manual_seed(seed + 1), dtype=dtype) * 2 * math.pi


def apart(a, b):
    """The angle between two directions."""
    return torch.exp(1j * (a - b)).angle().abs()


@given(n=st.integers(1, 5), h=SIDES, w=SIDES, seed=SEEDS)
def test_the_mean_of_the_channels_is_half_the_grey_whatever_the_hue(n, h, w, seed):
    digits = grey(n, h, w, seed)
    rgb = colours.paint(digits, hues(n, seed))
    assert rgb.shape == (n, 3, h, w)
    assert torch.allclose(rgb.mean(dim=1, keepdim=True), digits / 2, rtol=0, atol=1e-12)


@given(
    n=st.integers(1, 5), h=SIDES, w=SIDES, seed=SEEDS, dtype=st.sampled_from([torch.float32, torch.float64])
)
def test_painted_images_stay_in_range_and_keep_the_dtype(n, h, w, seed, dtype):
    rgb = colours.paint(grey(n, h, w, seed, dtype), hues(n, seed))
    assert rgb.dtype == dtype
    assert rgb.min() >= 0 and rgb.max() <= 1


@given(n=st.integers(1, 5), h=SIDES, w=SIDES, seed=SEEDS)
def test_the_hue_of_what_was_painted_is_the_one_it_was_painted_in(n, h, w, seed):
    painted_in = hues(n, seed)
    found, concentration = colours.hue(colours.paint(grey(n, h, w, seed) + 0.01, painted_in))
    assert apart(found, painted_in).max() < 1e-9
    assert torch.allclose(concentration, torch.ones(n).double(), rtol=0, atol=1e-9)
    assert found.abs().max() <= math.pi


@pytest.mark.parametrize(
    ("angle", "name"), [(0, "red"), (2 * math.pi / 3, "green"), (4 * math.pi / 3, "blue")]
)
def test_the_strongest_channel_is_the_one_that_the_hue_is_named_after(angle, name):
    channels = colours.paint(grey(1, 3, 4) + 0.01, torch.tensor([angle]).double()).mean(dim=(0, 2, 3))
    assert channels.argmax() == ("red", "green", "blue").index(name)


@given(turns=st.integers(0, 5))
def test_hues_are_those_of_the_colour_circle(turns):
    """Where two channels are equal or one is halfway, Python's own hexagon and this circle agree."""
    angle = turns * math.pi / 3
    rgb = colours.paint(torch.ones(1, 1, 1, 1).double(), torch.tensor([angle]).double()).flatten().tolist()
    assert apart(torch.tensor(colorsys.rgb_to_hsv(*rgb)[0] * 2 * math.pi), torch.tensor(angle)) < 1e-6


@given(first=HUES, second=HUES)
def test_the_concentration_of_two_equal_halves_is_the_cosine_of_half_the_angle(first, second):
    halves = colours.paint(
        torch.ones(2, 1, 2, 3).double(), torch.tensor([first, second], dtype=torch.float64)
    )
    _, concentration = colours.hue(torch.cat([halves[:1], halves[1:]], dim=3))
    assert concentration.item() == pytest.approx(abs(math.cos((first - second) / 2)), abs=1e-9)


@given(shape=st.tuples(st.integers(1, 4), SIDES, SIDES), seed=SEEDS, gain=st.floats(0.1, 10))
def test_brightness_changes_neither_hue_nor_concentration(shape, seed, gain):
    n, h, w = shape
    rgb = torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (angle, concentration), (same_angle, same) = colours.hue(rgb), colours.hue(gain * rgb + 0.3)
    assert apart(angle, same_angle).max() < 1e-6
    assert torch.allclose(concentration, same, rtol=1e-6, atol=1e-9)
    assert concentration.min() >= 0 and concentration.max() <= 1 + 1e-12


def test_black_images_have_no_hue_and_no_error():
    _, concentration = colours.hue(torch.zeros(2, 3, 4, 5))
    assert concentration.tolist() == [0, 0]


def test_real_digits_can_be_painted_and_read():
    digits, painted_in = load("mnist", "test").images[:200], hues(200, dtype=torch.float32)
    found, concentration = colours.hue(colours.paint(digits, painted_in))
    assert apart(found, painted_in.double()).max() < 1e-5
    assert concentration.min() > 1 - 1e-6


@given(grey_shape=SHAPES, hue_shape=SHAPES)
def test_paint_takes_one_hue_for_each_grey_image_and_nothing_else(grey_shape, hue_shape):
    digits, angles = torch.zeros(grey_shape), torch.zeros(hue_shape)
    if len(grey_shape) == 4 and grey_shape[1] == 1 and hue_shape == grey_shape[:1]:
        n, _, h, w = grey_shape
        assert colours.paint(digits, angles).shape == (n, 3, h, w)
    else:
        with pytest.raises(ValueError, match=r"^paint: grey must be \(N, 1, H, W\) and hue \(N,\), got"):
            colours.paint(digits, angles)


@given(shape=SHAPES)
def test_hue_takes_images_of_three_channels_and_nothing_else(shape):
    rgb = torch.ones(shape)
    if len(shape) == 4 and shape[1] == 3:
        assert colours.hue(rgb)[0].shape == shape[:1]
    else:
        with pytest.raises(ValueError, match=r"^hue: rgb must (be|have 4 dimensions) \(N, 3, H, W\), got"):
            colours.hue(rgb)


@pytest.mark.parametrize("wrong", [None, "red", torch.zeros(2, 3, 4, 4, dtype=torch.uint8)])
def test_what_is_no_float_tensor_is_refused(wrong):
    with pytest.raises(TypeError, match=r"^hue: rgb must be a floating-point tensor"):
        colours.hue(wrong)
    with pytest.raises(TypeError, match=r"^paint: grey must be a floating-point tensor"):
        colours.paint(wrong, torch.zeros(2))
    with pytest.raises(TypeError, match=r"^paint: hue must be a floating-point tensor"):
        colours.paint(torch.zeros(2, 1, 4, 4), wrong)
