"""Tiny trainings of every recipe that processes can share: run by test_ranks.py, alone and under torchrun.

    python shared.py OUT

Each process writes OUT/<rank>/<chapter>-<name>.pt: the losses of all updates, and the weights at the end.
"""

import os
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import torch

from course_utils import cli, training
from course_utils.checkpoints import command
from course_utils.checkpoints.recipes import (
    CHAPTERS,
    autoencoders,
    classifier,
    common,
    denoising,
    diffusion,
    ranks,
    resumable,
    vae,
)
from course_utils.checkpoints.recipes.diffusion import run as diffusion_run
from course_utils.checkpoints.recipes.tiny_sd import autoencoder, edges, quality, text_to_image
from course_utils.data import load

STEPS, KILLED_AT = 4, 2
SHARED = {
    "autoencoders": ["latent-4"],
    "classifier": ["mnist"],
    "denoising": ["conv-any", "squares"],
    "vae": ["beta-4"],
    "diffusion": ["mnist", "colour"],
    "tiny-sd": ["autoencoder", "text-to-image", "edges"],
}
SIZES = [
    (common, {"BATCH_SIZE": 4}),
    (diffusion_run, {"BATCH_SIZE": 4}),
    (autoencoder, {"BATCH_SIZE": 4}),
    (text_to_image, {"BATCH_SIZE": 4, "POOL": 12}),
    (edges, {"BATCH_SIZE": 4, "POOL": 12}),
    (quality, {"SEEN": 4, "UNSEEN": 2, "STEPS": 2}),
    (resumable, {"WARM_UP": 1, "SAVE_EVERY": 0.0}),
]


class Killed(Exception):
    """Instead of a signal."""


@cache
def few(name, split, value_range=(0, 1), size=28):
    """Twenty digits of each class."""
    return load(name, "test", value_range=value_range, size=size).balanced(20)


def shrink(patched) -> None:
    """Few images, small batches, and no figures of quality."""
    for module, values in SIZES:
        for name, value in values.items():
            patched(patch.object(module, name, value))
    for module in (autoencoders, classifier, denoising, diffusion, vae, autoencoder, text_to_image, edges):
        patched(patch.object(module, "load", few))
    nothing = {"nothing": 0.0}
    for stage in (autoencoder, text_to_image, edges):
        patched(patch.object(stage, "measure", lambda *_: nothing))
    patched(patch.object(vae, "sample_distances", lambda *_: nothing))
    small = {
        name: replace(
            recipe, architecture=recipe.architecture | {"channels": (8, 16)}, measure=lambda _: nothing
        )
        for name, recipe in diffusion.RECIPES.items()
    }
    patched(patch.object(diffusion, "RECIPES", small))


def train(chapter: str, name: str, out: Path, kill: bool) -> list[float]:
    """`course train`, for STEPS updates; returns the losses of this name."""
    losses = []

    class Progress:
        def __call__(self, label, record, steps):
            losses.append(record.loss)
            if kill and record.step == KILLED_AT:
                raise Killed

    with patch.object(command, "Progress", Progress):
        words = ["train", chapter, "--only", name, "--steps", str(STEPS), "--out", str(out / "checkpoints")]
        assert cli.main(words) == 0
    return losses


def main(out: Path) -> None:
    mine = out / os.environ.get("RANK", "0")
    mine.mkdir(parents=True)
    released = command.train_released

    def keep(chapter, name, *rest):
        model, card = released(chapter, name, *rest)
        network = model.unet if chapter == "tiny-sd" and name == "text-to-image" else model
        torch.save(network.state_dict(), mine / f"{chapter}-{name}.weights.pt")
        return model, card

    with ranks.joined(), patch.object(ranks, "joined", nullcontext):
        patched = patch.object(command, "train_released", keep)
        contexts = [patched]
        shrink(contexts.append)
        for context in contexts:
            context.start()
        if ranks.is_first():
            shutil.copytree(training.TINY_SD, out / "checkpoints" / "tiny-sd")
            (out / "work").mkdir()
        ranks.wait()
        os.chdir(out / "work")  # the states of runs are written below
        for chapter, names in SHARED.items():
            for name in names:
                assert name in CHAPTERS[chapter].NAMES and name not in CHAPTERS[chapter].ALONE
                torch.save(train(chapter, name, out, kill=False), mine / f"{chapter}-{name}.losses.pt")
        torch.save(train_twice("diffusion", "mnist", out), mine / "resumed.losses.pt")


def train_twice(chapter: str, name: str, out: Path) -> list[float]:
    """Killed on the way and started again: the losses of the second part."""
    try:
        train(chapter, name, out, kill=True)
    except Killed:
        ranks.wait()
        return train(chapter, name, out, kill=False)
    raise AssertionError("it was not killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
