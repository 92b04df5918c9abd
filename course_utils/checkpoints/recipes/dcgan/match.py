"""Two networks trained against each other, as a stream of records.

images    (N, 1, 28, 28) float in [-1, 1]    what is real
labels    (N,) int64                         told to both networks, where they are conditional
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from course_utils.data import batches
from course_utils.dcgan import (
    ConditionalGenerator,
    Generator,
    Told,
    init_weights,
)
from course_utils.gan import critic_generator_step, critic_step, discriminator_step, generator_step
from course_utils.runtime import profile
from course_utils.training import TrainStep

BETAS = (0.5, 0.999)


@dataclass(frozen=True)
class Match:
    """What is trained, on what, and how.

    Args:
        generator, discriminator: on the profile's device, trained in place.
        images, labels: see the module.
        batch_size: images a step.
        lr: of Adam, both networks'.
        falling: the rate falls evenly to 0 in the second half of the training.
        seed: of all that is drawn.
        critic: the discriminator is a critic, with the losses of WGAN-GP.
    """

    generator: Generator | ConditionalGenerator
    discriminator: nn.Module
    images: Tensor
    labels: Tensor
    batch_size: int = 64
    lr: float = 2e-4
    falling: bool = True
    seed: int = 0
    critic: bool = False

    def rounds(self, steps: int) -> Iterator[TrainStep]:
        """Both networks in turn, the discriminator first; the loss of a record is the discriminator's."""
        draw, device = torch.Generator().manual_seed(self.seed), profile().device
        networks = (self.discriminator, self.generator)
        adams = [torch.optim.Adam(network.parameters(), lr=self.lr, betas=BETAS) for network in networks]
        positions = batches(torch.arange(len(self.images)), self.batch_size, generator=draw)
        for done, chosen in enumerate(islice(positions, steps)):
            for adam in adams:
                adam.param_groups[0]["lr"] = self.lr * (
                    min(1.0, 2 * (1 - done / steps)) if self.falling else 1
                )
            z = torch.randn(2, len(chosen), self.generator.nz, generator=draw).to(device)
            mix = torch.rand(len(chosen), 1, 1, 1, generator=draw).to(device)
            yield TrainStep(done + 1, self._round(chosen, z, mix, adams))

    def _round(self, chosen: Tensor, z: Tensor, mix: Tensor, adams: list[torch.optim.Adam]) -> float:
        real, labels = (x[chosen].to(z.device) for x in (self.images, self.labels))
        discriminator, generator = (self._ready(one, labels) for one in (self.discriminator, self.generator))
        if self.critic:
            loss = critic_step(generator, discriminator, real, z[0], mix, adams[0])
            critic_generator_step(generator, discriminator, z[1], adams[1])
        else:
            loss = discriminator_step(generator, discriminator, real, z[0], adams[0])
            generator_step(generator, discriminator, z[1], adams[1])
        return loss

    def _ready(self, network: nn.Module, labels: Tensor) -> nn.Module:
        """The network as the steps call it: in the profile's precision, and told the labels if need be."""
        conditional = isinstance(self.generator, ConditionalGenerator)
        return InProfile(Told(network, labels) if conditional else network)


def start_anew(*networks: nn.Module) -> None:
    """First weights of a DCGAN, and off to the profile's device."""
    for network in networks:
        network.apply(init_weights).to(profile().device)


class InProfile(nn.Module):
    """A network computed in the profile's precision; what it returns, and so every loss, is float32."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with profile().autocast():
            result: Tensor = self.network(x)
        return result.float()
