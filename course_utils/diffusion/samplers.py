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
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import at_level, predict_x0, require_alike
from course_utils.diffusion.schedules import alphas_cumprod as cumulate
from course_utils.diffusion.schedules import require_alphas_cumprod, require_betas
from course_utils.validation import describe, require_int

CLEAN = -1

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
    _require_noisy_betas("posterior_mean_variance", betas)
    beta = betas.double()
    abar = cumulate(beta)
    abar_prev = F.pad(abar[:-1], (1, 0), value=1.0)
    of_x0 = beta * abar_prev.sqrt() / (1 - abar)
    of_x_t = (1 - abar_prev) * (1 - beta).sqrt() / (1 - abar)
    variance = beta * (1 - abar_prev) / (1 - abar)
    a, b, v = (
        at_level("posterior_mean_variance", table, t, x_t).to(x_t) for table in (of_x0, of_x_t, variance)
    )
    return a * x0 + b * x_t, v


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
    _require_noisy_betas("p_sample", betas)
    _require_level("p_sample", t, len(betas))
    x0_hat, _ = _guess(model, x_t, t, cumulate(betas.double()), clip_x0=False)
    mean, variance = posterior_mean_variance(x0_hat, x_t, _levels(x_t, t), betas)
    return mean + variance.sqrt() * noise


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
    _require_noisy_betas("ddpm", betas)
    abar = cumulate(betas.double())
    x_t = x_T
    for t in reversed(range(len(betas))):
        x0_hat, _ = _guess(model, x_t, t, abar, clip_x0)
        x_t, spread = posterior_mean_variance(x0_hat, x_t, _levels(x_t, t), betas)
        if t > 0:
            spread = spread if variance == "posterior" else betas[t]
            x_t = x_t + spread.sqrt() * _draw(x_t, generator)
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
    require_int("ddim_timesteps", 2, num_train_steps=num_train_steps, num_steps=num_steps)
    if num_steps > num_train_steps:
        raise ValueError(
            f"ddim_timesteps: num_steps must not exceed num_train_steps, got {num_steps} and "
            f"{num_train_steps}. There are no more levels than were trained."
        )
    return torch.linspace(num_train_steps - 1, 0, num_steps, dtype=torch.float64).round().long()


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
    _require_noisy_levels("ddim_step", [t, t_prev], alphas_cumprod)
    _require_eta("ddim_step", eta)
    x0_hat = predict_x0(x_t, _levels(x_t, t), noise_pred, alphas_cumprod)
    signal, direction, sigma = _ddim_factors(t, t_prev, alphas_cumprod, eta)
    return signal * x0_hat + direction * noise_pred + sigma * noise


def _ddim_factors(t: int, t_prev: int, alphas_cumprod: Tensor, eta: float) -> tuple[float, float, float]:
    """Of x0_hat, noise_pred and noise in the next state."""
    abar_t, abar_s = _abar(alphas_cumprod, t), _abar(alphas_cumprod, t_prev)
    sigma = eta * math.sqrt((1 - abar_s) / (1 - abar_t)) * math.sqrt(1 - abar_t / abar_s)
    direction = math.sqrt(max(0.0, 1 - abar_s - sigma**2))  # rounding can take it below 0 where eta = 1
    return math.sqrt(abar_s), direction, sigma


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
        timesteps: (n,) int64, strictly descending, 0..T-1: see ddim_timesteps.
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
    _require_eta("ddim", eta)
    if eta > 0 and generator is None:
        raise TypeError(f"ddim: generator must be a torch.Generator where eta is above 0, got eta = {eta}.")
    x_t = x_T
    for t, t_prev in pairwise(_visited("ddim", timesteps, alphas_cumprod, last)):
        x0_hat, noise_pred = _guess(model, x_t, t, alphas_cumprod, clip_x0)
        # What ddim_step does, but for guessing x_0 and checking the schedule again.
        signal, direction, sigma = _ddim_factors(t, t_prev, alphas_cumprod, eta)
        x_t = signal * x0_hat + direction * noise_pred
        if generator is not None and eta > 0 and t_prev != CLEAN:
            x_t = x_t + sigma * _draw(x_t, generator)
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
    _require_noisy_levels("dpm_solver_pp_step", [t, t_prev], alphas_cumprod)
    return _dpm_update(x_t, data, t, t_prev, alphas_cumprod)


def _dpm_update(x_t: Tensor, data: Tensor, t: int, t_prev: int, alphas_cumprod: Tensor) -> Tensor:
    abar_t, abar_s = _abar(alphas_cumprod, t), _abar(alphas_cumprod, t_prev)
    h = _log_alpha_over_sigma(abar_s) - _log_alpha_over_sigma(abar_t)
    return math.sqrt((1 - abar_s) / (1 - abar_t)) * x_t - math.sqrt(abar_s) * math.expm1(-h) * data


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
    levels = _visited("dpm_solver_pp_2m", timesteps, alphas_cumprod, CLEAN)
    lambdas = [_log_alpha_over_sigma(_abar(alphas_cumprod, t)) for t in levels]
    steps = [after - before for before, after in pairwise(lambdas)]
    x_t, guesses = x_T, list[Tensor]()
    for i, (t, t_prev) in enumerate(pairwise(levels)):
        x0_hat, _ = _guess(model, x_t, t, alphas_cumprod, clip_x0)
        guesses = [*guesses[-1:], x0_hat]
        data = x0_hat
        if len(guesses) == 2 and t_prev != CLEAN:
            r = steps[i - 1] / steps[i]
            data = (1 + 1 / (2 * r)) * x0_hat - 1 / (2 * r) * guesses[0]
        x_t = _dpm_update(x_t, data, t, t_prev, alphas_cumprod)
        x_t = correct(x_t, t_prev) if correct else x_t
        yield SampleStep(t_prev, x_t, x0_hat)


def _guess(model: Model, x_t: Tensor, t: int, alphas_cumprod: Tensor, clip_x0: bool) -> tuple[Tensor, Tensor]:
    """x0_hat and noise_pred, which together make up x_t, clipped or not."""
    levels = _levels(x_t, t)
    noise_pred = model(x_t, levels).to(x_t)
    x0_hat = predict_x0(x_t, levels, noise_pred, alphas_cumprod)
    if clip_x0:
        abar = _abar(alphas_cumprod, t)
        x0_hat = x0_hat.clamp(-1, 1)
        noise_pred = (x_t - math.sqrt(abar) * x0_hat) / math.sqrt(1 - abar)
    return x0_hat, noise_pred


def _levels(x_t: Tensor, t: int) -> Tensor:
    return torch.full((len(x_t),), t, device=x_t.device)


def _abar(alphas_cumprod: Tensor, t: int) -> float:
    """A number of Python: arithmetic on it is far faster than on a tensor of one element."""
    return 1.0 if t == CLEAN else alphas_cumprod[t].item()


def _log_alpha_over_sigma(abar: float) -> float:
    """Infinite where there is no noise, or nothing else."""
    return -math.inf if abar == 0 else math.inf if abar == 1 else math.log(abar / (1 - abar)) / 2


def _draw(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def _visited(function: str, timesteps: Tensor, alphas_cumprod: Tensor, last: int) -> list[int]:
    """The levels of a sampler, to the last."""
    whole = isinstance(timesteps, Tensor) and timesteps.dtype == torch.int64
    if not whole or timesteps.dim() != 1 or not len(timesteps):
        raise TypeError(
            f"{function}: timesteps must be an int64 tensor of shape (n,), got {describe(timesteps)}. "
            "See ddim_timesteps."
        )
    levels = [*timesteps.tolist(), last]
    _require_noisy_levels(function, levels, alphas_cumprod)
    return levels


def _require_noisy_levels(function: str, levels: list[int], alphas_cumprod: Tensor) -> None:
    """Raise unless the levels fall, and all but the last are levels of the schedule that hold noise."""
    require_alphas_cumprod(function, alphas_cumprod)
    *noisy, last = levels
    for t in noisy:
        _require_level(function, t, len(alphas_cumprod))
        if alphas_cumprod[t] == 1:
            raise ValueError(
                f"{function}: alphas_cumprod must be below 1, got 1 at t = {t}: no noise to undo."
            )
    require_int(function, CLEAN, t_prev=last)
    if any(later >= t for t, later in pairwise(levels)):
        raise ValueError(
            f"{function}: levels must fall from step to step, got {levels}. Sampling runs from noise to "
            f"images, and after level 0 comes {CLEAN}."
        )


def _require_level(function: str, t: int, timesteps: int) -> None:
    require_int(function, 0, t=t)
    if t >= timesteps:
        raise ValueError(
            f"{function}: t must lie in 0..{timesteps - 1}, got {t}. Papers count from 1; arrays here from 0."
        )


def _require_noisy_betas(function: str, betas: Tensor) -> None:
    require_betas(function, betas)
    if betas[0] == 0:
        raise ValueError(
            f"{function}: betas must begin above 0, got 0: x_t would be x_0, with nothing to undo."
        )


def _require_eta(function: str, eta: float) -> None:
    if not 0 <= eta <= 1:
        raise ValueError(f"{function}: eta must lie in 0..1, got {eta}. 0 adds no noise, 1 as much as DDPM.")
