"""Chapter 5's released models.

    mnist          the DCGAN of the chapter's table, with images drawn from the same latents while it trained
    conditional    a DCGAN of half the width that is told the class
    cycle          translators between digits and their outlines, which never see a pair
    stability      no model, but a table: four discriminators at rising learning rates, over seeds, with what
                   was drawn in the end

Quality is measured against all 10,000 test images, unless the figure names another number.
"""

from collections.abc import Callable

from torch import nn

from course_utils.checkpoints.recipes.common import Report
from course_utils.checkpoints.recipes.dcgan import cycle, digits, stability
from course_utils.data import LabelledImages, load
from course_utils.training import Card

Maker = Callable[[LabelledImages, LabelledImages, Report, int | None], tuple[nn.Module, Card]]

MAKERS: dict[str, Maker] = {
    "mnist": digits.plain,
    "conditional": digits.conditional,
    "cycle": cycle.make,
    "stability": stability.make,
}
NAMES = tuple(MAKERS)
ALONE = dict.fromkeys(NAMES, "two networks take turns, and BatchNorm looks at a whole batch")


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES on MNIST and measure it, see train_released."""
    train, test = (load("mnist", split, value_range=(-1, 1)) for split in ("train", "test"))
    return MAKERS[name](train, test, report, steps)
