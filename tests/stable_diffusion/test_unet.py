"""The U-Net with text, against diffusers on every option of Stable Diffusion 1.x, and identities."""

import pytest
import torch

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.unet import Control, UNet, UNetConfig

from . import peers
from .peers import normal

OPTIONS = {
    "stable diffusion 1": {},
    "linear projections, heads by level": {"use_linear_projection": True, "attention_head_dim": (2, 4, 8)},
    "sines first": {"flip_sin_to_cos": False},
    "one layer, other groups, another norm": {
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "norm_eps": 1e-3,
    },
    "text at the lowest level": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16, 24),
    },
    "mask and masked image as further channels": {"in_channels": 9, "cross_attention_dim": 20},
}
LEVELS = torch.tensor([0, 1, 500, 999])


def pair(options, folder, dtype):
    peer = peers.unet(**options)
    peer.save_pretrained(folder)
    return peer.to(dtype), weights.load_network(folder, weights.UNET, dtype=dtype)


def inputs(peer, dtype):
    latents = normal(len(LEVELS), peer.config.in_channels, 8, 12, dtype=dtype)
    return latents, LEVELS, normal(len(LEVELS), 7, peer.config.cross_attention_dim, seed=1, dtype=dtype)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_noise_is_that_of_diffusers(options, dtype, tolerance: float, tmp_path) -> None:
    peer, ours = pair(options, tmp_path, dtype)
    if dtype == torch.float64:
        peer.time_proj = peers.ExactWaves(peer.config.block_out_channels[0], peer.config.flip_sin_to_cos)
    latents, t, context = inputs(peer, dtype)
    with torch.no_grad():
        expected = peer(latents, t, context).sample
        noise = ours(latents, t, context)
    assert 0.2 < expected.std() < 5
    torch.testing.assert_close(noise, expected, rtol=tolerance, atol=tolerance)


def test_gradients_are_those_of_diffusers(tmp_path) -> None:
    peer, ours = pair({}, tmp_path, torch.float64)
    peer.time_proj = peers.ExactWaves(16, True)
    latents, t, context = inputs(peer, torch.float64)
    for network in (peer, ours):
        network.requires_grad_(True)
    peer(latents, t, context).sample.square().mean().backward()
    ours(latents, t, context).square().mean().backward()
    theirs = dict(peer.named_parameters())
    for name, (own, _) in weights.names_in_file(ours, weights.UNET).items():
        gradient = ours.get_parameter(own).grad
        torch.testing.assert_close(gradient, theirs[name].grad, rtol=1e-8, atol=1e-10, msg=name)


def test_it_starts_at_nothing_and_every_weight_learns() -> None:
    sizes = {name: value for name, value in peers.UNET.items() if name != "sample_size"}
    network = UNet(UNetConfig(**sizes))
    latents, t, context = normal(2, 4, 8, 8), torch.tensor([3, 700]), normal(2, 5, 32)
    assert not network(latents, t, context).any()
    peers.awake(network)
    network(latents, t, context).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_control_is_added_to_skips_and_middle(ours, peer) -> None:
    latents, t, context = normal(2, 4, 8, 8), torch.tensor([3, 700]), normal(2, 5, 32)
    sides = [8, 8, 8, 4, 4, 4, 2, 2, 2]
    widths = ours.unet.skip_widths
    skips = [normal(2, c, side, side, seed=i) for i, (c, side) in enumerate(zip(widths, sides, strict=True))]
    middle = normal(2, widths[-1], 2, 2, seed=99)
    with torch.no_grad():
        expected = peer.unet(
            latents,
            t,
            context,
            down_block_additional_residuals=skips,
            mid_block_additional_residual=middle,
        ).sample
        steered = ours.unet(latents, t, context, Control(skips, middle))
        nothing = Control([torch.zeros_like(skip) for skip in skips], torch.zeros_like(middle))
        torch.testing.assert_close(ours.unet(latents, t, context, nothing), ours.unet(latents, t, context))
    torch.testing.assert_close(steered, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("latents", "t", "context", "message"),
    [
        ((2, 3, 8, 8), (2,), (2, 5, 32), r"latents must be \(B, 4, H, W\), H and W multiples of 4"),
        ((2, 4, 8, 6), (2,), (2, 5, 32), "multiples of 4"),
        ((2, 4, 8, 8), (1,), (2, 5, 32), "shapes must be equal"),
        ((2, 4, 8, 8), (2,), (1, 5, 32), r"context must be \(2, L, 32\), got \(1, 5, 32\)"),
        ((2, 4, 8, 8), (2,), (2, 5, 16), "Are these states of its text encoder"),
        ((2, 4, 8, 8), (2,), (2, 32), r"context must be \(2, L, 32\)"),
    ],
)
def test_unet_refuses(ours, latents, t, context, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours.unet(torch.zeros(latents), torch.zeros(t, dtype=torch.int64), torch.zeros(context))
