"""Layers that text encoder, autoencoder and U-Net share, in the notation of course_utils.stable_diffusion.

q           (B, Nq, C) float    queries, one for each token or pixel that looks
k, v        (B, Nk, C) float    keys and values of what is looked at
heads       int                 each works on C / heads consecutive channels
x           (B, C, H, W) float  feature maps, or (B, N, C) tokens
temb        (B, time_dim) float what residual blocks are told of the noise level
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.unet import zeroed
from course_utils.validation import require_dims, require_float_tensor, require_int

FEW = 64  # tokens: so few, on a CPU, the fused kernel's backward pass is slow in bf16


def cross_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, *, causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(C / heads)) v, in each head (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

    Args:
        q: (B, Nq, C) float.
        k, v: (B, Nk, C) float.
        heads: int, a divisor of C.
        causal: token i sees tokens 0..i only.

    Returns:
        (B, Nq, C).

    Raises:
        TypeError, ValueError: no floats, shapes that do not fit, or heads that do not divide C.
    """
    _require_heads("cross_attention", heads, q=q, k=k, v=v)
    if k.shape != v.shape:
        raise ValueError(
            f"cross_attention: k and v must have one shape, got {tuple(k.shape)} and {tuple(v.shape)}. "
            "They describe the same tokens."
        )
    split = _split(q, heads), _split(k, heads), _split(v, heads)
    if q.device.type == "cpu" and max(q.shape[1], k.shape[1]) <= FEW:
        attended = _weights(*split[:2], causal) @ split[2]
    else:
        attended = F.scaled_dot_product_attention(*split, is_causal=causal)
    return attended.transpose(1, 2).flatten(2)


def attention_weights(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(C / heads)), (B, heads, Nq, Nk): the share of each key; rows sum to 1."""
    _require_heads("attention_weights", heads, q=q, k=k)
    return _weights(_split(q, heads), _split(k, heads), causal=False)


def _weights(q: Tensor, k: Tensor, causal: bool) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(dim=-1)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _require_heads(function: str, heads: int, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_dims(function, 3, "(B, N, C)", **named)
    require_int(function, 1, heads=heads)
    outer = {(value.shape[0], value.shape[2]) for value in named.values()}
    if len(outer) > 1:
        listed = ", ".join(f"{name} {tuple(value.shape)}" for name, value in named.items())
        raise ValueError(f"{function}: B and C must be equal, got {listed}. Project before you attend.")
    if (channels := next(iter(outer))[1]) % heads:
        raise ValueError(f"{function}: heads must divide C, got {heads} heads and C = {channels}.")


class Attention(nn.Module):
    """Attention of x to a context, or to itself: (B, N, C) -> (B, N, C).

    Args:
        channels: C, a multiple of heads.
        context_channels: of what is looked at.
        bias: in the projections to q, k and v; the one at the end always has it.
    """

    def __init__(self, channels: int, context_channels: int, heads: int, *, bias: bool):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels, bias=bias)
        self.k = nn.Linear(context_channels, channels, bias=bias)
        self.v = nn.Linear(context_channels, channels, bias=bias)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor, *, causal: bool = False) -> Tensor:
        q, k, v = self.q(x), self.k(context), self.v(context)
        return self.out(cross_attention(q, k, v, self.heads, causal=causal))

    def weights(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, heads, N, Nk): what forward mixes the values with."""
        return attention_weights(self.q(x), self.k(context), self.heads)


class ResidualBlock(nn.Module):
    """x + f(x, temb), (B, in_channels, H, W) -> (B, out_channels, H, W).

    Chapter 7's block but for one thing: the level is added to each channel, before the second norm.

    Args:
        time_dim: of temb; 0 is a block that is told nothing, as in an autoencoder.
        groups, eps: of both norms.
    """

    def __init__(self, in_channels: int, out_channels: int, time_dim: int, *, groups: int, eps: float):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time = nn.Linear(time_dim, out_channels) if time_dim else None
        self.norm2 = nn.GroupNorm(groups, out_channels, eps)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1))
        self.skip = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None and temb is not None:
            h = h + self.time(F.silu(temb))[:, :, None, None]
        return self.conv2(F.silu(self.norm2(h))) + self.skip(x)


class Upsample(nn.Module):
    """Each pixel doubled in height and width, then a convolution: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0))


def as_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C): a token for each pixel, row by row."""
    return x.flatten(2).transpose(1, 2)


def as_map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H W, C) -> (B, C, H, W), H and W those of `like`."""
    return tokens.transpose(1, 2).unflatten(2, like.shape[2:])


def require_maps(function: str, channels: int, multiple: int, **named: Tensor) -> None:
    """Raise unless the arguments are (B, channels, H, W) floats, H and W multiples of `multiple`."""
    require_float_tensor(function, **named)
    for name, x in named.items():
        if x.dim() != 4 or x.shape[1] != channels or x.shape[2] % multiple or x.shape[3] % multiple:
            rule = f"{name} must be (B, {channels}, H, W), H and W multiples of {multiple}"
            raise ValueError(f"{function}: {rule}, got {tuple(x.shape)}. Crop or pad images of another size.")
