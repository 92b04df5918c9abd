"""One step back, watched on a small model whose guess depends on the image and on the level.

model   TinyNoisePredictor on (B, 2, 3, 4) and levels 0..T-1; refuses a t that is no (B,) int64
x_t     (B, 2, 3, 4) float
t       int, 0..T-1
betas   (T,) float
noise   like x_t
"""

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, draws_nothing, edge, leaves_alone, runs
from course_utils.exercises.draw import Draw
from course_utils.exercises.sampling.common import (
    DTYPES,
    IMAGE,
    SAME_DTYPE_AS_IMAGES,
    draw_betas,
    draw_model,
    guess_x0,
    posterior,
    shares,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

LAST_STEP = "no noise at t = 0"


def cases(draw: Draw) -> list[Case]:
    """The first step, from t = T-1, and one in the middle; the last one, at t = 0; then other dtypes."""

    def case(
        b: int,
        first: bool,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        timesteps = draw.integer(6, 8)
        t = timesteps - 1 if first else draw.integer(2, timesteps - 2)
        inputs = {
            "model": draw_model(draw, timesteps, dtype),
            "x_t": draw.normal(b, *IMAGE, dtype=dtype),
            "t": 0 if kind == LAST_STEP else t,
            "betas": draw_betas(draw, timesteps, schedule),
            "noise": draw.normal(b, *IMAGE, dtype=dtype),
        }
        dtypes = f", x_t {str(dtype)[6:]}, betas {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{b} images, T = {timesteps}, t = {inputs['t']}{dtypes}", inputs, kind)

    return [
        case(3, first=True),
        case(5, first=False),
        case(3, first=False, kind=LAST_STEP),
        case(3, first=False, kind=DTYPES, schedule=torch.float64),
        case(3, first=False, kind=DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def parts(model: Answer, x_t: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """The right mean and variance, for answers that are wrong elsewhere."""
    return posterior(guess_x0(model, x_t, t, betas), x_t, t, betas)


def jumps_to_x0(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """You return the model's guess of the clean image, clamped. That is a jump over all levels: fed back as
    x_{t-1} it has far too little noise for the level that the model is told next. A step goes down one level,
    to a draw from the posterior. Look at what becomes of the guess."""
    return guess_x0(model, x_t, t, betas).clamp(-1, 1)


def beta_for_beta_tilde(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """Your mean is right, and so is your last step; elsewhere the variance of your noise is beta_t. That is
    DDPM's other choice, the larger one. Here the posterior's variance is asked for."""
    mean, _ = parts(model, x_t, t, betas)
    return mean + betas[t].sqrt() * noise if t > 0 else mean


def noise_at_the_last_step(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """You add noise of variance beta_t at every step, the last one included, so that grain stays on the
    finished image. The posterior's variance is smaller, and 0 at t = 0. Look at the factor of the noise."""
    return parts(model, x_t, t, betas)[0] + betas[t].sqrt() * noise


def variance_for_standard_deviation(
    model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor
) -> Tensor:
    """Your noise is too weak: it is multiplied by the variance. Numbers scaled by a factor have their
    standard deviation scaled by that factor, and their variance by its square. Look at the factor of the
    noise."""
    mean, variance = parts(model, x_t, t, betas)
    return mean + variance * noise


def beta_in_the_root(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """You divide by the root of 1 - beta_t where that of 1 - abar_t belongs: as if all the noise in x_t had
    come in one step. The guessed noise is that of all steps up to t. Look at its factor in your mean."""
    levels = torch.full((len(x_t),), t)
    mean = (x_t - betas[t] / (1 - betas[t]).sqrt() * model(x_t, levels)) / (1 - betas[t]).sqrt()
    return mean + parts(model, x_t, t, betas)[1].sqrt() * noise


def clamps_the_guess(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """Your step is right where the guess of x_0 lies in [-1, 1]; elsewhere you clamp it first. That often
    helps, and the chapter comes to it as an option. Here the algorithm itself is asked for, which leaves the
    guess as it is."""
    mean, variance = posterior(guess_x0(model, x_t, t, betas).clamp(-1, 1), x_t, t, betas)
    return mean + variance.sqrt() * noise


def mean_only(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """You return the mean of the posterior. Without fresh noise x_{t-1} has less noise than its level
    promises, and the images come out smooth and poor in detail. Look at the argument that you do not use."""
    return parts(model, x_t, t, betas)[0]


def wraps_around_at_0(model: Answer, x_t: Tensor, t: int, betas: Tensor, noise: Tensor) -> Tensor:
    """Your step is right for every t but 0. There t - 1 is -1, which Python reads as the last entry: the
    noisiest level instead of the clean image, where abar is 1. Look at where abar of the level before comes
    from."""
    beta, abar, before = betas[t], shares(betas)[t], shares(betas)[t - 1]
    x0_hat = guess_x0(model, x_t, t, betas)
    mean = (beta * before.sqrt() * x0_hat + (1 - before) * (1 - beta).sqrt() * x_t) / (1 - abar)
    return mean + (beta * (1 - before) / (1 - abar)).sqrt() * noise


P_SAMPLE = Exercise(
    id="sampling.p_sample",
    title="One step back",
    signature="p_sample(model, x_t, t, betas, noise)",
    returns="like x_t: x_{t-1}, with the posterior's variance (beta-tilde), and no noise at t = 0. t is an "
    "int; the model is called as model(x_t, t) with a (B,) int64 tensor",
    reference="course_utils.diffusion.samplers:p_sample",
    cases=cases,
    criteria=(
        runs(
            "The model is called as model(x_t, t), where t is an int64 tensor with one level for each image "
            "of the batch. All of them are at the same level here."
        ),
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            2.5,
            gate=True,
            advice="Do it in four steps, and print each for one pixel: the guessed noise, the guess of x_0 "
            "that follows from it, the posterior's mean at that guess, and the mean plus its standard "
            "deviation times the noise.",
        ),
        edge(
            LAST_STEP,
            0.5,
            "After the step at t = 0 the image is finished: the result is the model's guess of x_0, and the "
            "noise that comes as an argument has no part in it.",
        ),
        edge(DTYPES, 0.5, SAME_DTYPE_AS_IMAGES),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        jumps_to_x0,
        beta_for_beta_tilde,
        noise_at_the_last_step,
        variance_for_standard_deviation,
        beta_in_the_root,
        clamps_the_guess,
        mean_only,
        wraps_around_at_0,
    ),
)
