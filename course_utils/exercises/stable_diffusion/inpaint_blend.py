"""Putting what is known back into x_t.

x_t, known_x0, noise   (B, C, h, w) float
mask                   (B, 1, h, w) float, 0 or 1
t                      (B,) int64, different levels, 0 and T-1 among them
alphas_cumprod         (T,) float
"""

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

SINGLE = "a batch of one"


def cases(draw: Draw) -> list[Case]:
    """Masks of their own for each image, levels too; then one image; then other dtypes."""

    def case(
        b: int,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        timesteps = draw.integer(7, 9)
        shape = b, draw.integer(4, 5), draw.integer(6, 7), draw.integer(8, 9)
        inner = draw.shuffled(torch.arange(1, timesteps - 1))[: max(b - 2, 1)]
        t = torch.cat([torch.tensor([0, timesteps - 1]), inner]) if b > 1 else inner
        inputs = {
            "x_t": draw.normal(*shape, dtype=dtype),
            "known_x0": 2 * draw.uniform(*shape, dtype=dtype) - 1,
            "mask": (draw.uniform(b, 1, *shape[2:]) < 0.5).to(dtype),
            "noise": draw.normal(*shape, dtype=dtype),
            "t": draw.shuffled(t),
            "alphas_cumprod": draw_abar(draw, timesteps, schedule),
        }
        dtypes = f", x_t {str(dtype)[6:]}, alphas_cumprod {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{b} latents of shape {shape[1:]}, t = {inputs['t'].tolist()}{dtypes}", inputs, kind)

    return [
        case(3),
        case(4),
        case(1, SINGLE),
        case(3, DTYPES, schedule=torch.float64),
        case(3, DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def mask_inverted(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You keep what should be generated and generate what is known. The mask is 1 where something new is to
    be drawn. Look at which of the two it multiplies."""
    return (1 - mask) * x_t + mask * noised(known_x0, t, alphas_cumprod, noise)


def known_stays_clean(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You put the clean latents into x_t: around the mask there is no noise, inside it there is that of level
    t, and the network is told one level for both. Look at what the known part should go through first."""
    return mask * x_t + (1 - mask) * known_x0


def everything_noised(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You blend first and noise the blend: what is generated gets noise that it has already. x_t is at level
    t; only the known part has to be brought there. Look at the order of your two steps."""
    return noised(mask * x_t + (1 - mask) * known_x0, t, alphas_cumprod, noise)


def no_roots(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You mix known latents and noise with the shares of variance themselves. A factor acts on a variance
    with its square. Look at the two factors, or at your q_sample."""
    share = alphas_cumprod[t].to(x_t.dtype).view(-1, 1, 1, 1)
    return mask * x_t + (1 - mask) * (share * known_x0 + (1 - share) * noise)


def one_level_for_all(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You noise all known latents to the level of the first. Each has a level of its own. Look at how you
    use t as an index."""
    return mask * x_t + (1 - mask) * noised(known_x0, t[:1].expand(len(t)), alphas_cumprod, noise)


def known_only_scaled(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """Your known part is as faint as at level t, and has no noise. The network would take it for an image of
    low contrast. Look for the argument that you do not use."""
    share = alphas_cumprod[t].to(x_t.dtype).view(-1, 1, 1, 1)
    return mask * x_t + (1 - mask) * share.sqrt() * known_x0


def one_level_too_clean(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """You noise the known part to the level before t, and to none at t = 0. x_t is at level t itself. Look at
    the index that alphas_cumprod gets."""
    before = torch.cat([torch.ones_like(alphas_cumprod[:1]), alphas_cumprod[:-1]])
    return mask * x_t + (1 - mask) * noised(known_x0, t, before, noise)


def changes_its_input(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """Your result is right, but it overwrites x_t. Look for an assignment in place."""
    x_t.copy_(mask * x_t + (1 - mask) * noised(known_x0, t, alphas_cumprod, noise))
    return x_t


INPAINT_BLEND = Exercise(
    id="stable_diffusion.inpaint_blend",
    title="What is known, put back",
    signature="inpaint_blend(x_t, known_x0, mask, noise, t, alphas_cumprod)",
    returns="like x_t: x_t where the mask is 1; where it is 0, known_x0 noised to level t",
    reference="course_utils.stable_diffusion.pipeline:inpaint_blend",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            SINGLE,
            0.5,
            "A batch of one keeps its batch dimension. Look for squeeze(), or a fixed batch size.",
        ),
        edge(DTYPES, 0.5, SAME_DTYPE_AS_LATENTS),
        unchanged=0.5,
        advice="Print one pixel where the mask is 1: it is that of x_t. Then one where it is 0: it is what "
        "q_sample makes of known_x0, at the level of its own image.",
    ),
    misconceptions=misconceptions(
        mask_inverted,
        known_stays_clean,
        everything_noised,
        no_roots,
        one_level_for_all,
        known_only_scaled,
        one_level_too_clean,
        changes_its_input,
    ),
)
