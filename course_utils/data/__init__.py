"""The course's data: real, packed inside the package, usable without a network.

images        (N, 1, size, size) float32, in the value range that the caller names
labels        (N,) int64
value_range   (low, high): what black and white become; declared by the caller, never guessed from the data
"""

from course_utils.data.images import LabelledImages, batches, load
from course_utils.data.ranges import rescale, to_float, to_uint8

__all__ = ["LabelledImages", "batches", "load", "rescale", "to_float", "to_uint8"]
