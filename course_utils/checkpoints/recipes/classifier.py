"""The course's judge of digits.

    mnist    DigitClassifier on all 60,000 training digits, batches of them shifted by up to two pixels

Quality: its accuracy on the 10,000 test images, and the Fréchet distances that its features give to images
whose quality is known: real ones (the floor), noisy ones, blurred ones, and noise alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.common import BATCH_SIZE, Report, fit, rounded
from course_utils.classifier import DigitClassifier, train_step
from course_utils.data import load
from course_utils.metrics import feature_distance
from course_utils.runtime import profile
from course_utils.training import Card, in_batches, seeded

NAMES = ("mnist",)
ALONE: dict[str, str] = {}
STEPS = 3_000
SHIFT = 2  # pixels


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    steps = steps or STEPS
    real = load("mnist", "train")
    images, labels = real.images.to(profile().device), real.labels.to(profile().device)
    generator = torch.Generator().manual_seed(0)
    with seeded(0):
        model = DigitClassifier().to(profile().device)

    def step(chosen: Tensor, optimizer: Optimizer) -> float:
        here = ranks.mine(chosen)
        return train_step(model, shifted(images[here], generator), labels[here], optimizer)

    seconds = fit(
        model,
        torch.arange(len(labels)),
        step,
        steps=steps,
        seed=0,
        report=lambda record: report(name, record, steps),
    )
    card = Card(
        architecture={"class": "DigitClassifier"},
        data="MNIST train, 60,000 images 28 x 28, [0, 1], shifted by up to 2 pixels",
        objective="cross-entropy, Adam 1e-3, cosine to 0",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(_quality(model)),
        command="course train classifier --only mnist",
    )
    return model, card


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch of images, moved by one random number of rows and columns; black comes in at the border."""
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    height, width = x.shape[2:]
    return F.pad(x, (SHIFT,) * 4)[:, :, down : down + height, right : right + width]


def _quality(model: DigitClassifier) -> dict:
    test, train = load("mnist", "test"), load("mnist", "train").images
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(test.images.shape, generator=generator)
    count = len(test)
    others = {
        f"{count:,} training images (the floor)": train[:count],
        "test images with noise, sigma 0.1": (test.images + 0.1 * noise).clamp(0, 1),
        "test images blurred, 3 x 3": F.avg_pool2d(test.images, 3, stride=1, padding=1),
        "noise, uniform in [0, 1)": torch.rand(test.images.shape, generator=generator),
    }
    correct = in_batches(lambda x: model(x).argmax(dim=1), test.images) == test.labels
    return {
        "test_accuracy": correct.double().mean().item(),
        f"frechet_to_{count}_test_images": {
            what: feature_distance(model.features, images, test.images) for what, images in others.items()
        },
    }
