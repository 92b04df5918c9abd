"""Generators of digits: the DCGAN of the chapter's table, and one half as wide that is told the class."""

import time

from torch import nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.dcgan import quality
from course_utils.checkpoints.recipes.dcgan.match import Match, start_anew
from course_utils.data import LabelledImages
from course_utils.dcgan import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Discriminator,
    RecordedGenerator,
)
from course_utils.runtime import profile
from course_utils.training import Card, load_checkpoint, seeded

STEPS = {"mnist": 2_500, "conditional": 4_000}
STOPS = (20, 50, 100, 150, 200, 300, 500, 800, 1_200, 1_800)  # and the last update
KEPT = 16
HISTORY_SAMPLES = 1_000
NZ, EMBEDDING, HALF = 32, 8, (128, 64)
HALF_JUDGE = (32, 64, 128)
DATA = "MNIST train, 60,000 images 28 x 28, [-1, 1]"
OBJECTIVE = "non-saturating; Adam 2e-4, betas (0.5, 0.999), falling in the second half"


def plain(
    train: LabelledImages, test: LabelledImages, report: Report, steps: int | None
) -> tuple[nn.Module, Card]:
    """The DCGAN, with what it drew from the same latents on the way."""
    steps = steps or STEPS["mnist"]
    stops = [*(stop for stop in STOPS if stop < steps), steps]
    with seeded(0):
        generator, discriminator = RecordedGenerator(stops, KEPT), Discriminator()
        start_anew(generator, discriminator)
    match = Match(generator, discriminator, train.images, train.labels)
    judge, history = load_checkpoint("classifier/mnist"), {}
    few = test.images[:: max(1, len(test) // HISTORY_SAMPLES)]
    start = time.perf_counter()
    for record in match.rounds(steps):
        report("mnist", record, steps)
        if record.step in stops:
            images = quality.sample(generator, len(few))
            generator.history[stops.index(record.step)] = images[:KEPT]
            history[str(record.step)] = quality.figures(judge, images, few)
    seconds = time.perf_counter() - start
    generator.cpu().eval()
    found = quality.figures(judge, quality.sample(generator, len(test)), test.images) | {
        "floor_training_images": quality.floor(judge, train, test.images),
        f"by_update_{len(few)}_samples": history,
    }
    architecture = {"class": "RecordedGenerator", "stops": stops, "count": KEPT}
    return generator, _card("mnist", architecture, steps, seconds, found)


def conditional(
    train: LabelledImages, test: LabelledImages, report: Report, steps: int | None
) -> tuple[nn.Module, Card]:
    """The generator that is told the class."""
    steps = steps or STEPS["conditional"]
    with seeded(0):
        generator = ConditionalGenerator(nz=NZ, embedding=EMBEDDING, channels=HALF)
        discriminator = ConditionalDiscriminator(channels=HALF_JUDGE)
        start_anew(generator, discriminator)
    match = Match(generator, discriminator, train.images, train.labels)
    start = time.perf_counter()
    for record in match.rounds(steps):
        report("conditional", record, steps)
    seconds = time.perf_counter() - start
    generator.cpu().eval()
    judge = load_checkpoint("classifier/mnist")
    images, labels = quality.sample_classes(generator, len(test))
    found = quality.figures(judge, images, test.images) | {
        "class_accuracy": quality.accuracy(judge, images, labels),
        "class_accuracy_test_images": quality.accuracy(judge, test.images, test.labels),
        "diversity_by_class": quality.diversity_by_class(images, labels),
        "diversity_by_class_test_images": quality.diversity_by_class(test.images, test.labels),
        "floor_training_images": quality.floor(judge, train, test.images),
    }
    architecture = {"class": "ConditionalGenerator", "nz": NZ, "embedding": EMBEDDING, "channels": HALF}
    return generator, _card("conditional", architecture, steps, seconds, found)


def _card(name: str, architecture: dict, steps: int, seconds: float, found: dict) -> Card:
    return Card(
        architecture=architecture,
        data=DATA,
        objective=OBJECTIVE,
        steps=steps,
        batch_size=Match.batch_size,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(found),
        command=f"course train dcgan --only {name}",
    )
