"""What several exercises of this chapter share: schedules, texts and networks to draw, and right pieces.

abar      (T,) float, falls by 10% to 40% from level to level: a few of them tell every two formulas apart
unet      TinyTextUNet, see exercises/toys.py; it takes latents (B, 2, 3, 4) and texts (B, 2, 3)
"""

import torch
from torch import Tensor

from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Answer, ToyModel
from course_utils.exercises.toys import toy_shapes

LATENTS = (2, 3, 4)  # channels, height, width
TEXT = (2, 3)  # words, numbers for each
DTYPES = "the latents' dtype, whatever the schedule's"
SAME_DTYPE_AS_LATENTS = (
    "Schedules are kept in float64, latents mostly in float32: what is taken from a schedule is converted to "
    "the latents' dtype before it meets them, and float64 latents stay float64. Print the dtypes on the way."
)


def draw_abar(draw: Draw, timesteps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A schedule of a few large steps."""
    return (0.6 + 0.3 * draw.uniform(timesteps, dtype=torch.float64)).cumprod(dim=0).to(dtype)


def draw_unet(draw: Draw, timesteps: int, dtype: torch.dtype = torch.float32) -> ToyModel:
    """A small network with random weights."""
    names = ("channels", "height", "width", "timesteps", "words", "states")
    config = dict(zip(names, (*LATENTS, timesteps, *TEXT), strict=True))
    shapes = toy_shapes("tiny_text_unet", config)
    weights = {
        name: draw.normal(*shape, dtype=dtype) / (shape[-1] ** 0.5 if name != "time.weight" else 1)
        for name, shape in shapes.items()
    }
    return ToyModel("tiny_text_unet", weights, config)


def noised(x0: Tensor, t: Tensor, abar: Tensor, noise: Tensor) -> Tensor:
    """The right jump to level t, for answers that are wrong elsewhere."""
    share = abar[t].to(x0.dtype).view(-1, 1, 1, 1)
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


def both_guesses(
    unet: Answer, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor
) -> tuple[Tensor, ...]:
    """The guesses without and with the text, by one call, for answers that are wrong elsewhere."""
    joined: Tensor = unet(torch.cat([latents, latents]), torch.cat([t, t]), torch.cat([uncond, cond]))
    return joined.chunk(2)


def guided(unet: Answer, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """The right prediction, for answers that are wrong elsewhere."""
    without, told = both_guesses(unet, latents, t, cond, uncond)
    return without + scale * (told - without)
