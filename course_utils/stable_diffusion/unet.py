"""The U-Net that is told a text, in the notation of course_utils.stable_diffusion.

    x          (B, C, h, w) float    feature maps
    temb       (B, time_dim) float   what residual blocks are told of the level t
    context    (B, L, D) float       text states: what transformers attend to
    control    Control               what a ControlNet adds, see course_utils.stable_diffusion.adapters

Chapter 7's network, wired by its unet_forward, with transformers in place of its attention. Blocks are called
block(x, temb, context). What they add to x starts at 0, and so does the network's output.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.unet import MAX_PERIOD, timestep_embedding, unet_forward, zeroed
from course_utils.stable_diffusion.blocks import (
    Attention,
    ResidualBlock,
    Upsample,
    as_map,
    as_tokens,
    require_maps,
)
from course_utils.validation import require_same_shape

ATTENDS = {"CrossAttnDownBlock2D": True, "DownBlock2D": False, "CrossAttnUpBlock2D": True, "UpBlock2D": False}


@dataclass(frozen=True)
class DownConfig:
    """Sizes of the way down and the middle, under the names of the ecosystem's config.json."""

    in_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    down_block_types: tuple[str, ...] = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    layers_per_block: int = 2
    attention_head_dim: int | tuple[int, ...] = 8  # in spite of its name the number of heads, of each level
    cross_attention_dim: int = 768
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    flip_sin_to_cos: bool = True  # the time embedding's cosines come first
    use_linear_projection: bool = False  # around transformers; a convolution of 1 x 1 otherwise

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        "upcast_attention",
        "addition_embed_type_num_heads",
        "dropout",
    )

    def __post_init__(self) -> None:
        self.require_blocks("down_block_types", self.down_block_types)

    def require_blocks(self, name: str, types: tuple[str, ...]) -> None:
        """Raise unless there is a type for each level, and each is implemented."""
        if len(types) != self.levels or not set(types) <= ATTENDS.keys():
            raise ValueError(
                f"{type(self).__name__}: {name} must name {self.levels} of {', '.join(ATTENDS)}, got {types}."
            )

    @property
    def levels(self) -> int:
        return len(self.block_out_channels)

    @property
    def heads(self) -> tuple[int, ...]:
        """Of each level."""
        heads = self.attention_head_dim
        return heads if isinstance(heads, tuple) else (heads,) * self.levels

    def fixed(self) -> dict[str, Any]:
        """What the file may say, in one way only, beside the sizes."""
        return {
            "act_fn": "silu",
            "downsample_padding": 1,
            "freq_shift": 0,
            "mid_block_scale_factor": 1,
            "mid_block_type": "UNetMidBlock2DCrossAttn",
            "resnet_time_scale_shift": "default",
            "transformer_layers_per_block": 1,
        }


@dataclass(frozen=True)
class UNetConfig(DownConfig):
    """Sizes, under the names of unet/config.json."""

    sample_size: int = 64  # height and width of the latents in training
    out_channels: int = 4
    up_block_types: tuple[str, ...] = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3

    CLASS: ClassVar[str] = "UNet2DConditionModel"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_blocks("up_block_types", self.up_block_types)

    def fixed(self) -> dict[str, Any]:
        return super().fixed() | {
            "attention_type": "default",
            "conv_in_kernel": 3,
            "conv_out_kernel": 3,
            "resnet_out_scale_factor": 1.0,
            "time_embedding_type": "positional",
        }


class Control(NamedTuple):
    """What is added to the skips, first to last, and to what comes out of the middle."""

    skips: list[Tensor]
    middle: Tensor


class DownPath(nn.Module):
    """Stem, way down and middle: the first half of the U-Net, and of a ControlNet."""

    def __init__(self, config: DownConfig):
        super().__init__()
        self.config: Any = config
        width = config.block_out_channels[0]
        self.time_dim = 4 * width
        self.time = nn.Sequential(
            nn.Linear(width, self.time_dim), nn.SiLU(), nn.Linear(self.time_dim, self.time_dim)
        )
        self.stem = Convolution(config.in_channels, width)
        self.down = nn.ModuleList()
        self.skip_widths = [width]
        for level, out in enumerate(config.block_out_channels):
            attends = ATTENDS[config.down_block_types[level]]
            heads = config.heads[level] if attends else 0
            widths = [width] + [out] * config.layers_per_block
            blocks = [Stage(config, a, out, self.time_dim, heads) for a in widths[:-1]]
            halve = [Convolution(out, out, stride=2)] if level < config.levels - 1 else []
            self.down.append(nn.ModuleList([*blocks, *halve]))
            self.skip_widths += [out] * len([*blocks, *halve])
            width = out
        self.middle = Middle(config, width, self.time_dim, config.heads[-1])

    def embed(self, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """temb; raises what is wrong with the three."""
        name, c, width = type(self).__name__, self.config.in_channels, self.config.block_out_channels[0]
        require_maps(name, c, 2 ** (self.config.levels - 1), latents=latents)
        require_same_shape(name, one_an_image=latents[:, 0, 0, 0], t=t)
        if context.dim() != 3 or context.shape[::2] != (len(latents), self.config.cross_attention_dim):
            rule = f"context must be ({len(latents)}, L, {self.config.cross_attention_dim})"
            raise ValueError(
                f"{name}: {rule}, got {tuple(context.shape)}. Are these states of its text encoder?"
            )
        waves = timestep_embedding(t.double(), width, MAX_PERIOD).to(latents.dtype)
        sines, cosines = waves.chunk(2, dim=1)
        return self.time(torch.cat([cosines, sines], dim=1) if self.config.flip_sin_to_cos else waves)

    def told(self, context: Tensor) -> tuple[list[Callable], Callable]:
        """Blocks of the way down, and the middle, as chapter 7 calls them: block(x, temb)."""
        down = chain([self.stem], *self.down)
        return [partial(block, context=context) for block in down], partial(self.middle, context=context)


class UNet(DownPath):
    """model(latents, t, context) -> noise_pred, or v where the scheduler says so: like latents, unbounded."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        skips = list(self.skip_widths)
        width = config.block_out_channels[-1]
        self.up = nn.ModuleList()
        for level, kind in zip(reversed(range(config.levels)), config.up_block_types, strict=True):
            out, heads = config.block_out_channels[level], config.heads[level] if ATTENDS[kind] else 0
            blocks = nn.ModuleList()
            for n in reversed(range(config.layers_per_block + 1)):
                doubles = n == 0 and level > 0
                blocks.append(Stage(config, width + skips.pop(), out, self.time_dim, heads, doubles))
                width = out
            self.up.append(blocks)
        self.norm = nn.GroupNorm(config.norm_num_groups, width, config.norm_eps)
        self.out = zeroed(nn.Conv2d(width, config.out_channels, kernel_size=3, padding=1))

    def forward(self, latents: Tensor, t: Tensor, context: Tensor, control: Control | None = None) -> Tensor:
        """(B, out_channels, h, w). ValueError for shapes that do not fit."""
        temb = self.embed(latents, t, context)
        down, middle = self.told(context)
        up: list[Callable] = [partial(block, context=context) for block in chain(*self.up)]
        if control is not None:
            middle = _adding(middle, control.middle)
            up = [_steered(block, extra) for block, extra in zip(up, control.skips[::-1], strict=True)]
        h = unet_forward(latents, temb, down, middle, up)
        return self.out(F.silu(self.norm(h)))


class Stage(nn.Module):
    """residual block -> [transformer, where there are heads] -> [double resolution]: chapter 7's Stage."""

    def __init__(
        self, config: DownConfig, in_channels: int, out: int, time_dim: int, heads: int, doubles: bool = False
    ):
        super().__init__()
        groups, eps = config.norm_num_groups, config.norm_eps
        self.residual = ResidualBlock(in_channels, out, time_dim, groups=groups, eps=eps)
        self.attention = Transformer2d(config, out, heads) if heads else None
        self.resample = Upsample(out) if doubles else nn.Identity()

    def forward(self, x: Tensor, temb: Tensor, context: Tensor) -> Tensor:
        x = self.residual(x, temb)
        if self.attention is not None:
            x = self.attention(x, context)
        return self.resample(x)


class Middle(nn.Module):
    """Residual block, transformer, residual block, at the lowest resolution."""

    def __init__(self, config: DownConfig, channels: int, time_dim: int, heads: int):
        super().__init__()
        groups, eps = config.norm_num_groups, config.norm_eps
        self.before = ResidualBlock(channels, channels, time_dim, groups=groups, eps=eps)
        self.attention = Transformer2d(config, channels, heads)
        self.after = ResidualBlock(channels, channels, time_dim, groups=groups, eps=eps)

    def forward(self, x: Tensor, temb: Tensor, context: Tensor) -> Tensor:
        return self.after(self.attention(self.before(x, temb), context), temb)


class Convolution(nn.Module):
    """A convolution called as a block, which ignores what it is told: the stem, or half the resolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)

    def forward(self, x: Tensor, temb: Tensor, context: Tensor) -> Tensor:
        return self.conv(x)


class Transformer2d(nn.Module):
    """x + f(x, context), (B, C, h, w) -> the same: pixels look at each other, at the words, then think."""

    def __init__(self, config: DownConfig, channels: int, heads: int):
        super().__init__()
        self.norm = nn.GroupNorm(config.norm_num_groups, channels, eps=1e-6)
        project = PixelLinear if config.use_linear_projection else partial(nn.Conv2d, kernel_size=1)
        self.enter, self.leave = project(channels, channels), project(channels, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attend_pixels = Attention(channels, channels, heads, bias=False)
        self.norm2 = nn.LayerNorm(channels)
        self.attend_text = Attention(channels, config.cross_attention_dim, heads, bias=False)
        self.norm3 = nn.LayerNorm(channels)
        self.feed = GatedFeedForward(channels)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        tokens = as_tokens(self.enter(self.norm(x)))
        looking = self.norm1(tokens)
        tokens = tokens + self.attend_pixels(looking, looking)
        tokens = tokens + self.attend_text(self.norm2(tokens), context)
        tokens = tokens + self.feed(self.norm3(tokens))
        return x + self.leave(as_map(tokens, like=x))


class PixelLinear(nn.Linear):
    """A linear layer on the channels of each pixel: (B, C, h, w) -> (B, out, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GatedFeedForward(nn.Module):
    """GEGLU (Shazeer 2020, arXiv:2002.05202): shrink(value * gelu(gate)), four times as wide inside."""

    def __init__(self, channels: int):
        super().__init__()
        self.grow = nn.Linear(channels, 8 * channels)
        self.shrink = nn.Linear(4 * channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        value, gate = self.grow(tokens).chunk(2, dim=-1)
        return self.shrink(value * F.gelu(gate))


def _adding(block: Callable, extra: Tensor) -> Callable:
    return lambda x, temb: block(x, temb) + extra


def _steered(block: Callable, extra: Tensor) -> Callable:
    """The up block, with `extra` added to the skip: the last channels of what it is given."""

    def steered(x: Tensor, temb: Tensor) -> Tensor:
        start = x.shape[1] - extra.shape[1]
        return block(torch.cat([x[:, :start], x[:, start:] + extra], dim=1), temb)

    return steered
