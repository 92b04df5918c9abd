"""LatentMap: a plane of two latent numbers to drag through, decoded beforehand on a grid.

    decoded      (G, G, h, w) uint8       decoded[i, j] = decode(z1[j], z2[i]), where
                                          z1 = linspace(x0, x1, G) and z2 = linspace(y0, y1, G)
    extent       (x0, x1, y0, y1)         the part of the plane that was decoded
    codes        (N, 2) float             encoded data, drawn as dots
    distances    (G, G) float             from each grid point to the nearest training code
    z1, z2       float, within extent     the chosen place

Shown is the grid point nearest to (z1, z2): the caption names the place that was decoded, not one between.
"""

from math import floor
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    Extent,
    require_equal,
    require_extent,
    require_images,
    require_labels,
    require_numbers,
)
from course_utils.widgets.base import CourseWidget, in_plane, module

SENTENCES = {
    "near": "z = ({z1}, {z2}): the nearest of the training codes is {distance} away.",
    "hole": "z = ({z1}, {z2}) lies in a hole: the nearest of the training codes is {distance} away.",
}
BACKGROUNDS = ("holes shaded", "decoded images", "nothing")
SIDE = 512  # pixels of a still's map


def grid_position(z: tuple[float, float], extent: Extent, size: int) -> tuple[int, int]:
    """(i, j) of the point nearest to z on a size x size grid over extent: i counts along z2, j along z1."""
    x0, x1, y0, y1 = extent
    up, right = (z[1] - y0) / (y1 - y0), (z[0] - x0) / (x1 - x0)
    return floor(up * (size - 1) + 0.5), floor(right * (size - 1) + 0.5)


def render(
    decoded: np.ndarray,
    extent: Extent,
    codes: np.ndarray,
    labels: np.ndarray,
    holes: np.ndarray,
    z: tuple[float, float],
) -> np.ndarray:
    """A still of the map with one place marked, and what was decoded there beside it: (H, W, 3) uint8.

    Args:
        decoded: (G, G, h, w) uint8.
        extent: (x0, x1, y0, y1).
        codes: (N, 2) float.
        labels: (N,) int, 0..9.
        holes: (G, G) bool, where the map is shaded.
        z: (z1, z2), within extent.
    """
    x0, x1, y0, y1 = extent
    size = len(decoded)
    card = pictures.Card(SIDE + 430, SIDE + 128)
    axes = card.axes(84, 16, SIDE, SIDE, xlabel="z1", ylabel="z2")
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.pcolormesh(
        np.linspace(x0, x1, size), np.linspace(y0, y1, size), holes, cmap="gray_r", vmin=0, vmax=8
    )
    axes.scatter(codes[:, 0], codes[:, 1], c=wording.colours(labels), s=5, linewidths=0)
    axes.plot(*z, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.5)
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
    wording.draw_classes(card, labels, 84, SIDE + 104)
    picture = pictures.enlarge(decoded[grid_position(z, extent, size)], (288, 288))
    card.image(picture, SIDE + 118, 16)
    card.text(SIDE + 118, 36 + len(picture), "decoded from the marked place")
    return card.pixels()


class LatentMap(CourseWidget):
    """A map of a two-dimensional latent space that shows what is decoded wherever the reader drags.

    Args:
        decoded: (G, G, h, w) uint8, G >= 2.
        extent: (x0, x1, y0, y1): the range of z1, then the range of z2.
        codes: (N, 2) float; those outside of extent are not drawn.
        labels: (N,) int, 0..9.
        distances: (G, G) float.
        title: heading of the widget.
        hole_distance: where the nearest training code is further away than this, there is a hole.
        z: (z1, z2) at the start.

    Raises:
        ValueError: decoded is no square grid of uint8 images, lengths or shapes differ, numbers are not
            finite, a label has no colour, or extent is empty.
        TraitError: z1 or z2 lies outside of extent, here or when it is assigned.
    """

    FAMILY = "latent_map"
    STATE = ("z1", "z2")
    _esm = module(FAMILY)

    z1 = traitlets.Float().tag(sync=True)
    z2 = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        decoded: ArrayLike,
        extent: Extent,
        codes: ArrayLike,
        labels: ArrayLike,
        distances: ArrayLike,
        *,
        title: str,
        hole_distance: float,
        z: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._decoded = _square_grid(decoded)
        self._extent = require_extent("LatentMap", extent)
        self._codes = require_numbers("LatentMap", "codes", codes, ("N", 2))
        self._labels = require_labels("LatentMap", labels)
        require_equal("LatentMap", "lengths", codes=len(self._codes), labels=len(self._labels))
        distance = require_numbers("LatentMap", "distances", distances, self._decoded.shape[:2])
        self._holes = distance > hole_distance
        tiles = self._decoded.reshape(-1, *self._decoded.shape[2:])
        sheet, layout = pictures.sheet(pictures.fewer_greys(tiles), columns=len(self._decoded))
        content = {
            "title": title,
            "tiles": layout,
            "distances": [f"{value:.2g}" for value in distance.ravel()],
            **self._axes(),
            **self._dots(),
            "inHole": self._holes.ravel().astype(int).tolist(),
            "sentences": SENTENCES,
            "backgrounds": BACKGROUNDS,
        }
        super().__init__(content, pictures.png(sheet), z1=z[0], z2=z[1])

    def _axes(self) -> dict[str, Any]:
        """What the browser needs to know of z1 and z2."""
        x0, x1, y0, y1 = self._extent
        size = len(self._decoded)
        axes = np.linspace(x0, x1, size), np.linspace(y0, y1, size)
        texts = wording.fixed(np.concatenate(axes), step=min(x1 - x0, y1 - y0) / (size - 1))
        return {
            "axes": [axis.tolist() for axis in axes],
            "axisTexts": [texts[:size], texts[size:]],
            "axisTicks": [wording.tick_texts(x0, x1), wording.tick_texts(y0, y1)],
            "aspect": min(1.2, max(0.7, (y1 - y0) / (x1 - x0))),
        }

    def _dots(self) -> dict[str, Any]:
        """Places and classes of the codes."""
        entries, positions = wording.classes(self._labels)
        return {
            "codes": in_plane(self._codes, self._extent),
            "classes": entries,
            "labels": positions,
        }

    @traitlets.validate("z1", "z2")
    def _within_extent(self, proposal: traitlets.Bunch) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = self._extent[:2] if name == "z1" else self._extent[2:]
        if not low <= value <= high:
            raise traitlets.TraitError(
                f"LatentMap: {name} must lie in {low:g}..{high:g}, got {value:g}; nothing was decoded beyond."
            )
        return value

    @property
    def caption(self) -> str:
        size = len(self._decoded)
        i, j = grid_position((self.z1, self.z2), self._extent, size)
        return SENTENCES["hole" if self._holes[i, j] else "near"].format(
            z1=self.content["axisTexts"][0][j],
            z2=self.content["axisTexts"][1][i],
            distance=self.content["distances"][i * size + j],
        )

    def still(self) -> np.ndarray:
        z = (self.z1, self.z2)
        return render(self._decoded, self._extent, self._codes, self._labels, self._holes, z)


def _square_grid(decoded: ArrayLike) -> np.ndarray:
    array = require_images("LatentMap", "decoded", decoded, "G G h w")
    if array.shape[0] != array.shape[1] or len(array) < 2:
        raise ValueError(
            f"LatentMap: decoded must lie on a square grid of 2 x 2 places or more, got shape {array.shape}; "
            "its first two axes run along z2 and z1."
        )
    return array
