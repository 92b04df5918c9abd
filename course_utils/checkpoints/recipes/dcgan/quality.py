"""How good a generator of digits is, by the classifier that the course ships.

    images    (N, 1, 28, 28) float in [-1, 1]    generated or real
    judge     DigitClassifier                    its features, and the class that it reads

Distances depend on the judge and on N; the floor is the distance of real training images.
"""

import torch
from torch import Tensor, nn

from course_utils.data import LabelledImages, rescale
from course_utils.dcgan import ConditionalGenerator, Generator, pairwise_diversity
from course_utils.gan import effective_modes
from course_utils.metrics import feature_distance
from course_utils.training import in_batches

CLASSES = 10
PER_CLASS = 500  # images among which diversity is measured: 124,750 pairs


def sample(generator: Generator, count: int) -> Tensor:
    """(count, 1, 28, 28) on the CPU, always from the same latents, in evaluation mode; training may go on."""
    z = torch.randn(count, generator.nz, generator=torch.Generator().manual_seed(1))
    was_training = generator.training
    images = in_batches(generator.eval(), z.to(next(generator.parameters()).device))
    generator.train(was_training)
    return images


def sample_classes(generator: ConditionalGenerator, count: int) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 28, 28) of all classes in turn, and the classes that were asked for."""
    z = torch.randn(count, generator.nz, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(count) % generator.classes
    with torch.no_grad():
        pieces = zip(z.split(500), labels.split(500), strict=True)
        return torch.cat([generator(*piece) for piece in pieces]), labels


def distance(judge: nn.Module, images: Tensor, real: Tensor) -> float:
    """Fréchet distance on the judge's features."""
    seen = [rescale(x, (-1, 1), (0, 1)) for x in (images, real)]
    return feature_distance(judge.get_submodule("features"), *seen)


def read(judge: nn.Module, images: Tensor) -> Tensor:
    """(N,): the class that the judge sees in each image."""
    return in_batches(lambda x: judge(rescale(x, (-1, 1), (0, 1))).argmax(dim=1), images)


def accuracy(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How often the judge reads the class that the label names."""
    return (read(judge, images) == labels).double().mean().item()


def figures(judge: nn.Module, images: Tensor, real: Tensor) -> dict[str, float]:
    """Distance to real images, modes and diversity of images of no class in particular."""
    return {
        "frechet": distance(judge, images, real),
        "effective_digits": effective_modes(read(judge, images), CLASSES),
        "diversity": pairwise_diversity(images[:PER_CLASS]).item(),
    }


def diversity_by_class(images: Tensor, labels: Tensor) -> dict[str, float]:
    """Mean distance within each class, among PER_CLASS images or as many as there are."""
    return {str(k): pairwise_diversity(images[labels == k][:PER_CLASS]).item() for k in range(CLASSES)}


def floor(judge: nn.Module, train: LabelledImages, real: Tensor) -> dict[str, float]:
    """The same figures of as many training images."""
    return figures(judge, train.images[: len(real)], real)
