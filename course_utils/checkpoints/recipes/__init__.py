"""What retrains the released models: a module a chapter, with NAMES and make(name, report, steps)."""

from types import ModuleType

from torch import nn

from course_utils.checkpoints.recipes import autoencoders, classifier, dcgan, denoising, diffusion, gan, vae
from course_utils.checkpoints.recipes.common import Report
from course_utils.training import Card

CHAPTERS: dict[str, ModuleType] = {
    "classifier": classifier,
    "autoencoders": autoencoders,
    "denoising": denoising,
    "vae": vae,
    "gan": gan,
    "dcgan": dcgan,
    "diffusion": diffusion,
}


def train_released(
    chapter: str, name: str, report: Report, steps: int | None = None
) -> tuple[nn.Module, Card]:
    """Train one of a chapter's released models and measure it.

    Args:
        chapter: of CHAPTERS.
        name: of the NAMES of its module.
        report: called after every update, for progress.
        steps: instead of the recipe's number; the result is then not the released model.

    Raises:
        ValueError: no such name.
    """
    recipes = CHAPTERS[chapter]
    if name not in recipes.NAMES:
        raise ValueError(f"train: no recipe {name!r} in chapter {chapter}, only: {', '.join(recipes.NAMES)}.")
    model, card = recipes.make(name, report, steps)
    return model, card
