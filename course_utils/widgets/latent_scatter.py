"""LatentScatter: a cloud of dots, one an image; pointing at a dot shows its image, reconstruction and error.

    embeddings       {name: (N, 2) float}    the same N images, each time laid out in another plane
    images           (N, h, w) uint8         reconstructions alike
    errors           (N,) float              reconstruction error of each image
    labels           (N,) int                0..9, they choose the colours
    selected         int, 0..N-1             the image that is shown otherwise
    embedding        str                     name of the layout that is shown

Pointing at a dot shows it while the pointer is near; a click, the slider and the arrow keys select it.
"""

from collections.abc import Mapping

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import (
    require_equal,
    require_images,
    require_labels,
    require_name,
    require_numbers,
    require_position,
)
from course_utils.widgets.base import SPAN, CourseWidget, module

SENTENCE = "Image {image}, labelled {label}: error {error} {unit}, larger than {rank} of the errors here."
NAMES = ("image", "reconstruction")
SIDE = 512  # pixels of a still's square plot


def in_square(points: np.ndarray) -> np.ndarray:
    """Points moved, and scaled alike along both axes, to fill the unit square: (N, 2) float in [0, 1]."""
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (high - low).max() or 1.0  # a single dot has none
    return (points - (low + high) / 2) / extent + 0.5


def render(
    points: np.ndarray, images: np.ndarray, reconstructions: np.ndarray, labels: np.ndarray, selected: int
) -> np.ndarray:
    """A still of the cloud with one dot marked, its image and reconstruction beside it: (H, W, 3) uint8.

    Args:
        points: (N, 2) float.
        images, reconstructions: (N, h, w) uint8.
        labels: (N,) int, 0..9.
        selected: 0..N-1.
    """
    card = pictures.Card(SIDE + 600, SIDE + 76)
    axes = card.axes(16, 16, SIDE, SIDE, xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.spines[:].set_visible(True)
    x, y = in_square(points).T
    colours = wording.colours(labels)
    axes.scatter(x, y, c=colours, s=9, linewidths=0)
    axes.scatter(x[selected], y[selected], c=colours[selected], s=60, edgecolors="black", linewidths=1.5)
    wording.draw_classes(card, labels, 20, SIDE + 48)
    for name, stack, left in zip(NAMES, (images, reconstructions), (SIDE + 46, SIDE + 328), strict=True):
        picture = pictures.enlarge(stack[selected], (256, 256))
        card.image(picture, left, 16)
        card.text(left, 36 + len(picture), name)
    return card.pixels()


class LatentScatter(CourseWidget):
    """A cloud of encoded images to point at.

    Args:
        embeddings: name -> (N, 2) float, e.g. {"t-SNE": ..., "UMAP": ...}; the first is shown first.
        images: (N, h, w) uint8.
        reconstructions: (N, h, w) uint8.
        errors: (N,) float, in `error_unit`.
        labels: (N,) int, 0..9.
        title: heading of the widget.
        selected: the image that is shown first.
        error_unit: unit of the errors.

    Raises:
        ValueError: images are not uint8, lengths differ, numbers are not finite, or a label has no colour.
        TraitError: selected lies outside of 0..N-1 or embedding names none, here or when they are assigned.
    """

    FAMILY = "latent_scatter"
    STATE = ("selected", "embedding")
    _esm = module(FAMILY)

    selected = traitlets.Int().tag(sync=True)
    embedding = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        embeddings: Mapping[str, ArrayLike],
        images: ArrayLike,
        reconstructions: ArrayLike,
        errors: ArrayLike,
        labels: ArrayLike,
        *,
        title: str,
        selected: int = 0,
        error_unit: str = "MSE per pixel",
    ) -> None:
        name = "LatentScatter"
        self._images = require_images(name, "images", images, "N h w")
        self._reconstructions = require_images(name, "reconstructions", reconstructions, "N h w")
        require_equal(name, "shapes", images=self._images.shape, reconstructions=self._reconstructions.shape)
        values = require_numbers(name, "errors", errors, ("N",))
        self._labels = require_labels(name, labels)
        count = len(self._images)
        require_equal(name, "lengths", images=count, errors=len(values), labels=len(self._labels))
        self._embeddings = _planes(embeddings, count)
        pairs = np.concatenate([self._images, self._reconstructions])
        sheet, layout = pictures.sheet(pictures.fewer_greys(pairs))
        entries, positions = wording.classes(self._labels)
        content = {
            "title": title,
            "tiles": layout,
            "embeddings": {key: _places(points) for key, points in self._embeddings.items()},
            "classes": entries,
            "labels": positions,
            "errors": [f"{value:.3g}" for value in values],
            "ranks": _ranks(values),
            "unit": error_unit,
            "names": NAMES,
            "sentence": SENTENCE,
        }
        super().__init__(content, pictures.png(sheet), selected=selected, embedding=next(iter(embeddings)))

    @traitlets.validate("selected")
    def _within_images(self, proposal: traitlets.Bunch) -> int:
        return require_position("LatentScatter", "selected", proposal["value"], len(self._images))

    @traitlets.validate("embedding")
    def _known_embedding(self, proposal: traitlets.Bunch) -> str:
        return require_name("LatentScatter", "embedding", proposal["value"], self._embeddings)

    @property
    def caption(self) -> str:
        return SENTENCE.format(
            image=self.selected,
            label=self._labels[self.selected],
            error=self.content["errors"][self.selected],
            unit=self.content["unit"],
            rank=self.content["ranks"][self.selected],
        )

    def still(self) -> np.ndarray:
        points = self._embeddings[self.embedding]
        return render(points, self._images, self._reconstructions, self._labels, self.selected)


def _planes(embeddings: Mapping[str, ArrayLike], count: int) -> dict[str, np.ndarray]:
    if not embeddings:
        raise ValueError("LatentScatter: embeddings must name at least one layout, got none.")
    return {
        key: require_numbers("LatentScatter", f"embeddings[{key!r}]", points, (count, 2))
        for key, points in embeddings.items()
    }


def _places(points: np.ndarray) -> list[list[int]]:
    """x and y of all points as whole numbers 0..SPAN."""
    return (in_square(points) * SPAN).round().astype(int).T.tolist()


def _ranks(errors: np.ndarray) -> list[str]:
    """The share of all errors that each one exceeds."""
    return [f"{share:.0%}" for share in np.searchsorted(np.sort(errors), errors) / len(errors)]
