"""Widgets that ask their kernel: stripes that take a while, and a small duel of two networks.

The tests run this file as the first cell of a notebook, and run it themselves to know what must be shown.
"""

import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_utils.gan import (
    PointDiscriminator,
    PointGenerator,
    discriminator_step,
    generator_step,
    ring_of_gaussians,
)
from course_utils.widgets import DuelTrainer, LiveScrubber, Run

computed = []  # the settings of each computation


def stripes(steps: int, width: float, direction: str) -> Run:
    """Frames whose ink grows; 9 of them are wider, and there is no way up. A file "hold" holds it up."""
    computed.append((steps, width, direction))
    while Path("hold").exists():
        time.sleep(0.02)
    if direction == "up":
        raise RuntimeError("first line\nthere is no way up")
    y, x = np.mgrid[0:24, 0 : 56 if steps == 9 else 48]
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * {"across": x, "down": y}[direction] / width)
    frames = np.stack([255 * waves * (k + 1) / steps for k in range(steps)]).astype(np.uint8)
    captions = [f"Step {k + 1} of {steps}, {width} pixels {direction}." for k in range(steps)]
    return Run(frames, list(range(1, steps + 1)), captions)


def offered() -> LiveScrubber:
    return LiveScrubber(
        stripes,
        {"steps": [3, 5, 9], "width": [4.0, 6.0, 8.5], "direction": ["across", "down", "up"]},
        title="Stripes of your own",
        label="step",
        unit="of all steps",
        start={"steps": 5},
        known=[{"width": 8.5}, {"steps": 3, "direction": "down"}],
    )


scrubber = offered()


@dataclass(frozen=True)
class View:
    real: torch.Tensor
    fake: torch.Tensor
    heat: torch.Tensor
    arrows: torch.Tensor
    extent: tuple[float, float, float, float]
    losses: list[tuple[float, float]]
    steps: tuple[int, int]


class TinyDuel:
    """Two networks and a ring of Gaussians in a plane; after a reset the same steps lead to the same view."""

    def __init__(self, hidden: int = 128, shown: int = 128, grid: int = 32):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = PointGenerator(hidden=hidden), PointDiscriminator(hidden)
        self.data, self.grid = ring_of_gaussians(), torch.linspace(-3, 3, grid)
        self.real, self.z = self.draw(shown, torch.Generator().manual_seed(1))
        self.reset()

    def draw(self, count, random):
        mode = torch.randint(8, (count,), generator=random)
        points = self.data.means[mode] + 0.1 * torch.randn(count, 2, generator=random)
        return points, torch.randn(count, 2, generator=random)

    def reset(self):
        self.random, self.losses, self.steps = torch.Generator().manual_seed(2), [], (0, 0)
        self.generator, self.discriminator = map(deepcopy, self.first)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))
            for net in (self.generator, self.discriminator)
        ]

    def discriminator_step(self):
        real, z = self.draw(128, self.random)
        loss = discriminator_step(self.generator, self.discriminator, real, z, self.optimizers[1])
        self.losses.append((loss, self.losses[-1][1] if self.losses else float("nan")))
        self.steps = self.steps[0] + 1, self.steps[1]

    def generator_step(self):
        _, z = self.draw(128, self.random)
        loss = generator_step(self.generator, self.discriminator, z, self.optimizers[0])
        self.losses.append((self.losses[-1][0] if self.losses else float("nan"), loss))
        self.steps = self.steps[0], self.steps[1] + 1

    def view(self):
        fake = self.generator(self.z).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(fake).sum(), fake)
        places = torch.cartesian_prod(self.grid, self.grid).flip(1)  # x moves fastest, rows go along y
        with torch.no_grad():
            heat = torch.sigmoid(self.discriminator(places)).view(2 * self.grid.shape)
        ends = (-3.0, 3.0, -3.0, 3.0)
        return View(self.real, fake.detach(), heat, 0.3 * slope, ends, list(self.losses), self.steps)


trainer = DuelTrainer(TinyDuel(), title="Two networks in turn", recorded=12)
