"""Our U-Net and its peers, with about as many weights each: 1 x 32 x 32 pixels, 2.5 million.

A peer that is not installed is left out; `absent` says in words what to do about it.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from benchmarks import machine
from course_utils.diffusion.unet import UNet

OURS = "course_utils"
DIFFUSERS = "diffusers UNet2DModel"
LUCIDRAINS = "denoising-diffusion-pytorch Unet"
DISTRIBUTIONS = {DIFFUSERS: "diffusers", LUCIDRAINS: "denoising-diffusion-pytorch"}

SIDE = 32  # pixels


def absent(peer: str) -> str:
    """Why a peer is missing, or "" where it is there."""
    name = DISTRIBUTIONS[peer]
    return "" if machine.installed(name) else f"{name} is not installed: `uv pip install {name}`."


def builders(tiny: bool = False) -> dict[str, Callable[[], nn.Module]]:
    """What makes a network with first weights, by name; `tiny` ones have a few thousand weights."""
    makers = {OURS: ours, DIFFUSERS: diffusers, LUCIDRAINS: lucidrains}
    return {
        name: partial(make, tiny)
        for name, make in makers.items()
        if name not in DISTRIBUTIONS or not absent(name)
    }


def ours(tiny: bool) -> nn.Module:
    """model(x, t) -> noise_pred."""
    return UNet(channels=(8, 8, 16)) if tiny else UNet()


def diffusers(tiny: bool) -> nn.Module:
    """model(x, t).sample -> noise_pred; attention at the lowest resolution, as ours."""
    from diffusers import UNet2DModel

    class Bare(UNet2DModel):
        """Called like the others."""

        def forward(self, sample, timestep):  # type: ignore[no-untyped-def]
            return super().forward(sample, timestep, return_dict=False)[0]

    widths = (8, 8, 16) if tiny else (32, 64, 120)
    return Bare(
        sample_size=SIDE,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=widths[-1] // 4,
    )


def lucidrains(tiny: bool) -> nn.Module:
    """model(x, t) -> noise_pred; attention on every level, linear on all but the lowest: its own default."""
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import Unet

    return Unet(dim=8 if tiny else 32, dim_mults=(1, 2) if tiny else (1, 2, 4), channels=1)


def weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
