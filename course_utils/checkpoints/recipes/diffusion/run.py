"""A training run of a diffusion model of images.

images    (N, C, H, W) float in [-1, 1]    what is learned
labels    (N,) int64                       their classes, for networks that are told
abar      (T,) float64                     the schedule, see course_utils.diffusion.schedules
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.diffusion.forward import q_sample
from course_utils.diffusion.guidance import drop_labels
from course_utils.diffusion.unet import UNet
from course_utils.runtime import profile

BATCH_SIZE = 64
HIDDEN_LABELS = 0.1


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


class Run(Resumable):
    """See Resumable; task: see Task."""

    def __init__(self, task: Task, steps: int, file: Path):
        super().__init__(task.network, steps, file, seed=task.seed)
        self.images, self.labels, self.abar = (
            x.to(self.device) for x in (task.images, task.labels, task.abar)
        )
        self.told = isinstance(self.model, UNet) and self.model.classes is not None
        self.null_label = self.model.null_label if isinstance(self.model, UNet) else 0

    def loss(self) -> Tensor:
        chosen, t, noise, u = self._draw()
        x_t = q_sample(self.images[chosen], t, self.abar, noise)
        with profile().autocast():
            noise_pred = self.model(x_t, t, *self._told(chosen, u))
        return nn.functional.mse_loss(noise_pred.float(), noise)

    def _told(self, chosen: Tensor, u: Tensor) -> list[Tensor]:
        """The labels, some of them hidden, if the network is told any."""
        if not self.told:
            return []
        return [drop_labels(self.labels[chosen], HIDDEN_LABELS, u, self.null_label)]

    def _draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions of images, their levels, their noise, and numbers that decide which labels are hidden.

        Drawn for the whole batch; what comes back is this process's part. The last are drawn even where no
        labels are told: all networks see the same images and the same noise.
        """
        device, size = self.images.device, (BATCH_SIZE,)
        chosen = torch.randint(len(self.images), size, generator=self.generator)
        t = torch.randint(len(self.abar), size, generator=self.generator)
        noise = torch.randn(*size, *self.images.shape[1:], generator=self.generator)
        u = torch.rand(size, generator=self.generator)
        chosen, t, noise, u = (ranks.mine(x).to(device) for x in (chosen, t, noise, u))
        return chosen, t, noise, u
