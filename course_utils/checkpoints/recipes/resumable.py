"""A training run that can be killed: started again, it goes on, draw for draw. Shared ones: see ranks."""

import copy
import io
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes import ranks
from course_utils.diffusion.unet import ema_update
from course_utils.runtime import profile
from course_utils.training import TrainStep, write_atomically

WARM_UP = 200  # updates
LEARNING_RATE = 5e-4
EMA_DECAY = 0.999
SAVE_EVERY = 50.0  # seconds
STATE = ("model", "average", "optimizer")


def state_file(family: str, name: str, steps: int) -> Path:
    """Where a run of so many steps keeps its state: in the working folder, until its recipe is over."""
    return Path("build") / f"{family}-{name}-{steps}.state"


class Resumable(ABC):
    """Training by Adam, learning rate rising at first and falling to 0 in the second half; with an average.

    Args:
        network: with its first weights, on the CPU; what is not frozen in it is trained in place.
        steps: updates in all.
        file: of the state, written about once a minute and when all is done.
        seed: of all that is drawn.
        learning_rate: the highest.
        ema_decay: of the average of the weights.
        clip: the longest gradient; a longer one is shortened to it.
    """

    def __init__(
        self,
        network: nn.Module,
        steps: int,
        file: Path,
        *,
        seed: int = 0,
        learning_rate: float = LEARNING_RATE,
        ema_decay: float = EMA_DECAY,
        clip: float = math.inf,
    ):
        self.device = profile().device
        self.model: Any = network.to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=learning_rate)
        self.learning_rate, self.ema_decay, self.clip = learning_rate, ema_decay, clip
        self.generator = torch.Generator().manual_seed(seed)
        self.steps, self.file, self.done, self.seconds = steps, file, 0, 0.0
        if file.is_file():
            self._restore()
        if ranks.mean(self.done) != self.done:
            raise ValueError(
                f"train: the processes found different states of {file}: they must share one working folder."
            )

    @abstractmethod
    def loss(self) -> Tensor:
        """Of the next batch, this process's part of it; everything random comes from self.generator."""

    def records(self) -> Iterator[TrainStep]:
        """Update until all steps are done."""
        start, written = time.perf_counter() - self.seconds, time.perf_counter()
        while self.done < self.steps:
            loss = self._update()
            self.done += 1
            now = time.perf_counter()
            self.seconds = now - start
            if ranks.is_first() and (now - written > SAVE_EVERY or self.done == self.steps):
                self._write()
                written = now
            yield TrainStep(self.done, loss)

    def trained(self, *, averaged: bool = True) -> nn.Module:
        """The network, ready for use on the CPU: the average of its weights, or those of the last update."""
        return (self.average if averaged else self.model).cpu().eval()

    def forget(self) -> None:
        """Remove the state: the recipe is over."""
        if ranks.is_first():
            self.file.unlink(missing_ok=True)

    def _update(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * min(
                1.0, (self.done + 1) / WARM_UP, 2 * (1 - self.done / self.steps)
            )
        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        ranks.average_gradients(self.model.parameters())
        if self.clip < math.inf:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        ema_update(self.average, self.model, min(self.ema_decay, (1 + self.done) / (10 + self.done)))
        return ranks.mean(loss.item())

    def _write(self) -> None:
        state = {part: getattr(self, part).state_dict() for part in STATE}
        state |= {"generator": self.generator.get_state(), "done": self.done, "seconds": self.seconds}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(self.file, content.getvalue())

    def _restore(self) -> None:
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        for part in STATE:
            getattr(self, part).load_state_dict(state[part])
        self.generator.set_state(state["generator"].cpu())
        self.done, self.seconds = state["done"], state["seconds"]
