"""The KL autoencoder: images to latents and back, in the notation of course_utils.stable_diffusion.

x, h           (B, C, h, w) float    feature maps
level          0..len(channels)-1    0 is the full resolution; each further level halves it
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.stable_diffusion.blocks import (
    Attention,
    ResidualBlock,
    Upsample,
    as_map,
    as_tokens,
    require_maps,
)
from course_utils.validation import require_dims, require_float_tensor

EPS = 1e-6  # of every norm
LOGVAR_RANGE = (-30.0, 20.0)


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes, under the names of vae/config.json."""

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 4
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215

    CLASS: ClassVar[str] = "AutoencoderKL"
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("force_upcast", "sample_size")

    @property
    def levels(self) -> int:
        return len(self.block_out_channels)

    def fixed(self) -> dict[str, Any]:
        """What the file may say, in one way only, beside the sizes."""
        return {
            "act_fn": "silu",
            "down_block_types": ("DownEncoderBlock2D",) * self.levels,
            "up_block_types": ("UpDecoderBlock2D",) * self.levels,
            "mid_block_add_attention": True,
            "use_quant_conv": True,
            "use_post_quant_conv": True,
        }


def sample_latents(moments: Tensor, eps: Tensor, scaling_factor: float) -> Tensor:
    """scaling_factor (mean + exp(logvar / 2) eps): latents as the U-Net sees them.

    Args:
        moments: (B, 2C, h, w) float: C means, then C logvars, which are clamped to [-30, 20].
        eps: (B, C, h, w) standard normal; zeros give the scaled means.
        scaling_factor: float > 0, from the autoencoder's config: 1 / std of its codes, where it is Stable
            Diffusion's.

    Returns:
        (B, C, h, w), like eps.

    Raises:
        TypeError, ValueError: no floats, or moments that are not twice as deep as eps.
    """
    require_float_tensor("sample_latents", moments=moments, eps=eps)
    require_dims("sample_latents", 4, "(B, C, h, w)", moments=moments, eps=eps)
    b, c, *size = eps.shape
    if moments.shape != (b, 2 * c, *size):
        raise ValueError(
            f"sample_latents: moments must be {(b, 2 * c, *size)}, a mean and a logvar for each number in "
            f"eps, got {tuple(moments.shape)}."
        )
    mean, logvar = moments.chunk(2, dim=1)
    return scaling_factor * (mean + (logvar.clamp(*LOGVAR_RANGE) / 2).exp() * eps)


class AutoencoderKL(nn.Module):
    """encode(images) -> moments, decode(latents) -> images; f = 2^(levels - 1)."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.factor = 2 ** (config.levels - 1)
        self.encoder = Encoder(config)
        self.quant = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, kernel_size=1)
        self.post_quant = nn.Conv2d(config.latent_channels, config.latent_channels, kernel_size=1)
        self.decoder = Decoder(config)

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> moments (B, 8, H/f, W/f): see sample_latents."""
        require_maps("AutoencoderKL.encode", self.config.in_channels, self.factor, images=images)
        return self.quant(self.encoder(images))

    def decode(self, latents: Tensor) -> Tensor:
        """(B, 4, h, w), scaled -> (B, 3, f h, f w), in [-1, 1] but for what the network overshoots."""
        require_maps("AutoencoderKL.decode", self.config.latent_channels, 1, latents=latents)
        return self.decoder(self.post_quant(latents / self.config.scaling_factor))


class Encoder(nn.Module):
    """(B, in_channels, H, W) -> (B, 2 latent_channels, H/f, W/f)."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        width = config.block_out_channels[0]
        self.stem = nn.Conv2d(config.in_channels, width, kernel_size=3, padding=1)
        self.down = nn.Sequential()
        for level, out in enumerate(config.block_out_channels):
            halve = [Halve(out)] if level < config.levels - 1 else []
            self.down.append(nn.Sequential(*_residual_blocks(config, width, out, extra=0), *halve))
            width = out
        self.middle = Middle(width, config.norm_num_groups)
        self.norm = nn.GroupNorm(config.norm_num_groups, width, EPS)
        self.out = nn.Conv2d(width, 2 * config.latent_channels, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(F.silu(self.norm(self.middle(self.down(self.stem(images))))))


class Decoder(nn.Module):
    """(B, latent_channels, h, w) -> (B, out_channels, f h, f w): one residual block more a level."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        width = config.block_out_channels[-1]
        self.stem = nn.Conv2d(config.latent_channels, width, kernel_size=3, padding=1)
        self.middle = Middle(width, config.norm_num_groups)
        self.up = nn.Sequential()
        for level, out in reversed(list(enumerate(config.block_out_channels))):
            double = [Upsample(out)] if level > 0 else []
            self.up.append(nn.Sequential(*_residual_blocks(config, width, out, extra=1), *double))
            width = out
        self.norm = nn.GroupNorm(config.norm_num_groups, width, EPS)
        self.out = nn.Conv2d(width, config.out_channels, kernel_size=3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        return self.out(F.silu(self.norm(self.up(self.middle(self.stem(latents))))))


class Middle(nn.Module):
    """Residual block, attention among all pixels, residual block, at the lowest resolution."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.before = ResidualBlock(channels, channels, 0, groups=groups, eps=EPS)
        self.attention = PixelAttention(channels, groups)
        self.after = ResidualBlock(channels, channels, 0, groups=groups, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.attention(self.before(x)))


class PixelAttention(nn.Module):
    """x + attention among the pixels of x, with one head: (B, C, h, w) -> the same."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, EPS)
        self.attend = Attention(channels, channels, heads=1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = as_tokens(self.norm(x))
        return x + as_map(self.attend(tokens, tokens), like=x)


class Halve(nn.Module):
    """A convolution of stride 2: (B, C, H, W) -> (B, C, H/2, W/2).

    Its frame of zeros lies at the right and at the bottom only, unlike the U-Net's.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


def _residual_blocks(config: AutoencoderConfig, width: int, out: int, extra: int) -> list[ResidualBlock]:
    widths = [width] + [out] * (config.layers_per_block + extra)
    groups = config.norm_num_groups
    return [ResidualBlock(a, b, 0, groups=groups, eps=EPS) for a, b in pairwise(widths)]
