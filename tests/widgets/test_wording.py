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


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.5, 0.55], ["0.50", "0.55"]),
        (np.linspace(-2, 3, 51)[[0, 19, 21]], ["-2.0", "-0.1", "0.1"]),
        ([0.123456, 1], ["0.123", "1.000"]),
        ([-1e-9, 2], ["0", "2"]),
    ],
)
def test_numbers_are_as_short_as_they_are_exact(values, texts):
    assert wording.shortest(values) == texts


def test_ticks_lie_where_their_numbers_are():
    for value, share in wording.ticks(-3.0, 5.0):
        assert 0 <= share <= 1
        assert value == pytest.approx(-3 + 8 * share)


def test_plain_steps_are_counted_by():
    for high in np.linspace(0.3, 90, 50):
        values = [value for value, _ in wording.ticks(0, high, 8, wording.PLAIN)]
        step = values[1] - values[0]
        assert any(np.isclose(step / 10.0 ** np.floor(np.log10(step * 1.001)), wording.PLAIN))


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
