"""Where image to image sets in.

latents, noise   (B, C, h, w) float
strength         float in 0..1; strength times n is far from a whole number, but for the ends
timesteps        (n,) int64, descending, with levels in between
alphas_cumprod   (T,) float
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions
from course_utils.exercises.stable_diffusion.common import (
    DTYPES,
    SAME_DTYPE_AS_LATENTS,
    draw_abar,
    noised,
)

WEAK = "at least one timestep remains"
FULL = "strength 1"


def cases(draw: Draw) -> list[Case]:
    """Some of the timesteps; all of them; none, which counts as one; then other dtypes."""

    def case(
        n: int,
        strength: float,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        shape = draw.integer(2, 3), draw.integer(4, 5), draw.integer(6, 7), draw.integer(8, 9)
        inputs = {
            "latents": draw.normal(*shape, dtype=dtype),
            "noise": draw.normal(*shape, dtype=dtype),
            "strength": strength,
            "timesteps": 2 * torch.arange(n).flip(0) + 1,
            "alphas_cumprod": draw_abar(draw, 2 * n + 1, schedule),
        }
        dtypes = f", latents {str(dtype)[6:]}, alphas_cumprod {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{n} timesteps, strength {strength:.3g}{dtypes}", inputs, kind)

    n, m = draw.integer(7, 8), draw.integer(9, 10)
    return [
        case(n, (2 + draw.real(0.6, 0.8)) / n),
        case(m, (m - 3 + draw.real(0.6, 0.8)) / m),
        case(6, 1.0, FULL),
        case(6, draw.real(0.02, 0.07), WEAK),
        case(6, 0.0, WEAK),
        case(7, 3.7 / 7, DTYPES, schedule=torch.float64),
        case(7, 3.7 / 7, DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def started(
    latents: Tensor, noise: Tensor, remaining: Tensor, abar: Tensor, level: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The right end, for answers that are wrong before it."""
    t = (remaining[0] if level is None else level).expand(len(latents))
    return noised(latents, t, abar, noise), remaining


def share(strength: float, timesteps: Tensor) -> int:
    """The right number of timesteps, for answers that are wrong elsewhere."""
    return max(int(len(timesteps) * strength), 1)


def first_timesteps_kept(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """You keep the first timesteps, those with the most noise, and leave out those that finish an image. A
    way back that starts late still goes to its end. Look at which end of timesteps you keep."""
    return started(latents, noise, timesteps[: share(strength, timesteps)], alphas_cumprod)


def strength_the_other_way(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """You leave out the share of timesteps that should remain: a strength near 1 then changes nothing. It
    says how much is drawn anew. Look at where your slice begins."""
    skipped = min(int(len(timesteps) * strength), len(timesteps) - 1)
    return started(latents, noise, timesteps[skipped:], alphas_cumprod)


def rounds_up(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """You keep one timestep too many: n times strength is rounded up or to the nearest number. The exercise
    cuts it, as int() does. Look at how you make a whole number of it."""
    count = max(math.ceil(len(timesteps) * strength), 1)
    return started(latents, noise, timesteps[-count:], alphas_cumprod)


def none_is_all(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Your start is right unless strength is so small that no timestep remains: a slice that starts at -0
    starts at 0, and you keep them all. At least one remains, the last. Look at that case."""
    return started(latents, noise, timesteps[-int(len(timesteps) * strength) :], alphas_cumprod)


def noised_to_the_last(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Your timesteps are right; your latents are noised to the last of them, and the first step will take
    them for much noisier than they are. Look at the level that you noise to."""
    remaining = timesteps[-share(strength, timesteps) :]
    return started(latents, noise, remaining, alphas_cumprod, remaining[-1])


def noised_to_the_first_of_all(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Your timesteps are right; your latents are noised to the level where text to image starts, so that
    little is left of the image. Look at the level that you noise to."""
    remaining = timesteps[-share(strength, timesteps) :]
    return started(latents, noise, remaining, alphas_cumprod, timesteps[0])


def position_for_level(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Your timesteps are right; you noise to the level whose number is that of a position in timesteps. A
    position says where a level stands in the list; the schedule wants the level. Look at the index that
    alphas_cumprod gets."""
    remaining = timesteps[-share(strength, timesteps) :]
    return started(latents, noise, remaining, alphas_cumprod, torch.tensor(len(timesteps) - len(remaining)))


def no_roots(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Your timesteps are right; you mix latents and noise with the shares of variance themselves. A factor
    acts on a variance with its square. Look at the two factors, or at your q_sample."""
    remaining = timesteps[-share(strength, timesteps) :]
    abar = alphas_cumprod[remaining[0]].to(latents.dtype)
    return abar * latents + (1 - abar) * noise, remaining


IMG2IMG_START = Exercise(
    id="stable_diffusion.img2img_start",
    title="Where image to image sets in",
    signature="img2img_start(latents, noise, strength, timesteps, alphas_cumprod)",
    returns="(latents noised to the first remaining timestep, the remaining timesteps): the last "
    "min(int(n * strength), n) of timesteps, at least one",
    reference="course_utils.stable_diffusion.pipeline:img2img_start",
    cases=cases,
    criteria=ladder(
        1,
        edge(FULL, 0.5, "At strength 1 all timesteps remain."),
        edge(WEAK, 0.5, "Here int(n * strength) is 0. One timestep remains all the same: the last one."),
        edge(DTYPES, 0.5, SAME_DTYPE_AS_LATENTS),
        unchanged=0.5,
        advice="First count the timesteps that remain, and print them: they end where timesteps ends. Then "
        "noise the latents, as q_sample does, to the level of the first of them.",
    ),
    misconceptions=misconceptions(
        first_timesteps_kept,
        strength_the_other_way,
        rounds_up,
        none_is_all,
        noised_to_the_last,
        noised_to_the_first_of_all,
        position_for_level,
        no_roots,
    ),
)
