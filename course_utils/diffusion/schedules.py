"""Noise schedules, in the notation of DDPM (Ho et al. 2020, arXiv:2006.11239).

    timesteps        int, T                how many steps lead from an image to noise
    t                0..T-1                0 = noised once, T-1 = almost pure noise; papers count from 1
    betas            (T,) float in 0..1    variance added by each step
    alphas_cumprod   (T,) float in 0..1    product of 1 - beta up to t: share of the signal's variance left

Schedules are computed in float64 and kept so; whoever uses them casts.
"""

import math

import torch
from torch import Tensor

from course_utils.validation import require_dims, require_float_tensor, require_int


def linear_beta_schedule(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Variances in equal steps, both ends included (DDPM, section 4).

    The paper's ends, 1e-4 and 0.02, belong to T = 1000. With fewer steps they add too little noise: scale
    both by 1000 / T (Nichol & Dhariwal 2021).

    Args:
        timesteps: int >= 1.
        beta_start, beta_end: 0 < beta_start <= beta_end < 1. A single step takes beta_start.

    Returns:
        (T,) float64.

    Raises:
        ValueError: the ends are out of order or out of range.
    """
    _require_ends("linear_beta_schedule", timesteps, beta_start, beta_end)
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)


def scaled_linear_beta_schedule(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Variances whose square roots go in equal steps: Stable Diffusion's, with 0.00085, 0.012 and T = 1000.

    Args, Returns, Raises: as linear_beta_schedule.
    """
    _require_ends("scaled_linear_beta_schedule", timesteps, beta_start, beta_end)
    return linear_beta_schedule(timesteps, math.sqrt(beta_start), math.sqrt(beta_end)).square()


def cosine_beta_schedule(timesteps: int, s: float, max_beta: float) -> Tensor:
    """Variances that let the signal fade like a squared cosine (Nichol & Dhariwal 2021, eq. 17).

    alphas_cumprod after i steps is f(i / T) / f(0) with f(u) = cos((u + s) / (1 + s) pi / 2)^2, and
    beta_i = 1 - f(i / T) / f((i - 1) / T), i = 1..T. It reaches 1 at the last step, hence max_beta.

    Args:
        timesteps: int >= 1.
        s: float >= 0, keeps the first variances from being tiny. The paper's is 0.008.
        max_beta: 0 < max_beta <= 1, an upper limit for every variance; 1 is none. The paper's is 0.999.

    Returns:
        (T,) float64.

    Raises:
        ValueError: s is negative, or max_beta is out of range.
    """
    require_int("cosine_beta_schedule", 1, timesteps=timesteps)
    if not 0 <= s < math.inf:
        raise ValueError(f"cosine_beta_schedule: s must not be negative, got {s}. The paper's is 0.008.")
    if not 0 < max_beta <= 1:
        raise ValueError(
            f"cosine_beta_schedule: max_beta must lie above 0 and not above 1, got {max_beta}. "
            "It is a variance; the paper's is 0.999."
        )
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((u + s) / (1 + s) * math.pi / 2).square()
    return (1 - f[1:] / f[:-1]).clamp(max=max_beta)


def alphas_cumprod(betas: Tensor) -> Tensor:
    """The share of the signal's variance that is left after each step: the product of 1 - beta up to it.

    Args:
        betas: (T,) float in 0..1.

    Returns:
        (T,), the dtype of betas, in 0..1, never rising.

    Raises:
        ValueError: betas are not one row of numbers in 0..1.
    """
    require_betas("alphas_cumprod", betas)
    return torch.cumprod(1 - betas, dim=0)


def snr(alphas_cumprod: Tensor) -> Tensor:
    """Signal-to-noise ratio, of variances: alphas_cumprod / (1 - alphas_cumprod) (Kingma et al. 2021).

    Args:
        alphas_cumprod: (T,) float in 0..1, never rising.

    Returns:
        (T,), the dtype of alphas_cumprod, >= 0: 1 where signal and noise are equally strong, infinite where
        there is no noise.

    Raises:
        ValueError: alphas_cumprod rises, or is not one row of numbers in 0..1.
    """
    require_alphas_cumprod("snr", alphas_cumprod)
    return alphas_cumprod / (1 - alphas_cumprod)


def require_betas(function: str, betas: Tensor) -> None:
    """Raise unless betas is a row of variances in 0..1."""
    _require_row(function, "They are variances: the one added by each step.", betas=betas)


def require_alphas_cumprod(function: str, alphas_cumprod: Tensor) -> None:
    """Raise unless alphas_cumprod is a row of shares in 0..1 that never rises."""
    _require_row(function, "They are products of 1 - beta.", alphas_cumprod=alphas_cumprod)
    if (alphas_cumprod.diff() > 0).any():
        raise ValueError(
            f"{function}: alphas_cumprod must not rise from step to step, got "
            f"{alphas_cumprod[0]:.4g} at first and {alphas_cumprod[-1]:.4g} at last. "
            "Every step takes signal away. Are these betas, or in reversed order?"
        )


def _require_row(function: str, meaning: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 1, "(T,)", **named)
    for name, row in named.items():
        if not len(row):
            raise ValueError(f"{function}: {name} must hold at least one step, got shape (0,).")
        if not ((row >= 0) & (row <= 1)).all():
            raise ValueError(
                f"{function}: {name} must lie in 0..1, got {row.min():.4g}..{row.max():.4g}. {meaning}"
            )


def _require_ends(function: str, timesteps: int, beta_start: float, beta_end: float) -> None:
    require_int(function, 1, timesteps=timesteps)
    if not 0 < beta_start <= beta_end < 1:
        raise ValueError(
            f"{function}: 0 < beta_start <= beta_end < 1 must hold, got {beta_start} and {beta_end}. "
            "Are the ends swapped, or scaled up for very few steps?"
        )
