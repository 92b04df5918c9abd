"""A step of DDIM from one level to any lower one.

x_t, noise_pred, noise   (B, C, H, W) float
t, t_prev                int, t > t_prev >= -1, mostly with levels in between; -1 is the clean image
alphas_cumprod           (T,) float
eta                      float, 0..1
"""

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, draws_nothing, edge, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.sampling.common import DTYPES, SAME_DTYPE_AS_IMAGES, draw_betas, shares
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

WITH_NOISE = "eta above 0"
TO_THE_CLEAN_IMAGE = "t_prev = -1"


def cases(draw: Draw) -> list[Case]:
    """Deterministic steps; steps with noise, the last one to the clean image; that step without noise;
    dtypes."""

    def case(
        eta: float,
        kind: str = ORDINARY,
        last: bool = False,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        b, c, h, w = draw.integer(5, 6), draw.integer(1, 3), draw.integer(7, 8), draw.integer(9, 10)
        timesteps = draw.integer(9, 11)
        t_prev = -1 if last else draw.integer(1, 3)
        t = draw.integer(1, 3) if last else t_prev + draw.integer(2, 4)
        inputs = {
            "x_t": draw.normal(b, c, h, w, dtype=dtype),
            "noise_pred": draw.normal(b, c, h, w, dtype=dtype),
            "t": t,
            "t_prev": t_prev,
            "alphas_cumprod": shares(draw_betas(draw, timesteps, schedule)),
            "eta": eta,
            "noise": draw.normal(b, c, h, w, dtype=dtype),
        }
        dtypes = f", x_t {str(dtype)[6:]}, alphas_cumprod {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{b} images, t = {t}, t_prev = {t_prev}, eta = {eta:.3g}{dtypes}", inputs, kind)

    return [
        case(0.0),
        case(0.0),
        case(1.0, WITH_NOISE),
        case(draw.real(0.4, 0.7), WITH_NOISE),
        case(draw.real(0.4, 0.7), WITH_NOISE, last=True),
        case(0.0, TO_THE_CLEAN_IMAGE, last=True),
        case(0.0, DTYPES, schedule=torch.float64),
        case(0.0, DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def levels(t: int, t_prev: int, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """abar at both levels, for answers that are wrong elsewhere."""
    one = torch.ones_like(alphas_cumprod[0])
    return alphas_cumprod[t], one if t_prev < 0 else alphas_cumprod[t_prev]


def deviation(abar_t: Tensor, abar_s: Tensor, eta: float) -> Tensor:
    """The right sigma, for answers that are wrong elsewhere."""
    return eta * ((1 - abar_s) / (1 - abar_t)).sqrt() * (1 - abar_t / abar_s).sqrt()


def combined(
    x0_hat: Tensor, noise_pred: Tensor, noise: Tensor, abar_s: Tensor, sigma: Tensor | float
) -> Tensor:
    """The right sum, for answers that are wrong elsewhere."""
    return abar_s.sqrt() * x0_hat + (1 - abar_s - sigma**2).sqrt() * noise_pred + sigma * noise


def sigma_not_taken_out(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your step is right for eta = 0. With fresh noise x_prev gets noisier than its level allows: the
    variance of the fresh noise comes on top of the old one's instead of replacing a part. Look at the factor
    of noise_pred."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    sigma = deviation(abar_t, abar_s, eta)
    return abar_s.sqrt() * x0_hat + (1 - abar_s).sqrt() * noise_pred + sigma * noise


def eta_ignored(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your step is right for eta = 0, and the same for every other eta. Look for two arguments that you do
    not use."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    return combined(x0_hat, noise_pred, noise, abar_s, 0.0)


def sigma_without_root(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your step is right for eta = 0. Your sigma has no roots: it is eta times a variance, and the fresh
    noise comes out too weak. Sigma is a standard deviation. Look at its two factors."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    sigma = eta * (1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)
    return combined(x0_hat, noise_pred, noise, abar_s, sigma)


def last_entry_for_minus_1(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your step is right unless t_prev is -1. Python reads that as the last entry of the schedule, so that
    your last step leads back to pure noise. It stands for the clean image, where abar is 1."""
    abar_t, abar_s = alphas_cumprod[t], alphas_cumprod[t_prev]
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    sigma = eta * ((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s).clamp(min=0)).sqrt()
    return combined(x0_hat, noise_pred, noise, abar_s, sigma)


def x0_from_the_level_of_arrival(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """You compute the guess of x_0 with abar of t_prev. x_t holds the signal and the noise of level t. Look
    at which level each abar comes from."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_s).sqrt() * noise_pred) / abar_s.sqrt()
    return combined(x0_hat, noise_pred, noise, abar_s, deviation(abar_t, abar_s, eta))


def steps_one_level_only(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """You step from t to t - 1, wherever t_prev lies. What makes DDIM fast is that a step may skip levels.
    Look at where your second abar comes from."""
    abar_t, abar_s = levels(t, min(t - 1, t_prev) if t_prev < 0 else t - 1, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    return combined(x0_hat, noise_pred, noise, abar_s, deviation(abar_t, abar_s, eta))


def direction_without_root(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your old noise is too weak: noise_pred is multiplied by a variance. At eta = 0 its factor is the one
    that noise has at level t_prev on the way out. Look at the factor of noise_pred."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    sigma = deviation(abar_t, abar_s, eta)
    return abar_s.sqrt() * x0_hat + (1 - abar_s - sigma**2) * noise_pred + sigma * noise


def signal_at_full_strength(
    x_t: Tensor,
    noise_pred: Tensor,
    t: int,
    t_prev: int,
    alphas_cumprod: Tensor,
    eta: float,
    noise: Tensor,
) -> Tensor:
    """Your x_prev holds the guess of x_0 at full strength, with noise on top. At level t_prev the signal is
    weaker than in the clean image. Look at the factor of the guess."""
    abar_t, abar_s = levels(t, t_prev, alphas_cumprod)
    x0_hat = (x_t - (1 - abar_t).sqrt() * noise_pred) / abar_t.sqrt()
    sigma = deviation(abar_t, abar_s, eta)
    return x0_hat + (1 - abar_s - sigma**2).sqrt() * noise_pred + sigma * noise


DDIM_STEP = Exercise(
    id="sampling.ddim_step",
    title="A step that may skip levels",
    signature="ddim_step(x_t, noise_pred, t, t_prev, alphas_cumprod, eta, noise)",
    returns="like x_t: x at level t_prev; t and t_prev are ints, and t_prev = -1 means abar = 1",
    reference="course_utils.diffusion.samplers:ddim_step",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values for eta = 0",
            1.5,
            gate=True,
            advice="Two steps: from x_t and noise_pred back to a guess of x_0, with abar of level t; from "
            "there out to level t_prev along the same noise, as q_sample does. Print the guess for one "
            "pixel.",
        ),
        edge(
            TO_THE_CLEAN_IMAGE,
            0.5,
            "The last step leads to the clean image. abar is 1 there, so the result is the guess of x_0.",
        ),
        edge(
            WITH_NOISE,
            2,
            "Print sigma; at eta = 1 and t_prev = t - 1 it is the root of the posterior's variance. The "
            "squares of the two factors of noise, old and fresh, add up to 1 - abar of level t_prev.",
        ),
        edge(DTYPES, 0.5, SAME_DTYPE_AS_IMAGES),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        sigma_not_taken_out,
        eta_ignored,
        sigma_without_root,
        last_entry_for_minus_1,
        x0_from_the_level_of_arrival,
        steps_one_level_only,
        direction_without_root,
        signal_at_full_strength,
    ),
)
