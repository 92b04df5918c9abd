"""Fewer levels than were trained, for samplers that visit every level (Nichol & Dhariwal 2021, section 4).

timesteps        (n,) int64, strictly descending    the levels to visit, see samplers.ddim_timesteps
alphas_cumprod   (T,) float                         the schedule of the training
betas            (n,) float                         the schedule of the shorter walk: betas[i] belongs to
                                                    the i-th of the levels in rising order
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.samplers import Model
from course_utils.diffusion.schedules import require_alphas_cumprod
from course_utils.validation import describe


def respaced(model: Model, timesteps: Tensor, alphas_cumprod: Tensor) -> tuple[Model, Tensor]:
    """The same model on a walk of n levels, and that walk's betas: 1 - abar_i / abar_{i-1}.

    Args:
        model: model(x_t, t) -> noise_pred, t in 0..T-1.
        timesteps, alphas_cumprod: see the module.

    Returns:
        a model that takes levels 0..n-1, and betas (n,) float64. The i-th level of the short walk has as much
        signal left as the i-th visited level of the long one.

    Raises:
        TypeError, ValueError: timesteps are not int64, or do not fall from T-1 at most to 0 at least;
            alphas_cumprod is no schedule.
    """
    require_alphas_cumprod("respaced", alphas_cumprod)
    if not isinstance(timesteps, Tensor) or timesteps.dtype != torch.int64 or timesteps.dim() != 1:
        raise TypeError(f"respaced: timesteps must be an int64 tensor (n,), got {describe(timesteps)}.")
    levels, most = timesteps.flip(0), len(alphas_cumprod) - 1
    if not len(levels) or (levels.diff() <= 0).any() or levels[0] < 0 or levels[-1] > most:
        raise ValueError(
            f"respaced: timesteps must fall strictly within {most}..0, got {timesteps.tolist()}."
        )
    abar = alphas_cumprod.double()[levels]

    def respaced_model(x_t: Tensor, i: Tensor) -> Tensor:
        return model(x_t, levels.to(i.device)[i])

    return respaced_model, 1 - abar / F.pad(abar[:-1], (1, 0), value=1.0)
