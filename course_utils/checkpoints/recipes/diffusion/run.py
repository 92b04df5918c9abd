"""A training run of a diffusion model that can be killed: started again, it goes on, draw for draw.

images    (N, C, H, W) float in [-1, 1]    what is learned
labels    (N,) int64                       their classes, for networks that are told
abar      (T,) float64                     the schedule, see course_utils.diffusion.schedules
"""

import copy
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.diffusion.forward import q_sample
from course_utils.diffusion.guidance import drop_labels
from course_utils.diffusion.unet import UNet, ema_update
from course_utils.runtime import profile
from course_utils.training import TrainStep, write_atomically

BATCH_SIZE = 64
LEARNING_RATE = 5e-4
WARM_UP = 200  # updates
EMA_DECAY = 0.999
HIDDEN_LABELS = 0.1
SAVE_EVERY = 50.0  # seconds
STATE = ("model", "average", "optimizer")


@dataclass(frozen=True)
class Task:
    """What is learned, by which network.

    Args:
        images, labels, abar: see the module.
        network: with its first weights, on the CPU; called as network(x_t, t), and with labels where it is a
            UNet with classes.
        seed: of all that is drawn.
    """

    images: Tensor
    labels: Tensor
    abar: Tensor
    network: nn.Module
    seed: int = 0


def state_file(name: str, steps: int) -> Path:
    """Where a run of so many steps keeps its state: in the working folder, until its recipe is over."""
    return Path("build") / f"diffusion-{name}-{steps}.state"


class Run:
    """Training by Adam, learning rate rising at first and falling to 0 in the second half; with an average.

    Args:
        task: see Task; its network is trained in place.
        steps: updates in all.
        file: of the state, written about once a minute and when all is done.
    """

    def __init__(self, task: Task, steps: int, file: Path):
        device = profile().device
        self.images, self.labels, self.abar = (x.to(device) for x in (task.images, task.labels, task.abar))
        self.model = task.network.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.told = isinstance(self.model, UNet) and self.model.classes is not None
        self.null_label = self.model.null_label if isinstance(self.model, UNet) else 0
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.generator = torch.Generator().manual_seed(task.seed)
        self.steps, self.file, self.done, self.seconds = steps, file, 0, 0.0
        if file.is_file():
            self._restore()

    def records(self) -> Iterator[TrainStep]:
        """Update until all steps are done."""
        start, written = time.perf_counter() - self.seconds, time.perf_counter()
        while self.done < self.steps:
            loss = self._update()
            self.done += 1
            now = time.perf_counter()
            self.seconds = now - start
            if now - written > SAVE_EVERY or self.done == self.steps:
                self._write()
                written = now
            yield TrainStep(self.done, loss)

    def trained(self, *, averaged: bool = True) -> nn.Module:
        """The network, ready for use on the CPU: the average of its weights, or those of the last update."""
        return (self.average if averaged else self.model).cpu().eval()

    def _update(self) -> float:
        chosen, t, noise, u = self._draw()
        x_t = q_sample(self.images[chosen], t, self.abar, noise)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(
                1.0, (self.done + 1) / WARM_UP, 2 * (1 - self.done / self.steps)
            )
        with profile().autocast():
            noise_pred = self.model(x_t, t, *self._told(chosen, u))
        loss = nn.functional.mse_loss(noise_pred.float(), noise)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        ema_update(self.average, self.model, min(EMA_DECAY, (1 + self.done) / (10 + self.done)))
        return loss.item()

    def _told(self, chosen: Tensor, u: Tensor) -> list[Tensor]:
        """The labels, some of them hidden, if the network is told any."""
        if not self.told:
            return []
        return [drop_labels(self.labels[chosen], HIDDEN_LABELS, u, self.null_label)]

    def _draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions of images, their levels, their noise, and numbers that decide which labels are hidden.

        The last are drawn even where no labels are told: all networks see the same images and the same noise.
        """
        device, size = self.images.device, (BATCH_SIZE,)
        chosen = torch.randint(len(self.images), size, generator=self.generator)
        t = torch.randint(len(self.abar), size, generator=self.generator)
        noise = torch.randn(*size, *self.images.shape[1:], generator=self.generator)
        u = torch.rand(size, generator=self.generator)
        return chosen.to(device), t.to(device), noise.to(device), u.to(device)

    def _write(self) -> None:
        state = {part: getattr(self, part).state_dict() for part in STATE}
        state |= {"generator": self.generator.get_state(), "done": self.done, "seconds": self.seconds}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(self.file, content.getvalue())

    def _restore(self) -> None:
        state = torch.load(self.file, map_location=self.images.device, weights_only=True)
        for part in STATE:
            getattr(self, part).load_state_dict(state[part])
        self.generator.set_state(state["generator"].cpu())
        self.done, self.seconds = state["done"], state["seconds"]
