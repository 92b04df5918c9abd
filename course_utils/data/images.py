"""Labelled images: loading, selecting, batching (notation in course_utils.data)."""

import difflib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from course_utils.data import files
from course_utils.data.ranges import ValueRange, to_float
from course_utils.validation import require_int

SOURCES = {"mnist": files.MNIST}
SPLITS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}


@dataclass(frozen=True)
class LabelledImages:
    images: Tensor  # (N, 1, H, W) float32 in value_range
    labels: Tensor  # (N,) int64
    value_range: ValueRange

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "LabelledImages":
        """The chosen examples: a slice, a mask or a tensor of positions."""
        return LabelledImages(self.images[index], self.labels[index], self.value_range)

    def of_class(self, *classes: int) -> "LabelledImages":
        """Only the examples that bear one of these labels."""
        return self[torch.isin(self.labels, torch.tensor(classes))]

    def balanced(self, per_class: int) -> "LabelledImages":
        """The first `per_class` examples of each class, class by class."""
        return self[torch.cat([(self.labels == k).nonzero()[:per_class, 0] for k in self.labels.unique()])]


def load(
    name: str, split: str = "train", value_range: ValueRange = (0.0, 1.0), size: int = 28
) -> LabelledImages:
    """A data set of the course, from COURSE_DATA_DIR or from inside the package; nothing is downloaded.

    Args:
        name: "mnist": 60,000 + 10,000 handwritten digits.
        split: "train", "test", or "all" (train first).
        value_range: (low, high) of the result: black and white.
        size: side in pixels; images of 28 x 28 grow by a black frame, they are not resampled.

    Raises:
        ValueError: unknown name or split, size below the data's.
        FileNotFoundError, CorruptDataError: see course_utils.data.files.
    """
    _require_choice("name", name, SOURCES)
    _require_choice("split", split, SPLITS)
    require_int("load", 28, size=size)
    parts = [_decode(os.environ.get(files.ENVIRONMENT), name, part) for part in SPLITS[split]]
    before = (size - 28) // 2
    after = size - 28 - before
    pixels = F.pad(torch.cat([images for images, _ in parts]), (before, after, before, after))
    return LabelledImages(
        to_float(pixels, value_range), torch.cat([labels for _, labels in parts]), value_range
    )


def batches(x: Tensor, batch_size: int, *, generator: Generator) -> Iterator[Tensor]:
    """Shuffled batches without end: every example once an epoch, the last batch of an epoch may be smaller.

    Args:
        x: (N, ...) any dtype.
        generator: on the CPU; decides the order.

    Yields:
        (B, ...) with B = batch_size, or what is left of the epoch.
    """
    require_int("batches", 1, batch_size=batch_size)
    if not len(x):
        raise ValueError(
            "batches: x holds no example. A class may have been selected that is not in the data."
        )
    while True:
        yield from (x[chosen] for chosen in torch.randperm(len(x), generator=generator).split(batch_size))


@functools.lru_cache(maxsize=4)
def _decode(shared_folder: str | None, name: str, split: str) -> tuple[Tensor, Tensor]:
    """uint8 images (N, 1, 28, 28) and labels (N,), decoded once for each place they may come from."""
    source = SOURCES[name]
    images, labels = (_idx(files.read(source, source.files[split, kind])) for kind in ("images", "labels"))
    return images.unsqueeze(1), labels.long()


def _idx(content: bytes) -> Tensor:
    """An IDX file as a uint8 tensor: two zero bytes, type, dimensions, big-endian sizes, then the values."""
    dims = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=dims, offset=4)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dims)
    return torch.from_numpy(values.reshape(tuple(shape)).copy())


def _require_choice(what: str, value: str, choices: dict) -> None:
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"load: {what} must be one of {', '.join(choices)}, got {value!r}.{meant}")
