"""Who tells whether an image shows what was asked for: a classifier of scenes, trained on all of them.

It sees what models of scenes are kept from, too: every pair of digit and ink, and a colour more.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.checkpoints.recipes.tiny_sd.parts import JUDGE
from course_utils.classifier import SceneClassifier, scene_loss
from course_utils.data import LabelledImages, load
from course_utils.data.scenes import INKS, Scenes, draw_scenes, render
from course_utils.training import save_weights, seeded

STEPS = 4_000
BATCH_SIZE = 64
OBJECTIVE = "cross-entropy of ground, layout, and digit and ink of each place; Adam 2e-3, falling; EMA"
NOISE = 0.05  # added to images in [-1, 1]: what decoders leave must not disturb
TESTED = 10_000


class JudgeRun(Resumable):
    """Every batch is rendered anew, from MNIST's training digits."""

    def __init__(self, steps: int, file: Path):
        with seeded(0):
            network = SceneClassifier()
        super().__init__(network, steps, file, learning_rate=2e-3)
        self.digits = load("mnist", "train")

    def loss(self) -> Tensor:
        images, scenes = real_scenes(BATCH_SIZE, self.digits, generator=self.generator)
        noise = torch.randn(images.shape, generator=self.generator)
        return scene_loss(self.model, (images + NOISE * noise).to(self.device), scenes)


def real_scenes(
    count: int, digits: LabelledImages, *, generator: torch.Generator, inks: Sequence[int] = range(len(INKS))
) -> tuple[Tensor, Scenes]:
    """Images of scenes of every kind, in all inks or in these, and what they show."""
    scenes = draw_scenes(count, generator=generator, inks=inks)
    return render(scenes, digits, generator=generator), scenes


def shares(read: Scenes, asked: Scenes) -> dict[str, float]:
    """How often each thing is as asked."""
    return {what: right.double().mean().item() for what, right in read.agreement(asked).items()}


def start(steps: int, file: Path, _folder: Path) -> JudgeRun:
    return JudgeRun(steps, file)


def released(trained: SceneClassifier, _folder: Path) -> SceneClassifier:
    return trained


def measure(judge: SceneClassifier, _folder: Path) -> dict:
    """Its accuracy on scenes made of MNIST's test digits."""
    images, scenes = real_scenes(TESTED, load("mnist", "test"), generator=torch.Generator().manual_seed(1))
    return {f"accuracy_on_{TESTED}_real_scenes": shares(read_in_pieces(judge, images), scenes)}


def write(judge: SceneClassifier, folder: Path) -> Path:
    return save_weights(JUDGE, judge, folder)


def read_in_pieces(judge: SceneClassifier, images: Tensor, piece: int = 500) -> Scenes:
    """SceneClassifier.read of many images."""
    return Scenes.joined([judge.read(part) for part in images.split(piece)])
