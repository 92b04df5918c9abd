"""Chapter 3's released models.

    latent-32     VAE, 32 latents, beta 1: the likelihood is measured on this one
    latent-2      VAE, 2 latents, beta 1: a map of all its codes
    beta-B        VAE, 32 latents, beta B = 0, 0.25, 4, 16
    neighbours    NeighbourVAE on 14 x 14 pixels, cured of posterior collapse by warming the KL up

All are trained on statically binarised MNIST: each grey value was read once as the probability of white, with
seed 0 for the training and seed 1 for the test images. Quality is measured on all 10,000 test images.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.common import BATCH_SIZE, Report, fit, rounded
from course_utils.data import load
from course_utils.metrics import feature_distance
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, in_batches, load_checkpoint, seeded
from course_utils.vae import (
    CURES,
    VAE,
    NeighbourVAE,
    active_units,
    bernoulli_nll,
    binarise,
    iwae_bound,
    kl_standard_normal,
    log_weights,
    train_step,
    train_step_with,
)

BETAS = (0.0, 0.25, 4.0, 16.0)
NAMES = ("latent-32", "latent-2", *(f"beta-{beta:g}" for beta in BETAS), "neighbours")
ALONE = {"neighbours": "its updates draw for the images that they are given, not for a whole batch"}
STEPS = {"latent": 40_000, "beta": 20_000, "neighbours": 3_000}
IWAE_SAMPLES = 500
SPREAD_SEEDS = (0, 1, 2)
SEEDS = {"train": 0, "test": 1}  # of the binarisation


def binary_mnist(split: str) -> Tensor:
    """Statically binarised MNIST, (N, 1, 28, 28) of 0 and 1: the same for everyone."""
    x = load("mnist", split).images
    return binarise(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(SEEDS[split])))


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    kind, _, number = name.partition("-")
    steps = steps or STEPS[kind]
    if kind == "neighbours":
        return _cures(name, steps, report)
    latent_dim, beta = (int(number), 1.0) if kind == "latent" else (32, float(number))
    model, seconds = fit_vae(latent_dim, beta, steps, lambda record: report(name, record, steps))
    test = binary_mnist("test")
    quality = measure(model, test) | sample_distances(model)
    if kind == "latent":
        quality[f"test_iwae_{IWAE_SAMPLES}_nats"] = likelihood_bound(model, test, name, report)
    architecture = {"class": "VAE", "latent_dim": latent_dim}
    return model, _card(
        name,
        architecture,
        "28 x 28",
        f"minus the ELBO, beta {beta:g}, Adam 1e-3, cosine to 0",
        steps,
        seconds,
        quality,
    )


def _card(
    name: str, architecture: dict, size: str, objective: str, steps: int, seconds: float, quality: dict
) -> Card:
    return Card(
        architecture=architecture,
        data=f"MNIST train, 60,000 images {size}, statically binarised",
        objective=objective,
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(quality),
        command=f"course train vae --only {name}",
    )


def fit_vae(
    latent_dim: int, beta: float, steps: int, report: Callable[[TrainStep], None]
) -> tuple[VAE, float]:
    """A VAE trained on the binary images, in evaluation mode on the CPU, and the seconds that it took."""
    device, generator = profile().device, torch.Generator().manual_seed(0)
    with seeded(0):
        model = VAE(latent_dim).to(device)

    def step(x: Tensor, optimizer: Optimizer) -> float:
        eps = torch.randn(len(x), latent_dim, generator=generator).to(device)
        return train_step(model, ranks.mine(x), ranks.mine(eps), optimizer, beta)

    return model, fit(model, binary_mnist("train"), step, steps=steps, seed=0, report=report)


@torch.no_grad()
def measure(model: VAE | NeighbourVAE, x: Tensor) -> dict:
    """Both parts of the ELBO, nats an image, and the count of active units."""
    mu, logvar = model.encode(x)
    logits = model(x, torch.randn(mu.shape, generator=torch.Generator().manual_seed(1)))[0]
    reconstruction, kl = bernoulli_nll(logits, x).mean().item(), kl_standard_normal(mu, logvar).mean().item()
    return {
        "test_elbo_nats": -reconstruction - kl,
        "test_reconstruction_nats": reconstruction,
        "test_kl_nats": kl,
        "active_units": int(active_units(mu).sum()),
    }


def likelihood_bound(model: VAE, x: Tensor, name: str, report: Report, per_batch: int = 20) -> float:
    """The importance-weighted bound with IWAE_SAMPLES samples, mean over the images x, nats."""
    generator, bounds, pieces = torch.Generator().manual_seed(1), [], x.split(per_batch)
    for step, piece in enumerate(pieces, start=1):
        eps = torch.randn(IWAE_SAMPLES, len(piece), model.latent_dim, generator=generator)
        with torch.no_grad():
            bounds.append(iwae_bound(log_weights(model, piece, eps)))
        report(f"{name}: likelihood of test images", TrainStep(step, -bounds[-1].mean().item()), len(pieces))
    return torch.cat(bounds).mean().item()


def sample_distances(model: VAE) -> dict:
    """Fréchet distance of as many samples as there are test images to these, and the floor."""
    real = load("mnist", "test").images
    train = load("mnist", "train").images[: len(real)]
    features = load_checkpoint("classifier/mnist").get_submodule("features")
    z = torch.randn(len(real), model.latent_dim, generator=torch.Generator().manual_seed(2))
    samples = in_batches(lambda codes: model.decode(codes).sigmoid(), z)
    return {
        "frechet_of_samples": feature_distance(features, samples, real),
        "frechet_floor_training_images": feature_distance(features, train, real),
    }


def _cures(name: str, steps: int, report: Report) -> tuple[NeighbourVAE, Card]:
    x, test = (small_binary_mnist(split) for split in ("train", "test"))
    trained = {
        (cure, seed): fit_neighbours(cure, x, steps, seed, report) for cure in CURES for seed in SPREAD_SEEDS
    }
    model, seconds = trained["warm-up", 0]
    table = {
        cure: {str(seed): measure(trained[cure, seed][0], test) for seed in SPREAD_SEEDS} for cure in CURES
    }
    architecture = {"class": "NeighbourVAE", "latent_dim": model.latent_dim}
    quality = measure(model, test) | {"by_cure_and_seed": table}
    objective = "minus the ELBO, KL warmed up, Adam 1e-2"
    return model, _card(name, architecture, "14 x 14", objective, steps, seconds, quality)


def small_binary_mnist(split: str) -> Tensor:
    """Digits of 14 x 14 pixels, binarised as binary_mnist: (N, 1, 14, 14)."""
    x = F.avg_pool2d(load("mnist", split).images, 2)
    return binarise(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(SEEDS[split])))


def fit_neighbours(cure: str, x: Tensor, steps: int, seed: int, report: Report) -> tuple[NeighbourVAE, float]:
    """A NeighbourVAE trained under one of the cures, and the seconds that it took."""
    device, generator = profile().device, torch.Generator().manual_seed(seed)
    with seeded(seed):
        model = NeighbourVAE().to(device)
    done = 0

    def step(batch: Tensor, optimizer: Optimizer) -> float:
        return train_step_with(cure, model, batch, done / steps, optimizer, generator)

    def progress(record: TrainStep) -> None:
        nonlocal done
        done = record.step
        report(f"neighbours: {cure}, seed {seed}", record, steps)

    return model, fit(model, x, step, steps=steps, seed=seed, report=progress, lr=1e-2, falling=False)
