"""Chapter 1's released models.

    latent-D       ConvAE with D numbers in a code, D = 2, 4, 8, 16, 32, 64, on all 60,000 training digits
    one-class-0    ConvAE that has seen nothing but zeros: it flags the other digits by their error

Quality is measured on the 10,000 test images, with the float32 weights; peers are measured beside it.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from course_utils.autoencoders import ConvAE, he_init, principal_axes, reconstruction_error, train_step
from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.common import BATCH_SIZE, Report, fit, rounded
from course_utils.data import load
from course_utils.metrics import roc_auc
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, in_batches, seeded

LATENT_DIMS = (2, 4, 8, 16, 32, 64)
NORMAL_CLASS = 0
ONE_CLASS_LATENT = 8
NAMES = (*(f"latent-{d}" for d in LATENT_DIMS), f"one-class-{NORMAL_CLASS}")
ALONE = {f"one-class-{NORMAL_CLASS}": "the last batch of an epoch has any size"}
STEPS = {"latent": 5_000, "one-class": 1_000}
SPREAD_SEEDS = (0, 1, 2)


def fit_autoencoder(
    latent_dim: int, x: Tensor, steps: int, seed: int, report: Callable[[TrainStep], None]
) -> tuple[ConvAE, float]:
    """A ConvAE trained on x (N, 1, 32, 32), in evaluation mode on the CPU, and the seconds that it took."""
    with seeded(seed):
        model = ConvAE(latent_dim)
        he_init(model).to(profile().device)
    seconds = fit(
        model,
        x,
        lambda batch, optimizer: train_step(model, ranks.mine(batch), optimizer),
        steps=steps,
        seed=seed,
        report=report,
    )
    return model, seconds


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    kind, _, number = name.rpartition("-")
    recipe = _all_digits if kind == "latent" else _one_class
    return recipe(name, int(number), steps or STEPS[kind], report)


def _all_digits(name: str, latent_dim: int, steps: int, report: Report) -> tuple[ConvAE, Card]:
    x, test = load("mnist", "train", size=32).images, load("mnist", "test", size=32).images
    model, seconds = fit_autoencoder(
        latent_dim, x, steps, seed=0, report=lambda record: report(name, record, steps)
    )
    mean, axes = principal_axes(x.flatten(1), latent_dim)
    flat = test.flatten(1)
    quality = {
        "test_mse": _mean_error(model, test),
        "pca_test_mse": reconstruction_error((flat - mean) @ axes.T @ axes + mean, flat).mean().item(),
        "mean_image_test_mse": (flat - mean).square().mean().item(),
    }
    return model, _card(
        name, latent_dim, "MNIST train, 60,000 images padded to 32 x 32, [0, 1]", steps, seconds, quality
    )


def _one_class(name: str, digit: int, steps: int, report: Report) -> tuple[ConvAE, Card]:
    models, seconds = {}, {}
    for seed, normal in [(0, k) for k in range(10)] + [(seed, digit) for seed in SPREAD_SEEDS if seed]:
        x = load("mnist", "train", size=32).of_class(normal).images
        progress = partial(_labelled, report, f"{name}: digit {normal}, seed {seed}", steps)
        models[normal, seed], seconds[normal, seed] = fit_autoencoder(
            ONE_CLASS_LATENT, x, steps, seed, progress
        )
    quality = {
        "auc_by_seed": {str(seed): one_class_auc(models[digit, seed], digit) for seed in SPREAD_SEEDS},
        "auc_by_normal_digit_seed_0": {str(k): one_class_auc(models[k, 0], k) for k in range(10)},
        "guessing": 0.5,
    }
    data = f"MNIST train, the images of digit {digit} only, padded to 32 x 32, [0, 1]"
    return models[digit, 0], _card(name, ONE_CLASS_LATENT, data, steps, seconds[digit, 0], quality)


def _labelled(report: Report, label: str, steps: int, record: TrainStep) -> None:
    report(label, record, steps)


def one_class_auc(model: nn.Module, digit: int) -> float:
    """Area under the ROC curve of the reconstruction error: test images of `digit` against all others."""
    test = load("mnist", "test", size=32)
    scores = in_batches(lambda x: reconstruction_error(model(x), x), test.images)
    return roc_auc(scores[test.labels == digit], scores[test.labels != digit])


def _mean_error(model: nn.Module, x: Tensor) -> float:
    return in_batches(lambda batch: reconstruction_error(model(batch), batch), x).mean().item()


def _card(name: str, latent_dim: int, data: str, steps: int, seconds: float, quality: dict) -> Card:
    return Card(
        architecture={"class": "ConvAE", "latent_dim": latent_dim},
        data=data,
        objective="mean squared error per pixel, Adam 1e-3, cosine to 0",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(quality),
        command=f"course train autoencoders --only {name}",
    )
