"""GANs that are told the class (Mirza & Osindero 2014, arXiv:1411.1784; notation in course_utils.dcgan)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.dcgan.networks import Discriminator, Generator
from course_utils.validation import describe, require_dims, require_float_tensor, require_int


def condition_latent(z: Tensor, labels: Tensor, embedding: Callable[[Tensor], Tensor]) -> Tensor:
    """Latents that say which class to draw (Mirza & Osindero 2014, arXiv:1411.1784).

    Args:
        z: (B, nz) float.
        labels: (B,) int64.
        embedding: (B,) int64 -> (B, E) float, learned: an nn.Embedding.

    Returns:
        (B, nz + E): z first.

    Raises:
        ValueError: labels is not (B,), or the embedding returns another shape than (B, E).
        TypeError: labels are not int64.
    """
    require_float_tensor("condition_latent", z=z)
    require_dims("condition_latent", 2, "(B, nz)", z=z)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(f"condition_latent: labels must be an int64 tensor, got {describe(labels)}.")
    if labels.shape != z.shape[:1]:
        raise ValueError(
            f"condition_latent: labels must be ({len(z)},), a class for each latent, "
            f"got {tuple(labels.shape)}."
        )
    embedded = embedding(labels)
    require_float_tensor("condition_latent", embedded=embedded)
    if embedded.dim() != 2 or len(embedded) != len(z):
        raise ValueError(
            f"condition_latent: embedding(labels) must be ({len(z)}, E), got {tuple(embedded.shape)}."
        )
    return torch.cat([z, embedded], dim=1)


def label_maps(labels: Tensor, classes: int, size: int) -> Tensor:
    """Labels as images, so that convolutions can read them: one map a class, white everywhere or black.

    Args:
        labels: (B,) int64, 0..classes-1.
        size: side, pixels.

    Returns:
        (B, classes, size, size) float: 1 in the map of the label, 0 in all others.

    Raises:
        ValueError: a label is none of the classes.
    """
    require_int("label_maps", 1, classes=classes, size=size)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.dim() != 1:
        raise TypeError(f"label_maps: labels must be an int64 tensor (B,), got {describe(labels)}.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"label_maps: labels must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}."
        )
    one_hot = F.one_hot(labels, classes).to(torch.get_default_dtype())
    return one_hot[:, :, None, None].expand(-1, -1, size, size)


class ConditionalGenerator(nn.Module):
    """A Generator whose latents name the class that is wanted.

    Args:
        classes: int >= 1.
        nz: numbers in a latent.
        embedding: numbers that stand for a class, learned.
        channels, image_channels, start: see Generator.
    """

    def __init__(
        self,
        classes: int = 10,
        nz: int = 100,
        embedding: int = 10,
        channels: Sequence[int] = (256, 128),
        image_channels: int = 1,
        start: int = 7,
    ):
        super().__init__()
        require_int("ConditionalGenerator", 1, classes=classes, nz=nz, embedding=embedding)
        self.classes, self.nz = classes, nz
        self.embedding = nn.Embedding(classes, embedding)
        self.generator = Generator(nz + embedding, channels, image_channels, start)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """z (B, nz), labels (B,) -> images of these classes, see Generator."""
        images: Tensor = self.generator(condition_latent(z, labels, self.embedding))
        return images


class ConditionalDiscriminator(nn.Module):
    """A Discriminator that sees the claimed class beside the image: is this a real one OF THAT CLASS?

    Args:
        classes: int >= 1.
        channels, image_channels, size, batch_norm: see Discriminator; image_channels without the label maps.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: Sequence[int] = (64, 128, 256),
        image_channels: int = 1,
        size: int = 28,
        batch_norm: bool = True,
    ):
        super().__init__()
        require_int("ConditionalDiscriminator", 1, classes=classes)
        self.classes, self.size = classes, size
        self.discriminator = Discriminator(channels, image_channels + classes, size, batch_norm)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """x (B, image_channels, size, size), labels (B,) -> logits (B, 1)."""
        maps = label_maps(labels, self.classes, self.size).to(x)
        logits: Tensor = self.discriminator(torch.cat([x, maps], dim=1))
        return logits


class Told(nn.Module):
    """A conditional network that has been told the labels: the steps of chapter 4 work on it as it is.

    Args:
        network: (x, labels) -> anything.
        labels: (B,) int64, of the next call.
    """

    def __init__(self, network: nn.Module, labels: Tensor):
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, x: Tensor) -> Tensor:
        """What the network makes of x and the labels."""
        result: Tensor = self.network(x, self.labels)
        return result
