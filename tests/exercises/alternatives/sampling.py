"""Chapter 8: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import math
from typing import Any

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def posterior_by_bayes(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Two Gaussians multiplied: precisions add up."""
    betas = betas.to(x0.dtype)
    before = torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)])[t].reshape(-1, 1, 1, 1)
    beta = betas[t].reshape(-1, 1, 1, 1)
    from_x_t, from_x0 = (1 - beta) / beta, 1 / (1 - before)
    variance = 1 / (from_x_t + from_x0)
    known = torch.where(before == 1, torch.ones_like(before), variance * from_x0) * before.sqrt() * x0
    return known + variance * from_x_t / (1 - beta).sqrt() * x_t, variance


def posterior_in_a_loop(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> list[Tensor]:
    """Image by image, with Python's numbers; a list comes back."""
    means, variances = [], []
    for a, b, level in zip(x0, x_t, t.tolist(), strict=True):
        beta = betas[level].item()
        before = math.prod(1 - step for step in betas[:level].tolist())
        now = before * (1 - beta)
        means.append((beta * before**0.5 * a + (1 - before) * (1 - beta) ** 0.5 * b) / (1 - now))
        variances.append(torch.full((1, 1, 1), beta * (1 - before) / (1 - now), dtype=x0.dtype))
    return [torch.stack(means), torch.stack(variances)]


def posterior_with_double_schedule(
    x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean in the images' dtype; the variance stays in the schedule's."""
    abar = torch.exp(torch.cumsum(torch.log1p(-betas), dim=0))
    before = F.pad(abar[:-1], (1, 0), value=1.0)
    variance = (betas * (1 - before) / (1 - abar))[t][:, None, None, None]
    a = (betas * before.sqrt() / (1 - abar)).gather(0, t)[:, None, None, None]
    b = ((1 - before) * (1 - betas).sqrt() / (1 - abar)).gather(0, t)[:, None, None, None]
    return torch.lerp(torch.zeros_like(x0), x0, a.to(x0)) + b.to(x_t) * x_t, variance


def step_with_epsilon(model: nn.Module, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """DDPM, algorithm 2, as printed."""
    alphas = 1 - betas
    abar = alphas.cumprod(dim=0)
    eps = model(x_t, torch.tensor([t] * x_t.shape[0]))
    mean = (x_t - (1 - alphas[t]) / (1 - abar[t]).sqrt() * eps) / alphas[t].sqrt()
    if t == 0:
        return mean
    return mean + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * noise


@torch.no_grad()
def step_with_posterior(model: nn.Module, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """Guess x_0, then the posterior in a batch; no graph."""
    levels = torch.ones(len(x_t), dtype=torch.long) * t
    abar = (1 - betas).cumprod(0)[levels].view(-1, 1, 1, 1).to(x_t)
    x0_hat = x_t / abar.sqrt() - (1 / abar - 1).sqrt() * model(x_t, levels)
    mean, variance = posterior_in_a_loop(x0_hat, x_t, levels, betas)
    return mean + (t > 0) * variance.sqrt() * noise


def step_with_numbers(model: nn.Module, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """Python's numbers, and DDIM's formula at eta = 1."""
    before = math.prod((1 - betas[:t]).tolist())
    now = before * (1 - betas[t].item())
    eps = model(x_t, x_t.new_full((x_t.size(0),), t).long())
    sigma = math.sqrt((1 - before) / (1 - now) * (1 - now / before))
    x0_hat = (x_t - math.sqrt(1 - now) * eps) / math.sqrt(now)
    x_prev = math.sqrt(before) * x0_hat + math.sqrt(max(1 - before - sigma**2, 0)) * eps
    return x_prev.add(noise, alpha=sigma).detach()


def loop_with_range(model: nn.Module, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    x = x_T.clone()
    for t in range(betas.shape[0] - 1, -1, -1):
        x = step_with_epsilon(model, x, t, betas, noises[t])
    return x


@torch.inference_mode()
def loop_with_reversed_pairs(model: nn.Module, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    for t, noise in reversed(list(enumerate(noises))):
        x_T = step_with_numbers(model, x_T, t, betas, noise)
    return x_T.clone()


def loop_by_recursion(model: nn.Module, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    if not len(noises):
        return x_T
    *_, noise = noises
    x = step_with_posterior(model, x_T, len(noises) - 1, betas, noise)
    return loop_by_recursion(model, x, betas, noises[:-1])


def timesteps_rounded_down(num_train_steps: int, num_steps: int) -> Tensor:
    return torch.tensor([(num_train_steps - 1) * i // (num_steps - 1) for i in reversed(range(num_steps))])


def timesteps_rounded_up(num_train_steps: int, num_steps: int) -> Tensor:
    return (
        torch.linspace(0, num_train_steps - 1, num_steps, dtype=torch.float64).ceil().to(torch.int64).flip(0)
    )


def timesteps_in_numpy(num_train_steps: int, num_steps: int) -> Tensor:
    return torch.from_numpy(np.linspace(num_train_steps - 1, 0, num_steps).round().astype(np.int64))


def timesteps_truncated(num_train_steps: int, num_steps: int) -> Tensor:
    return torch.linspace(num_train_steps - 1, 0, num_steps).long()


def ddim_with_numbers(
    x_t: Tensor, noise_pred: Tensor, t: int, t_prev: int, alphas_cumprod: Tensor, eta: float, noise: Tensor
) -> Tensor:
    now = alphas_cumprod[t].item()
    to = alphas_cumprod[t_prev].item() if t_prev >= 0 else 1.0
    sigma = eta * math.sqrt((1 - to) / (1 - now) * (1 - now / to))
    x0_hat = (x_t - math.sqrt(1 - now) * noise_pred) / math.sqrt(now)
    return math.sqrt(to) * x0_hat + math.sqrt(max(0.0, 1 - to - sigma**2)) * noise_pred + sigma * noise


def ddim_with_padded_table(
    x_t: Tensor, noise_pred: Tensor, t: int, t_prev: int, alphas_cumprod: Tensor, eta: float, noise: Tensor
) -> Tensor:
    """A table that begins with the clean image: every index is one higher."""
    table = F.pad(alphas_cumprod, (1, 0), value=1.0).to(x_t.dtype).view(-1, 1, 1, 1, 1)
    now, to = table[t + 1], table[t_prev + 1]
    variance = eta**2 * (1 - to) / (1 - now) * (1 - now / to)
    stretched = (to / now).sqrt() * x_t
    along = (1 - to - variance).clamp_min(0).sqrt() - (to * (1 - now) / now).sqrt()
    return stretched + along * noise_pred + variance.sqrt() * noise


def ddim_by_cases(
    x_t: Tensor, noise_pred: Tensor, t: int, t_prev: int, alphas_cumprod: Tensor, eta: float, noise: Tensor
) -> Tensor:
    """Nothing is divided where nothing is left."""
    now = alphas_cumprod[t]
    x0_hat = (x_t - (1 - now) ** 0.5 * noise_pred) / now**0.5
    if t_prev == -1:
        return x0_hat
    to = alphas_cumprod[t_prev]
    fresh = eta * torch.sqrt((1 - to) * (to - now) / ((1 - now) * to))
    mixed = (
        torch.sqrt(1 - to - fresh**2) * noise_pred + fresh * noise if eta else (1 - to).sqrt() * noise_pred
    )
    return to.sqrt() * x0_hat + mixed


def guided_as_weighted_sum(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    return (1 - scale) * noise_uncond + scale * noise_cond


def guided_by_lerp(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    return torch.lerp(noise_uncond, noise_cond, scale)


def guided_from_the_conditional(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """The paper's way, with w = scale - 1."""
    w = scale - 1
    return torch.add((1 + w) * noise_cond, noise_uncond, alpha=-w)


def drop_in_a_copy(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    result = labels.clone()
    result[u < drop_prob] = null_label
    return result


def drop_in_a_list(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    pairs = zip(labels.tolist(), u.tolist(), strict=True)
    return torch.tensor([null_label if chance < drop_prob else label for label, chance in pairs])


def drop_by_masked_fill(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    return labels.masked_fill(~(u >= drop_prob), null_label)


def drop_by_arithmetic(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    dropped = (u < drop_prob).long()
    return labels * (1 - dropped) + null_label * dropped


def frechet_by_sqrtm(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> Any:
    """The usual implementation; a numpy.float64 comes back."""
    a, b = cov1.double().numpy(), cov2.double().numpy()
    root = np.real(scipy.linalg.sqrtm(a @ b))
    difference = (mu1 - mu2).double().numpy()
    return difference @ difference + np.trace(a) + np.trace(b) - 2 * np.trace(root)


def frechet_by_eigenvalues(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    values = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0)
    return ((mu1 - mu2).pow(2).sum() + (cov1 + cov2).trace() - 2 * values.sqrt().sum()).item()


def frechet_by_singular_values(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """The nuclear norm of the product of two square roots, of any kind."""
    halves = []
    for cov in (cov1.double(), cov2.double()):
        values, vectors = torch.linalg.eigh(cov)
        halves.append(vectors * values.clamp(min=0).sqrt())
    cross = torch.linalg.svdvals(halves[0].T @ halves[1]).sum()
    return float((mu1 - mu2).double().norm() ** 2 + cov1.trace() + cov2.trace() - 2 * cross)


RIGHT: dict[str, dict[str, Any]] = {
    "sampling.posterior_mean_variance": {
        "Bayes' rule": posterior_by_bayes,
        "loop": posterior_in_a_loop,
        "float64 variance, logarithms": posterior_with_double_schedule,
    },
    "sampling.p_sample": {
        "the paper's formula": step_with_epsilon,
        "posterior of the guess, without a graph": step_with_posterior,
        "Python's numbers": step_with_numbers,
    },
    "sampling.p_sample_loop": {
        "range": loop_with_range,
        "reversed pairs, in inference mode": loop_with_reversed_pairs,
        "recursion": loop_by_recursion,
    },
    "sampling.ddim_timesteps": {
        "rounded down": timesteps_rounded_down,
        "rounded up": timesteps_rounded_up,
        "numpy": timesteps_in_numpy,
        "truncated float32": timesteps_truncated,
    },
    "sampling.ddim_step": {
        "Python's numbers": ddim_with_numbers,
        "a padded table": ddim_with_padded_table,
        "by cases": ddim_by_cases,
    },
    "sampling.guided_noise": {
        "weighted sum": guided_as_weighted_sum,
        "lerp": guided_by_lerp,
        "the paper's w": guided_from_the_conditional,
    },
    "sampling.drop_labels": {
        "in a copy": drop_in_a_copy,
        "in a list": drop_in_a_list,
        "masked_fill": drop_by_masked_fill,
        "arithmetic": drop_by_arithmetic,
    },
    "sampling.frechet_distance": {
        "scipy's root": frechet_by_sqrtm,
        "eigenvalues of the product": frechet_by_eigenvalues,
        "singular values": frechet_by_singular_values,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "sampling.posterior_mean_variance": {
        "x0 and betas": lambda x0, x_t, t, betas: (x0, betas[t].view(-1, 1, 1, 1)),
        "zeros": lambda x0, x_t, t, betas: (torch.zeros_like(x_t), torch.zeros(len(t), 1, 1, 1)),
        "halfway": lambda x0, x_t, t, betas: ((x0 + x_t) / 2, torch.full((len(t), 1, 1, 1), 0.5)),
    },
    "sampling.p_sample": {
        "x_t": lambda model, x_t, t, betas, noise: x_t,
        "noise": lambda model, x_t, t, betas, noise: noise,
        "the model's output": lambda model, x_t, t, betas, noise: model(x_t, torch.full((len(x_t),), t)),
    },
    "sampling.p_sample_loop": {
        "x_T": lambda model, x_T, betas, noises: x_T,
        "zeros": lambda model, x_T, betas, noises: torch.zeros_like(x_T),
        "a noise": lambda model, x_T, betas, noises: noises[0],
    },
    "sampling.ddim_timesteps": {
        "zeros": lambda num_train_steps, num_steps: torch.zeros(num_steps, dtype=torch.int64),
        "lowest": lambda num_train_steps, num_steps: torch.arange(num_steps).flip(0),
        "highest": lambda num_train_steps, num_steps: num_train_steps - 1 - torch.arange(num_steps),
    },
    "sampling.ddim_step": {
        "x_t": lambda x_t, *rest: x_t,
        "the guessed noise": lambda x_t, noise_pred, *rest: noise_pred,
        "zeros": lambda x_t, *rest: 0 * x_t,
    },
    "sampling.guided_noise": {
        "conditional": lambda noise_uncond, noise_cond, scale: noise_cond,
        "unconditional": lambda noise_uncond, noise_cond, scale: noise_uncond,
        "zeros": lambda noise_uncond, noise_cond, scale: torch.zeros_like(noise_cond),
    },
    "sampling.drop_labels": {
        "labels": lambda labels, drop_prob, u, null_label: labels,
        "all dropped": lambda labels, drop_prob, u, null_label: torch.full_like(labels, null_label),
        "zeros": lambda labels, drop_prob, u, null_label: torch.zeros_like(labels),
    },
    "sampling.frechet_distance": {
        "zero": lambda mu1, cov1, mu2, cov2: 0.0,
        "means only": lambda mu1, cov1, mu2, cov2: (mu1 - mu2).square().sum().item(),
        "traces only": lambda mu1, cov1, mu2, cov2: (cov1.trace() + cov2.trace()).item(),
    },
}
