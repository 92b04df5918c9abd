"""Translators between digits and their outlines, with the cycle and without it; no pair is ever seen.

The first half of the training images are the digits, the outlines of the second half are the outlines. For
test images the right answer is known, so it can be measured.
"""

import time
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.dcgan import quality
from course_utils.data import LabelledImages, batches
from course_utils.dcgan import Judges, PatchDiscriminator, Translators, outlined, translation_step
from course_utils.dcgan.translation import CYCLE_WEIGHT
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, in_batches, load_checkpoint, seeded

STEPS = 1_200
BATCH_SIZE = 32
LR, BETAS = 1e-3, (0.5, 0.999)


def make(
    train: LabelledImages, test: LabelledImages, report: Report, steps: int | None
) -> tuple[nn.Module, Card]:
    """Train both, release those with the cycle, and measure both."""
    steps, judge = steps or STEPS, load_checkpoint("classifier/mnist")
    start = time.perf_counter()
    pair = fit(train.images, CYCLE_WEIGHT, steps, "cycle", report)
    seconds = time.perf_counter() - start
    without = fit(train.images, 0.0, steps, "cycle: without it", report)
    card = Card(
        architecture={"class": "Translators"},
        data="MNIST train [-1, 1]: 30,000 digits, and the outlines of 30,000 others",
        objective=f"patches of {PatchDiscriminator().field} pixels, non-saturating; cycle's L1 times "
        f"{CYCLE_WEIGHT:g}; Adam {LR:g}, betas {BETAS}",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(
            {
                "with_cycle": measure(pair, judge, test),
                "without_cycle": measure(without, judge, test),
                "accuracy_test_images": quality.accuracy(judge, test.images, test.labels),
            }
        ),
        command="course train dcgan --only cycle",
    )
    return pair, card


def fit(images: Tensor, cycle_weight: float, steps: int, label: str, report: Report) -> Translators:
    """Translators trained on unpaired halves of the images."""
    device, draw = profile().device, torch.Generator().manual_seed(0)
    with seeded(0):
        pair = Translators().to(device)
        judges = Judges(PatchDiscriminator().to(device), PatchDiscriminator().to(device))
    judging = [*judges.x.parameters(), *judges.y.parameters()]
    adams = [torch.optim.Adam(weights, lr=LR, betas=BETAS) for weights in (pair.parameters(), judging)]
    halves = images.tensor_split(2)
    streams = [batches(half, BATCH_SIZE, generator=draw) for half in halves]
    for step, (x, y) in enumerate(islice(zip(*streams, strict=True), steps), start=1):
        x, y = x.to(device), outlined(y.to(device))
        loss = translation_step(pair, judges, x, y, (adams[0], adams[1]), cycle_weight)
        report(label, TrainStep(step, loss), steps)
    return pair.cpu().eval()


def measure(pair: Translators, judge: nn.Module, test: LabelledImages) -> dict[str, float]:
    """How far test images end from where they should, a pixel in [-1, 1]; and whether digits survive."""
    x, y = test.images, outlined(test.images)
    there, back = in_batches(pair.there, x), in_batches(pair.back, y)
    return {
        "outline_error_l1": F.l1_loss(there, y).item(),
        "digit_error_l1": F.l1_loss(back, x).item(),
        "cycle_error_l1": F.l1_loss(in_batches(pair.back, there), x).item(),
        "digit_accuracy": quality.accuracy(judge, back, test.labels),
        "blank_outline_error_l1": (y + 1).mean().item(),
        "blank_digit_error_l1": (x + 1).mean().item(),
    }
