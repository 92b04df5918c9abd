"""What several exercises of this chapter share: schedules and models to draw, and the algebra of a step.

betas   (T,) float, 0.1..0.4: so large that a few steps tell every two formulas apart
model   TinyNoisePredictor, see exercises/toys.py
table   (T,) float, a number for each level
"""

import torch
from torch import Tensor

from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Answer, ToyModel
from course_utils.exercises.toys import toy_shapes

IMAGE = (2, 3, 4)  # channels, height, width
DTYPES = "the images' dtype, whatever the schedule's"
SAME_DTYPE_AS_IMAGES = (
    "Schedules are kept in float64, images mostly in float32: what is taken from a schedule is converted to "
    "the images' dtype before it meets them, and float64 images stay float64. Print the dtypes on the way."
)


def draw_betas(draw: Draw, timesteps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A schedule of a few large steps."""
    return 0.1 + 0.3 * draw.uniform(timesteps, dtype=dtype)


def draw_model(draw: Draw, timesteps: int, dtype: torch.dtype = torch.float32) -> ToyModel:
    """A small model of noise with random weights."""
    config = dict(zip(("channels", "height", "width", "timesteps"), (*IMAGE, timesteps), strict=True))
    shapes = toy_shapes("tiny_noise_predictor", config)
    weights = {
        name: draw.normal(*shape, dtype=dtype) / (shape[-1] ** 0.5 if name == "image.weight" else 1)
        for name, shape in shapes.items()
    }
    return ToyModel("tiny_noise_predictor", weights, config)


def shares(betas: Tensor) -> Tensor:
    """abar of each level, for answers that are wrong elsewhere."""
    return torch.cumprod(1 - betas, dim=0)


def shares_before(betas: Tensor) -> Tensor:
    """abar of the level before each, 1 before the first, for answers that are wrong elsewhere."""
    return torch.cat([torch.ones_like(betas[:1]), shares(betas)[:-1]])


def per_image(table: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """(B, 1, 1, 1), like x: the number of each image's level, for answers that are wrong elsewhere."""
    return table[t].to(x.dtype).view(-1, 1, 1, 1)


def guess_x0(model: Answer, x_t: Tensor, t: int, betas: Tensor) -> Tensor:
    """The model's guess of x_0, for answers that are wrong elsewhere."""
    abar = shares(betas)[t]
    guess: Tensor = (x_t - (1 - abar).sqrt() * model(x_t, torch.full((len(x_t),), t))) / abar.sqrt()
    return guess


def posterior(x0: Tensor, x_t: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """The right mean and variance of x_{t-1} at one level, for answers that are wrong elsewhere."""
    beta, abar, abar_prev = betas[t], shares(betas)[t], shares_before(betas)[t]
    mean = (beta * abar_prev.sqrt() * x0 + (1 - abar_prev) * (1 - beta).sqrt() * x_t) / (1 - abar)
    return mean, beta * (1 - abar_prev) / (1 - abar)


def step_back(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """The right step, for answers that are wrong elsewhere."""
    mean, variance = posterior(guess_x0(model, x_t, t, betas), x_t, t, betas)
    return mean + variance.sqrt() * noise
