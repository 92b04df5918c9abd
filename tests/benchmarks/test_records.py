"""Statistics, and rows as they are kept."""

import pytest

from benchmarks.records import alone, beside, from_json, measured, missing, to_json


def test_a_figure_is_its_median_and_its_whole_range_where_there_are_few():
    found = measured([3.0, 1.0, 8.0])
    assert (found.value, found.low, found.high, found.count) == (3.0, 1.0, 8.0, 3)


def test_a_figure_of_many_values_shows_where_half_of_them_lie():
    found = measured([100.0, *range(1, 9)])
    assert (found.value, found.low, found.high, found.count) == (5.0, 3.0, 7.0, 9)


def test_a_figure_without_values_is_refused():
    with pytest.raises(ValueError, match=r"^measured: a figure needs one value or more, got none\.$"):
        measured([])


def test_the_ratio_is_taken_round_by_round():
    row = beside("step", "ms", [1.0, 10.0, 2.0], "peer", [2.0, 20.0, 5.0])
    assert row.ratio == measured([2.0, 2.0, 2.5])
    assert row.ours.value == 2.0 and row.theirs.value == 5.0


def test_where_more_is_better_the_ratio_is_turned_around():
    row = beside("rate", "images/s", [6.0], "peer", [2.0], more_is_better=True)
    assert row.ratio.value == 3.0


def test_rounds_that_are_not_as_many_are_refused():
    with pytest.raises(ValueError):
        beside("step", "ms", [1.0, 2.0], "peer", [1.0])


@pytest.mark.parametrize(
    "row",
    [
        beside("step", "ms", [1.0, 2.0], "peer", [3.0, 4.0], note="of 3 M weights"),
        alone("peak", "GFLOP/s", [5.0]),
        missing("step", "ms", "peer", [1.0], "it is not installed."),
        missing("step", "ms", "peer", note="neither is ours."),
    ],
)
def test_a_row_comes_back_as_it_was_kept(row):
    assert from_json(to_json(row)) == row
