"""Chapter 4's released models.

    mnist              no model, but pictures: what Generator drew on the way, 24 digits at each stop
    small              SmallGenerator, 64 numbers in a latent, in seconds what Generator is in minutes
    small-wrong-range  the same, trained on digits in [0, 1], which a tanh cannot mean
    ring               no model, but points: what generators made of a ring of 8 Gaussians, with each cure of
                       mode collapse; its card has the table over ten seeds

Quality of images is measured on 10,000 samples, by the classifier of digits.
"""

from torch import nn

from course_utils import gan
from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.gan import images, ring
from course_utils.checkpoints.recipes.gan.images import System, Training
from course_utils.data import load
from course_utils.runtime import profile
from course_utils.training import Card, SampleSheet


def _large() -> tuple[nn.Module, nn.Module]:
    return gan.Generator(100), gan.Discriminator()


def _small() -> tuple[nn.Module, nn.Module]:
    return gan.SmallGenerator(), gan.SmallDiscriminator()


SYSTEMS = {
    "mnist": System(_large, latent_dim=100, batch_size=128),
    "small": System(_small, latent_dim=64, batch_size=32),
    "small-wrong-range": System(_small, latent_dim=64, batch_size=32, value_range=(0.0, 1.0)),
}
STEPS = {"mnist": 8_000, "small": 20_000, "small-wrong-range": 20_000}
NAMES = (*SYSTEMS, "ring")
ALONE = dict.fromkeys(NAMES, "two networks take turns, each with draws of its own")


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    if name == "ring":
        return ring.make(report, steps)
    system, steps = SYSTEMS[name], steps or STEPS[name]
    x = load("mnist", "train", value_range=system.value_range).images
    real = load("mnist", "test").images[: images.AT_END]
    train = load("mnist", "train").images[: len(real)]
    done = images.fit_gan(system, x, real, steps, lambda record: report(name, record, steps))
    quality = images.measure(images.draw(done.generator, system, images.AT_END), real, train)
    low, high = system.value_range
    model, architecture = _released(name, done, system)
    card = Card(
        architecture=architecture,
        data=f"MNIST train, 60,000 images 28 x 28, [{low:g}, {high:g}]",
        objective="non-saturating loss, one step of each in turn, both Adam 2e-4, betas 0.5 and 0.999",
        steps=steps,
        batch_size=system.batch_size,
        seed=0,
        device=str(profile()),
        seconds=round(done.seconds),
        quality=rounded(quality | {"by_step": done.stops}),
        command=f"course train gan --only {name}",
    )
    return model, card


def _released(name: str, done: Training, system: System) -> tuple[nn.Module, dict]:
    """A small generator itself; of the large one, which is too large for that, the pictures."""
    if name != "mnist":
        return done.generator, {"class": "SmallGenerator", "latent_dim": system.latent_dim}
    sheet = SampleSheet.of(done.pictures)
    return sheet, {"class": "SampleSheet", "rows": list(sheet.rows), "count": images.KEPT, "size": 28}
