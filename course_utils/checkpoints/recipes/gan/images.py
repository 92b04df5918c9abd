"""Digits by multilayer perceptrons: the trainings, what is kept of them, and how good they are.

x        (N, 1, 28, 28) float    real digits, in the range that a recipe names
fakes    (N, 1, 28, 28) float    in [-1, 1]; whoever judges them wants [0, 1]
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from course_utils import gan
from course_utils.data import batches, rescale
from course_utils.data.ranges import ValueRange
from course_utils.metrics import feature_distance
from course_utils.runtime import profile
from course_utils.training import TrainStep, in_batches, load_checkpoint, seeded

LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)
STOPS = (
    0,
    50,
    100,
    200,
    300,
    450,
    600,
    800,
    1_000,
    1_300,
    1_600,
    2_000,
    4_000,
    6_000,
)  # updates, where a picture is taken
KEPT = 24  # images a picture
AT_STOPS, AT_END = 2_000, 10_000  # samples behind a figure
CLASSES = 10


@dataclass(frozen=True)
class System:
    """A pair of networks and how it is trained.

    Args:
        networks: makes generator and discriminator.
        batch_size: real images and fakes in a batch, each.
        value_range: of the real images. The generators end in a tanh: (-1, 1) is right, (0, 1) the bug.
    """

    networks: Callable[[], tuple[nn.Module, nn.Module]]
    latent_dim: int
    batch_size: int
    value_range: ValueRange = (-1.0, 1.0)


@dataclass(frozen=True)
class Training:
    """What a training leaves behind."""

    generator: nn.Module
    pictures: dict[str, Tensor]  # of each stop: (KEPT, 1, 28, 28) in [0, 1]
    stops: dict[str, dict[str, float]]  # of each stop: what the players think, and the distance
    seconds: float


def fit_gan(
    system: System, x: Tensor, real: Tensor, steps: int, report: Callable[[TrainStep], None]
) -> Training:
    """Train both in turn.

    Args:
        x: real images in system.value_range.
        real: test images in [0, 1], which distances are to.
        steps: updates of each.
        report: called after every update, with the discriminator's loss.
    """
    with seeded(0):  # also for dropout, which draws from torch's global stream
        return _fit(system, x, real, steps, report)


def _fit(
    system: System, x: Tensor, real: Tensor, steps: int, report: Callable[[TrainStep], None]
) -> Training:
    device, random = profile().device, Generator().manual_seed(0)
    generator, discriminator = (network.to(device) for network in system.networks())
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=BETAS)
        for network in (discriminator, generator)
    ]

    def z(count: int) -> Tensor:
        return torch.randn(count, system.latent_dim, generator=random).to(device)

    stream = batches(x.to(device), system.batch_size, generator=Generator().manual_seed(0))
    pictures, stops, seconds = {}, {}, 0.0
    for step in range(steps + 1):
        batch = next(stream)
        if step in STOPS or step == steps:
            with torch.random.fork_rng(devices=[]):  # looking must not change what dropout draws
                pictures[str(step)] = draw(generator, system, KEPT)
                stops[str(step)] = opinions(generator, discriminator, batch, system) | {
                    "frechet": distance(draw(generator, system, AT_STOPS), real[:AT_STOPS])
                }
        if step == steps:
            break
        start = time.perf_counter()
        d_loss = gan.discriminator_step(generator, discriminator, batch, z(len(batch)), optimizers[0])
        gan.generator_step(generator, discriminator, z(len(batch)), optimizers[1])
        seconds += time.perf_counter() - start
        report(TrainStep(step + 1, d_loss))
    return Training(generator.cpu().eval(), pictures, stops, seconds)


def draw(generator: nn.Module, system: System, count: int) -> Tensor:
    """As the judge wants them, (count, 1, 28, 28) in [0, 1] on the CPU; always from the same z.

    What the data's range does not hold is cut off.
    """
    device = next(generator.parameters()).device
    z = torch.randn(count, system.latent_dim, generator=Generator().manual_seed(1))
    training = generator.training
    generator.eval()
    fakes = in_batches(generator, z.to(device))
    generator.train(training)
    return rescale(fakes, system.value_range, (0, 1)).clamp(0, 1)


@torch.no_grad()
def opinions(generator: nn.Module, discriminator: nn.Module, x: Tensor, system: System) -> dict[str, float]:
    """D's mean probability of "real" for a batch of real images, and for as many fakes."""
    z = torch.randn(len(x), system.latent_dim, generator=Generator().manual_seed(2)).to(x.device)
    for network in (generator, discriminator):
        network.eval()  # neither dropout nor BatchNorm may notice
    found = {
        "d_of_real": discriminator(x).sigmoid().mean().item(),
        "d_of_fake": discriminator(generator(z)).sigmoid().mean().item(),
    }
    for network in (generator, discriminator):
        network.train()
    return found


def distance(images: Tensor, real: Tensor) -> float:
    """Fréchet distance on the features of the classifier of digits; both in [0, 1]."""
    judge = load_checkpoint("classifier/mnist")
    return feature_distance(judge.get_submodule("features"), images, real)


def measure(images: Tensor, real: Tensor, train: Tensor) -> dict:
    """What the judge says of images, with real ones beside them; all (N, 1, 28, 28) in [0, 1]."""
    judge = load_checkpoint("classifier/mnist")
    figures: dict = {
        "frechet": distance(images, real),
        "frechet_floor_training_images": distance(train, real),
    }
    for name, some in (("samples", images), ("test_images", real)):
        probabilities = in_batches(lambda x: judge(x).softmax(dim=1), some)
        read = probabilities.argmax(dim=1)
        figures[name] = {
            "effective_modes": gan.effective_modes(read, CLASSES),
            "share_of_each_digit": {str(k): (read == k).double().mean().item() for k in range(CLASSES)},
            "judge_sure": (probabilities.amax(dim=1) > 0.9).double().mean().item(),
            "neither_paper_nor_ink": ((some > 0.1) & (some < 0.9)).double().mean().item(),
        }
    return figures
