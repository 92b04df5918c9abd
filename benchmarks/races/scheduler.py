"""What a step of sampling costs beside the network: our samplers and diffusers' schedulers, in turns.

The model answers at once, with the same tensor; all that is left is the arithmetic of the step. Nobody clips.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.records import Row, beside
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import in_turns
from course_utils.diffusion.samplers import ddim, ddim_timesteps, dpm_solver_pp_2m
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule

STEPS = 20
DIFFUSERS = "diffusers"
BATCHES = (1, 64)  # images of 1 x 32 x 32


def run(setting: Setting) -> Iterator[Row]:
    walks = setting.pick(tiny=1, quick=5, full=20)  # a measurement is the mean of so many
    rounds = setting.pick(tiny=2, quick=5, full=15)
    contenders: dict[str, Callable[[], object]] = {}
    for batch in BATCHES:
        x, noise = torch.randn(2, batch, 1, 32, 32, generator=torch.Generator().manual_seed(0)).to(
            setting.device
        )
        for sampler, (ours, theirs) in SAMPLERS.items():
            contenders[f"ours {sampler} {batch}"] = partial(again, walks, ours, x, noise)
            contenders[f"theirs {sampler} {batch}"] = partial(again, walks, theirs, x, noise)
    seconds = in_turns(contenders, rounds, setting.progress, setting.device)
    for batch in BATCHES:
        for sampler in SAMPLERS:
            ours, theirs = (
                [1e6 * one / walks / STEPS for one in seconds[f"{side} {sampler} {batch}"]]
                for side in ("ours", "theirs")
            )
            name = f"a step of {sampler}, {batch} image{'s' * (batch > 1)}"
            yield beside(name, "µs", ours, DIFFUSERS, theirs)


def again(count: int, walk: Callable[[Tensor, Tensor], object], x: Tensor, noise: Tensor) -> None:
    for _ in range(count):
        walk(x, noise)


def abar() -> Tensor:
    return alphas_cumprod(linear_beta_schedule(1000, 1e-4, 0.02))


def our_ddim(x: Tensor, noise: Tensor) -> None:
    for _ in ddim(lambda *_: noise, x, ddim_timesteps(1000, STEPS), abar(), 0.0, generator=None):
        pass


def our_dpm(x: Tensor, noise: Tensor) -> None:
    for _ in dpm_solver_pp_2m(lambda *_: noise, x, ddim_timesteps(1000, STEPS), abar()):
        pass


def their_ddim(x: Tensor, noise: Tensor) -> None:
    from diffusers import DDIMScheduler

    follow(DDIMScheduler(1000, clip_sample=False), x, noise)


def their_dpm(x: Tensor, noise: Tensor) -> None:
    from diffusers import DPMSolverMultistepScheduler

    follow(DPMSolverMultistepScheduler(1000), x, noise)


def follow(scheduler: Any, x: Tensor, noise: Tensor) -> None:
    """A walk of diffusers."""
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        x = scheduler.step(noise, t, x).prev_sample


SAMPLERS = {"DDIM": (our_ddim, their_ddim), "DPM-Solver++(2M)": (our_dpm, their_dpm)}

RACE = Race(
    name="scheduler",
    title="What a step of sampling costs beside the network",
    method="Walks of 20 steps with a network that answers at once; the making of the schedule is included.\n"
    "Ours looks at levels and schedule once a walk, and at every guess for its shape and dtype.",
    run=run,
    inputs=("benchmarks/races/scheduler.py", "course_utils/diffusion"),
    seconds={"tiny": 2, "quick": 5, "full": 15},
    on_gpu=True,
)
