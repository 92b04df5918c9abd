"""How far images are from MNIST's test images, as the classifier that the course ships sees them.

images    (N, 1, 28, 28) float in [0, 1]
"""

from torch import Tensor

from course_utils.data import load
from course_utils.metrics import feature_gaussian, frechet_distance
from course_utils.training import load_checkpoint


class Judge:
    """Fréchet distances to the first `count` test images, whose features are computed once."""

    def __init__(self, count: int):
        self.features = load_checkpoint("classifier/mnist").get_submodule("features")
        self.real = feature_gaussian(self.features, load("mnist", "test").images[:count])

    def distance(self, images: Tensor) -> float:
        return frechet_distance(*feature_gaussian(self.features, images), *self.real)

    def floor(self, count: int) -> float:
        """The distance of so many training images."""
        return self.distance(load("mnist", "train").images[:count])
