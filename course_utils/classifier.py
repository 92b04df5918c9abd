"""The judges of generated images: one reads digits, the other whole scenes.

x           (B, 1, 28, 28) float in [0, 1]   images; other ranges go through course_utils.data.rescale first
features    (B, 128) float >= 0              what its last linear layer reads
logits      (B, 10) float                    unnormalised log-probabilities of the digits 0 to 9
images      (B, 3, 64, 64) float in [-1, 1]  scenes, see course_utils.data.scenes
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.data.scenes import DIGITS, GROUNDS, INKS, LAYOUTS, ONE, Scenes


class DigitClassifier(nn.Module):
    """Three convolutions, 28 -> 14 -> 7 -> 3 pixels, 128 features, ten logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 32, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 64, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * 3 * 3, 128), nn.ReLU()),
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of the digits."""
        logits: Tensor = self.head(self.features(x))
        return logits


class SceneClassifier(nn.Module):
    """Four convolutions, 64 -> 4 pixels, 192 features, and logits of all that is said of a scene.

    forward(images) -> (B, 45): grounds, layouts, then of each place its digits and its inks.
    """

    SIZES = (len(GROUNDS), len(LAYOUTS), *(len(DIGITS), len(INKS)) * 2)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(
                nn.Conv2d(3, 32, kernel_size=4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(32),
                nn.ReLU(),
            ),
            *(layer for a, b in [(32, 64), (64, 64), (64, 64)] for layer in _halving(a, b)),
            *(nn.Flatten(), nn.Linear(64 * 4 * 4, 192), nn.ReLU()),
        )
        self.head = nn.Linear(192, sum(self.SIZES))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.no_grad()
    def read(self, images: Tensor) -> Scenes:
        """What the images show, each choice the most likely one."""
        ground, layout, *rest = (part.argmax(dim=1).cpu() for part in self(images).split(self.SIZES, dim=1))
        digits, inks = torch.stack(rest[0::2], dim=1), torch.stack(rest[1::2], dim=1)
        digits[layout == ONE, 1] = inks[layout == ONE, 1] = -1
        return Scenes(digits, inks, ground, layout)


def _halving(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU(), nn.MaxPool2d(2)


def scene_loss(model: SceneClassifier, images: Tensor, scenes: Scenes) -> Tensor:
    """Cross-entropy of all that is said of a scene, nats an image; of a lone digit nothing about a second."""
    said = [scenes.grounds, scenes.layouts]
    for slot in range(2):
        said += [scenes.digits[:, slot], scenes.inks[:, slot]]
    parts = zip(model(images).split(model.SIZES, dim=1), said, strict=True)
    losses = [
        F.cross_entropy(logits, target.to(logits.device), ignore_index=-1, reduction="sum")
        for logits, target in parts
    ]
    return torch.stack(losses).sum() / len(images)


def train_step(model: nn.Module, x: Tensor, labels: Tensor, optimizer: Optimizer) -> float:
    """One update on labelled images.

    Args:
        x: (B, 1, 28, 28) float in [0, 1].
        labels: (B,) int64.

    Returns:
        cross-entropy before the update, nats an image.
    """
    loss = F.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
