"""`render` of each family: a pure function from data and state to a picture that holds the right tiles."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from course_utils.plots import DATA, HIGHLIGHT, MODEL, REFERENCE
from course_utils.widgets import (
    arrow_field,
    curve_scrubber,
    elbo_balance,
    frame_scrubber,
    latent_map,
    latent_scatter,
    latent_sweep,
    network_anatomy,
    noise_mixer,
    threshold_slider,
)
from course_utils.widgets.pictures import GREYS, enlarge, fewer_greys, on_paper

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8), np.uint8)
POINTS = RNG.normal(size=(12, 2))
LABELS = np.arange(12) % 10
EXTENT = (-2.0, 2.0, -1.0, 3.0)


def holds(picture: np.ndarray, image: np.ndarray, room: tuple[int, int]) -> bool:
    """Whether the image, dark on white and enlarged as `room` allows, lies in the picture pixel for pixel."""
    tile = on_paper(enlarge(image, room))
    corners = np.argwhere((picture == tile[0, 0]).all(axis=2))
    height, width = tile.shape[:2]
    return any(np.array_equal(picture[y : y + height, x : x + width], tile) for y, x in corners)


def is_picture(picture: np.ndarray) -> bool:
    return picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


@pytest.mark.parametrize("index", [0, 5, 11])
def test_a_frame_is_shown_whole_and_alone(index):
    picture = frame_scrubber.render(IMAGES, index, ("upper row", "lower row"))
    assert is_picture(picture)
    assert holds(picture, IMAGES[index], frame_scrubber.ROOM)
    assert not holds(picture, IMAGES[index - 1], frame_scrubber.ROOM)


def test_a_coloured_frame_keeps_its_colours():
    frames = RNG.integers(0, 256, (2, 4, 6, 3), np.uint8)
    assert holds(frame_scrubber.render(frames, 1), frames[1], frame_scrubber.ROOM)


def test_a_frame_larger_than_the_room_is_not_enlarged():
    frames = RNG.integers(0, 256, (1, 700, 1200), np.uint8)
    picture = frame_scrubber.render(frames, 0)
    assert picture.shape == (732, 1232, 3)


@pytest.mark.parametrize("selected", [0, 6, 11])
def test_the_selected_dot_brings_its_image_and_reconstruction(selected):
    picture = latent_scatter.render(POINTS, IMAGES, 255 - IMAGES, LABELS, selected)
    assert is_picture(picture)
    assert holds(picture, IMAGES[selected], (256, 256))
    assert holds(picture, 255 - IMAGES[selected], (256, 256))
    assert not holds(picture, IMAGES[selected - 1], (256, 256))


@pytest.mark.parametrize(
    ("z", "tile"), [((-2, -1), (0, 0)), ((2, 3), (3, 3)), ((0.1, 0.9), (1, 2)), ((2, -1), (0, 3))]
)
def test_the_map_shows_what_was_decoded_nearest_to_z(z, tile):
    """decoded[i, j] = decode(z1[j], z2[i]), also where z lies between grid points."""
    decoded = RNG.integers(0, 256, (4, 4, 8, 8), np.uint8)
    picture = latent_map.render(decoded, EXTENT, POINTS, LABELS, np.eye(4, dtype=bool), z)
    assert is_picture(picture)
    assert holds(picture, decoded[tile], (288, 288))
    assert sum(holds(picture, other, (288, 288)) for other in decoded.reshape(16, 8, 8)) == 1


def test_every_threshold_draws_another_picture():
    normal, anomalous = RNG.gamma(4, 0.005, 200), RNG.gamma(8, 0.005, 50)
    edges = threshold_slider.bin_edges(normal, anomalous)
    low, middle, high = (
        threshold_slider.render({"zeros": normal, "ones": anomalous}, edges[at], edges, "score")
        for at in (0, 30, 60)
    )
    assert is_picture(low)
    assert low.shape == middle.shape == high.shape
    # The further right the threshold, the less is filled: the picture grows lighter.
    assert low.mean() < middle.mean() < high.mean()


def test_bins_hold_every_score_once():
    scores = RNG.gamma(4, 0.005, 500)
    edges = threshold_slider.bin_edges(scores, np.array([0.5]))
    assert edges[-1] == 0.5
    assert threshold_slider.bin_shares(scores, edges).sum() == pytest.approx(1)


def amount(picture: np.ndarray, colour: str) -> int:
    """How many pixels bear exactly this colour."""
    return int((picture == [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2).sum())


@pytest.mark.parametrize(
    ("shown", "seen"), [("both", (True, True)), ("a", (True, False)), ("b", (False, True))]
)
def test_only_the_shown_arrows_are_drawn(shown, seen):
    arrows = {"a": np.ones((12, 2)), "b": -np.ones((12, 2))}
    picture = arrow_field.render(POINTS, POINTS / 2, arrows, shown, (-3, 3, -3, 3))
    assert is_picture(picture)
    assert (amount(picture, REFERENCE) > 0, amount(picture, MODEL) > 0) == seen


def test_equal_arrows_lie_inside_each_other():
    """The second is thinner and on top: the first shows on both of its sides."""
    arrows = np.full((1, 2), (2.0, 0.0))
    picture = arrow_field.render(POINTS, np.zeros((1, 2)), {"a": arrows, "b": arrows}, "both", (-3, 3, -3, 3))
    across = picture[:, 72 + arrow_field.SIDE * 4 // 6].astype(int)  # in the middle of the arrow
    inked = np.flatnonzero(np.ptp(across, axis=1) > 60)
    blue = across[inked, 2]  # 167 in the outer arrow's pink, 0 in the inner one's orange
    assert blue[len(blue) // 2] < 60
    assert min(blue[0], blue[-1]) > 120


def test_what_the_elbo_gains_the_gap_loses():
    z = np.linspace(-3, 3, 61)
    curves = {
        name: elbo_balance.normal_density(z, 0, std) for name, std in (("prior", 1), ("posterior", 0.5))
    }
    pictures = [
        elbo_balance.render(
            {"z": z, **curves}, 0, 1, {"evidence": -1, "elbo": elbo, "reconstruction": -0.8}, (-6, 0)
        )
        for elbo in (-5, -3, -1)
    ]
    assert all(is_picture(picture) for picture in pictures)
    wide, narrow, none = (amount(picture, HIGHLIGHT) for picture in pictures)
    assert wide == pytest.approx(2 * narrow, rel=0.05)
    assert none == 0
    least, more, most = (amount(picture[440:], MODEL) for picture in pictures)
    assert least < more < most


def test_a_bar_that_leaves_the_axis_is_marked():
    z = np.linspace(-3, 3, 61)
    curves = {"z": z, "prior": np.exp(-(z**2)), "posterior": np.exp(-(z**2))}
    far, further = (
        elbo_balance.render(curves, 0, 1, {"evidence": -1, "elbo": elbo, "reconstruction": -2}, (-6, 0))
        for elbo in (-7, -70)
    )
    near = elbo_balance.render(curves, 0, 1, {"evidence": -1, "elbo": -6, "reconstruction": -2}, (-6, 0))
    assert np.array_equal(far, further)
    assert not np.array_equal(near, far)


def test_the_axis_of_nats_holds_the_better_states_and_the_evidence():
    elbo = -RNG.gamma(1, 3, (20, 20)) - 2
    low, high = elbo_balance.nats_axis(elbo, elbo + 0.5, -2.0)
    assert (elbo >= low).mean() >= 0.5
    assert low < -2 < high
    assert high > elbo.max() + 0.5
    far = elbo.copy()
    far[elbo < np.quantile(elbo, 0.45)] *= 1000
    assert elbo_balance.nats_axis(far, elbo + 0.5, -2.0)[0] == pytest.approx(low)


def sweep(index: int, bars: np.ndarray, top: float = 1.0) -> np.ndarray:
    names = ("upper", "lower"), "KL", ("z1", "z2")
    return latent_sweep.render(
        IMAGES[index], POINTS, LABELS, bars, np.array([True, False]), (3.0, top), names
    )


def test_a_model_brings_its_images_and_its_bars():
    low, high = (sweep(5, np.array([share, 0.5])) for share in (0.4, 0.8))
    assert is_picture(low)
    assert holds(low, IMAGES[5], latent_sweep.ROOM)
    assert not holds(low, IMAGES[6], latent_sweep.ROOM)
    assert amount(high, MODEL) == pytest.approx(2 * amount(low, MODEL), rel=0.05)


def test_a_bar_that_is_cut_bears_a_mark():
    full, cut, more = (sweep(0, np.array([height, 0.5])) for height in (1.0, 1.5, 9.0))
    assert np.array_equal(cut, more)
    assert amount(cut, MODEL) > amount(full, MODEL)


def mixer(index: int, shown: str = "a", **schedules: np.ndarray) -> np.ndarray:
    x0, noise = IMAGES[:3] / 127.5 - 1, np.random.default_rng(1).normal(size=(3, 8, 8))
    return noise_mixer.render(x0, noise, schedules or {"a": np.linspace(1, 0, 11)}, index, shown)


def test_a_mixture_begins_with_images_and_ends_with_noise():
    noise = np.random.default_rng(1).normal(size=(3, 8, 8)).clip(-1, 1)
    first, last = fewer_greys(IMAGES[:3]), fewer_greys(((noise + 1) * 127.5).round().astype(np.uint8))
    room = (304, 304)  # 3 images of 8 pixels and two gaps of 2 are 28 pixels: 38 times as many fit into 1088
    for image, other in zip(first, last, strict=True):
        assert holds(mixer(0), image, room)
        assert not holds(mixer(0), other, room)
        assert holds(mixer(10), other, room)


def test_half_the_variance_is_half_the_variance():
    noise = RNG.normal(size=(5, 40, 40))
    x0 = RNG.choice([-1.0, 1.0], (5, 40, 40))  # of variance 1, like the noise
    mixed = noise_mixer.mix(x0, noise, 0.5)
    assert np.abs(mixed - (x0 + noise) / 2**0.5).max() < 1e-12
    assert mixed.var() == pytest.approx(1, abs=0.05)


def test_bytes_span_their_range_and_are_clipped_beyond():
    values = np.array([-9.0, -1.0, 0.0, 0.5, 1.0, 9.0])
    assert noise_mixer.as_ink(values).tolist() == [0, 0, 128, 191, 255, 255]
    upper, lower = noise_mixer.as_two_bytes(4 * values)
    assert upper.tolist() == [0, 0, 128, 191, 255, 255]
    assert lower.tolist() == [0, 0, 0, 255, 255, 255]


def test_images_lie_in_rows_with_gaps():
    rows = RNG.integers(1, 256, (2, 3, 4, 5), np.uint8)
    picture = noise_mixer.lay_out(rows)
    assert picture.shape == (2 * 4 + 2, 3 * 5 + 2 * 2)
    for row, column in np.ndindex(2, 3):
        assert np.array_equal(picture[6 * row :, 7 * column :][:4, :5], rows[row, column])
    assert picture.sum(dtype=int) == rows.sum(dtype=int)


def test_each_schedule_has_its_row_and_one_is_plotted():
    ends = {"a": np.array([1.0, 0.0]), "b": np.array([1.0, 1.0])}
    pictures = [mixer(1, shown, **ends) for shown in "ab"]
    assert all(is_picture(picture) for picture in pictures)
    height = 18 * 23  # two rows of 8 pixels and a gap of 2, 23 times enlarged
    assert np.array_equal(pictures[0][: 16 + height], pictures[1][: 16 + height])
    below = [picture[16 + height :] for picture in pictures]
    assert not np.array_equal(*below)
    assert all(amount(part, DATA) > 0 for part in below)


X = np.linspace(0, 1, 9)
SCALES = tuple(curve_scrubber.Scale(name, False, 0.0, 1.0) for name in ("across", "up"))
HUES = {"a": DATA, "b": MODEL}


def curves(index: int, rows: dict[str, np.ndarray], marks: dict[str, np.ndarray] | None = None) -> np.ndarray:
    return curve_scrubber.render(index, (X, rows, marks or {}), SCALES, HUES, IMAGES[:3])


def test_a_stop_brings_its_image_and_its_curve():
    rows = {"a": np.stack([X * 0 + height for height in (0.2, 0.5, 0.8)])}
    pictures = [curves(index, rows) for index in range(3)]
    assert all(is_picture(picture) for picture in pictures)
    for index, picture in enumerate(pictures):
        assert holds(picture, IMAGES[index], curve_scrubber.ROOM)
        assert not holds(picture, IMAGES[index - 1], curve_scrubber.ROOM)
    # The legend's line lies above the axes, which begin 46 pixels from the top.
    lines = [np.flatnonzero((picture[60:] == BLUE).all(axis=2).any(axis=1)) for picture in pictures]
    assert lines[0].min() > lines[1].max() > lines[1].min() > lines[2].max()


def test_only_a_curve_that_moved_leaves_its_first_stop_behind():
    moved = np.stack([X * 0 + 0.2, X * 0 + 0.2, X])
    first, same, other = (inked(curves(index, {"a": moved})) for index in range(3))
    assert first == same
    assert other > 1.5 * first


def test_a_curve_is_not_drawn_where_it_is_nan():
    whole, gap, alone = X * 0 + 0.5, X * 0 + 0.5, X * np.nan
    gap[3:6], alone[4] = np.nan, 0.5
    amounts = [inked(curves(0, {"a": row[None]})) for row in (whole, gap, alone)]
    assert 0 < amounts[2] < amounts[1] / 10
    assert amounts[1] == pytest.approx(amounts[0] / 2, rel=0.05)


def test_a_mark_moves_and_leaves_its_path():
    way = np.array([[0.1, 0.5], [0.5, 0.9], [0.9, 0.5]])
    for index, share in enumerate(way[:, 0]):
        picture = curves(index, {"a": X[None] * 0 + 0.1}, {"b": way})[60:]
        at = np.flatnonzero((picture == ORANGE).all(axis=2).any(axis=0)).mean()
        blue = np.flatnonzero((picture == BLUE).all(axis=2).any(axis=0))  # the curve goes all the way
        assert at == pytest.approx(blue[0] + share * np.ptp(blue), abs=4)


def inked(picture: np.ndarray) -> int:
    """How many pixels of the plot are bluish."""
    plot = picture[60:, 500:].astype(int)
    return int((plot[..., 2] - plot[..., 0] > 40).sum())


BLUE, ORANGE = ([int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (DATA, MODEL))


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-5, -1, ["10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1"]),
        (-12, 12, ["10⁻¹²", "10⁻⁸", "10⁻⁴", "1", "10000", "10⁸", "10¹²"]),
        (np.log10(0.015), np.log10(2), ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (np.log10(3), np.log10(4.1), ["3", "3.25", "3.5", "3.75", "4"]),
    ],
)
def test_a_logarithmic_axis_has_round_ticks_where_they_belong(low, high, texts):
    ticks = curve_scrubber.Scale("x", True, low, high).ticks()
    assert [text for _, text in ticks] == texts
    figures = [(share, float(text)) for share, text in ticks if text.isascii()]
    assert np.allclose(
        [low + share * (high - low) for share, _ in figures], np.log10([x for _, x in figures])
    )


@pytest.mark.parametrize(("values", "ends"), [([3.0, 3.0], (1.5, 4.5)), ([0.0, 0.0], (-0.5, 0.5))])
def test_a_scale_around_one_number_has_a_length(values, ends):
    scale = curve_scrubber.Scale.around("x", False, np.array(values), 0.04)
    assert (scale.low, scale.high) == ends


LEVELS = (0, 0, 1, 2, 2, 2, 1, 0)
STAGES = [
    network_anatomy.Block(f"b{at}", level, at, "a shape", "A role.", IMAGES[at : at + 4].reshape(2, 2, 8, 8))
    for at, level in enumerate(LEVELS)
]


@pytest.mark.parametrize(("selected", "index"), [(0, 0), (3, 1), (7, 0)])
def test_a_block_brings_its_maps_and_is_marked(selected, index):
    picture = network_anatomy.render(STAGES, [(1, 7)], selected, index)
    assert is_picture(picture)
    room = (192, 192)  # two maps beside each other
    for at in range(12):
        shown = at in (selected + 2 * index, selected + 2 * index + 1)
        assert holds(picture, IMAGES[at], room) == shown
    box = network_anatomy.boxes(STAGES)[selected]
    ys, xs = np.nonzero((picture == ORANGE).all(axis=2))
    assert xs.mean() == pytest.approx(16 + box.middle * network_anatomy.STILL[0], abs=2)
    assert ys.mean() == pytest.approx(16 + 2 * (box.top + box.height / 2), abs=2)


def test_levels_lie_below_each_other_and_halve():
    places = network_anatomy.boxes(STAGES)
    assert [box.height for box in places] == [96 / 2**level for level in LEVELS]
    for a, b in itertools.combinations(places, 2):
        assert (a.top == b.top) == (a.height == b.height)
        assert a.top == b.top or a.foot < b.top or b.foot < a.top
    middles = [box.middle for box in places]
    assert np.allclose(np.diff(middles), 1 / 8)


def test_lines_end_at_the_sides_that_face_each_other_and_cross_no_block():
    places = network_anatomy.boxes(STAGES)
    pairs = [*itertools.pairwise(range(8)), (1, 7), (2, 6), (3, 5)]
    for start, end in pairs:
        a, b = places[start], places[end]
        path = network_anatomy.skip_line(a, b, places) if end > start + 1 else network_anatomy.line(a, b, 0.5)
        for (x, y), box in ((path[0], a), (path[-1], b)):
            assert abs(x - box.middle) <= box.half + 1e-9
            assert box.top <= y <= box.top + box.height
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            assert x0 == x1 or y0 == y1
            for box in places:
                beside = (
                    max(x0, x1) <= box.middle - box.half + 1e-9 or min(x0, x1) >= box.middle + box.half - 1e-9
                )
                assert beside or max(y0, y1) <= box.top or min(y0, y1) >= box.top + box.height


def test_a_line_within_one_column_goes_straight_and_leaves_out_the_names():
    upper, lower = network_anatomy.boxes([replace(STAGES[0], column=0), replace(STAGES[2], column=0)])
    assert network_anatomy.line(upper, lower, 0.5) == [(0.5, upper.foot), (0.5, lower.top)]
    assert network_anatomy.line(lower, upper, 0.5) == [(0.5, lower.top), (0.5, upper.foot)]


@pytest.mark.parametrize(
    ("count", "size", "found"),
    [
        (1, (8, 8), (1, 37)),
        (8, (32, 32), (3, 3)),
        (4, (8, 16), (2, 9)),
        (2, (8, 40), (1, 7)),
        (2, (500, 9), (2, 1)),
    ],
)
def test_maps_are_laid_out_to_be_large(count, size, found):
    assert network_anatomy.columns_for(count, size, 300, 6) == found


def test_fewer_greys_stay_near_and_keep_both_ends():
    every_grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    coarse = fewer_greys(every_grey)
    assert len(np.unique(coarse)) == GREYS
    assert np.abs(coarse.astype(int) - every_grey).max() <= 4
    assert coarse.min() == 0
    assert coarse.max() == 255


def test_render_leaves_its_arguments_alone():
    points, images = POINTS.copy(), IMAGES.copy()
    latent_scatter.render(points, images, images, LABELS, 0)
    assert np.array_equal(points, POINTS)
    assert np.array_equal(images, IMAGES)


@pytest.mark.parametrize(
    ("values", "room"), [([2.0, 3.0, 8.0], 8.0), ([2.0, 3.0, 10.0], 3.0), ([5.0], 5.0), ([0.0, 0.0], 0.0)]
)
def test_one_model_out_of_all_proportion_does_not_shrink_the_others(values, room):
    assert latent_sweep.largest_but_outlier(np.array(values)) == room


def test_codes_beyond_the_range_are_counted_where_they_are_left_out():
    cloud = np.array([[0.0, 0.0], [0.0, 5.0], [-7.0, 1.0], [2.0, 2.0]])
    assert latent_sweep.ring_label(cloud, reach=4) == "prior: 2 std; 50% of the codes lie beyond"
    assert latent_sweep.ring_label(cloud, reach=8) == "prior: 2 std"
