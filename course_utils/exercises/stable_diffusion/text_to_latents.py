"""From noise to latents, watched on a small network.

unet             TinyTextUNet; refuses a t that is no (B,) int64, and batches that do not match
latents          (B, 2, 3, 4) float
cond, uncond     (B, 2, 3) float
timesteps        (n,) int64, descending, with levels in between and some below the last one
alphas_cumprod   (T,) float
scale            float
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, draws_nothing, edge, leaves_alone, runs
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions
from course_utils.exercises.stable_diffusion.common import (
    DTYPES,
    LATENTS,
    SAME_DTYPE_AS_LATENTS,
    TEXT,
    draw_abar,
    draw_unet,
    guided,
)

ONE_STEP = "a single timestep"


def cases(draw: Draw) -> list[Case]:
    """A few steps; a single one; then other dtypes."""

    def case(
        b: int,
        levels: Sequence[int],
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        inputs = {
            "unet": draw_unet(draw, 12, dtype),
            "latents": draw.normal(b, *LATENTS, dtype=dtype),
            "cond": draw.normal(b, *TEXT, dtype=dtype),
            "uncond": draw.normal(b, *TEXT, dtype=dtype),
            "timesteps": torch.tensor(levels),
            "alphas_cumprod": draw_abar(draw, 12, schedule),
            "scale": draw.real(1.5, 2.5),
        }
        dtypes = f", latents {str(dtype)[6:]}, alphas_cumprod {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{b} latents, timesteps {list(levels)}{dtypes}", inputs, kind)

    return [
        case(3, [draw.integer(9, 10), draw.integer(6, 7), draw.integer(3, 4), 1]),
        case(2, [10, draw.integer(5, 7), draw.integer(2, 3)]),
        case(2, [draw.integer(4, 6)], ONE_STEP),
        case(3, [9, 5, 2], DTYPES, schedule=torch.float64),
        case(3, [9, 5, 2], DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def share(abar: Tensor, level: int) -> Tensor:
    """The right abar of a level, 1 below 0, for answers that are wrong elsewhere."""
    return abar[level] if level >= 0 else torch.ones_like(abar[0])


def jump(x_t: Tensor, noise: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """The right step between two shares, for answers that are wrong elsewhere."""
    before, after = before.to(x_t.dtype), after.to(x_t.dtype)
    x0_hat = (x_t - (1 - before).sqrt() * noise) / before.sqrt()
    return after.sqrt() * x0_hat + (1 - after).sqrt() * noise


def walk(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    steps: Iterable[tuple[int, int]],
    abar: Tensor,
    scale: float,
) -> Tensor:
    """The right steps along given pairs of levels, for answers that are wrong elsewhere."""
    for level, following in steps:
        t = torch.full((len(latents),), level)
        noise = guided(unet, latents, t, cond, uncond, scale)
        latents = jump(latents, noise, share(abar, level), share(abar, following))
    return latents


def last_step_to_level_0(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Your last step ends at level 0, which is noised once already. A trace of noise stays in the latents.
    After the last timestep comes abar = 1. Look at where your last step leads."""
    levels = [*timesteps.tolist(), 0]
    return walk(unet, latents, cond, uncond, pairwise(levels), alphas_cumprod, scale)


def last_entry_for_the_end(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Your last step leads back to pure noise: index -1 is the last entry of the schedule. What follows the
    last timestep is clean, where abar is 1. Look at abar in your last step."""
    abar = torch.cat([alphas_cumprod, alphas_cumprod[-1:]])
    levels = [*timesteps.tolist(), len(alphas_cumprod)]
    return walk(unet, latents, cond, uncond, pairwise(levels), abar, scale)


def stops_at_the_last_timestep(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """You arrive at the last timestep and stop there: the noise of that level stays in the latents. There are
    as many steps as timesteps. Look at what your loop runs over."""
    levels = timesteps.tolist()
    return walk(unet, latents, cond, uncond, pairwise(levels), alphas_cumprod, scale)


def steps_one_level_only(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Each step of yours goes down by a single level, and the next one takes its result for that of a much
    lower one. A step leads to the next timestep. Look at the second level in each step."""
    levels = timesteps.tolist()
    following = [*(level - 1 for level in levels[:-1]), -1]
    return walk(unet, latents, cond, uncond, zip(levels, following, strict=True), alphas_cumprod, scale)


def climbs(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """You go through the timesteps from the last to the first: pure noise is first treated as almost clean.
    They come in the order in which they are to be visited. Look at the direction of your loop."""
    levels = [*timesteps.flip(0).tolist(), -1]
    return walk(unet, latents, cond, uncond, pairwise(levels), alphas_cumprod, scale)


def text_without_guidance(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Your steps are right for scale 1: they follow the guess with the text alone. Look for the arguments
    that you do not use."""
    levels = [*timesteps.tolist(), -1]
    return walk(unet, latents, cond, uncond, pairwise(levels), alphas_cumprod, 1.0)


def jumps_to_x0(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """You hand the guess of the clean latents to the next step, as if it had the noise of its level. A step
    adds the guessed noise again, as much as the next level holds. Look at what becomes of the guess."""
    for level in timesteps.tolist():
        latents = walk(unet, latents, cond, uncond, [(level, -1)], alphas_cumprod, scale)
    return latents


def one_guess_for_all_steps(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """You ask the network once and use its guess in every step: all of them together are then one jump. Each
    step needs a guess from its own latents at its own level. Look at what stands before your loop."""
    return walk(unet, latents, cond, uncond, [(int(timesteps[0]), -1)], alphas_cumprod, scale)


TEXT_TO_LATENTS = Exercise(
    id="stable_diffusion.text_to_latents",
    title="From text to latents",
    signature="text_to_latents(unet, latents, cond, uncond, timesteps, alphas_cumprod, scale)",
    returns="like latents: clean ones, after a guided step of DDIM (eta = 0) from every timestep; the last "
    "one leads to abar = 1",
    reference="course_utils.stable_diffusion.pipeline:text_to_latents",
    cases=cases,
    criteria=(
        runs(
            "The network is called as unet(latents, t, context), where t is an int64 tensor with one level "
            "for each of the latents it is given."
        ),
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            3,
            gate=True,
            advice="Print both levels of every step: from each timestep to the next, and from the last one "
            "to the clean latents. Each step is one guided_prediction and one ddim_step with eta = 0. Do "
            "these two pass their checks?",
        ),
        edge(ONE_STEP, 0.5, "With one timestep there is one step: from its level to the clean latents."),
        edge(DTYPES, 1, SAME_DTYPE_AS_LATENTS),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        last_step_to_level_0,
        last_entry_for_the_end,
        stops_at_the_last_timestep,
        steps_one_level_only,
        climbs,
        text_without_guidance,
        jumps_to_x0,
        one_guess_for_all_steps,
    ),
)
