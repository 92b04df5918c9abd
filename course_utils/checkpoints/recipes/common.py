"""What the recipes share: one training run, and figures as a card shows them."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checkpoints.recipes import ranks
from course_utils.data import batches
from course_utils.runtime import profile
from course_utils.training import TrainStep, train

BATCH_SIZE = 128

Report = Callable[
    [str, TrainStep, int], None
]  # what is being trained, where it stands, how many steps in all


def fit(
    model: nn.Module,
    x: Tensor,
    step: Callable[[Tensor, Optimizer], float],
    *,
    steps: int,
    seed: int,
    report: Callable[[TrainStep], None],
    lr: float = 1e-3,
    falling: bool = True,
) -> float:
    """Train by Adam on batches of 128.

    Args:
        model: on the profile's device; afterwards in evaluation mode on the CPU.
        x: (N, ...), what batches are taken from: images, or positions of examples.
        step: step(batch, optimizer) makes one update and returns its loss. It is given the whole batch,
            draws for all of it, and learns from ranks.mine of it.
        seed: of the order of the examples.
        report: called after every update.
        lr: learning rate at the start.
        falling: it falls to 0 along a cosine; else it stays.

    Returns:
        wall-clock of the loop, seconds.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    ranks.average_before(optimizer)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

    def update(batch: Tensor) -> float:
        loss = ranks.mean(step(batch, optimizer))
        if falling:
            schedule.step()
        return loss

    stream = batches(x.to(profile().device), BATCH_SIZE, generator=torch.Generator().manual_seed(seed))
    start = time.perf_counter()
    for record in train(update, stream, steps):
        report(record)
    seconds = time.perf_counter() - start
    model.cpu().eval()
    return seconds


def rounded(quality: dict) -> dict:
    """Measured figures to five significant digits, at any depth."""
    return {
        key: rounded(value) if isinstance(value, dict) else _significant(value)
        for key, value in quality.items()
    }


def _significant(value: float, digits: int = 5) -> float:
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        raise ValueError(f"train: a measured figure is {value}. Did the training diverge?")
    return round(value, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0.0
