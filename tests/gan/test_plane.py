"""Modes of points in a plane, and points that are kept."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import gan

RING = gan.ring_of_gaussians()


@given(st.integers(0, 999))
def test_points_belong_to_the_gaussian_they_were_drawn_from(seed):
    random = torch.Generator().manual_seed(seed)
    chosen = torch.randint(8, (500,), generator=random)
    points = RING.sample(torch.randn(500, 2, generator=random), chosen)
    assert torch.equal(gan.nearest_mode(points, RING), chosen)


def test_real_points_are_good_in_the_share_of_a_normal_distribution():
    random = torch.Generator().manual_seed(0)
    chosen = torch.randint(8, (20_000,), generator=random)
    good = gan.good_points(RING.sample(torch.randn(20_000, 2, generator=random), chosen), RING)
    assert good.double().mean().item() == pytest.approx(0.989, abs=0.003)


def test_points_are_good_within_three_standard_deviations():
    near, far = torch.tensor([2.29, 0.0]), torch.tensor([2.31, 0.0])
    assert gan.good_points(torch.stack([near, far]), RING).tolist() == [True, False]


def test_a_sheet_keeps_points_by_name():
    rows = {"a": torch.zeros(3, 5, 2), "b": torch.ones(3, 5, 2)}
    sheet = gan.PointSheet.of(rows)
    assert sheet.rows == ("a", "b")
    assert all(torch.equal(sheet[name], points) for name, points in rows.items())
    empty = gan.PointSheet(["a", "b"], stops=3, count=5)
    empty.load_state_dict(sheet.state_dict())
    assert torch.equal(empty["b"], rows["b"])
