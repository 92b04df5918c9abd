"""Chapter 7: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.forward import q_sample


def embedding_with_exp(t: Tensor, dim: int, max_period: float) -> Tensor:
    half = dim // 2
    f = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(max_period) / half))
    angles = torch.outer(t.float(), f)
    return torch.hstack((torch.sin(angles), torch.cos(angles)))


def embedding_in_numpy(t: Tensor, dim: int, max_period: float) -> Tensor:
    angles = t.numpy()[:, None] / max_period ** (2 * np.arange(dim // 2) / dim)
    return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)).float()


def embedding_in_a_loop(t: Tensor, dim: int, max_period: float) -> Tensor:
    result = torch.empty(len(t), dim)
    for row, level in enumerate(t.tolist()):
        for i in range(dim // 2):
            angle = level * max_period ** (-i / (dim / 2))
            result[row, i], result[row, i + dim // 2] = math.sin(angle), math.cos(angle)
    return result


def embedding_by_logspace(t: Tensor, dim: int, max_period: float) -> Tensor:
    last = -math.log10(max_period) * (1 - 2 / dim)
    angles = t.unsqueeze(1) * torch.logspace(0, last, dim // 2)
    return torch.cat([angles.sin(), torch.sin(angles + math.pi / 2)], -1)


class BlockInSequence(nn.Module):
    """Other names, another order of registration, nn.Sequential."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int):
        super().__init__()
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None
        self.project = nn.Sequential(
            nn.SiLU(), nn.Linear(time_dim, out_channels * 2), nn.Unflatten(1, (2, -1, 1, 1))
        )
        self.last = nn.Sequential(nn.SiLU(inplace=True), nn.Conv2d(out_channels, out_channels, 3, 1, 1))
        self.norm = nn.GroupNorm(8, out_channels)
        self.first = nn.Sequential(
            nn.GroupNorm(8, in_channels), nn.SiLU(), nn.Conv2d(in_channels, out_channels, 3, padding="same")
        )

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        time = self.project(temb)
        h = torch.addcmul(time[:, 1], self.norm(self.first(x)), time[:, 0] + 1)
        return self.last(h).add(x if self.shortcut is None else self.shortcut(x))


class BlockByHand(nn.Module):
    """Normalisation written out, einsum for the 1x1 convolution, zeros at the start."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int):
        super().__init__()
        self.gn = nn.ModuleList([nn.GroupNorm(8, in_channels), nn.GroupNorm(8, out_channels)])
        self.conv = nn.ModuleList(
            [nn.Conv2d(in_channels, out_channels, 3), nn.Conv2d(out_channels, out_channels, 3)]
        )
        nn.init.zeros_(self.conv[1].weight)
        self.t = nn.Linear(time_dim, 2 * out_channels)
        self.channels = out_channels
        if in_channels != out_channels:
            self.skip = nn.Conv2d(in_channels, out_channels, 1)

    def normed(self, x: Tensor, which: int) -> Tensor:
        groups = x.reshape(len(x), 8, -1)
        variance, mean = torch.var_mean(groups, dim=-1, correction=0, keepdim=True)
        z = ((groups - mean) / (variance + 1e-5).sqrt()).view_as(x)
        return z * self.gn[which].weight[:, None, None] + self.gn[which].bias[:, None, None]

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        h = self.normed(x, 0)
        h = self.conv[0](F.pad(h * h.sigmoid(), (1, 1, 1, 1)))
        time = self.t(temb * temb.sigmoid()).view(len(x), -1, 1, 1)
        h = self.normed(h, 1) * (1 + time[:, : self.channels]) + time[:, self.channels :]
        h = self.conv[1](F.pad(h * h.sigmoid(), (1, 1, 1, 1)))
        if not hasattr(self, "skip"):
            return h + x
        return (
            h + torch.einsum("oi,bihw->bohw", self.skip.weight[..., 0, 0], x) + self.skip.bias[:, None, None]
        )


class LazyBlock(nn.Module):
    """Layers that take their input sizes from the first input."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int):
        super().__init__()
        self.norms = nn.ModuleDict({"a": nn.GroupNorm(8, in_channels), "b": nn.GroupNorm(8, out_channels)})
        self.a, self.b = (nn.LazyConv2d(out_channels, 3, padding=1) for _ in range(2))
        self.time = nn.LazyLinear(2 * out_channels)
        self.skip: nn.Module = nn.LazyConv2d(out_channels, 1)
        if in_channels == out_channels:
            self.skip = nn.Sequential()

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        scale, shift = torch.tensor_split(self.time(F.silu(temb)), 2, dim=-1)
        h = self.a(F.silu(self.norms["a"](x)))
        h = self.norms["b"](h)
        h = h + h * scale[..., None, None] + shift[..., None, None]
        return self.skip(x) + self.b(F.silu(h))


class FusedAttention(nn.Module):
    """The fused kernel, one layer for q, k and v."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.project, self.norm = nn.Conv2d(channels, channels, 1), nn.GroupNorm(8, channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(1, (self.heads, -1)).flatten(3).mT
            for part in self.to_qkv(self.norm(x)).chunk(3, dim=1)
        )
        return x + self.project(F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape))


class ThreeLayers(nn.Module):
    """Three convolutions, einsum, a softmax written out, one head after the other."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.gn = nn.GroupNorm(8, channels)
        self.q, self.k, self.v, self.o = (nn.Conv2d(channels, channels, 1) for _ in range(4))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        z = self.gn(x)
        results = []
        for q, k, v in zip(
            *(layer(z).flatten(2).chunk(self.heads, 1) for layer in (self.q, self.k, self.v)), strict=True
        ):
            scores = torch.einsum("bdi,bdj->bij", q, k) / math.sqrt(q.shape[1])
            weights = (scores - scores.amax(dim=2, keepdim=True)).exp()
            weights = weights / weights.sum(dim=2, keepdim=True)
            results.append(torch.einsum("bij,bdj->bdi", weights, v))
        return self.o(torch.cat(results, dim=1).view_as(x)) + x


class LibraryAttention(nn.Module):
    """torch's own attention over a sequence of pixels."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        attended, _ = self.attention(pixels, pixels, pixels, need_weights=False)
        return x + attended.transpose(1, 2).reshape(x.shape)


class LinearLayers(nn.Module):
    """Linear layers on pixels last."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads, self.width = heads, channels // heads
        self.norm = nn.GroupNorm(8, channels)
        self.qkv, self.out = nn.Linear(channels, channels * 3), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        pixels = self.norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c)
        q, k, v = self.qkv(pixels).view(b, h * w, 3, self.heads, self.width).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * self.width**-0.5, k.transpose(2, 3))
        mixed = torch.matmul(torch.softmax(scores, dim=3), v).transpose(1, 2).reshape(b, h, w, c)
        return x + self.out(mixed).permute(0, 3, 1, 2)


Block = Callable[[Tensor, Tensor], Tensor]


def forward_with_an_index(
    x: Tensor, temb: Tensor, down: Sequence[Block], middle: Block, up: Sequence[Block]
) -> Tensor:
    outputs = []
    for block in down:
        outputs += [block(outputs[-1] if outputs else x, temb)]
    h = middle(outputs[-1], temb)
    for i, block in enumerate(up):
        h = block(torch.concat((h, outputs[len(outputs) - 1 - i]), 1), temb)
    return h


def forward_recursive(
    x: Tensor, temb: Tensor, down: Sequence[Block], middle: Block, up: Sequence[Block]
) -> Tensor:
    if not down:
        return middle(x, temb)
    skip = down[0](x, temb)
    inner = forward_recursive(skip, temb, down[1:], middle, up[:-1])
    return up[-1](torch.cat([inner, skip], -3), temb)


def forward_into_empty(
    x: Tensor, temb: Tensor, down: Sequence[Block], middle: Block, up: Sequence[Block]
) -> Tensor:
    skips: tuple[Tensor, ...] = ()
    for block in nn.ModuleList(down):
        x = block(x, temb)
        skips = (x, *skips)
    x = middle(x, temb)
    for block, skip in zip(up, skips, strict=True):
        both = x.new_empty(x.shape[0], x.shape[1] + skip.shape[1], *x.shape[2:])
        both[:, : x.shape[1]] = x
        both[:, x.shape[1] :] = skip
        x = block(both, temb)
    return x


def loss_with_q_sample(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    return nn.MSELoss()(model(q_sample(x0, t, alphas_cumprod, noise), t), noise)


def loss_in_a_loop(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    losses = []
    for x, level, e in zip(x0, t, noise, strict=True):
        share = alphas_cumprod[level].item()
        guess = model((math.sqrt(share) * x + math.sqrt(1 - share) * e)[None], level[None])
        losses.append(torch.mean((e - guess[0]) ** 2))
    return torch.stack(losses).mean()


def loss_with_einsum(model: Any, x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    share = alphas_cumprod.gather(0, t)
    signal, sigma = share.sqrt().type_as(x0), (1 - share).sqrt().type_as(x0)
    x_t = torch.einsum("b,bchw->bchw", signal, x0) + torch.einsum("b,bchw->bchw", sigma, noise)
    error = model(x_t, t) - noise
    return (error * error).sum() / error.numel()


def ema_with_lerp(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(list(ema_model.parameters()), list(model.parameters()), 1 - decay)
        for old, new in zip(ema_model.buffers(), model.buffers(), strict=True):
            old.copy_(new)


def ema_by_state_dict(ema_model: nn.Module, model: nn.Module, decay: float) -> nn.Module:
    averaged = {name for name, _ in model.named_parameters()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, old in ema_model.state_dict().items():
        if name in averaged:
            state[name] = decay * old + (1 - decay) * state[name]
    ema_model.load_state_dict(state)
    return ema_model


def ema_by_data(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    new = dict(model.named_parameters())
    for name, parameter in ema_model.named_parameters():
        parameter.data = parameter.data - (1 - decay) * (parameter.data - new[name].data)
    for (_, old), (_, buffer) in zip(ema_model.named_buffers(), model.named_buffers(), strict=True):
        old[...] = buffer


class RightLayersOfABlock(nn.Module):
    """The layers of the exercise, and no computation with them."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int):
        super().__init__()
        self.layers, self.out_channels = BlockInSequence(in_channels, out_channels, time_dim), out_channels

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        return x.new_zeros(len(x), self.out_channels, *x.shape[2:])


class RightLayersOfAnAttention(nn.Module):
    """The layers of the exercise; x comes back."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.layers = FusedAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        return x


RIGHT: dict[str, dict[str, Any]] = {
    "unet.timestep_embedding": {
        "exp of a logarithm": embedding_with_exp,
        "numpy inside": embedding_in_numpy,
        "loops": embedding_in_a_loop,
        "logspace, and cosines as shifted sines": embedding_by_logspace,
    },
    "unet.ResidualBlock": {
        "sequential": BlockInSequence,
        "by hand": BlockByHand,
        "lazy layers": LazyBlock,
        "a function that builds it": lambda in_channels, out_channels, time_dim: LazyBlock(
            in_channels, out_channels, time_dim
        ),
    },
    "unet.SelfAttention2d": {
        "the fused kernel": FusedAttention,
        "three layers and a loop over heads": ThreeLayers,
        "nn.MultiheadAttention": LibraryAttention,
        "linear layers": LinearLayers,
    },
    "unet.unet_forward": {
        "an index": forward_with_an_index,
        "recursion": forward_recursive,
        "written into an empty tensor": forward_into_empty,
    },
    "unet.noise_prediction_loss": {
        "q_sample and nn.MSELoss": loss_with_q_sample,
        "loop": loss_in_a_loop,
        "einsum": loss_with_einsum,
    },
    "unet.ema_update": {
        "lerp": ema_with_lerp,
        "load_state_dict": ema_by_state_dict,
        "new data in old parameters": ema_by_data,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "unet.timestep_embedding": {
        "zeros": lambda t, dim, max_period: torch.zeros(len(t), dim),
        "t repeated": lambda t, dim, max_period: t[:, None].float().repeat(1, dim),
        "one sine": lambda t, dim, max_period: t[:, None].float().sin().expand(-1, dim),
    },
    "unet.ResidualBlock": {
        "right layers, zeros": RightLayersOfABlock,
        "identity": lambda in_channels, out_channels, time_dim: nn.Identity(),
        "one convolution": lambda in_channels, out_channels, time_dim: nn.Conv2d(
            in_channels, out_channels, 3, padding=1
        ),
    },
    "unet.SelfAttention2d": {
        "right layers, x itself": RightLayersOfAnAttention,
        "identity": lambda channels, heads: nn.Identity(),
    },
    "unet.unet_forward": {
        "x itself": lambda x, temb, down, middle, up: x,
        "the middle alone": lambda x, temb, down, middle, up: middle(x, temb),
        "zeros": lambda x, temb, down, middle, up: torch.zeros_like(x),
    },
    "unet.noise_prediction_loss": {
        "0 times the output": lambda model, x0, t, noise, alphas_cumprod: 0 * model(x0, t).sum(),
        "one": lambda model, x0, t, noise, alphas_cumprod: torch.tensor(1.0, requires_grad=True),
        "the noise's own size": lambda model, x0, t, noise, alphas_cumprod: noise.square().mean(),
    },
    "unet.ema_update": {
        "copies everything": lambda ema_model, model, decay: ema_model.load_state_dict(model.state_dict()),
        "does nothing": lambda ema_model, model, decay: None,
        "a copy of the model": lambda ema_model, model, decay: copy.deepcopy(model),
    },
}
