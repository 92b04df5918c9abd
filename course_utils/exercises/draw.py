"""Random draws for cases.

seed    int, any; two draws with one seed are equal
shape   sizes of a tensor
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Option = TypeVar("Option")


class Draw:
    """A stream of random numbers of its own.

    Args:
        seed: any number or text.
    """

    def __init__(self, seed: int | str):
        self._numbers = np.random.default_rng(stable_hash(str(seed)))

    def integer(self, low: int, high: int) -> int:
        """low <= result <= high."""
        return int(self._numbers.integers(low, high, endpoint=True))

    def real(self, low: float, high: float) -> float:
        """low <= result < high."""
        return float(self._numbers.uniform(low, high))

    def pick(self, options: Sequence[Option]) -> Option:
        """One of them."""
        return options[self.integer(0, len(options) - 1)]

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal."""
        return torch.from_numpy(self._numbers.standard_normal(shape)).to(dtype)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """In [0, 1): images."""
        return torch.from_numpy(self._numbers.uniform(size=shape)).to(dtype)

    def shuffled(self, x: Tensor) -> Tensor:
        """The rows of x in another order."""
        return x[torch.from_numpy(self._numbers.permutation(len(x)))]


def stable_hash(text: str) -> int:
    """A number below 2^63 that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
