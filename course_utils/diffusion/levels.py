"""What samplers require of the levels that they visit, and the numbers that they take from the schedule.

    t                int, 0..T-1      noise level: 0 = noised once, T-1 = almost pure noise
    CLEAN            -1               the level of x_0, where abar is 1
    alphas_cumprod   (T,) float       abar: share of the signal's variance left after step t
    betas            (T,) float       variance added by each step
    function         str              name of the function that was called, for its errors

The numbers are Python's, in float64. From a GPU they come once, before the first step: who takes them one by
one waits for it in each.
"""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor

from course_utils.diffusion.forward import require_alike, require_signal
from course_utils.diffusion.schedules import require_alphas_cumprod, require_betas
from course_utils.validation import describe, require_int

CLEAN = -1


def levels_with_shares(
    function: str, x_T: Tensor, timesteps: Tensor, alphas_cumprod: Tensor, last: int
) -> list[tuple[int, float]]:
    """The levels of a walk from x_T, to the last, each with its abar.

    TypeError, ValueError: timesteps is no row of int64; as shares and require_start.
    """
    whole = isinstance(timesteps, Tensor) and timesteps.dtype == torch.int64
    if not whole or timesteps.dim() != 1 or not len(timesteps):
        raise TypeError(
            f"{function}: timesteps must be an int64 tensor of shape (n,), got {describe(timesteps)}. "
            "See ddim_timesteps."
        )
    levels = [*timesteps.tolist(), last]
    abar = shares(function, levels, alphas_cumprod)
    require_start(function, x_T, levels[0], abar[0])
    return list(zip(levels, abar, strict=True))


def shares(function: str, levels: list[int], alphas_cumprod: Tensor) -> list[float]:
    """abar at each of the levels.

    TypeError, ValueError: levels do not fall, or all but the last are not levels of the schedule that hold
    noise.
    """
    require_alphas_cumprod(function, alphas_cumprod)
    abar = [*alphas_cumprod.tolist(), 1.0]  # the last, at index -1, is that of CLEAN
    *noisy, last = levels
    for t in noisy:
        require_level(function, t, len(alphas_cumprod))
        if abar[t] == 1:
            raise ValueError(
                f"{function}: alphas_cumprod must be below 1, got 1 at t = {t}: no noise to undo."
            )
    require_int(function, CLEAN, t_prev=last)
    if any(later >= t for t, later in pairwise(levels)):
        raise ValueError(
            f"{function}: levels must fall from step to step, got {levels}. Sampling runs from noise to "
            f"images, and after level 0 comes {CLEAN}."
        )
    return [abar[t] for t in levels]


def require_start(function: str, x_T: Tensor, t: int, abar_t: float) -> None:
    """Raise unless x_T are images, and something is left of x_0 in them at level t, and so at all below."""
    require_alike(function, x_T=x_T)
    signal = torch.full((len(x_T),), sqrt(abar_t), dtype=x_T.dtype)
    require_signal(function, signal, torch.full((len(x_T),), t))


def require_level(function: str, t: int, timesteps: int) -> None:
    """Raise unless t is one of so many levels."""
    require_int(function, 0, t=t)
    if t >= timesteps:
        raise ValueError(
            f"{function}: t must lie in 0..{timesteps - 1}, got {t}. Papers count from 1; arrays here from 0."
        )


def require_steps(function: str, least: int, num_train_steps: int, num_steps: int) -> None:
    """Raise unless so many of the levels can be visited."""
    require_int(function, least, num_train_steps=num_train_steps, num_steps=num_steps)
    if num_steps > num_train_steps:
        raise ValueError(
            f"{function}: num_steps must not exceed num_train_steps, got {num_steps} and "
            f"{num_train_steps}. There are no more levels than were trained."
        )


def require_noisy_betas(function: str, betas: Tensor) -> None:
    """Raise unless betas is a row of variances, the first above 0."""
    require_betas(function, betas)
    if betas[0] == 0:
        raise ValueError(
            f"{function}: betas must begin above 0, got 0: x_t would be x_0, with nothing to undo."
        )


def require_eta(function: str, eta: float) -> None:
    """Raise unless eta lies in 0..1."""
    if not 0 <= eta <= 1:
        raise ValueError(f"{function}: eta must lie in 0..1, got {eta}. 0 adds no noise, 1 as much as DDPM.")
