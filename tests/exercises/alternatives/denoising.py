"""Chapter 2: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer


def noise_by_minimum_and_maximum(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    noisy = torch.add(x, noise, alpha=sigma)
    return torch.minimum(torch.maximum(noisy, torch.zeros_like(noisy)), torch.ones_like(noisy))


def noise_by_masks(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    noisy = x.clone()
    noisy += noise * sigma
    noisy[noisy < 0] = 0.0
    noisy[noisy > 1] = 1.0
    return noisy


def noise_in_numpy(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    return torch.from_numpy(np.clip(x.numpy() + sigma * noise.numpy(), 0, 1))


def noise_image_by_image(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    return torch.stack([F.hardtanh(a + sigma * b, 0.0, 1.0) for a, b in zip(x, noise, strict=True)])


def step_with_autograd(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    parameters = list(model.parameters())
    x_hat = model(noise_by_masks(x_clean, sigma, noise))
    loss = torch.einsum("bchw,bchw->", x_hat - x_clean, x_hat - x_clean) / x_clean.numel()
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return float(loss)


def step_that_clears_afterwards(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    model.train()
    with torch.no_grad():
        noisy = (x_clean + sigma * noise).clip(0, 1)
    loss = nn.MSELoss()(x_clean, model(noisy))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.detach().numpy().item()


def step_in_a_closure(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> Any:
    def closure() -> float:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = (model(torch.clamp(x_clean + noise * sigma, min=0, max=1)) - x_clean).pow(2).mean()
            loss.backward()
        return loss.item()

    return optimizer.step(closure)


def iterates_in_a_buffer(model: nn.Module, x: Tensor, n: int) -> Tensor:
    states = x.new_empty(n + 1, *x.shape)
    states[0] = x
    for i in range(n):
        states[i + 1] = model(states[i]).detach()
    return states


def iterates_by_accumulation(model: nn.Module, x: Tensor, n: int) -> Tensor:
    with torch.inference_mode():
        states = itertools.accumulate(range(n), lambda state, _: model(state), initial=x)
        return torch.stack(tuple(states), dim=0)


def iterates_by_recursion(model: nn.Module, x: Tensor, n: int) -> Tensor:
    if n == 0:
        return x.unsqueeze(0)
    before = iterates_by_recursion(model, x, n - 1)
    return torch.cat([before, model(before[-1])[None]]).detach()


def iterates_detached_at_the_end(model: nn.Module, x: Tensor, n: int) -> Tensor:
    def states() -> Iterator[Tensor]:
        state = x
        for i in range(n + 1):
            yield state
            state = model(state) if i < n else state

    return torch.stack(list(states())).data


def psnr_by_norms(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    root = torch.linalg.vector_norm(x - x_hat, dim=(1, 2, 3)) / math.sqrt(x[0].numel())
    return 20 * torch.log10(data_range / root)


def psnr_as_a_difference(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    error = F.mse_loss(x_hat, x, reduction="none").mean(dim=[1, 2, 3])
    return 20 * math.log10(data_range) - 10 * torch.log10(error)


def psnr_in_a_loop(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    ratios = [data_range**2 / F.mse_loss(a, b) for a, b in zip(x_hat, x, strict=True)]
    return torch.stack(ratios).log() * (10 / math.log(10))


def psnr_by_einsum(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    d = (x_hat - x) / data_range
    return -10 * (torch.einsum("b...,b...->b", d, d) / d[0].numel()).log10()


def score_by_precision(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    precision = 1 / (sigma * sigma)
    return precision * denoised - precision * noisy


def score_by_the_noise(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    noise = (noisy - denoised).div(sigma)
    return -noise / sigma


def score_in_a_loop(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    score = torch.zeros_like(noisy)
    for i in range(len(noisy)):
        score[i] = torch.sub(denoised[i], noisy[i]) / math.pow(sigma, 2)
    return score


def score_by_autograd(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """The gradient of the Gaussian log-density of noisy around denoised, which is the same expression."""
    point = noisy.clone().requires_grad_()
    log_density = torch.distributions.Normal(denoised, sigma).log_prob(point).sum()
    return torch.autograd.grad(log_density, point)[0]


def loss_without_update(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    return F.mse_loss(model((x_clean + sigma * noise).clamp(0, 1)), x_clean).item()


def zeroed_loss(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    loss = 0 * model(x_clean).sum()
    loss.backward()
    optimizer.step()
    return loss.item()


RIGHT: dict[str, dict[str, Any]] = {
    "denoising.add_noise": {
        "minimum and maximum": noise_by_minimum_and_maximum,
        "masks": noise_by_masks,
        "numpy inside": noise_in_numpy,
        "image by image": noise_image_by_image,
    },
    "denoising.denoise_step": {
        "autograd.grad": step_with_autograd,
        "clears gradients afterwards": step_that_clears_afterwards,
        "a closure": step_in_a_closure,
    },
    "denoising.iterate_denoiser": {
        "a buffer": iterates_in_a_buffer,
        "accumulate, in inference mode": iterates_by_accumulation,
        "recursion": iterates_by_recursion,
        "detached at the end": iterates_detached_at_the_end,
    },
    "denoising.psnr": {
        "norms": psnr_by_norms,
        "a difference of logarithms": psnr_as_a_difference,
        "loop, and natural logarithms": psnr_in_a_loop,
        "einsum": psnr_by_einsum,
    },
    "denoising.score_from_denoiser": {
        "precision": score_by_precision,
        "by way of the noise": score_by_the_noise,
        "loop": score_in_a_loop,
        "autograd of a Gaussian": score_by_autograd,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "denoising.add_noise": {
        "x itself": lambda x, sigma, noise: x,
        "zeros": lambda x, sigma, noise: torch.zeros_like(x),
        "the noise, clamped": lambda x, sigma, noise: noise.clamp(0, 1),
        "noise of its own": lambda x, sigma, noise: (x + sigma * torch.randn_like(x)).clamp(0, 1),
    },
    "denoising.denoise_step": {
        "the loss, no update": loss_without_update,
        "0 times a sum": zeroed_loss,
        "zero": lambda model, x_clean, sigma, noise, optimizer: 0.0,
    },
    "denoising.iterate_denoiser": {
        "the start, repeated": lambda model, x, n: x.expand(n + 1, *x.shape),
        "zeros": lambda model, x, n: torch.zeros(n + 1, *x.shape),
        "the start": lambda model, x, n: x,
    },
    "denoising.psnr": {
        "zeros": lambda x_hat, x, data_range: torch.zeros(len(x)),
        "always 20 dB": lambda x_hat, x, data_range: torch.full((len(x),), 20.0),
        "mean squared error": lambda x_hat, x, data_range: (x_hat - x).square().flatten(1).mean(1),
        "infinite": lambda x_hat, x, data_range: torch.full((len(x),), torch.inf),
    },
    "denoising.score_from_denoiser": {
        "zeros": lambda denoised, noisy, sigma: torch.zeros_like(noisy),
        "denoised": lambda denoised, noisy, sigma: denoised,
        "noisy": lambda denoised, noisy, sigma: noisy,
        "0 times the points": lambda denoised, noisy, sigma: 0 * noisy.sum(),
    },
}
