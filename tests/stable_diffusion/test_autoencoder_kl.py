"""The KL autoencoder, against diffusers, and identities."""

import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from hypothesis import given
from hypothesis import strategies as st

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderConfig, AutoencoderKL, sample_latents

from . import peers
from .peers import normal

OPTIONS = {
    "stable diffusion 1": {},
    "two levels": {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (6, 9),
        "norm_num_groups": 3,
        "layers_per_block": 1,
    },
    "grey images, other latents": {"in_channels": 1, "out_channels": 1, "latent_channels": 3},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_moments_and_images_are_those_of_diffusers(options, dtype, tolerance: float, tmp_path) -> None:
    peer = peers.autoencoder(**options)
    peer.save_pretrained(tmp_path)
    ours = weights.load_network(tmp_path, weights.AUTOENCODER, dtype=dtype)
    peer = peer.to(dtype)
    images = normal(2, peer.config.in_channels, 32, 48, dtype=dtype).clamp(-1, 1)
    with torch.no_grad():
        expected = peer.encode(images).latent_dist.parameters
        torch.testing.assert_close(ours.encode(images), expected, rtol=tolerance, atol=tolerance)
        latents = normal(2, peer.config.latent_channels, 4, 5, seed=1, dtype=dtype)
        expected = peer.decode(latents / peer.config.scaling_factor).sample
        torch.testing.assert_close(ours.decode(latents), expected, rtol=tolerance, atol=tolerance)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.floats(0.01, 9))
def test_sample_latents_is_diffusers_distribution(b, c, h, w, factor) -> None:
    moments = 40 * normal(b, 2 * c, h, w, dtype=torch.float64)
    peer = DiagonalGaussianDistribution(moments)
    eps = normal(b, c, h, w, seed=5)  # diffusers draws float32
    sampled = sample_latents(moments, eps.double(), factor)
    drawn = peer.mean + peer.std * eps.double()
    torch.testing.assert_close(sampled, factor * drawn, rtol=1e-12, atol=1e-12)
    mode = sample_latents(moments, torch.zeros_like(eps.double()), factor)
    torch.testing.assert_close(mode, factor * peer.mode(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("moments", "eps", "message"),
    [
        ((2, 8, 3, 5), (2, 4, 5, 3), r"moments must be \(2, 8, 5, 3\)"),
        ((2, 4, 3, 5), (2, 4, 3, 5), "a mean and a logvar for each number"),
        ((8, 3, 5), (4, 3, 5), r"must have 4 dimensions \(B, C, h, w\)"),
    ],
)
def test_sample_latents_refuses(moments, eps, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_latents(torch.zeros(moments), torch.zeros(eps), 1.0)


def test_networks_refuse_what_does_not_fit(ours) -> None:
    with pytest.raises(ValueError, match=r"encode: images must be \(B, 3, H, W\), H and W multiples of 8"):
        ours.autoencoder.encode(torch.zeros(1, 3, 64, 60))
    with pytest.raises(ValueError, match=r"decode: latents must be \(B, 4, H, W\)"):
        ours.autoencoder.decode(torch.zeros(1, 3, 8, 8))
    with pytest.raises(TypeError, match="images must be a floating-point tensor"):
        ours.autoencoder.encode(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_a_pixel_moves_latents_near_it_only_by_convolutions() -> None:
    """The frame lies right and below: the first latent sees the first pixel at the middle of its window."""
    config = AutoencoderConfig(block_out_channels=(4, 4), norm_num_groups=2, layers_per_block=1)
    halve = AutoencoderKL(config).encoder.down[0][-1]
    x = torch.zeros(1, 4, 6, 6, requires_grad=True)
    halve(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert sorted({tuple(at) for at in x.grad[0, 0].nonzero().tolist()}) == [
        (i, j) for i in range(3) for j in range(3)
    ]
