"""What steps, samplers and guidance do to the samples of diffusion/mnist: the tables of a card, and images.

Nothing is trained. All rows start from the same x_T and ask for the same classes.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.diffusion import quality
from course_utils.data import load
from course_utils.dcgan import pairwise_diversity
from course_utils.diffusion.guidance import guided
from course_utils.diffusion.samplers import Model, SampleStep, ddim_timesteps, dpm_solver_pp_2m
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.diffusion.unet import UNet
from course_utils.runtime import profile
from course_utils.training import Card, SampleSheet, TrainStep, in_batches, load_checkpoint

SAMPLES, KEPT = 500, 30
CLASSES = 10
STEPS = (5, 10, 20)
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)

Sampler = Callable[..., Iterator[SampleStep]]  # (model, x_T, abar, steps, *, generator)


def by_dpm_solver(
    model: Model, x_T: Tensor, abar: Tensor, steps: int, *, generator: torch.Generator
) -> Iterator[SampleStep]:
    """DPM-Solver++(2M), guesses kept in [-1, 1]; it draws nothing."""
    return dpm_solver_pp_2m(model, x_T, ddim_timesteps(len(abar), steps), abar, clip_x0=True)


SAMPLERS: dict[str, Sampler] = {
    "DDIM, eta = 0": quality.by_ddim,
    "DDIM, eta = 1": partial(quality.by_ddim, eta=1.0),
    "DPM-Solver++(2M)": by_dpm_solver,
}


def make(report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Draw and measure, see train_released; one record for each row, `steps` limits the samples of a class.

    Two of a class are the least: of one there is no diversity.
    """
    count = min(SAMPLES, CLASSES * max(2, steps or SAMPLES))
    model = cast(UNet, load_checkpoint("diffusion/mnist"))
    rows = [(name, n, 1.0) for name in SAMPLERS for n in STEPS]
    rows += [("DDIM, eta = 0", quality.SAMPLING_STEPS, scale) for scale in SCALES if scale != 1]
    drawn, start = {}, time.perf_counter()
    for done, row in enumerate(rows, start=1):
        drawn[row] = draw(model, *row, count)
        report("sampling", TrainStep(done, 0.0), len(rows))
    by_steps = {name: {f"{n}": drawn[name, n, 1.0] for n in STEPS} for name in SAMPLERS}
    by_scale = {f"{scale:g}": drawn["DDIM, eta = 0", quality.SAMPLING_STEPS, scale] for scale in SCALES}
    card = Card(
        architecture={"class": "SampleSheet", "rows": list(by_scale), "count": min(KEPT, count), "size": 28},
        data=f"{count:,} samples a row of diffusion/mnist against 1,000 MNIST test images",
        objective="none: nothing is trained. The sheet holds samples for each guidance scale",
        steps=0,
        batch_size=quality.PIECE,
        seed=1,
        device=str(profile()),
        seconds=round(time.perf_counter() - start),
        quality=rounded(tables(by_steps, by_scale)),
        command="course train diffusion --only sampling",
    )
    return SampleSheet.of({scale: images[:KEPT] for scale, images in by_scale.items()}), card


def draw(model: UNet, sampler: str, steps: int, scale: float, count: int) -> Tensor:
    """Images for the judge, the classes in turn."""
    abar, fresh = alphas_cumprod(linear_beta_schedule(1000, 1e-4, 0.02)), quality.fresh_noise()
    pieces, labels = [], torch.arange(count) % CLASSES
    for x_T, told in zip(quality.first_states(count), labels.split(quality.PIECE), strict=True):
        alone = scale in (0, 1)  # one call a step is enough
        asked = told if scale else torch.full_like(told, model.null_label)
        predict = partial(model, labels=asked) if alone else guided(model, told, scale, model.null_label)
        steps_taken = SAMPLERS[sampler](predict, x_T, abar, steps, generator=fresh)
        pieces.append(quality.for_the_judge(quality.last_state(steps_taken)))
    return torch.cat(pieces)


def tables(by_steps: dict[str, dict[str, Tensor]], by_scale: dict[str, Tensor]) -> dict:
    """Distances by sampler and number of steps; distances, class accuracy and diversity by guidance scale.

    Diversity is the mean distance of two images of a class, in the judge's features.
    """
    judge = load_checkpoint("classifier/mnist")
    test, train = load("mnist", "test"), load("mnist", "train")
    measure = partial(quality.figures, judge, real=test.images[::10])
    labels = torch.arange(len(by_scale["1"])) % CLASSES
    return {
        "samples": len(labels),
        "by_steps": {
            name: {n: measure(images=images) for n, images in rows.items()} for name, rows in by_steps.items()
        },
        "by_guidance_scale": {
            scale: measure(images=images)
            | {
                "class_accuracy": quality.class_accuracy(judge, images, labels),
                "diversity": diversity(judge, images, labels),
            }
            for scale, images in by_scale.items()
        },
        "real": {
            "floor": measure(images=train.images[: len(labels)]),
            "class_accuracy": quality.class_accuracy(judge, test.images[::10], test.labels[::10]),
            "diversity": diversity(judge, test.images[::10], test.labels[::10]),
        },
    }


def diversity(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Mean L2 distance of the features of two images of one class, averaged over the classes."""
    features = in_batches(judge.get_submodule("features"), images)
    each = [pairwise_diversity(features[labels == k]) for k in range(CLASSES)]
    return torch.stack(each).mean().item()
