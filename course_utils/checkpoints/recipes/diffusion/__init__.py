"""Chapters 7 and 8's released models.

    mnist       UNet that is told the class, 32 x 32 pixels, T = 1000, linear schedule; the weights are an
                exponential moving average. One label in ten is hidden, so that guidance is possible
    colour      the same, smaller, on digits painted in one colour each, of all hues
    sampling    no model, but tables: what steps, samplers and guidance do to the samples of mnist
    ablation    no model, but a table: what each idea costs that is left out, with what was drawn without it

A run that was killed goes on where it last wrote its state, at most a minute before: start it again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.diffusion import ablation, quality, sampling
from course_utils.checkpoints.recipes.diffusion.run import BATCH_SIZE, Run, Task
from course_utils.checkpoints.recipes.resumable import EMA_DECAY, state_file
from course_utils.data import load, rescale
from course_utils.data.colours import hue, paint
from course_utils.diffusion.guidance import guided
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.diffusion.unet import UNet
from course_utils.runtime import profile
from course_utils.training import Card, load_checkpoint, seeded

NAMES = ("mnist", "colour", "sampling", "ablation")
ALONE = {
    "sampling": "it trains nothing",
    "ablation": "one of its networks has BatchNorm, which looks at a whole batch",
}
TABLES = {"sampling": sampling.make, "ablation": ablation.make}
CLASSES = 10
TIMESTEPS = 1000
SAMPLES = 1_000
GUIDANCE_SCALES = (1.0, 2.0)


@dataclass(frozen=True)
class Recipe:
    """A released model: what it is, on what it is trained, for how long, and how it is measured."""

    architecture: dict
    images: Callable[[], Tensor]  # (60000, C, 32, 32) in [-1, 1], of the training digits
    data: str
    steps: int
    measure: Callable[[UNet], dict]


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    if name in TABLES:
        return TABLES[name](report, steps)
    recipe = RECIPES[name]
    steps = steps or recipe.steps
    run = Run(_task(recipe), steps, state_file("diffusion", name, steps))
    for record in run.records():
        report(name, record, steps)
    model = cast(UNet, run.trained())
    card = Card(
        architecture={"class": "UNet", **recipe.architecture},
        data=recipe.data,
        objective="noise prediction, linear schedule 1e-4 to 0.02, T = 1000; Adam 5e-4, falling; "
        f"EMA {EMA_DECAY}; one label in ten hidden",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(run.seconds),
        quality=rounded(recipe.measure(model)),
        command=f"course train diffusion --only {name}",
    )
    run.forget()
    return model, card


def _task(recipe: Recipe) -> Task:
    with seeded(0):
        network = UNet(**recipe.architecture)
    return Task(recipe.images(), load("mnist", "train").labels, _abar(), network)


def _abar() -> Tensor:
    return alphas_cumprod(linear_beta_schedule(TIMESTEPS, 1e-4, 0.02))


def grey_digits() -> Tensor:
    """The training digits."""
    return load("mnist", "train", value_range=(-1, 1), size=32).images


def painted_digits() -> Tensor:
    """The training digits, each in a colour of its own; always the same."""
    digits = load("mnist", "train", size=32).images
    hues = torch.rand(len(digits), generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    return rescale(paint(digits, hues), (0, 1), (-1, 1))


def sample(model: UNet, labels: Tensor, scale: float, eta: float = 0.0) -> Tensor:
    """Digits that the labels name, by DDIM: (B, C, 28, 28) in [0, 1], as the classifier wants them."""
    first, fresh = quality.first_states(len(labels), model.stem.in_channels), quality.fresh_noise()
    pieces = []
    for x_T, told in zip(first, labels.split(quality.PIECE), strict=True):
        predict = guided(model, told, scale, model.null_label) if scale != 1 else partial(model, labels=told)
        steps = quality.by_ddim(predict, x_T, _abar(), eta=eta, generator=fresh)
        pieces.append(quality.for_the_judge(quality.last_state(steps)))
    return torch.cat(pieces)


def measure(model: UNet) -> dict:
    """Distances and class accuracy of SAMPLES samples for each guidance scale, and the floor."""
    judge = load_checkpoint("classifier/mnist")
    real = load("mnist", "test").images[::10]
    labels = torch.arange(SAMPLES) % CLASSES
    by_scale = {}
    for scale in GUIDANCE_SCALES:
        images = sample(model, labels, scale)
        by_scale[f"{scale:g}"] = quality.figures(judge, images, real) | {
            "class_accuracy": quality.class_accuracy(judge, images, labels)
        }
    train = load("mnist", "train").images[:SAMPLES]
    return {"by_guidance_scale": by_scale, "floor_training_images": quality.figures(judge, train, real)}


def measure_painted(model: UNet) -> dict:
    """What measure says of the digits without their colour; and what the colours are. Drawn with eta = 1.

    hue_concentration is 1 where every digit has one colour; hue_imbalance, the length of the mean of all
    e^(i hue), is 0 where no hue is preferred.
    """
    judge = load_checkpoint("classifier/mnist")
    real = load("mnist", "test").images[::10]
    labels = torch.arange(SAMPLES) % CLASSES
    by_scale = {}
    for scale in GUIDANCE_SCALES:
        rgb = sample(model, labels, scale, eta=1.0)
        digits, (hues, concentration) = (2 * rgb.mean(dim=1, keepdim=True)).clamp(0, 1), hue(rgb)
        by_scale[f"{scale:g}"] = quality.figures(judge, digits, real) | {
            "class_accuracy": quality.class_accuracy(judge, digits, labels),
            "hue_concentration": concentration.mean().item(),
            "hue_imbalance": torch.exp(1j * hues).mean().abs().item(),
        }
    train = load("mnist", "train").images[:SAMPLES]
    return {"by_guidance_scale": by_scale, "floor_training_images": quality.figures(judge, train, real)}


RECIPES = {
    "mnist": Recipe(
        {"num_classes": CLASSES},
        grey_digits,
        "MNIST train, 60,000 images padded to 32 x 32, [-1, 1]",
        3_000,
        measure,
    ),
    "colour": Recipe(
        {"image_channels": 3, "channels": (24, 48, 96), "num_classes": CLASSES},
        painted_digits,
        "MNIST train, 60,000 images padded to 32 x 32, each painted in a random hue, [-1, 1]",
        3_000,
        measure_painted,
    ),
}
