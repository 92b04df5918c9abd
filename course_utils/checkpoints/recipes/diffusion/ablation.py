"""What each idea is worth: small networks, trained alike but for one thing, in the table of a card.

All see the same batches of MNIST with the same noise, for as many updates; all are sampled from the same x_T.
The networks are not kept. What each of them drew is: see training.SampleSheet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.diffusion import quality
from course_utils.checkpoints.recipes.diffusion.run import BATCH_SIZE, Run, Task
from course_utils.checkpoints.recipes.resumable import state_file
from course_utils.data import load
from course_utils.diffusion.forward import predict_x0
from course_utils.diffusion.samplers import CLEAN, Model, SampleStep, ddim_timesteps
from course_utils.diffusion.schedules import alphas_cumprod, cosine_beta_schedule
from course_utils.diffusion.unet import PlainUNet, UNet
from course_utils.runtime import profile
from course_utils.training import Card, SampleSheet, load_checkpoint, seeded

STEPS = 1_200
CHANNELS = (32, 64, 128)
TIMESTEPS = 1000
SAMPLES, KEPT = 1_000, 12
CLASSES = 10


class Timeless(nn.Module):
    """A UNet that hears t = 0 whatever the level is."""

    def __init__(self) -> None:
        super().__init__()
        self.network = UNet(1, CHANNELS)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.network(x_t, torch.zeros_like(t))


@dataclass(frozen=True)
class Variant:
    """One training."""

    network: Callable[[], nn.Module]
    max_beta: float = 0.999
    seed: int = 0

    def abar(self) -> Tensor:
        return alphas_cumprod(cosine_beta_schedule(TIMESTEPS, 0.008, self.max_beta))


SMALL = partial(UNet, 1, CHANNELS)
VARIANTS = {
    "complete": Variant(SMALL),
    "seed": Variant(SMALL, seed=1),
    "told": Variant(partial(SMALL, num_classes=CLASSES)),
    "timeless": Variant(Timeless),
    "clipped": Variant(SMALL, max_beta=0.02),
    "circulating": Variant(PlainUNet, max_beta=0.02),
}


@torch.no_grad()
def clamped_jumps(model: Model, x_T: Tensor, abar: Tensor) -> Iterator[SampleStep]:
    """The iteration in circulation: guess x_0, clamp it, and take it for x_{t-1} without noising it again."""
    x_t, visited = x_T, [*ddim_timesteps(len(abar), quality.SAMPLING_STEPS).tolist(), CLEAN]
    for t, t_prev in pairwise(visited):
        levels = torch.full((len(x_t),), t)
        x_t = predict_x0(x_t, levels, model(x_t, levels).to(x_t), abar).clamp(-1, 1)
        yield SampleStep(t_prev, x_t, x_t)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    variant: str
    averaged: bool = True
    sampler: Callable[[Model, Tensor, Tensor], Iterator[SampleStep]] = quality.by_ddim


ROWS = {
    "everything": Row("complete"),
    "everything, another seed": Row("seed"),
    "everything, and told the class": Row("told"),
    "weights not averaged": Row("complete", averaged=False),
    "network not told t": Row("timeless"),
    "schedule clipped at 0.02": Row("clipped"),
    "jump to x0 and clamp instead of a step": Row("complete", sampler=clamped_jumps),
    "plain network, not told t, clipped schedule": Row("circulating"),
    "the same, not averaged, jump and clamp": Row("circulating", averaged=False, sampler=clamped_jumps),
}


def make(report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train all VARIANTS and fill all ROWS, see train_released. A killed run goes on where it was."""
    steps = steps or STEPS
    data = load("mnist", "train", value_range=(-1, 1), size=32)
    runs = {}
    for name, variant in VARIANTS.items():
        with seeded(variant.seed):
            network = variant.network()
        task = Task(data.images, data.labels, variant.abar(), network, variant.seed)
        runs[name] = Run(task, steps, state_file("diffusion", f"ablation-{name}", steps))
        for record in runs[name].records():
            report(f"ablation: {name}", record, steps)
    drawn = {name: draw(runs[row.variant], VARIANTS[row.variant].abar(), row) for name, row in ROWS.items()}
    card = Card(
        architecture={"class": "SampleSheet", "rows": list(ROWS), "count": KEPT, "size": 28},
        data="MNIST train, 60,000 images padded to 32 x 32, [-1, 1]",
        objective="noise prediction, cosine schedule, T = 1000; Adam 5e-4, falling; EMA 0.999; "
        f"UNet{CHANNELS} or PlainUNet; DDIM of {quality.SAMPLING_STEPS} steps",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(sum(run.seconds for run in runs.values())),
        quality=rounded(table(drawn) | {"seconds": {name: run.seconds for name, run in runs.items()}}),
        command="course train diffusion --only ablation",
    )
    for run in runs.values():
        run.forget()
    return SampleSheet.of({name: images[:KEPT] for name, images in drawn.items()}), card


def draw(run: Run, abar: Tensor, row: Row) -> Tensor:
    """SAMPLES images for the judge, the classes in turn where the network is told any."""
    network, pieces = run.trained(averaged=row.averaged), []
    labels = torch.arange(SAMPLES) % CLASSES
    for x_T, asked in zip(quality.first_states(SAMPLES), labels.split(quality.PIECE), strict=True):
        model = partial(network, labels=asked) if run.told else network
        pieces.append(quality.for_the_judge(quality.last_state(row.sampler(model, x_T, abar))))
    return torch.cat(pieces)


def table(drawn: dict[str, Tensor]) -> dict:
    """The figures of each row, and the floor."""
    judge = load_checkpoint("classifier/mnist")
    real, train = load("mnist", "test").images[::10], load("mnist", "train").images[:SAMPLES]
    return {
        "rows": {name: quality.figures(judge, images, real) for name, images in drawn.items()},
        "floor_training_images": quality.figures(judge, train, real),
    }
