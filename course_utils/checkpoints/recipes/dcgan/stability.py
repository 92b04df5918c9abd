"""Which training survives a high learning rate: one small DCGAN, four discriminators, several seeds.

The generators are not kept. What those of the first seed drew in the end is: see training.SampleSheet.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.dcgan import quality
from course_utils.checkpoints.recipes.dcgan.match import Match, start_anew
from course_utils.data import LabelledImages, rescale
from course_utils.dcgan import Discriminator, Generator, add_spectral_norm
from course_utils.runtime import profile
from course_utils.training import Card, SampleSheet, TrainStep, load_checkpoint, seeded

STEPS, EVERY = 300, 50
RATES = (3e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2)
SAMPLES, KEPT = 500, 8
NZ, CHANNELS, JUDGE_CHANNELS = 32, (64, 32), (16, 32, 64)


@dataclass(frozen=True)
class Variant:
    """What the discriminator has; a critic has a gradient penalty."""

    batch_norm: bool = False
    spectral: bool = False
    critic: bool = False

    def match(self, rate: float, seed: int, train: LabelledImages) -> tuple[Generator, Match]:
        """A new generator, and how it is trained."""
        with seeded(seed):
            generator = Generator(NZ, CHANNELS)
            discriminator = Discriminator(JUDGE_CHANNELS, batch_norm=self.batch_norm)
            start_anew(generator, discriminator)
            if self.spectral:
                add_spectral_norm(discriminator)
        return generator, Match(
            generator,
            discriminator,
            train.images,
            train.labels,
            lr=rate,
            falling=False,
            seed=seed,
            critic=self.critic,
        )


VARIANTS = {
    "nothing": Variant(),
    "batch norm": Variant(batch_norm=True),
    "spectral norm": Variant(spectral=True),
    "gradient penalty": Variant(critic=True),
}


def make(
    train: LabelledImages, test: LabelledImages, report: Report, steps: int | None
) -> tuple[nn.Module, Card]:
    """Train every variant at every rate from every seed, and measure on the way."""
    steps, judge = steps or STEPS, load_checkpoint("classifier/mnist")
    real = test.images[:: max(1, len(test) // SAMPLES)]
    sheets, table, start = {}, {}, time.perf_counter()
    for name, variant in VARIANTS.items():
        for rate in RATES:
            runs, label = {}, f"{name}, {rate:g}"
            for seed in SEEDS:
                generator, match = variant.match(rate, seed, train)
                note = partial(report, f"stability: {label}, seed {seed}")
                runs[str(seed)] = _on_the_way(generator, match.rounds(steps), steps, note, judge, real)
                if seed == SEEDS[0]:
                    sheets[label] = rescale(quality.sample(generator, KEPT), (-1, 1), (0, 1))
            table[label] = runs
    seconds = time.perf_counter() - start
    card = Card(
        architecture={"class": "SampleSheet", "rows": list(sheets), "count": KEPT, "size": 28},
        data="MNIST train, 60,000 images 28 x 28, [-1, 1]",
        objective=f"Generator({NZ}, {CHANNELS}), Discriminator({JUDGE_CHANNELS}), Adam, betas (0.5, 0.999), "
        "constant rate; non-saturating, or WGAN-GP with one critic step",
        steps=steps,
        batch_size=Match.batch_size,
        seed=SEEDS[0],
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(
            {
                f"by_variant_rate_seed_and_update_{len(real)}_samples": table,
                "floor_training_images": quality.floor(judge, train, real),
            }
        ),
        command="course train dcgan --only stability",
    )
    return SampleSheet.of(sheets), card


def _on_the_way(
    generator: Generator,
    records: Iterator[TrainStep],
    steps: int,
    note: Callable[[TrainStep, int], None],
    judge: nn.Module,
    real: Tensor,
) -> dict[str, dict[str, float]]:
    """The figures of as many samples as there are real images, every EVERY updates and at the end."""
    found = {}
    for record in records:
        note(record, steps)
        if record.step % EVERY == 0 or record.step == steps:
            found[str(record.step)] = quality.figures(judge, quality.sample(generator, len(real)), real)
    return found
