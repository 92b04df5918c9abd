"""The loss of a noise predictor, watched on a small model.

x0, noise        (B, C, H, W) float, all four sizes different
t                (B,) int64, 0 and T-1 among them
alphas_cumprod   (T,) float, falls from almost 1 to almost 0
model            LenientNoisePredictor, called as model(x_t, t)
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, ToyModel, misconceptions
from course_utils.exercises.toys import toy_shapes

PRECISE = "a schedule in float64"
GRADIENTS = "gradients reach the model"


def cases(draw: Draw) -> list[Case]:
    """Grey pictures and latents; then a schedule that is more precise than the model."""

    def case(b: int, c: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        h, w, timesteps = draw.integer(4, 5), draw.integer(6, 7), draw.integer(8, 10)
        x0 = 2 * draw.uniform(b, c, h, w) - 1
        inner = torch.tensor([draw.integer(2, timesteps - 3) for _ in range(b - 2)], dtype=torch.int64)
        t = draw.shuffled(torch.cat([torch.tensor([0, timesteps - 1]), inner]))
        inputs = {
            "model": draw_model(draw, {"channels": c, "height": h, "width": w}),
            "x0": x0,
            "t": t,
            "noise": draw.normal(b, c, h, w),
            "alphas_cumprod": draw_schedule(draw, timesteps).to(dtype),
        }
        return Case(f"{b} images of shape {(c, h, w)}, t = {t.tolist()}", inputs, kind)

    return [case(3, 1), case(5, 2), case(3, 1, PRECISE, torch.float64)]


def draw_schedule(draw: Draw, timesteps: int) -> Tensor:
    """(T,) float64, from 0.95 down by a random share each step."""
    kept = 0.55 + 0.2 * draw.uniform(timesteps, dtype=torch.float64)
    kept[0] = 0.95
    return kept.cumprod(dim=0)


def draw_model(draw: Draw, config: dict[str, int]) -> ToyModel:
    """The small model with random weights."""
    shapes = toy_shapes("lenient_noise_predictor", config)
    weights = {name: draw.normal(*shape) / shape[-1] ** 0.5 for name, shape in shapes.items()}
    return ToyModel("lenient_noise_predictor", weights, config)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss, and its gradients by the model's weights."""
    model: nn.Module = case.inputs["model"]
    loss = answer(*case.inputs.values())
    yield "loss", loss
    named = dict(model.named_parameters())
    found: Sequence[Tensor | None] = [None] * len(named)
    if isinstance(loss, Tensor) and loss.requires_grad:
        found = torch.autograd.grad(loss.sum(), list(named.values()), allow_unused=True)
    for (name, weight), gradient in zip(named.items(), found, strict=True):
        yield f"gradient of {name}", torch.zeros_like(weight) if gradient is None else gradient


def noised(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The right x_t, for answers that are wrong elsewhere."""
    share = alphas_cumprod[t].view(-1, 1, 1, 1).to(x0.dtype)
    return share.sqrt() * x0 + (1 - share).sqrt() * noise


def target_is_x0(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your model learns to guess the clean image. Some diffusion models do; the samplers of this course
    expect a guess of the noise. Look at what you compare the output with."""
    return F.mse_loss(model(noised(x0, t, noise, alphas_cumprod), t), x0)


def model_sees_x0(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your model is shown the clean image and asked for the noise, of which it then sees nothing. Look at the
    model's first argument, and at what becomes of the noised image."""
    return F.mse_loss(model(x0, t), noise)


def t_forgotten(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your model is not told the level: it has to guess from the image how much noise there is. Look at the
    arguments of your call."""
    return F.mse_loss(model(noised(x0, t, noise, alphas_cumprod)), noise)


def one_level_for_all(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """You noise every image to the level of the first one. Each image has a level of its own, and the model
    is told so. Look at how you use t as an index."""
    return F.mse_loss(model(noised(x0, t[:1], noise, alphas_cumprod), t), noise)


def no_roots(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your x_t mixes image and noise with the shares of variance themselves, and so it loses variance on the
    way. A factor acts on a variance with its square. Look at the two factors, or at your q_sample."""
    share = alphas_cumprod[t].view(-1, 1, 1, 1).to(x0.dtype)
    return F.mse_loss(model(share * x0 + (1 - share) * noise, t), noise)


def t_divided_by_the_number_of_levels(
    model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """Your model is told t / T, a number between 0 and 1, at which its fastest waves hardly move. It takes t
    as it is: whole numbers. Look at the model's second argument."""
    return F.mse_loss(model(noised(x0, t, noise, alphas_cumprod), t / len(alphas_cumprod)), noise)


def sum_instead_of_mean(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Your loss is a sum over pixels, so it grows with the size of the images, and the learning rate has to
    shrink with it. The mean over images, channels and pixels is asked for. Look at the reduction."""
    squares = (model(noised(x0, t, noise, alphas_cumprod), t) - noise).square()
    return squares.flatten(1).sum(dim=1).mean()


def returns_a_number(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> float:
    """Your loss is right, as a Python number: backward() cannot start from it, and nothing is learned. The
    tensor itself is asked for. Look at what you return."""
    return F.mse_loss(model(noised(x0, t, noise, alphas_cumprod), t), noise).item()


NOISE_PREDICTION_LOSS = Exercise(
    id="unet.noise_prediction_loss",
    title="The loss of a noise predictor",
    signature="noise_prediction_loss(model, x0, t, noise, alphas_cumprod)",
    returns="a scalar tensor: the mean squared error of model(x_t, t) as a guess of the noise",
    reference="course_utils.diffusion.unet:noise_prediction_loss",
    cases=cases,
    criteria=(
        agree(
            "type",
            0,
            outputs="loss",
            stages=TYPE,
            gate=True,
            advice="A tensor of one number is asked for, and the way there has a factor for each image: as "
            "images are (B, C, H, W), such factors are (B, 1, 1, 1).",
        ),
        agree("shape", 0, outputs="loss", stages=STAGES[:2], gate=True),
        agree("dtype", 0, outputs="loss", stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        agree(
            "values",
            2,
            outputs="loss",
            gate=True,
            advice="Three questions: what does the model see, what else is it told, and what is its output "
            "compared with? All randomness is in noise: nothing is drawn here.",
        ),
        agree(
            PRECISE,
            0.5,
            kind=PRECISE,
            outputs="loss",
            advice="The schedule is float64 here, images and model are float32: what multiplies an image "
            "has to be converted first, or x_t becomes float64 too.",
        ),
        agree(
            GRADIENTS,
            1,
            outputs="gradient",
            advice="The loss is there to be differentiated by the model's weights. Look for detach(), "
            "no_grad(), .data, or a new tensor made from a number.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        target_is_x0,
        model_sees_x0,
        t_forgotten,
        one_level_for_all,
        no_roots,
        t_divided_by_the_number_of_levels,
        sum_instead_of_mean,
        returns_a_number,
    ),
    probe=probe,
)
