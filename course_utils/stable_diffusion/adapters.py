"""Small networks that change a large one which stays as it is: LoRA and ControlNet.

    rank, alpha    int, float            width of what LoRA adds, and its weight: it is scaled by alpha / rank
    hint           (B, 3, H, W) float    what a ControlNet is shown, in [0, 1]: edges
    control        Control               what it adds to the U-Net's skips and middle

Both start at nothing: the first output is that of the network as it was.
"""

from dataclasses import dataclass, fields
from itertools import chain, pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.unet import zeroed
from course_utils.stable_diffusion.blocks import Attention, require_maps
from course_utils.stable_diffusion.pipeline import Denoiser
from course_utils.stable_diffusion.unet import Control, DownConfig, DownPath, UNet
from course_utils.validation import require_int


class LoRALinear(nn.Module):
    """linear(x) + alpha / rank up(down(x)), (..., in) -> (..., out) (Hu et al. 2022, arXiv:2106.09685).

    It starts equal to `linear`, whose parameters are frozen; rank (in + out) weights are left to train.

    Args:
        linear: the layer to adapt; it is kept, not copied.
        rank: int >= 1.
        alpha: float.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        require_int("LoRALinear", 1, rank=rank)
        self.linear = linear.requires_grad_(False)
        like = {"device": linear.weight.device, "dtype": linear.weight.dtype}
        self.down = nn.Linear(linear.in_features, rank, bias=False, **like)
        self.up = nn.Linear(rank, linear.out_features, bias=False, **like)
        nn.init.zeros_(self.up.weight)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.scale * self.up(self.down(x))

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The linear layer, its weights changed in place by what was learned."""
        self.linear.weight += self.scale * self.up.weight @ self.down.weight
        return self.linear


def add_lora(model: nn.Module, rank: int, alpha: float) -> list[nn.Parameter]:
    """Adapt q, k, v and out of every Attention in the model, in place, and freeze all the rest.

    Returns:
        what is left to train.

    Raises:
        ValueError: there is no Attention without LoRA.
    """
    model.requires_grad_(False)
    layers = [layer for layer in model.modules() if isinstance(layer, Attention)]
    found = [(layer, name) for layer in layers for name in ("q", "k", "v", "out")]
    plain = [(layer, name) for layer, name in found if isinstance(getattr(layer, name), nn.Linear)]
    if not plain:
        raise ValueError("add_lora: the model holds no Attention without LoRA. Was it adapted before?")
    for layer, name in plain:
        setattr(layer, name, LoRALinear(getattr(layer, name), rank, alpha))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def merge_lora(model: nn.Module) -> None:
    """Put what was learned into the linear layers, in place: the same outputs, as fast as before."""
    for layer in [layer for layer in model.modules() if isinstance(layer, Attention)]:
        for name, child in list(layer.named_children()):
            if isinstance(child, LoRALinear):
                setattr(layer, name, child.merged())


class ZeroConv2d(nn.Conv2d):
    """A convolution of 1 x 1 that starts at 0, weights and bias: (B, C, H, W) -> the same shape.

    Zeros do not stop it from learning: the gradient of its weights depends on what comes in, not on them
    (Zhang et al. 2023, arXiv:2302.05543, section 3.2).
    """

    def __init__(self, channels: int):
        require_int("ZeroConv2d", 1, channels=channels)
        super().__init__(channels, channels, kernel_size=1)
        zeroed(self)


@dataclass(frozen=True)
class ControlNetConfig(DownConfig):
    """Sizes, under the names of a ControlNet's config.json."""

    conditioning_channels: int = 3
    conditioning_embedding_out_channels: tuple[int, ...] = (16, 32, 96, 256)

    CLASS: ClassVar[str] = "ControlNetModel"

    def fixed(self) -> dict[str, Any]:
        return super().fixed() | {"controlnet_conditioning_channel_order": "rgb"}


class ControlNet(DownPath):
    """controlnet(latents, t, context, hint) -> Control: a copy of the U-Net's way down that sees a hint."""

    def __init__(self, config: ControlNetConfig):
        super().__init__(config)
        self.hint = HintEncoder(config)
        self.zero = nn.ModuleList(ZeroConv2d(width) for width in self.skip_widths)
        self.zero_middle = ZeroConv2d(self.skip_widths[-1])

    @classmethod
    def of(cls, unet: UNet, **sizes: Any) -> "ControlNet":
        """With the U-Net's sizes and weights; sizes of the hint as in ControlNetConfig."""
        shared = {field.name: getattr(unet.config, field.name) for field in fields(DownConfig)}
        controlnet = cls(ControlNetConfig(**shared, **sizes)).to(unet.out.weight)
        weights = unet.state_dict()
        halves = {name: weights[name] for name in controlnet.state_dict() if name in weights}
        controlnet.load_state_dict(controlnet.state_dict() | halves)
        return controlnet

    def forward(self, latents: Tensor, t: Tensor, context: Tensor, hint: Tensor) -> Control:
        """ValueError: the hint has not the size of the images, or other shapes do not fit."""
        temb = self.embed(latents, t, context)
        seen = self.hint(hint)
        if seen.shape[2:] != latents.shape[2:] or len(seen) != len(latents):
            raise ValueError(
                f"ControlNet: hint must have the size of the {len(latents)} images, got {tuple(hint.shape)} "
                f"for latents {tuple(latents.shape)}."
            )
        (stem, *down), middle = self.told(context)
        x = stem(latents, temb) + seen
        outputs = [x]
        for block in down:
            x = block(x, temb)
            outputs.append(x)
        skips = [zero(output) for zero, output in zip(self.zero, outputs, strict=True)]
        return Control(skips, self.zero_middle(middle(x, temb)))


class HintEncoder(nn.Module):
    """(B, 3, H, W) -> (B, C, H/f, W/f), by convolutions, half of which have stride 2; 0 at first."""

    def __init__(self, config: ControlNetConfig):
        super().__init__()
        widths = config.conditioning_embedding_out_channels
        self.channels, self.factor = config.conditioning_channels, 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(self.channels, widths[0], kernel_size=3, padding=1)
        pairs = [((a, a, 1), (a, b, 2)) for a, b in pairwise(widths)]
        self.blocks = nn.ModuleList(
            nn.Conv2d(a, b, kernel_size=3, stride=stride, padding=1) for a, b, stride in chain(*pairs)
        )
        self.out = zeroed(nn.Conv2d(widths[-1], config.block_out_channels[0], kernel_size=3, padding=1))

    def forward(self, hint: Tensor) -> Tensor:
        require_maps("ControlNet", self.channels, self.factor, hint=hint)
        h = F.silu(self.stem(hint))
        for block in self.blocks:
            h = F.silu(block(h))
        return self.out(h)


def controlled(unet: UNet, controlnet: ControlNet, hint: Tensor, weight: float = 1.0) -> Denoiser:
    """What pipelines call in place of the U-Net, to draw what the hint shows.

    Args:
        hint: (B, 3, H, W) in [0, 1], one for each image; where guidance doubles the batch, so is the hint.
        weight: 0 ignores the hint, 1 is what was trained.
    """

    def steered(latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
        shown = hint.to(latents).repeat(len(latents) // len(hint), 1, 1, 1)
        skips, middle = controlnet(latents, t, context, shown)
        return unet(latents, t, context, Control([weight * skip for skip in skips], weight * middle))

    return steered
