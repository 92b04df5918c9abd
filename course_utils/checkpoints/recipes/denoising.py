"""Chapter 2's released models.

    conv-0.2     ConvAE, 32 numbers in the code, on noise of sigma 0.2
    conv-any     the same on all levels: sigma uniform in [0, 1) for each image
    dense-0.5    DenseDenoiser, 400 hidden units, on noise of sigma 0.5
    squares      ConvAE on images of which a square of 12 x 12 pixels is covered, anywhere

Quality is the PSNR on the 10,000 test images, and the PSNR of the images that went in beside it. The card of
conv-0.2 also holds the sweep: networks that differ in nothing but the sigma of their training.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from course_utils.autoencoders import ConvAE, he_init
from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.common import BATCH_SIZE, Report, fit, rounded
from course_utils.data import load
from course_utils.denoising import DenseDenoiser, add_noise, cover_squares, psnr, restoration_step
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, in_batches, seeded

LATENT_DIM = 32
SWEEP = (0.0, 0.1, 0.2, 0.4, 0.8)  # sigma of training
LEVELS = (0.05, 0.1, 0.2, 0.4, 0.8)  # sigma of testing
SQUARE = 12  # pixels
NAMES = ("conv-0.2", "conv-any", "dense-0.5", "squares")
ALONE: dict[str, str] = {}
STEPS = 3_000

Corruption = Callable[[Tensor, Generator], Tensor]


def gaussian(sigma: float) -> Corruption:
    """Noise of one level."""

    def corrupt(x: Tensor, generator: Generator) -> Tensor:
        return add_noise(x, sigma, torch.randn(x.shape, generator=generator).to(x.device))

    return corrupt


def any_level(x: Tensor, generator: Generator) -> Tensor:
    """Noise of a level that is drawn for each image, uniform in [0, 1)."""
    sigma = torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return add_noise(x, 1.0, sigma * noise)


def squares(x: Tensor, generator: Generator) -> Tensor:
    """A covered square, wholly inside of each image."""
    corners = torch.randint(0, x.shape[-1] - SQUARE + 1, (len(x), 2), generator=generator)
    return cover_squares(x, corners, SQUARE)


RECIPES = {
    "conv-0.2": SimpleNamespace(size=32, corrupt=gaussian(0.2), noise="noise of sigma 0.2, clamped"),
    "conv-any": SimpleNamespace(size=32, corrupt=any_level, noise="noise of sigma 0 to 1, clamped"),
    "dense-0.5": SimpleNamespace(size=28, corrupt=gaussian(0.5), noise="noise of sigma 0.5, clamped"),
    "squares": SimpleNamespace(size=32, corrupt=squares, noise="a black square of 12 x 12 pixels"),
}


def fit_denoiser(
    model: nn.Module, x: Tensor, corrupt: Corruption, steps: int, report: Callable[[TrainStep], None]
) -> float:
    """Train a denoiser towards the clean images x; see fit."""
    generator = torch.Generator().manual_seed(0)

    def step(clean: Tensor, optimizer: Optimizer) -> float:
        noisy = corrupt(clean, generator)
        return restoration_step(model, ranks.mine(noisy), ranks.mine(clean), optimizer)

    return fit(model.to(profile().device), x, step, steps=steps, seed=0, report=report)


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    steps = steps or STEPS
    recipe = RECIPES[name]
    x, test = (load("mnist", split, size=recipe.size).images for split in ("train", "test"))
    model, architecture = _new_model(name)
    seconds = fit_denoiser(model, x, recipe.corrupt, steps, lambda record: report(name, record, steps))
    quality: dict = {"test_psnr": mean_psnr(model, recipe.corrupt, test)}
    quality["corrupted_test_psnr"] = mean_psnr(nn.Identity(), recipe.corrupt, test)
    if name == "conv-0.2":
        quality |= _sweep(model, x, test, steps, report)
    if name == "conv-any":
        quality["psnr_by_test_sigma"] = psnr_by_level(model, test)
    card = Card(
        architecture=architecture,
        data=f"MNIST train, 60,000 images {recipe.size} x {recipe.size}, [0, 1], {recipe.noise}",
        objective="mean squared error per pixel to the clean image, Adam 1e-3, cosine to 0",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(quality),
        command=f"course train denoising --only {name}",
    )
    return model, card


def _new_model(name: str) -> tuple[nn.Module, dict]:
    with seeded(0):
        if name == "dense-0.5":
            return DenseDenoiser(400), {"class": "DenseDenoiser", "hidden": 400}
        return he_init(ConvAE(LATENT_DIM)), {"class": "ConvAE", "latent_dim": LATENT_DIM}


def mean_psnr(model: nn.Module, corrupt: Corruption, x: Tensor) -> float:
    """Mean PSNR in dB that the model reaches on the images x (N, 1, H, W) that the corruption changes."""
    noisy = corrupt(x, torch.Generator().manual_seed(1))
    changed = (noisy != x).flatten(1).any(dim=1)  # a square may cover nothing but paper
    return psnr(in_batches(model, noisy[changed]), x[changed], data_range=1).mean().item()


def psnr_by_level(model: nn.Module, x: Tensor) -> dict[str, float]:
    """mean_psnr at each of LEVELS."""
    return {f"{sigma:g}": mean_psnr(model, gaussian(sigma), x) for sigma in LEVELS}


def _sweep(released: nn.Module, x: Tensor, test: Tensor, steps: int, report: Report) -> dict:
    table = {}
    for sigma in SWEEP:
        model = released
        if sigma != 0.2:  # the released one
            model, _ = _new_model("conv-0.2")
            progress = partial(_labelled, report, f"sweep: sigma {sigma:g}", steps)
            fit_denoiser(model, x, gaussian(sigma), steps, progress)
        table[f"{sigma:g}"] = psnr_by_level(model, test)
    return {
        "noisy_psnr_by_test_sigma": psnr_by_level(nn.Identity(), test),
        "psnr_by_train_and_test_sigma": table,
    }


def _labelled(report: Report, label: str, steps: int, record: TrainStep) -> None:
    report(label, record, steps)
