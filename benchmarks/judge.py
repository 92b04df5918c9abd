"""How far images are from MNIST's test images, as the classifier that the course ships sees them.

images    (N, 1, 28, 28) float in [0, 1]
"""

import torch
from torch import Tensor

from course_utils.data import load
from course_utils.metrics import frechet_distance
from course_utils.training import in_batches, load_checkpoint


class Judge:
    """Fréchet distances to the first `count` test images, whose features are computed once."""

    def __init__(self, count: int):
        self.features = load_checkpoint("classifier/mnist").get_submodule("features")
        self.real = self._moments(load("mnist", "test").images[:count])

    def distance(self, images: Tensor) -> float:
        return frechet_distance(*self._moments(images), *self.real)

    def floor(self, count: int) -> float:
        """The distance of so many training images."""
        return self.distance(load("mnist", "train").images[:count])

    def _moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        seen = in_batches(self.features, images).to(torch.float64)
        return seen.mean(dim=0), seen.T.cov()
