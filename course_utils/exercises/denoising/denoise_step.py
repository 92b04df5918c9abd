"""One training step of a denoiser, watched on a small model with shapes unlike the chapter's.

model       TinyAutoencoder on (B, 1, 6, 5)
x_clean     (B, 1, 6, 5) float in [0, 1]
noise       like x_clean, standard normal
sigma       float, the standard deviation of the noise in grey values
optimizer   SGD, where the size of a gradient shows, or Adam, where it does not
steps       int: how often the answer is called in a row
"""

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.exercises.autoencoders.train_step import ADAM, CONFIG, SGD, TWO_STEPS, draw_model, update
from course_utils.exercises.compare import TYPE
from course_utils.exercises.criteria import agree, draws_nothing, leaves_alone
from course_utils.exercises.denoising.add_noise import draw_images, weak_sigma
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import (
    ORDINARY,
    Answer,
    Case,
    Exercise,
    ToyOptimizer,
    misconceptions,
)

CLAMPED = "noisy images clamped to [0, 1]"


def cases(draw: Draw) -> list[Case]:
    """Single steps under noise that leaves nothing to clamp, then two steps in a row, then strong noise."""

    def case(words: str, optimizer: ToyOptimizer, kind: str = ORDINARY, steps: int = 1) -> Case:
        shape = (draw.integer(3, 7), 1, CONFIG["height"], CONFIG["width"])
        strong = kind == CLAMPED
        sigma = draw.real(0.5, 0.8) if strong else weak_sigma(draw)
        x_clean, noise = draw_images(draw, shape, strong)
        inputs = {
            "model": draw_model(draw),
            "x_clean": x_clean,
            "sigma": sigma,
            "noise": noise,
            "optimizer": optimizer,
            "steps": steps,
        }
        return Case(f"{words}, {shape[0]} images, sigma {sigma:.3f}", inputs, kind)

    return [
        case("an SGD step", SGD),
        case("an Adam step", ADAM),
        case("two SGD steps", SGD, TWO_STEPS, steps=2),
        case("an SGD step", SGD, CLAMPED),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The loss that comes back, and how far each weight moved, step by step."""
    *arguments, steps = case.inputs.values()
    model: nn.Module = case.inputs["model"]
    for step in range(1, steps + 1):
        nth = f" no. {step}" if step > 1 else ""
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        yield f"loss{nth}", answer(*arguments)
        for name, parameter in model.named_parameters():
            yield f"change{nth} of {name}", parameter.detach() - before[name]


def corrupt(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """The right noisy images, for answers that are wrong elsewhere."""
    return (x + sigma * noise).clamp(0, 1)


def target_is_the_noisy_image(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your model learns to return the noisy image that it was given: an autoencoder of noise. The target
    decides what is learned. Look at the second argument of the loss."""
    noisy = corrupt(x_clean, sigma, noise)
    loss = F.mse_loss(model(noisy), noisy)
    update(loss, optimizer)
    return loss.item()


def target_is_the_noise(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your model learns to guess the noise. Diffusion models do, and the course comes to them; the denoiser
    of this chapter returns an image. Look at the target of the loss."""
    loss = F.mse_loss(model(corrupt(x_clean, sigma, noise)), noise)
    update(loss, optimizer)
    return loss.item()


def model_sees_the_clean_image(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your model is given the clean image, and so it learns nothing about noise. Look at what you call the
    model on, and at what becomes of the noisy image."""
    loss = F.mse_loss(model(x_clean), x_clean)
    update(loss, optimizer)
    return loss.item()


def noise_not_scaled(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your noise has standard deviation 1, whatever sigma is: your model trains for another noise level than
    the one asked for. Look for where sigma enters."""
    loss = F.mse_loss(model(corrupt(x_clean, 1.0, noise)), x_clean)
    update(loss, optimizer)
    return loss.item()


def noisy_image_not_clamped(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your step is right for weak noise. Under strong noise your model sees pixels below 0 and above 1, which
    the noisy images of this chapter do not have. If your step calls add_noise, check that one first."""
    loss = F.mse_loss(model(x_clean + sigma * noise), x_clean)
    update(loss, optimizer)
    return loss.item()


def no_zero_grad(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your first step is right; the next one uses the gradients of both, because backward() adds to what is
    there. Look for the call that clears gradients."""
    loss = F.mse_loss(model(corrupt(x_clean, sigma, noise)), x_clean)
    loss.backward()
    optimizer.step()
    return loss.item()


def loss_after_the_update(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """Your update is right; the loss you return was computed after it. The curve shows how good the denoiser
    was when it met the batch, and that number costs no second pass."""
    noisy = corrupt(x_clean, sigma, noise)
    update(F.mse_loss(model(noisy), x_clean), optimizer)
    return F.mse_loss(model(noisy), x_clean).item()


def returns_a_tensor(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> Tensor:
    """Your loss comes back as a tensor. A list of those keeps the graph of every step in memory; a curve
    needs a Python number."""
    loss = F.mse_loss(model(corrupt(x_clean, sigma, noise)), x_clean)
    update(loss, optimizer)
    return loss


DENOISE_STEP = Exercise(
    id="denoising.denoise_step",
    title="One training step of a denoiser",
    signature="denoise_step(model, x_clean, sigma, noise, optimizer)",
    returns="float: the mean squared error to the clean images, before the update",
    reference="course_utils.denoising:denoise_step",
    cases=cases,
    criteria=(
        agree("type", 0, outputs="loss", stages=TYPE, gate=True),
        draws_nothing(),
        agree(
            "update",
            2,
            outputs="change",
            gate=True,
            advice="Three questions: what does the model see, what is its output compared with, and in which "
            "order come the calls on loss and optimizer?",
        ),
        agree(
            "loss",
            1,
            outputs="loss",
            advice="It is the mean over all pixels and images of the squared distance to the clean images, "
            "before the update.",
        ),
        agree(
            CLAMPED,
            1,
            kind=CLAMPED,
            outputs="change",
            advice="The noise is strong here. The model sees images in the range from 0 to 1, as add_noise "
            "makes them; the target is the clean image as it came.",
        ),
        agree(
            TWO_STEPS,
            1.5,
            kind=TWO_STEPS,
            outputs="change",
            advice="The second step starts from the weights after the first, and from nothing else. "
            "backward() adds to whatever gradients are there already.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        target_is_the_noisy_image,
        target_is_the_noise,
        model_sees_the_clean_image,
        noise_not_scaled,
        noisy_image_not_clamped,
        no_zero_grad,
        loss_after_the_update,
        returns_a_tensor,
    ),
    probe=probe,
    may_change=frozenset({"model", "optimizer"}),
)
