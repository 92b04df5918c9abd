"""A small classifier of digits: the judge of generated images, by its answers and by its features.

x           (B, 1, 28, 28) float in [0, 1]   images; other ranges go through course_utils.data.rescale first
features    (B, 128) float >= 0              what its last linear layer reads
logits      (B, 10) float                    unnormalised log-probabilities of the digits 0 to 9
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer


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
