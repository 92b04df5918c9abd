"""What retrains the released models: a module a chapter, with NAMES and make(name, report, steps).

ALONE names those that several processes cannot share, and why: see ranks.
tiny-sd is trained in stages: its make is told the folder where the earlier ones lie, and it writes by itself.
"""

from pathlib import Path
from types import ModuleType

from torch import nn

from course_utils.checkpoints.recipes import (
    autoencoders,
    classifier,
    dcgan,
    denoising,
    diffusion,
    gan,
    tiny_sd,
    vae,
)
from course_utils.checkpoints.recipes.common import Report
from course_utils.training import FOLDER, Card, save_checkpoint

CHAPTERS: dict[str, ModuleType] = {
    "classifier": classifier,
    "autoencoders": autoencoders,
    "denoising": denoising,
    "vae": vae,
    "gan": gan,
    "dcgan": dcgan,
    "diffusion": diffusion,
    tiny_sd.FAMILY: tiny_sd,
}


def train_released(
    chapter: str, name: str, report: Report, steps: int | None = None, folder: Path = FOLDER
) -> tuple[nn.Module, Card]:
    """Train one of a chapter's released models and measure it.

    Args:
        chapter: of CHAPTERS.
        name: of the NAMES of its module.
        report: called after every update, for progress.
        steps: instead of the recipe's number; the result is then not the released model.
        folder: where the earlier stages lie of what is trained in stages.

    Raises:
        ValueError: no such name.
    """
    recipes = CHAPTERS[chapter]
    if name not in recipes.NAMES:
        raise ValueError(f"train: no recipe {name!r} in chapter {chapter}, only: {', '.join(recipes.NAMES)}.")
    if recipes is tiny_sd:
        return tiny_sd.make(name, report, steps, folder)
    model, card = recipes.make(name, report, steps)
    return model, card


def save_released(chapter: str, name: str, model: nn.Module, card: Card, folder: Path = FOLDER) -> Path:
    """Write what train_released made; returns the file of the weights."""
    if CHAPTERS[chapter] is tiny_sd:
        return tiny_sd.write(name, model, card, folder)
    return save_checkpoint(f"{chapter}/{name}", model, card, folder)
