"""LatentWalk: its path passes every image, step by step; it refuses what is no grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from course_utils.widgets import pictures
from course_utils.widgets.latent_walk import ROOM, render, snake


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_path_passes_every_place_once_and_never_jumps(rows, columns):
    path = snake(rows, columns)
    assert sorted(path) == [(row, column) for row in range(rows) for column in range(columns)]
    steps = np.abs(np.diff(np.array(path), axis=0)).sum(axis=1)
    assert (steps == 1).all()


def test_the_caption_and_the_still_are_those_of_the_place(build, arguments):
    frames = arguments["LatentWalk"]["frames"]
    for row in range(3):
        for column in range(4):
            walk = build("LatentWalk", row=row, column=column)
            assert walk.caption == f"Row {row}, column {column}."
            enlarged = pictures.on_paper(pictures.enlarge(frames[row, column], ROOM))
            assert np.array_equal(walk.still()[16:-16, 16:-16], enlarged)


def test_colours_are_drawn_as_they_are():
    frames = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 6, 3), np.uint8)
    assert np.array_equal(render(frames, 1, 0)[16:-16, 16:-16], pictures.enlarge(frames[1, 0], ROOM))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": np.zeros((3, 4, 6, 5))}, r"LatentWalk: frames must be uint8 \(R, C, h, w\)"),
        ({"frames": np.zeros((3, 4, 6), np.uint8)}, r"frames must have the shape \(R, C, h, w\)"),
        ({"stops": ([0.0, 1.0], list("abcd"))}, "counts of rows must be equal, got frames 3, stops 2"),
        ({"stops": ([0.0, 0.5, 1.0], list("abc"))}, "counts of columns must be equal, got frames 4, stops 3"),
        ({"captions": [["x"] * 4] * 2}, "counts of rows must be equal, got frames 3, stops 3, captions 2"),
        ({"captions": [["x"] * 3] * 3}, "counts of columns must be equal, .*captions 3"),
        ({"labels": ("way", "way")}, "labels must differ, got 'way' twice"),
    ],
)
def test_it_refuses_what_does_not_fit(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build("LatentWalk", **changes)


@pytest.mark.parametrize(("name", "value", "last"), [("row", 3, 2), ("row", -1, 2), ("column", 4, 3)])
def test_places_outside_of_the_grid_are_refused_and_the_old_one_stays(build, name, value, last):
    walk = build("LatentWalk")
    before = getattr(walk, name)
    with pytest.raises(TraitError, match=rf"LatentWalk: {name} must lie in 0\.\.{last}, got {value}"):
        setattr(walk, name, value)
    assert getattr(walk, name) == before
