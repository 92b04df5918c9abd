"""What a race is given: where it runs, how large, and whom it tells how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import torch

from benchmarks.timing import Progress

Budget = Literal["tiny", "quick", "full"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Setting:
    """See the module.

    Args:
        device: of the networks.
        threads: of torch on the CPU, and how many processes or workers a race may use.
        budget: "tiny" is for tests, and its figures mean nothing.
        minutes: of each training that is judged by what it reaches.
        progress: called before each measurement.
    """

    device: torch.device
    threads: int
    budget: Budget
    minutes: float
    progress: Progress

    def pick(self, *, tiny: Value, quick: Value, full: Value) -> Value:
        """The value of this budget."""
        return {"tiny": tiny, "quick": quick, "full": full}[self.budget]

    def autocast(self, dtype: torch.dtype | None) -> AbstractContextManager:
        """A context in which networks run in this precision; None is float32."""
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()


Say = Callable[[str], None]
