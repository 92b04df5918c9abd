"""Which noise levels are visited, and by which sampler, as scheduler/scheduler_config.json says.

    T                num_train_timesteps   levels that the network was trained on
    n                int, 1..T             levels to visit
    alphas_cumprod   (T,) float64          share of the signal's variance left after step t
    model            model(x_t, t) -> what prediction_type says: the noise, or v

The samplers are chapter 8's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from course_utils.diffusion import samplers, schedules
from course_utils.diffusion.forward import noise_from_velocity
from course_utils.diffusion.samplers import CLEAN, Correction, Model, SampleStep
from course_utils.validation import require_int

BETAS: dict[str, Callable[[int, float, float], Tensor]] = {
    "linear": schedules.linear_beta_schedule,
    "scaled_linear": schedules.scaled_linear_beta_schedule,
    "squaredcos_cap_v2": lambda timesteps, _start, _end: schedules.cosine_beta_schedule(
        timesteps, 0.008, 0.999
    ),
}
PREDICTIONS = ("epsilon", "v_prediction")
SPACINGS = ("leading", "linspace", "trailing")


@dataclass(frozen=True)
class Scheduler:
    """What both samplers need, under the names of the file; a default is what silence means there."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"
    timestep_spacing: str = "leading"
    steps_offset: int = 0

    CLASS: ClassVar[str]
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for name, known in (
            *(("beta_schedule", tuple(BETAS)), ("prediction_type", PREDICTIONS)),
            ("timestep_spacing", SPACINGS),
        ):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{type(self).__name__}: {name} must be one of {known}, got {value!r}.")

    def fixed(self) -> dict[str, Any]:
        """What the file may say, in one way only, beside the fields."""
        return {}

    @property
    def last(self) -> int:
        """The level of the last state."""
        return CLEAN

    @property
    def alphas_cumprod(self) -> Tensor:
        betas = BETAS[self.beta_schedule](self.num_train_timesteps, self.beta_start, self.beta_end)
        return schedules.alphas_cumprod(betas)

    def timesteps(self, steps: int) -> Tensor:
        """(n,) int64, strictly descending: what sample is given, or its tail.

        Raises:
            ValueError: there are more steps than levels, or steps_offset leads beyond the last one.
        """
        require_int("timesteps", 1, steps=steps)
        if steps > self.num_train_timesteps:
            raise ValueError(f"timesteps: steps must not exceed {self.num_train_timesteps}, got {steps}.")
        levels = self._spaced(steps)
        if levels[0] >= self.num_train_timesteps:
            raise ValueError(
                f"timesteps: levels must stay below {self.num_train_timesteps}, got {levels[0]}: too many "
                f"steps ({steps}) for steps_offset = {self.steps_offset}."
            )
        return levels

    def _spaced(self, steps: int) -> Tensor:
        raise NotImplementedError

    def _noise_model(self, model: Model) -> Model:
        """What samplers call, whatever the network predicts."""
        if self.prediction_type == "epsilon":
            return model
        table = self.alphas_cumprod
        return lambda x_t, t: noise_from_velocity(x_t, t, model(x_t, t), table)

    def sample(
        self, model: Model, x_T: Tensor, timesteps: Tensor, correct: Correction | None = None
    ) -> Iterator[SampleStep]:
        """The states after each step; nothing is drawn. See course_utils.diffusion.samplers."""
        raise NotImplementedError


def spaced(spacing: str, levels: int, steps: int, points: int, offset: int) -> Tensor:
    """The first `steps` of `points` levels, from noise to images, (steps,) int64, as the ecosystem has them.

    "leading" counts up from `offset` in whole strides, and may begin far below the last level; "trailing"
    counts down from the last level; "linspace" holds both ends.
    """
    if spacing == "leading":
        return (torch.arange(points) * (levels // points)).flip(0)[:steps] + offset
    if spacing == "trailing":
        return samplers.trailing_timesteps(levels, steps)
    return samplers.ddim_timesteps(levels, points)[:steps]


@dataclass(frozen=True)
class DDIM(Scheduler):
    """Chapter 8's ddim with eta = 0. Without set_alpha_to_one it ends at level 0 instead of at x_0."""

    set_alpha_to_one: bool = True
    clip_sample: bool = True

    CLASS: ClassVar[str] = "DDIMScheduler"
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        *("dynamic_thresholding_ratio", "sample_max_value", "clip_sample_range"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_sample:
            raise ValueError(
                "DDIM: clip_sample must be false, and has to be said: latents, unlike images, have no bounds."
            )

    @property
    def last(self) -> int:
        return CLEAN if self.set_alpha_to_one else 0

    def _spaced(self, steps: int) -> Tensor:
        return spaced(self.timestep_spacing, self.num_train_timesteps, steps, steps, self.steps_offset)

    def sample(
        self, model: Model, x_T: Tensor, timesteps: Tensor, correct: Correction | None = None
    ) -> Iterator[SampleStep]:
        visited = timesteps[timesteps > self.last]  # a step from level 0 to level 0 would change nothing
        return samplers.ddim(
            self._noise_model(model),
            x_T,
            visited,
            self.alphas_cumprod,
            eta=0.0,
            last=self.last,
            correct=correct,
            generator=None,
        )


@dataclass(frozen=True)
class DPMSolverPP(Scheduler):
    """Chapter 8's dpm_solver_pp_2m."""

    timestep_spacing: str = "linspace"

    CLASS: ClassVar[str] = "DPMSolverMultistepScheduler"
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        *("dynamic_thresholding_ratio", "sample_max_value", "lambda_min_clipped", "lower_order_final"),
        *("flow_shift", "time_shift_type"),
        *("set_alpha_to_one", "clip_sample", "clip_sample_range", "skip_prk_steps"),  # of other samplers
    )

    def fixed(self) -> dict[str, Any]:
        return {
            "algorithm_type": "dpmsolver++",
            "final_sigmas_type": "zero",
            "solver_order": 2,
            "solver_type": "midpoint",
        }

    def _spaced(self, steps: int) -> Tensor:
        return spaced(self.timestep_spacing, self.num_train_timesteps, steps, steps + 1, self.steps_offset)

    def sample(
        self, model: Model, x_T: Tensor, timesteps: Tensor, correct: Correction | None = None
    ) -> Iterator[SampleStep]:
        return samplers.dpm_solver_pp_2m(
            self._noise_model(model), x_T, timesteps, self.alphas_cumprod, correct=correct
        )
