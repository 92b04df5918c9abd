"""All steps back, watched on a small model whose guess depends on the image and on the level.

model    TinyNoisePredictor on (B, 2, 3, 4) and levels 0..T-1; refuses a t that is no (B,) int64
x_T      (B, 2, 3, 4) float
betas    (T,) float
noises   (T, B, 2, 3, 4) float; T and B differ
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
    step_back,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions


def cases(draw: Draw) -> list[Case]:
    """A few steps on a few images; then other dtypes."""

    def case(
        b: int,
        timesteps: int,
        kind: str = ORDINARY,
        dtype: torch.dtype = torch.float32,
        schedule: torch.dtype = torch.float32,
    ) -> Case:
        inputs = {
            "model": draw_model(draw, timesteps, dtype),
            "x_T": draw.normal(b, *IMAGE, dtype=dtype),
            "betas": draw_betas(draw, timesteps, schedule),
            "noises": draw.normal(timesteps, b, *IMAGE, dtype=dtype),
        }
        dtypes = f", x_T {str(dtype)[6:]}, betas {str(schedule)[6:]}" if kind == DTYPES else ""
        return Case(f"{b} images, T = {timesteps}{dtypes}", inputs, kind)

    return [
        case(3, 4),
        case(2, draw.integer(5, 6)),
        case(3, 4, DTYPES, schedule=torch.float64),
        case(2, 4, DTYPES, dtype=torch.float64, schedule=torch.float64),
    ]


def loops_upwards(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Your loop runs from t = 0 to t = T-1: pure noise is first treated as almost clean. The way back begins
    where the way out ended. Look at the direction of your loop."""
    for t in range(len(betas)):
        x_T = step_back(model, x_T, t, betas, noises[t])
    return x_T


def noises_in_reverse(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Your levels are right; your noises come in the order of the loop, noises[0] first. Asked for is
    noises[t] at the step from level t. Look at the index of noises."""
    for i, t in enumerate(reversed(range(len(betas)))):
        x_T = step_back(model, x_T, t, betas, noises[i])
    return x_T


def noises_one_level_off(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Your levels are right; at the step from level t you use noises[t - 1]. Asked for is noises[t], which
    leaves noises[0] without effect. Look at the index of noises."""
    for t in reversed(range(len(betas))):
        x_T = step_back(model, x_T, t, betas, noises[t - 1])
    return x_T


def stops_before_0(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Your loop ends after the step at t = 1: the last bit of noise stays on the images. A range leaves out
    its end. Look at the last level that your loop visits."""
    for t in range(len(betas) - 1, 0, -1):
        x_T = step_back(model, x_T, t, betas, noises[t])
    return x_T


def starts_again_from_noise(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Every step of yours starts from x_T, so that only the last one counts. Each step should go on from the
    result of the one before. Look at what you hand to p_sample."""
    return step_back(model, x_T, 0, betas, noises[0])


def jumps_to_x0(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """You feed the model's clamped guess of x_0 back as if it were x_{t-1}. It has too little noise for the
    level that the model is told next, and the images turn flat. Look at what p_sample does beyond the
    guess."""
    for t in reversed(range(len(betas))):
        x_T = guess_x0(model, x_T, t, betas).clamp(-1, 1)
    return x_T


def noise_at_the_last_step(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """Your images are right up to noises[0], which you add after the last step: grain on a finished image.
    The variance of that step is 0. Look at what happens at t = 0."""
    for t in reversed(range(len(betas))):
        x_T = step_back(model, x_T, t, betas, noises[t])
    return x_T + betas[0].sqrt() * noises[0]


def the_same_noise_at_every_step(model: Answer, x_T: Tensor, betas: Tensor, noises: Tensor) -> Tensor:
    """You use noises[0] at every step, so that its pattern adds up instead of averaging out. Every step has a
    noise of its own. Look at the index of noises."""
    for t in reversed(range(len(betas))):
        x_T = step_back(model, x_T, t, betas, noises[0])
    return x_T


P_SAMPLE_LOOP = Exercise(
    id="sampling.p_sample_loop",
    title="All steps back",
    signature="p_sample_loop(model, x_T, betas, noises)",
    returns="like x_T: x_0, after a step at every level; noises is (T, *x_T.shape), noises[t] for the step "
    "at t",
    reference="course_utils.diffusion.samplers:p_sample_loop",
    cases=cases,
    criteria=(
        runs(
            "Levels run from T-1 down to 0; betas and noises have an entry for each of them, and none for T."
        ),
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            3,
            gate=True,
            advice="Print t in each turn of the loop: it falls from T-1 to 0, both included. Each turn is "
            "one p_sample, from the result of the turn before, with noises[t]. Does your p_sample pass its "
            "check?",
        ),
        edge(DTYPES, 0.5, SAME_DTYPE_AS_IMAGES),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        loops_upwards,
        noises_in_reverse,
        noises_one_level_off,
        stops_before_0,
        starts_again_from_noise,
        jumps_to_x0,
        noise_at_the_last_step,
        the_same_noise_at_every_step,
    ),
)
