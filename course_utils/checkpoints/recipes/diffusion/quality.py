"""How good samples are, by the classifier that the course ships.

    images    (N, 1, 28, 28) float in [0, 1]    as the classifier wants them
    judge     DigitClassifier                   its features, and the class that it reads

Distances depend on the judge and on N; the floor is the distance of real training images.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from course_utils.diffusion.samplers import Model, SampleStep, ddim, ddim_timesteps
from course_utils.metrics import feature_distance, kernel_distance
from course_utils.runtime import profile
from course_utils.training import in_batches

SAMPLING_STEPS = 20
PIECE = 250  # images at a time


def by_ddim(
    model: Model,
    x_T: Tensor,
    abar: Tensor,
    steps: int | None = None,
    *,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[SampleStep]:
    """The sampler of the figures: guesses kept in [-1, 1], SAMPLING_STEPS unless `steps` says otherwise.

    One generator for all pieces: at eta = 1 images of the same class and the same draws are almost copies.
    """
    timesteps = ddim_timesteps(len(abar), steps or SAMPLING_STEPS)
    return ddim(model, x_T, timesteps, abar, eta, clip_x0=True, generator=generator)


def last_state(steps: Iterator[SampleStep]) -> Tensor:
    """Where a sampler ends, computed in the profile's precision."""
    with profile().autocast():
        *_, last = steps
    return last.x_t


def fresh_noise() -> torch.Generator:
    """What all steps of a set of samples draw from, one piece after another."""
    return torch.Generator().manual_seed(2)


def first_states(count: int, channels: int = 1) -> list[Tensor]:
    """Noise of 32 x 32 pixels for so many samples, in pieces; always the same."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(len(part), channels, 32, 32, generator=generator)
        for part in torch.arange(count).split(PIECE)
    ]


def for_the_judge(x0: Tensor) -> Tensor:
    """From 32 x 32 pixels in [-1, 1], or a little beyond, to what the judge sees."""
    return ((x0[..., 2:30, 2:30] + 1) / 2).clamp(0, 1)


def figures(judge: nn.Module, images: Tensor, real: Tensor) -> dict[str, float]:
    """Fréchet and kernel distance of images to real ones."""
    features = judge.get_submodule("features")
    return {
        "frechet": feature_distance(features, images, real),
        "kernel": kernel_distance(*(in_batches(features, x) for x in (images, real))),
    }


def class_accuracy(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How often the judge reads the class that was asked for."""
    return (in_batches(lambda x: judge(x).argmax(dim=1), images) == labels).double().mean().item()
