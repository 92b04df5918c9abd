"""Chapter 6: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import itertools
import math
import operator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def linear_by_torch(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    return torch.linspace(beta_start, beta_end, timesteps)


def linear_by_numpy(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    return torch.from_numpy(np.linspace(beta_start, beta_end, num=timesteps))


def linear_in_a_loop(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    step = (beta_end - beta_start) / (timesteps - 1)
    return torch.tensor([beta_start + i * step for i in range(timesteps)])


def linear_by_lerp(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    weights = torch.arange(timesteps).div(timesteps - 1)
    return torch.lerp(torch.tensor(beta_start), torch.tensor(beta_end), weights)


def cosine_in_float32(timesteps: int, s: float, max_beta: float) -> Tensor:
    x = torch.linspace(0, timesteps, timesteps + 1)
    shares = torch.cos(((x / timesteps) + s) / (1 + s) * torch.pi * 0.5) ** 2
    shares = shares / shares[0]
    return torch.clip(1 - (shares[1:] / shares[:-1]), 0, max_beta)


def cosine_in_a_loop(timesteps: int, s: float, max_beta: float) -> Tensor:
    def share(u: float) -> float:
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    betas = []
    for i in range(timesteps):
        betas.append(min(1 - share((i + 1) / timesteps) / share(i / timesteps), max_beta))
    return torch.tensor(betas, dtype=torch.float64)


def cosine_by_double_angles(timesteps: int, s: float, max_beta: float) -> Tensor:
    angle = np.pi * (np.arange(timesteps + 1) / timesteps + s) / (1 + s)
    share = (1 + np.cos(angle)) / 2
    return torch.from_numpy(np.minimum(-np.diff(share) / share[:-1], max_beta)).float()


def cosine_by_ratios_of_shares(timesteps: int, s: float, max_beta: float) -> Tensor:
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.double)
    abar = torch.cos((u + s) / (1 + s) * math.pi / 2).pow(2)
    abar = abar.div(abar[0].clone())
    alphas = abar[1:] / abar[:-1]
    return 1 - torch.maximum(alphas, torch.tensor(1 - max_beta, dtype=torch.double))


def shares_in_a_loop(betas: Tensor) -> Tensor:
    shares, left = [], torch.ones((), dtype=betas.dtype)
    for beta in betas:
        left = left * (1 - beta)
        shares.append(left)
    return torch.stack(shares)


def shares_by_logarithms(betas: Tensor) -> Tensor:
    return torch.exp(torch.cumsum(torch.log1p(-betas), dim=-1))


def shares_by_numpy_in_float64(betas: Tensor) -> Tensor:
    return torch.tensor(np.cumprod(1.0 - betas.numpy().astype(np.float64)))


def shares_by_accumulation(betas: Tensor) -> Tensor:
    return betas.new_tensor(list(itertools.accumulate((1 - betas).tolist(), operator.mul)))


def step_cast_at_the_end(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    beta = betas[t].reshape(-1, 1, 1, 1)
    return (torch.sqrt(1.0 - beta) * x_prev + torch.sqrt(beta) * noise).to(x_prev.dtype)


def step_image_by_image(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    x_t = torch.empty_like(x_prev)
    for i, level in enumerate(t.tolist()):
        beta = betas[level].item()
        x_t[i] = math.sqrt(1 - beta) * x_prev[i] + math.sqrt(beta) * noise[i]
    return x_t


def step_by_einsum(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    beta = torch.gather(betas, 0, t).type_as(x_prev)
    return torch.einsum("b,bchw->bchw", (1 - beta) ** 0.5, x_prev) + torch.einsum(
        "b,bchw->bchw", beta**0.5, noise
    )


def step_as_a_distribution(x_prev: Tensor, t: Tensor, betas: Tensor, noise: Tensor) -> Tensor:
    beta = betas.to(x_prev.dtype)[t][:, None, None, None]
    step = torch.distributions.Normal((1 - beta).sqrt() * x_prev, beta.sqrt().expand_as(x_prev))
    return step.loc + step.scale * noise


def jump_with_extra_dimensions(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    signal, sigma = alphas_cumprod[t].sqrt().to(x0), (1 - alphas_cumprod[t]).sqrt().to(x0)
    while signal.dim() < x0.dim():
        signal, sigma = signal.unsqueeze(-1), sigma.unsqueeze(-1)
    return torch.addcmul(signal * x0, sigma, noise)


def jump_batch_last(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    """Moved to the end, the batch is where broadcasting looks first."""
    share = alphas_cumprod.index_select(0, t).to(dtype=x0.dtype)
    moved = share.sqrt() * x0.movedim(0, -1) + (1 - share).sqrt() * noise.movedim(0, -1)
    return moved.movedim(-1, 0)


def jump_by_an_angle(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    angle = torch.acos(alphas_cumprod.double().sqrt())[t].view(len(t), 1, 1, 1)
    return (angle.cos() * x0 + angle.sin() * noise).type(x0.dtype)


def jump_in_numpy(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    share = alphas_cumprod.numpy()[t.numpy()].astype(x0.numpy().dtype)[:, None, None, None]
    return torch.from_numpy(np.sqrt(share) * x0.numpy() + np.sqrt(1 - share) * noise.numpy())


def jump_by_an_embedding(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
    table = torch.stack([alphas_cumprod, 1 - alphas_cumprod], dim=1).sqrt()
    factors = F.embedding(t, table).to(x0.dtype)
    return torch.einsum("bk,kbchw->bchw", factors, torch.stack([x0, noise]))


def ratio_by_logit(alphas_cumprod: Tensor) -> Tensor:
    return torch.logit(alphas_cumprod).exp()


def ratio_of_squares(alphas_cumprod: Tensor) -> Tensor:
    return (alphas_cumprod**0.5 / (1.0 - alphas_cumprod) ** 0.5) ** 2


def ratio_from_the_inverse(alphas_cumprod: Tensor) -> Tensor:
    return 1 / (1 / alphas_cumprod - 1)


def ratio_in_a_list(alphas_cumprod: Tensor) -> Tensor:
    return torch.tensor([a / (1 - a) for a in alphas_cumprod.tolist()], dtype=torch.float64)


def back_by_two_factors(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    shape = (x_t.shape[0], *([1] * (x_t.ndim - 1)))
    one = (1.0 / alphas_cumprod).sqrt()[t].view(shape).to(x_t.dtype)
    two = (1.0 / alphas_cumprod - 1).sqrt()[t].view(shape).to(x_t.dtype)
    return one * x_t - two * noise


def back_image_by_image(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    images = []
    for image, level, one in zip(x_t, t, noise, strict=True):
        share = float(alphas_cumprod[level])
        images.append((image - (1 - share) ** 0.5 * one) * share**-0.5)
    return torch.stack(images)


def back_flattened(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    share = alphas_cumprod[t].to(x_t.dtype).unsqueeze(1)
    rows = x_t.flatten(1).sub((1 - share).sqrt().mul(noise.flatten(1))).div(share.sqrt())
    return rows.view_as(x_t)


def back_by_solving(x_t: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    share = alphas_cumprod[t].to(x_t.dtype)
    rest = x_t - noise * (1 - share).sqrt()[:, None, None, None]
    return torch.linalg.solve(torch.diag(share.sqrt()), rest.flatten(1)).reshape(x_t.shape)


def velocity_by_autograd(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The derivative of x_t by the angle, which is a sum over outputs with one angle each."""
    start = torch.acos(alphas_cumprod.sqrt()[t]).to(x0.dtype).view(-1, 1, 1, 1)
    angle = start.expand_as(x0).clone().requires_grad_()
    x_t = angle.cos() * x0 + angle.sin() * noise
    return torch.autograd.grad(x_t.sum(), angle)[0]


def velocity_by_rotation(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    share = alphas_cumprod[t].to(x0.dtype)
    row = torch.stack([-(1 - share).sqrt(), share.sqrt()])
    return torch.einsum("kb,kbchw->bchw", row, torch.stack([x0, noise]))


def velocity_image_by_image(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    out = torch.zeros_like(x0)
    for i in range(x0.size(0)):
        share = alphas_cumprod[t[i]].item()
        out[i] = noise[i] * math.sqrt(share) - x0[i] * math.sqrt(1 - share)
    return out


def velocity_from_x_t(x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Solved from x_0 = sqrt(abar) x_t - sqrt(1 - abar) v."""
    share = alphas_cumprod[t].to(x0.dtype)[..., None, None, None]
    x_t = share.sqrt() * x0 + (1 - share).sqrt() * noise
    return (share.sqrt() * x_t - x0) / (1 - share).sqrt()


RIGHT: dict[str, dict[str, Any]] = {
    "forward_diffusion.linear_beta_schedule": {
        "float32, by torch": linear_by_torch,
        "float64, by numpy": linear_by_numpy,
        "loop": linear_in_a_loop,
        "lerp": linear_by_lerp,
    },
    "forward_diffusion.cosine_beta_schedule": {
        "float32 throughout": cosine_in_float32,
        "loop": cosine_in_a_loop,
        "double angles": cosine_by_double_angles,
        "limits alpha from below": cosine_by_ratios_of_shares,
    },
    "forward_diffusion.alphas_cumprod": {
        "loop": shares_in_a_loop,
        "logarithms": shares_by_logarithms,
        "numpy, always float64": shares_by_numpy_in_float64,
        "accumulate": shares_by_accumulation,
    },
    "forward_diffusion.q_step": {
        "cast at the end": step_cast_at_the_end,
        "image by image": step_image_by_image,
        "einsum": step_by_einsum,
        "torch.distributions": step_as_a_distribution,
    },
    "forward_diffusion.q_sample": {
        "adds dimensions one by one": jump_with_extra_dimensions,
        "batch last": jump_batch_last,
        "an angle": jump_by_an_angle,
        "numpy inside": jump_in_numpy,
        "embedding": jump_by_an_embedding,
    },
    "forward_diffusion.snr": {
        "logit": ratio_by_logit,
        "squares": ratio_of_squares,
        "inverse": ratio_from_the_inverse,
        "list, always float64": ratio_in_a_list,
    },
    "forward_diffusion.predict_x0": {
        "two factors": back_by_two_factors,
        "image by image": back_image_by_image,
        "flattened": back_flattened,
        "solves linear equations": back_by_solving,
    },
    "forward_diffusion.velocity": {
        "autograd by the angle": velocity_by_autograd,
        "rotation": velocity_by_rotation,
        "image by image": velocity_image_by_image,
        "by way of x_t": velocity_from_x_t,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "forward_diffusion.linear_beta_schedule": {
        "zeros": lambda timesteps, beta_start, beta_end: torch.zeros(timesteps),
        "constant": lambda timesteps, beta_start, beta_end: torch.full((timesteps,), beta_start),
        "the ends": lambda timesteps, beta_start, beta_end: torch.tensor([beta_start, beta_end]),
    },
    "forward_diffusion.cosine_beta_schedule": {
        "zeros": lambda timesteps, s, max_beta: torch.zeros(timesteps),
        "the limit": lambda timesteps, s, max_beta: torch.full((timesteps,), max_beta),
        "linear": lambda timesteps, s, max_beta: torch.linspace(0, max_beta, timesteps),
    },
    "forward_diffusion.alphas_cumprod": {
        "betas": lambda betas: betas,
        "zeros": lambda betas: torch.zeros_like(betas),
        "ones": lambda betas: torch.ones_like(betas),
    },
    "forward_diffusion.q_step": {
        "x_prev": lambda x_prev, t, betas, noise: x_prev,
        "the noise": lambda x_prev, t, betas, noise: noise,
        "zeros": lambda x_prev, t, betas, noise: torch.zeros_like(x_prev),
        "noise of its own": lambda x_prev, t, betas, noise: x_prev + torch.randn_like(x_prev),
    },
    "forward_diffusion.q_sample": {
        "x0": lambda x0, t, alphas_cumprod, noise: x0,
        "the noise": lambda x0, t, alphas_cumprod, noise: noise,
        "0 times the sum": lambda x0, t, alphas_cumprod, noise: 0 * (x0 + noise),
        "0 times a number": lambda x0, t, alphas_cumprod, noise: 0 * x0.sum(),
    },
    "forward_diffusion.snr": {
        "its input": lambda alphas_cumprod: alphas_cumprod,
        "zeros": lambda alphas_cumprod: torch.zeros_like(alphas_cumprod),
        "ones": lambda alphas_cumprod: torch.ones_like(alphas_cumprod),
    },
    "forward_diffusion.predict_x0": {
        "x_t": lambda x_t, t, noise, alphas_cumprod: x_t,
        "x_t without the noise": lambda x_t, t, noise, alphas_cumprod: x_t - noise,
        "zeros": lambda x_t, t, noise, alphas_cumprod: torch.zeros_like(x_t),
    },
    "forward_diffusion.velocity": {
        "the noise": lambda x0, t, noise, alphas_cumprod: noise,
        "minus the image": lambda x0, t, noise, alphas_cumprod: -x0,
        "zeros": lambda x0, t, noise, alphas_cumprod: torch.zeros_like(x0),
    },
}
