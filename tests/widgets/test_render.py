"""`render` of each family: a pure function from data and state to a picture that holds the right tiles."""

import numpy as np
import pytest

from course_utils.widgets import frame_scrubber, latent_map, latent_scatter, threshold_slider
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
