"""Numbers as legends, axes and captions show them."""

import numpy as np
import pytest

from course_utils.plots import CLASS_COLOURS
from course_utils.widgets import wording
from course_utils.widgets.latent_scatter import in_square


@pytest.mark.parametrize(
    ("values", "step", "texts"),
    [
        ([-8, 0.25], 0.75, ["-8.00", "0.25"]),
        ([0.02084, 0.1], 0.002, ["0.0208", "0.1000"]),
        ([250.4, 3], 20, ["250", "3"]),
        ([1.75, 1], 1, ["1.8", "1.0"]),
    ],
)
def test_numbers_share_one_count_of_decimals(values, step, texts):
    assert wording.fixed(values, step) == texts


def test_ticks_lie_where_their_numbers_are():
    for value, share in wording.ticks(-3.0, 5.0):
        assert 0 <= share <= 1
        assert value == pytest.approx(-3 + 8 * share)


def test_classes_that_do_not_occur_are_left_out():
    entries, positions = wording.classes(np.array([7, 3, 7]))
    assert entries == [{"name": "3", "colour": CLASS_COLOURS[3]}, {"name": "7", "colour": CLASS_COLOURS[7]}]
    assert positions == [1, 0, 1]


def test_a_cloud_fills_the_square_and_keeps_its_shape():
    points = np.random.default_rng(0).normal(size=(50, 2)) * (30, 3)
    square = in_square(points)
    assert square.min() == pytest.approx(0)
    assert square.max() == pytest.approx(1)
    assert np.ptp(square, axis=0)[0] / np.ptp(square, axis=0)[1] == pytest.approx(
        np.ptp(points[:, 0]) / np.ptp(points[:, 1])
    )
    assert in_square(np.ones((1, 2))).tolist() == [[0.5, 0.5]]
