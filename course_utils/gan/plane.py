"""Toy data whose modes can be counted (notation in course_utils.gan)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from course_utils.denoising import GaussianMixture
from course_utils.validation import require_int


def ring_of_gaussians(modes: int = 8, radius: float = 2.0, std: float = 0.1) -> GaussianMixture:
    """Toy data in the plane: equally likely Gaussians at equal distances on a circle around the origin.

    Args:
        modes: int >= 1. Their centres are in the order of their angles; the first one is at (radius, 0).
        radius: float > 0.
        std: float > 0, of each Gaussian.

    Raises:
        ValueError: one of them is too small.
    """
    require_int("ring_of_gaussians", 1, modes=modes)
    if not radius > 0:
        raise ValueError(f"ring_of_gaussians: radius must be positive, got {radius}.")
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return GaussianMixture(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)


def optimal_discriminator_between(
    data: GaussianMixture, generator: GaussianMixture, points: Tensor
) -> Tensor:
    """(N,): D* at points (N, D) of the line or the plane, from logarithms of densities: right in the tails,
    where both densities round to 0.
    """
    return torch.sigmoid(data.log_density(points, 0.0) - generator.log_density(points, 0.0))


def nearest_mode(points: Tensor, data: GaussianMixture) -> Tensor:
    """(N,) int64: of points (N, 2), the Gaussian whose centre is nearest."""
    return torch.cdist(points, data.means).argmin(dim=1)


def good_points(points: Tensor, data: GaussianMixture) -> Tensor:
    """(N,) bool: of points (N, 2), those within 3 standard deviations of a centre, as 98.9% of data."""
    return torch.cdist(points, data.means).min(dim=1).values < 3 * data.std


class PointSheet(nn.Module):
    """Points that generators made which are not released themselves; stored like the weights of a model.

    Args:
        rows: whose points they are.
        stops: pictures a row, e.g. of the same generator at several times.
        count: points a picture.
    """

    points: Tensor  # (rows, stops, count, 2) float

    def __init__(self, rows: Sequence[str], stops: int, count: int):
        super().__init__()
        self.rows = tuple(rows)
        self.register_buffer("points", torch.zeros(len(self.rows), stops, count, 2))

    @classmethod
    def of(cls, points: Mapping[str, Tensor]) -> "PointSheet":
        """A sheet from rows of points, (stops, count, 2) each."""
        stacked = torch.stack(list(points.values()))
        sheet = cls(list(points), *stacked.shape[1:3])
        sheet.points.copy_(stacked)
        return sheet

    def __getitem__(self, row: str) -> Tensor:
        """(stops, count, 2)."""
        return self.points[self.rows.index(row)]
