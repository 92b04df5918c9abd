"""Forward diffusion, in the notation of DDPM (Ho et al. 2020, arXiv:2006.11239).

    t                (B,) int64, 0..T-1     0 = noised once, T-1 = almost pure noise; a level for each image
    betas            (T,) float in 0..1     variance added by each step
    alphas_cumprod   (T,) float in 0..1     share of the signal's variance left after step t
    x0, x_t          (B, C, H, W) float     x0 in [-1, 1]; x_t unbounded. (B, ...) in general: toys are (B, D)
    noise            like x_t               standard normal; or a model's guess of it
    v                like x_t               velocity: how x_t changes as signal is turned into noise

Results have the dtype and the device of x0, x_t or x_prev. Schedules may be more precise, and may stay on the
CPU: the few numbers taken from them are cast at use.
"""

import torch
from torch import Tensor

from course_utils.diffusion.schedules import require_alphas_cumprod, require_betas
from course_utils.validation import describe, require_float_tensor, require_same_shape


def q_step(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    """One step of noising: sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) noise (DDPM, eq. 2).

    Args:
        x_prev: (B, ...) float, x_{t-1}: one step less noisy than what is returned; x_0 where t = 0.
        t: (B,) int64, 0..T-1.
        betas: (T,) float.
        noise: like x_prev, standard normal.

    Returns:
        like x_prev: x_t. Data of variance 1 keeps it.

    Raises:
        TypeError, ValueError: see the module; t counts from 0 and has an entry for each image.
    """
    require_alike("q_step", x_prev=x_prev, noise=noise)
    require_betas("q_step", betas)
    beta = at_level("q_step", betas, t, x_prev)
    return (1 - beta).sqrt().to(x_prev) * x_prev + beta.sqrt().to(x_prev) * noise


def q_sample(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """The jump from x_0 to level t: sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise (DDPM, eq. 4).

    It has the distribution of x_0 after steps 0..t.

    Args:
        x0: (B, ...) float in [-1, 1].
        t: (B,) int64, 0..T-1.
        alphas_cumprod: (T,) float.
        noise: like x0, standard normal.

    Returns:
        like x0: x_t.
    """
    require_alike("q_sample", x0=x0, noise=noise)
    signal, sigma = _signal_and_sigma("q_sample", alphas_cumprod, t, x0)
    return signal * x0 + sigma * noise


def predict_x0(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_0 where the noise in x_t is known: (x_t - sqrt(1 - abar_t) noise) / sqrt(abar_t) (DDPM, eq. 15).

    An error in the noise comes back multiplied by sqrt((1 - abar_t) / abar_t), which is large at late t; a
    guess may leave [-1, 1], and is not clamped here.

    Args:
        x_t: (B, ...) float.
        t: (B,) int64, 0..T-1.
        noise: like x_t, the true one or a model's guess.
        alphas_cumprod: (T,) float, above 0 at every t asked for.

    Returns:
        like x_t: x_0.
    """
    require_alike("predict_x0", x_t=x_t, noise=noise)
    signal, sigma = _signal_and_sigma("predict_x0", alphas_cumprod, t, x_t)
    require_signal("predict_x0", signal.flatten(), t)
    return without_noise(x_t, noise, signal, sigma)


def without_noise(x_t: Tensor, noise: Tensor, signal: Tensor | float, sigma: Tensor | float) -> Tensor:
    """predict_x0 where both factors are known, and known to be right: sqrt(abar_t) and sqrt(1 - abar_t)."""
    return (x_t - sigma * noise) / signal


def velocity(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """v = sqrt(abar_t) noise - sqrt(1 - abar_t) x_0 (Salimans & Ho 2022, arXiv:2202.00512, section 4).

    (x_t, v) is (x_0, noise) turned by an angle whose cosine is sqrt(abar_t).

    Args:
        x0: (B, ...) float in [-1, 1].
        t: (B,) int64, 0..T-1.
        noise: like x0, standard normal.
        alphas_cumprod: (T,) float.

    Returns:
        like x0: v.
    """
    require_alike("velocity", x0=x0, noise=noise)
    signal, sigma = _signal_and_sigma("velocity", alphas_cumprod, t, x0)
    return signal * noise - sigma * x0


def x0_from_velocity(x_t: Tensor, t: Tensor, v: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_0 = sqrt(abar_t) x_t - sqrt(1 - abar_t) v: turned back. It never divides, unlike predict_x0.

    Args:
        x_t: (B, ...) float.
        t: (B,) int64, 0..T-1.
        v: like x_t, the true one or a model's guess.
        alphas_cumprod: (T,) float.

    Returns:
        like x_t: x_0.
    """
    require_alike("x0_from_velocity", x_t=x_t, v=v)
    signal, sigma = _signal_and_sigma("x0_from_velocity", alphas_cumprod, t, x_t)
    return signal * x_t - sigma * v


def noise_from_velocity(x_t: Tensor, t: Tensor, v: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The noise in x_t: sqrt(1 - abar_t) x_t + sqrt(abar_t) v. Arguments as x0_from_velocity.

    Returns:
        like x_t: the noise.
    """
    require_alike("noise_from_velocity", x_t=x_t, v=v)
    signal, sigma = _signal_and_sigma("noise_from_velocity", alphas_cumprod, t, x_t)
    return sigma * x_t + signal * v


def _signal_and_sigma(function: str, alphas_cumprod: Tensor, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of x_0 and of the noise, sqrt(abar_t) and sqrt(1 - abar_t), each (B, 1, ..., 1) like x."""
    require_alphas_cumprod(function, alphas_cumprod)
    share = at_level(function, alphas_cumprod, t, x)
    return share.sqrt().to(x), (1 - share).sqrt().to(x)


def at_level(function: str, schedule: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """(B, 1, ..., 1), where the schedule lies: its number for each image, in the finer of the two dtypes."""
    _require_levels(function, t, len(schedule), len(x))
    chosen = schedule[t.to(schedule.device)].to(torch.promote_types(schedule.dtype, x.dtype))
    return chosen.view(-1, *[1] * (x.dim() - 1))


def _require_levels(function: str, t: Tensor, timesteps: int, batch: int) -> None:
    if not isinstance(t, Tensor) or t.dtype != torch.int64:
        raise TypeError(
            f"{function}: t must be an int64 tensor of shape (B,), got {describe(t)}. "
            "One level for all images is torch.full((B,), level)."
        )
    if t.shape != (batch,):
        raise ValueError(
            f"{function}: t must have an entry for each image, shape ({batch},), got {tuple(t.shape)}."
        )
    if ((t < 0) | (t >= timesteps)).any():
        raise ValueError(
            f"{function}: t must lie in 0..{timesteps - 1}, got {t.min()}..{t.max()}. "
            "Papers count from 1; arrays here from 0."
        )


def require_signal(function: str, signal: Tensor, t: Tensor) -> None:
    """Raise unless sqrt(abar_t), (B,) in the dtype of the images, is above 0 at their levels t, (B,)."""
    if (signal == 0).any():
        raise ValueError(
            f"{function}: alphas_cumprod must be above 0, got 0 in {signal.dtype} at t = "
            f"{t[signal == 0].tolist()}. Nothing is left of x_0 in x_t, so x_t cannot tell it."
        )


def require_alike(function: str, **named: Tensor) -> None:
    """Raise unless the arguments are batches of one shape and one dtype."""
    require_float_tensor(function, **named)
    require_same_shape(function, **named)
    name, x = next(iter(named.items()))
    if x.dim() < 1:
        raise ValueError(f"{function}: {name} needs a batch dimension, got shape ().")
    if len({value.dtype for value in named.values()}) > 1:
        listed = ", ".join(f"{key} {str(value.dtype).removeprefix('torch.')}" for key, value in named.items())
        raise TypeError(
            f"{function}: dtypes must be equal, got {listed}. torch.randn_like draws noise like its image."
        )
