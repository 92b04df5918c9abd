"""Walking back from noise to images, in the notation of DDPM (Ho et al. 2020, arXiv:2006.11239).

    t                    int, or (B,) int64, 0..T-1   noise level: 0 = noised once, T-1 = almost pure noise
    CLEAN                -1                           the level of x_0, where abar is 1
    betas                (T,) float in 0..1           variance added by each step
    alphas_cumprod       (T,) float in 0..1           abar: share of the signal's variance left after step t
    x0, x_t              (B, C, H, W) float           x0 in [-1, 1]; x_t unbounded
    noise                like x_t                     standard normal
    noise_pred, x0_hat   like x_t                     a model's guess of the noise in x_t, and of x0
    model                model(x_t, t) -> noise_pred  t as (B,) int64
    correct              correct(x_t, t) -> x_t       t an int: what is done to each new state (inpainting)

A step is a pure function; its noise is an argument. A sampler is a generator of the states after each step.
It keeps no computation graph, and raises what is wrong with its arguments when the first state is asked for.

Steps look at all that they are given. Samplers look at levels and schedule once, and take the numbers that
they need in float64; from then on they look at what the model returns. Below each step is the equation that
both compute.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import at_level, predict_x0, require_alike, without_noise
from course_utils.diffusion.levels import (
    CLEAN,
    levels_with_shares,
    require_eta,
    require_level,
    require_noisy_betas,
    require_start,
    require_steps,
    shares,
)
from course_utils.diffusion.schedules import alphas_cumprod as cumulate

Model: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Correction: TypeAlias = Callable[[Tensor, int], Tensor]
Variance: TypeAlias = Literal["posterior", "beta"]


@dataclass(frozen=True, eq=False)
class SampleStep:
    """A state on the way, after a step.

    Args:
        t: the noise level of x_t; CLEAN after the last step.
        x_t: (B, C, H, W). After the last step the sample itself.
        x0_hat: like x_t, the guess of x0 that the step was made with.
    """

    t: int
    x_t: Tensor
    x0_hat: Tensor


def posterior_mean_variance(x0: Tensor, x_t: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{t-1} | x_t, x_0) (DDPM, eq. 6 and 7).

        mean      (beta_t sqrt(abar_{t-1}) x_0 + (1 - abar_{t-1}) sqrt(1 - beta_t) x_t) / (1 - abar_t)
        variance  beta_t (1 - abar_{t-1}) / (1 - abar_t)

    Args:
        x0: (B, ...) float, the clean images or a guess of them.
        x_t: like x0.
        t: (B,) int64, 0..T-1. At t = 0 the mean is x0 and the variance 0.
        betas: (T,) float, the first above 0.

    Returns:
        mean, like x_t, and variance, (B, 1, ..., 1) of the dtype of x_t.

    Raises:
        TypeError, ValueError: shapes or dtypes differ, t does not fit, or betas are no variances.
    """
    require_alike("posterior_mean_variance", x0=x0, x_t=x_t)
    require_noisy_betas("posterior_mean_variance", betas)
    of_x0, of_x_t, variance = (
        at_level("posterior_mean_variance", table, t, x_t).to(x_t) for table in _posterior_factors(betas)
    )
    return _previous(x0, x_t, of_x0, of_x_t), variance


def _posterior_factors(betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of x_0 and of x_t in the posterior's mean, and its variance, each (T,) float64."""
    beta = betas.double()
    abar = cumulate(beta)
    abar_prev = F.pad(abar[:-1], (1, 0), value=1.0)
    of_x0 = beta * abar_prev.sqrt() / (1 - abar)
    of_x_t = (1 - abar_prev) * (1 - beta).sqrt() / (1 - abar)
    return of_x0, of_x_t, beta * (1 - abar_prev) / (1 - abar)


def _previous(
    x0: Tensor,
    x_t: Tensor,
    of_x0: Tensor | float,
    of_x_t: Tensor | float,
    deviation: float = 0.0,
    noise: Tensor | None = None,
) -> Tensor:
    """x_{t-1}: the posterior's mean, with noise or without."""
    mean = of_x0 * x0 + of_x_t * x_t
    return mean if noise is None else mean + deviation * noise


def p_sample(model: Model, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """One step back: a draw from the posterior at the model's guess of x_0 (DDPM, alg. 2, beta-tilde).

    Args:
        model: see the module.
        x_t: (B, ...) float.
        t: int, 0..T-1. At t = 0 the variance is 0, and no noise is added.
        betas: (T,) float, the first above 0.
        noise: like x_t, standard normal.

    Returns:
        like x_t: x_{t-1}.

    Raises:
        TypeError, ValueError: as posterior_mean_variance.
    """
    require_alike("p_sample", x_t=x_t, noise=noise)
    require_noisy_betas("p_sample", betas)
    require_level("p_sample", t, len(betas))
    abar_t = cumulate(betas.double())[t].item()
    require_start("p_sample", x_t, t, abar_t)
    x0_hat, _ = _guess(model, x_t, t, abar_t, clip_x0=False)
    of_x0, of_x_t, variance = (table[t].item() for table in _posterior_factors(betas))
    return _previous(x0_hat, x_t, of_x0, of_x_t, sqrt(variance), noise)


@torch.no_grad()
def p_sample_loop(model: Model, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """All steps back, from t = T-1 to t = 0 (DDPM, alg. 2).

    Args:
        model: see the module.
        x_T: (B, ...) float, standard normal.
        betas: (T,) float, the first above 0.
        noises: (T, B, ...) float, standard normal; noises[t] is for the step at t.

    Returns:
        like x_T: x_0, without a computation graph.

    Raises:
        ValueError: there is not one noise for each step.
        TypeError, ValueError: as p_sample.
    """
    if noises.shape != (len(betas), *x_T.shape):
        raise ValueError(
            f"p_sample_loop: noises must be {(len(betas), *x_T.shape)}, one like x_T for each of the "
            f"{len(betas)} steps, got {tuple(noises.shape)}."
        )
    x_t = x_T
    for t in reversed(range(len(betas))):
        x_t = p_sample(model, x_t, t, betas, noises[t])
    return x_t


@torch.no_grad()
def ddpm(
    model: Model,
    x_T: Tensor,
    betas: Tensor,
    *,
    variance: Variance = "posterior",
    clip_x0: bool = False,
    generator: torch.Generator,
) -> Iterator[SampleStep]:
    """Ancestral sampling, one step a level (DDPM, alg. 2 and section 3.2).

    Args:
        model, x_T, betas: as p_sample_loop.
        variance: of the noise at step t. "posterior" is beta-tilde_t, right where all x_0 are one point;
            "beta" is beta_t, right where x_0 is standard normal. Images lie in between.
        clip_x0: keep every guess of x_0 in [-1, 1].
        generator: on the device of x_T. Nothing is drawn for the last step.

    Yields:
        T states, t = T-2, ..., 0, CLEAN.

    Raises:
        ValueError: the variance is neither of the two.
        TypeError, ValueError: as p_sample.
    """
    if variance not in get_args(Variance):
        raise ValueError(f'ddpm: variance must be "posterior" or "beta", got {variance!r}.')
    require_noisy_betas("ddpm", betas)
    betas = betas.double().cpu()
    abar = cumulate(betas).tolist()
    require_start("ddpm", x_T, len(abar) - 1, abar[-1])
    of_x0, of_x_t, posterior = (table.tolist() for table in _posterior_factors(betas))
    variances = posterior if variance == "posterior" else betas.tolist()
    x_t = x_T
    for t in reversed(range(len(abar))):
        x0_hat, _ = _guess(model, x_t, t, abar[t], clip_x0)
        noise = _draw(x_t, generator) if t > 0 else None
        x_t = _previous(x0_hat, x_t, of_x0[t], of_x_t[t], sqrt(variances[t]), noise)
        yield SampleStep(t - 1, x_t, x0_hat)


def ddim_timesteps(num_train_steps: int, num_steps: int) -> Tensor:
    """Levels to visit: evenly spaced from T-1 down to 0, each rounded to the nearest level.

    Args:
        num_train_steps: T.
        num_steps: int, 2..T.

    Returns:
        (num_steps,) int64, strictly descending.

    Raises:
        ValueError: there are more steps than levels, or fewer than the two ends.
    """
    require_steps("ddim_timesteps", 2, num_train_steps, num_steps)
    return torch.linspace(num_train_steps - 1, 0, num_steps, dtype=torch.float64).round().long()


def trailing_timesteps(num_train_steps: int, num_steps: int) -> Tensor:
    """Levels to visit: from T-1 down, each T / n below the one before, so that all n steps are of one length.

    That counts the last step, which leads to the clean image, as a step like the others; ddim_timesteps goes
    down to level 0 before, and makes the others longer (Lin et al. 2023, arXiv:2305.08891, table 2).

    Args:
        num_train_steps: T.
        num_steps: int n, 1..T.

    Returns:
        (n,) int64, strictly descending: T - i T / n - 1, i = 0..n-1, each rounded to the nearest level.

    Raises:
        ValueError: there are more steps than levels, or none.
    """
    require_steps("trailing_timesteps", 1, num_train_steps, num_steps)
    # numpy's arange, because halves are rounded as its last digits say: so they are in the ecosystem.
    papers = np.arange(num_train_steps, 0, -num_train_steps / num_steps)[:num_steps]
    return torch.from_numpy(papers).round().long() - 1


def ddim_step(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """One step from level t to a lower one, s = t_prev (Song et al. 2021, arXiv:2010.02502, eq. 12 and 16).

        x_s    sqrt(abar_s) x0_hat + sqrt(1 - abar_s - sigma^2) noise_pred + sigma noise
        sigma  eta sqrt((1 - abar_s) / (1 - abar_t)) sqrt(1 - abar_t / abar_s)

    Args:
        x_t: (B, ...) float.
        noise_pred: like x_t.
        t: int, 0..T-1.
        t_prev: int below t; CLEAN (-1) means abar_s = 1, and leads to x0_hat.
        alphas_cumprod: (T,) float, below 1 at t.
        eta: 0..1. 0 is deterministic; 1 is p_sample where t_prev = t - 1.
        noise: like x_t, standard normal.

    Returns:
        like x_t: x_s.

    Raises:
        TypeError, ValueError: shapes or dtypes differ, levels do not fit or do not fall, eta is out of range.
    """
    require_alike("ddim_step", x_t=x_t, noise_pred=noise_pred, noise=noise)
    abar_t, abar_s = shares("ddim_step", [t, t_prev], alphas_cumprod)
    require_eta("ddim_step", eta)
    x0_hat = predict_x0(x_t, _levels(x_t, t), noise_pred, alphas_cumprod)
    return _ddim(x0_hat, noise_pred, abar_t, abar_s, eta, noise)


def _ddim(
    x0_hat: Tensor, noise_pred: Tensor, abar_t: float, abar_s: float, eta: float, noise: Tensor | None
) -> Tensor:
    """ddim_step's equation. Without noise its last term is left out."""
    sigma = eta * sqrt((1 - abar_s) / (1 - abar_t)) * sqrt(1 - abar_t / abar_s)
    direction = sqrt(max(1 - abar_s - sigma**2, 0))  # rounding can take it below 0 where eta = 1
    x_s = sqrt(abar_s) * x0_hat + direction * noise_pred
    return x_s if noise is None else x_s + sigma * noise


@torch.no_grad()
def ddim(
    model: Model,
    x_T: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    eta: float,
    *,
    clip_x0: bool = False,
    last: int = CLEAN,
    correct: Correction | None = None,
    generator: torch.Generator | None,
) -> Iterator[SampleStep]:
    """DDIM along any falling levels, then to x_0.

    Args:
        model: see the module.
        x_T: (B, ...) float, standard normal.
        timesteps: (n,) int64, strictly descending, 0..T-1: see ddim_timesteps, trailing_timesteps.
        alphas_cumprod: (T,) float, below 1 at every level that is visited.
        eta: 0..1, see ddim_step.
        clip_x0: keep every guess of x_0 in [-1, 1]; the guess of the noise is adapted to it.
        last: the level after timesteps[n-1], where sampling ends: CLEAN is x_0.
        correct: see the module.
        generator: on the device of x_T; None will do for eta = 0, which draws nothing.

    Yields:
        n states, t = timesteps[1], ..., timesteps[n-1], last.

    Raises:
        TypeError: eta is above 0 and no generator came.
        TypeError, ValueError: as ddim_step.
    """
    require_eta("ddim", eta)
    if eta > 0 and generator is None:
        raise TypeError(f"ddim: generator must be a torch.Generator where eta is above 0, got eta = {eta}.")
    x_t = x_T
    visited = levels_with_shares("ddim", x_T, timesteps, alphas_cumprod, last)
    for (t, abar_t), (t_prev, abar_s) in pairwise(visited):
        x0_hat, noise_pred = _guess(model, x_t, t, abar_t, clip_x0)
        noise = _draw(x_t, generator) if eta > 0 and t_prev != CLEAN else None
        x_t = _ddim(x0_hat, noise_pred, abar_t, abar_s, eta, noise)
        x_t = correct(x_t, t_prev) if correct else x_t
        yield SampleStep(t_prev, x_t, x0_hat)


def dpm_solver_pp_step(x_t: Tensor, data: Tensor, t: int, t_prev: int, alphas_cumprod: Tensor) -> Tensor:
    """One step of DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095, alg. 2, lines 5 and 10), s = t_prev.

        x_s = sigma_s / sigma_t x_t - alpha_s (exp(-h) - 1) data,   h = lambda_s - lambda_t

    In the paper's letters: alpha = sqrt(abar), sigma = sqrt(1 - abar), lambda = log(alpha / sigma). With
    data = x0_hat the step is of first order, and equal to DDIM's at eta = 0.

    Args:
        x_t: (B, ...) float.
        data: like x_t, what x_0 is taken to be during the step.
        t: int, 0..T-1.
        t_prev: int below t; CLEAN (-1) leads to `data`.
        alphas_cumprod: (T,) float, above 0 and below 1 at t.

    Returns:
        like x_t: x_s.

    Raises:
        TypeError, ValueError: shapes or dtypes differ, levels do not fit or do not fall.
    """
    require_alike("dpm_solver_pp_step", x_t=x_t, data=data)
    abar_t, abar_s = shares("dpm_solver_pp_step", [t, t_prev], alphas_cumprod)
    return _dpm_solver_pp(x_t, data, abar_t, abar_s)


def _dpm_solver_pp(x_t: Tensor, data: Tensor, abar_t: float, abar_s: float) -> Tensor:
    """dpm_solver_pp_step's equation."""
    h = _log_alpha_over_sigma(abar_s) - _log_alpha_over_sigma(abar_t)
    return sqrt((1 - abar_s) / (1 - abar_t)) * x_t - sqrt(abar_s) * math.expm1(-h) * data


def _log_alpha_over_sigma(abar: float) -> float:
    """The paper's lambda, infinite where abar is 0 or 1."""
    return math.log(abar / (1 - abar)) / 2 if 0 < abar < 1 else math.copysign(math.inf, abar - 0.5)


@torch.no_grad()
def dpm_solver_pp_2m(
    model: Model,
    x_T: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    *,
    clip_x0: bool = False,
    correct: Correction | None = None,
) -> Iterator[SampleStep]:
    """DPM-Solver++(2M): two guesses of x_0, this one and the last, extrapolated to the middle of the step.

        data = (1 + 1 / (2 r)) x0_hat - 1 / (2 r) x0_hat_before,   r = h_before / h

    (Lu et al. 2022, arXiv:2211.01095, alg. 2). The first step has one guess only. So has the last one, which
    leads to abar = 1: h is infinite there.

    Args:
        model, x_T, timesteps, alphas_cumprod, clip_x0, correct: as ddim. Nothing is drawn.

    Yields:
        n states, t = timesteps[1], ..., timesteps[n-1], CLEAN.

    Raises:
        TypeError, ValueError: as ddim.
    """
    visited = levels_with_shares("dpm_solver_pp_2m", x_T, timesteps, alphas_cumprod, CLEAN)
    x_t, x0_hat_before, h_before = x_T, x_T, 0.0
    for (t, abar_t), (t_prev, abar_s) in pairwise(visited):
        x0_hat, _ = _guess(model, x_t, t, abar_t, clip_x0)
        data, h = x0_hat, _log_alpha_over_sigma(abar_s) - _log_alpha_over_sigma(abar_t)
        if h_before > 0 and t_prev != CLEAN:  # at 0 there is no guess before, or it is the same
            weight = h / (2 * h_before)  # 1 / (2 r)
            data = (1 + weight) * x0_hat - weight * x0_hat_before
        x_t = _dpm_solver_pp(x_t, data, abar_t, abar_s)
        x_t = correct(x_t, t_prev) if correct else x_t
        x0_hat_before, h_before = x0_hat, h
        yield SampleStep(t_prev, x_t, x0_hat)


def _guess(model: Model, x_t: Tensor, t: int, abar_t: float, clip_x0: bool) -> tuple[Tensor, Tensor]:
    """x0_hat and noise_pred, which together make up x_t, clipped or not."""
    noise_pred = model(x_t, _levels(x_t, t)).to(x_t)
    require_alike("predict_x0", x_t=x_t, noise=noise_pred)
    signal, sigma = sqrt(abar_t), sqrt(1 - abar_t)
    x0_hat = without_noise(x_t, noise_pred, signal, sigma)
    if clip_x0:
        x0_hat = x0_hat.clamp(-1, 1)
        noise_pred = (x_t - signal * x0_hat) / sigma
    return x0_hat, noise_pred


def _levels(x_t: Tensor, t: int) -> Tensor:
    return torch.full((len(x_t),), t, device=x_t.device)


def _draw(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
