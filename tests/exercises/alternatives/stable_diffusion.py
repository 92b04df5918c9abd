"""Chapter 9: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention_by_einsum(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    q, k, v = (x.unflatten(2, (heads, -1)) for x in (q, k, v))
    scores = torch.einsum("bqhc,bkhc->bhqk", q, k) / math.sqrt(q.shape[3])
    return torch.einsum("bhqk,bkhc->bqhc", scores.softmax(3), v).flatten(2)


def attention_head_by_head(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    width = q.shape[-1] // heads
    mixed = []
    for a, b, c in zip(q.split(width, 2), k.split(width, 2), v.split(width, 2), strict=True):
        scores = torch.bmm(a, b.mT) * width**-0.5
        weights = (scores - scores.logsumexp(dim=2, keepdim=True)).exp()
        mixed.append(weights @ c)
    return torch.cat(mixed, dim=-1)


def attention_fused(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    b, n, c = q.shape
    q, k, v = (x.view(b, -1, heads, c // heads).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)


def attention_heads_in_the_batch(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    def fold(x: Tensor) -> Tensor:
        return torch.cat(x.chunk(heads, dim=2), dim=0)

    scores = torch.baddbmm(
        torch.zeros(1, 1, 1, dtype=q.dtype), fold(q), fold(k).mT, alpha=(q.shape[2] // heads) ** -0.5
    )
    return torch.cat((scores.softmax(-1) @ fold(v)).chunk(heads, dim=0), dim=2)


def latents_by_distribution(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    c = moments.shape[1] // 2
    normal = torch.distributions.Normal(moments[:, :c], moments[:, c:].clip(-30, 20).div(2).exp())
    return (normal.loc + normal.scale * eps) * scaling_factor


def latents_by_roots(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    mean, logvar = torch.tensor_split(moments, 2, dim=1)
    variance = torch.exp(
        torch.maximum(torch.minimum(logvar, logvar.new_tensor(20.0)), logvar.new_tensor(-30.0))
    )
    return torch.addcmul(mean, variance.sqrt(), eps).mul(scaling_factor)


def latents_image_by_image(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    rows = []
    for both, noise in zip(moments, eps, strict=True):
        mean, logvar = both.unflatten(0, (2, -1))
        rows.append(
            mean * scaling_factor + math.e ** (0.5 * F.hardtanh(logvar, -30, 20)) * noise * scaling_factor
        )
    return torch.stack(rows)


def guided_by_repeat(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    both = unet(latents.repeat(2, 1, 1, 1), t.repeat(2), torch.vstack([uncond, cond]))
    return torch.lerp(both[: len(t)], both[len(t) :], scale)


def guided_by_unflatten(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    b = latents.shape[0]
    texts = torch.stack([uncond, cond]).flatten(0, 1)
    images = latents.expand(2, *latents.shape).reshape(2 * b, *latents.shape[1:])
    guesses = unet(images, t.expand(2, b).reshape(-1), texts).unflatten(0, (2, b))
    return torch.einsum("k,k...->...", torch.tensor([1 - scale, scale]), guesses)


@torch.no_grad()
def guided_with_keywords(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    told = torch.concatenate((uncond, cond))
    without, given = unet(latents=torch.cat([latents] * 2), t=torch.cat([t] * 2), context=told).split(len(t))
    return scale * given - (scale - 1) * without


def sampled_with_a_padded_schedule(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Levels counted from 1, so that 0 is the clean end."""
    abar = F.pad(alphas_cumprod, (1, 0), value=1.0).to(latents.dtype)
    levels = F.pad(timesteps + 1, (0, 1))
    for now, then in pairwise(levels):
        t = (now - 1).repeat(len(latents))
        noise = guided_by_repeat(unet, latents, t, cond, uncond, scale)
        x0 = (latents - (1 - abar[now]).sqrt() * noise) / abar[now].sqrt()
        latents = abar[then].sqrt() * x0 + (1 - abar[then]).sqrt() * noise
    return latents


@torch.no_grad()
def sampled_in_the_scaled_space(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """DDIM as an Euler step: x / sqrt(abar) moves along the noise by the change of sqrt(1 / abar - 1)."""
    spread = [*(1 / alphas_cumprod.double() - 1).sqrt()[timesteps].tolist(), 0.0]
    roots = alphas_cumprod.double().sqrt()[timesteps].tolist()
    scaled = latents / roots[0]
    for i, t in enumerate(timesteps.tolist()):
        levels = torch.full((latents.shape[0],), t, dtype=torch.long)
        noise = guided_by_repeat(unet, scaled * roots[i], levels, cond, uncond, scale)
        scaled = scaled + (spread[i + 1] - spread[i]) * noise
    return scaled


def sampled_by_two_calls(
    unet: Any,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """By recursion; the exercise asks for one call in guided_prediction only."""
    level = int(timesteps[0])
    t = torch.tensor([level] * len(latents))
    without = unet(latents, t, uncond)
    noise = without + scale * (unet(latents, t, cond) - without)
    now = alphas_cumprod[level].item()
    x0 = (latents - math.sqrt(1 - now) * noise) / math.sqrt(now)
    if len(timesteps) == 1:
        return x0
    then = alphas_cumprod[int(timesteps[1])].item()
    latents = math.sqrt(then) * x0 + math.sqrt(1 - then) * noise
    return sampled_by_two_calls(unet, latents, cond, uncond, timesteps[1:], alphas_cumprod, scale)


def start_with_a_position(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    n = len(timesteps)
    position = min(n - min(int(n * strength), n), n - 1)
    abar = alphas_cumprod[timesteps[position]].to(latents.dtype)
    return abar.sqrt() * latents + (1 - abar).sqrt() * noise, timesteps[position:]


def start_as_a_list(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> list[Tensor]:
    count = int(strength * len(timesteps)) or 1
    remaining = torch.tensor(timesteps.tolist()[-count:])
    share = alphas_cumprod.index_select(0, remaining[:1]).item()
    return [math.sqrt(share) * latents + math.sqrt(1 - share) * noise, remaining]


def start_by_a_mask(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    n = timesteps.numel()
    kept = torch.arange(n) >= n - max(math.floor(n * strength), 1)
    remaining = timesteps[kept]
    abar = alphas_cumprod[remaining.max()]
    return torch.lerp(torch.zeros_like(latents), latents, abar.sqrt().item()) + noise * (
        1 - abar
    ).sqrt(), remaining


def blend_by_where(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    abar = alphas_cumprod.to(x_t.dtype)[t][:, None, None, None]
    return torch.where(mask.bool(), x_t, abar.sqrt() * known_x0 + (1 - abar).sqrt() * noise)


def blend_image_by_image(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    rows = []
    for i, level in enumerate(t.tolist()):
        abar = alphas_cumprod[level].item()
        rows.append(torch.lerp(abar**0.5 * known_x0[i] + (1 - abar) ** 0.5 * noise[i], x_t[i], mask[i]))
    return torch.stack(rows)


def blend_in_a_copy(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    result, keep = x_t.clone(), (mask == 0).expand_as(x_t)
    abar = alphas_cumprod.gather(0, t).reshape(-1, 1, 1, 1)
    noised = (abar.sqrt() * known_x0 + (1 - abar).sqrt() * noise).to(x_t.dtype)
    result[keep] = noised[keep]
    return result


class LoRAOfParameters(nn.Module):
    """Two matrices the other way round, and no layers for them."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        for parameter in linear.parameters():
            parameter.requires_grad = False
        self.base = linear
        self.a = nn.Parameter(0.01 * torch.randn(linear.in_features, rank))
        self.b = nn.Parameter(torch.zeros(rank, linear.out_features))
        self.factor = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.a @ self.b) * self.factor


class LoRAInTheWeight(nn.Module):
    """The product is added to the weight; the layer's numbers become buffers."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", linear.bias.detach())
        self.up = nn.Parameter(torch.zeros(len(self.weight), rank))
        self.down = nn.Parameter(torch.empty(rank, self.weight.shape[1]))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.alpha, self.rank = alpha, rank

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(
            x, torch.addmm(self.weight, self.up, self.down, alpha=self.alpha / self.rank), self.bias
        )


class LoRAOfASequence(nn.Module):
    """nn.Sequential; the down matrix is the one that starts at 0."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.added = nn.Sequential(
            nn.Linear(linear.in_features, rank, bias=False), nn.Linear(rank, linear.out_features, bias=False)
        )
        self.added[0].weight.data.zero_()
        self.alpha, self.rank = alpha, rank

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).add(self.added(x), alpha=self.alpha / self.rank)


class UntouchedLayer(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear = linear.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class UnusedMatrices(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class ConvInside(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, kernel_size=(1, 1), padding="same")
        nn.init.constant_(self.layer.weight, 0.0)
        nn.init.constant_(self.layer.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class ConvOfParameters(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(channels, channels, 1, 1))
        self.b = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, self.b)


class LinearOverChannels(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.mix = nn.Linear(channels, channels)
        self.mix.weight.data *= 0
        self.mix.bias.data *= 0

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def conv_by_function(channels: int) -> nn.Module:
    layer = nn.utils.skip_init(nn.Conv2d, channels, channels, 1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(layer)


class NothingAtAll(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.unused = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class ZeroTimes(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return 0 * self.layer(x)


RIGHT: dict[str, dict[str, Any]] = {
    "stable_diffusion.cross_attention": {
        "einsum": attention_by_einsum,
        "head by head": attention_head_by_head,
        "fused": attention_fused,
        "heads in the batch": attention_heads_in_the_batch,
    },
    "stable_diffusion.sample_latents": {
        "distribution": latents_by_distribution,
        "roots": latents_by_roots,
        "image by image": latents_image_by_image,
    },
    "stable_diffusion.guided_prediction": {
        "repeat and lerp": guided_by_repeat,
        "stack and einsum": guided_by_unflatten,
        "keywords": guided_with_keywords,
    },
    "stable_diffusion.text_to_latents": {
        "padded schedule": sampled_with_a_padded_schedule,
        "Euler": sampled_in_the_scaled_space,
        "recursion, two calls": sampled_by_two_calls,
    },
    "stable_diffusion.img2img_start": {
        "position": start_with_a_position,
        "a list": start_as_a_list,
        "mask": start_by_a_mask,
    },
    "stable_diffusion.inpaint_blend": {
        "where": blend_by_where,
        "image by image": blend_image_by_image,
        "a copy": blend_in_a_copy,
    },
    "stable_diffusion.LoRALinear": {
        "parameters": LoRAOfParameters,
        "in the weight": LoRAInTheWeight,
        "a sequence": LoRAOfASequence,
    },
    "stable_diffusion.ZeroConv2d": {
        "a layer inside": ConvInside,
        "parameters": ConvOfParameters,
        "linear": LinearOverChannels,
        "a function": conv_by_function,
    },
}
LAZY: dict[str, dict[str, Any]] = {
    "stable_diffusion.cross_attention": {
        "q": lambda q, k, v, heads: q,
        "zeros": lambda q, k, v, heads: torch.zeros_like(q),
        "mean of the values": lambda q, k, v, heads: v.mean(dim=1, keepdim=True).expand_as(q),
    },
    "stable_diffusion.sample_latents": {
        "eps": lambda moments, eps, scaling_factor: eps,
        "zeros": lambda moments, eps, scaling_factor: torch.zeros_like(eps),
        "mean": lambda moments, eps, scaling_factor: moments[:, : eps.shape[1]],
    },
    "stable_diffusion.guided_prediction": {
        "latents": lambda unet, latents, t, cond, uncond, scale: latents,
        "zeros": lambda unet, latents, t, cond, uncond, scale: torch.zeros_like(latents),
        "without text": lambda unet, latents, t, cond, uncond, scale: unet(latents, t, uncond),
    },
    "stable_diffusion.text_to_latents": {
        "latents": lambda unet, latents, *rest: latents,
        "zeros": lambda unet, latents, *rest: 0 * latents,
    },
    "stable_diffusion.img2img_start": {
        "as they came": lambda latents, noise, strength, timesteps, alphas_cumprod: (latents, timesteps),
        "noise": lambda latents, noise, strength, timesteps, alphas_cumprod: (noise, timesteps[-1:]),
    },
    "stable_diffusion.inpaint_blend": {
        "x_t": lambda x_t, *rest: x_t,
        "known": lambda x_t, known_x0, *rest: known_x0,
        "zeros": lambda x_t, *rest: 0 * x_t,
    },
    "stable_diffusion.LoRALinear": {"the layer": UntouchedLayer, "matrices without use": UnusedMatrices},
    "stable_diffusion.ZeroConv2d": {
        "zeros": NothingAtAll,
        "0 times": ZeroTimes,
        "x": lambda channels: nn.Identity(),
    },
}
