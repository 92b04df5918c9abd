"""LoRA and ControlNet: nothing at first, then what they learn; ControlNet against diffusers."""

import copy

import pytest
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.adapters import (
    ControlNet,
    LoRALinear,
    ZeroConv2d,
    add_lora,
    controlled,
    merge_lora,
)
from course_utils.stable_diffusion.blocks import Attention

from . import peers
from .peers import normal

T = torch.tensor([3, 700])


@pytest.fixture
def unet(ours):
    return copy.deepcopy(ours.unet)


def trainable(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@given(*[st.integers(1, 6)] * 3, st.booleans())
def test_lora_starts_equal_and_trains_little(n_in, n_out, rank, bias) -> None:
    linear, x = nn.Linear(n_in, n_out, bias=bias), normal(2, 3, n_in)
    before = linear(x)
    layer = LoRALinear(linear, rank, alpha=2.0)
    assert torch.equal(layer(x), before)
    assert trainable(layer) == rank * (n_in + n_out)


def test_lora_adds_a_product_of_low_rank() -> None:
    layer = LoRALinear(nn.Linear(7, 5), rank=2, alpha=3.0).double()
    peers.awake(layer)
    layer.double()
    x = normal(4, 7, dtype=torch.float64)
    weight = layer.linear.weight + 3.0 / 2 * layer.up.weight @ layer.down.weight
    torch.testing.assert_close(layer(x), F.linear(x, weight, layer.linear.bias))
    expected = layer(x).detach()
    torch.testing.assert_close(layer.merged()(x), expected)
    assert torch.linalg.matrix_rank(layer.up.weight @ layer.down.weight) == 2


def test_lora_leaves_a_unet_as_it_was_until_it_learns(unet) -> None:
    inputs = normal(2, 4, 8, 8), T, normal(2, 5, 32)
    before, state = unet(*inputs).detach(), {k: v.clone() for k, v in unet.state_dict().items()}
    learning = add_lora(unet, rank=2, alpha=4.0)
    assert sum(parameter.numel() for parameter in learning) == trainable(unet)
    assert trainable(unet) < 0.2 * sum(value.numel() for value in state.values())
    assert torch.equal(unet(*inputs), before)
    optimizer = torch.optim.Adam(learning, lr=0.03)
    losses = []
    for _ in range(12):
        loss = F.mse_loss(unet(*inputs), before + 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    learnt = unet(*inputs).detach()
    merge_lora(unet)
    torch.testing.assert_close(unet(*inputs), learnt, rtol=1e-4, atol=1e-4)
    assert unet.state_dict().keys() == state.keys()
    changed = {name for name, value in unet.state_dict().items() if not torch.equal(value, state[name])}
    layers = {name for name, layer in unet.named_modules() if isinstance(layer, Attention)}
    assert changed and {name.rpartition(".")[0].rpartition(".")[0] for name in changed} <= layers


def test_lora_adapts_a_text_encoder_too(ours) -> None:
    encoder = copy.deepcopy(ours.text_encoder)
    ids = peers.TOKENIZER(peers.CAPTIONS)
    before = encoder(ids)
    assert len(add_lora(encoder, 1, 1.0)) == 2 * 4 * 3
    assert torch.equal(encoder(ids), before)


def test_lora_refuses(unet) -> None:
    with pytest.raises(ValueError, match="rank must be at least 1"):
        LoRALinear(nn.Linear(2, 2), 0, 1.0)
    add_lora(unet, 1, 1.0)
    with pytest.raises(ValueError, match="no Attention without LoRA"):
        add_lora(unet, 1, 1.0)


def test_a_zero_convolution_says_nothing_and_learns() -> None:
    layer, x = ZeroConv2d(3), normal(2, 3, 4, 5).requires_grad_()
    assert not layer(x).any() and layer(x).shape == x.shape
    layer(x).sum().backward()
    assert layer.weight.grad.abs().min() > 0 and layer.bias.grad.abs().min() > 0
    assert not x.grad.any()
    assert sum(parameter.numel() for parameter in layer.parameters()) == 3 * 3 + 3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_controlnet_is_that_of_diffusers(peer, dtype, tolerance: float, tmp_path) -> None:
    theirs = peers.awake(ControlNetModel.from_unet(peer.unet), seed=1)
    theirs.save_pretrained(tmp_path)
    ours = weights.load_network(tmp_path, weights.CONTROLNET, dtype=dtype)
    theirs = theirs.to(dtype)
    if dtype == torch.float64:
        theirs.time_proj = peers.ExactWaves(16, True)
    latents, context = normal(2, 4, 8, 12, dtype=dtype), normal(2, 5, 32, dtype=dtype)
    hint = normal(2, 3, 64, 96, dtype=dtype).sigmoid()
    with torch.no_grad():
        skips, middle = theirs(latents, T, context, hint, return_dict=False)
        control = ours(latents, T, context, hint)
    for mine, other in zip([*control.skips, control.middle], [*skips, middle], strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


def test_a_controlnet_starts_as_the_unet_and_says_nothing(unet) -> None:
    controlnet = ControlNet.of(
        unet, conditioning_channels=1, conditioning_embedding_out_channels=(4, 6, 8, 8)
    )
    latents, context, hint = normal(2, 4, 8, 8), normal(2, 5, 32), normal(2, 1, 64, 64)
    assert torch.equal(controlnet.down[0][0].residual.conv1.weight, unet.down[0][0].residual.conv1.weight)
    assert controlnet.config.block_out_channels == unet.config.block_out_channels
    with torch.no_grad():
        steered = controlled(unet, controlnet, hint)(latents, T, context)
        assert torch.equal(steered, unet(latents, T, context))
    F.mse_loss(controlled(unet, controlnet, hint)(latents, T, context), latents).backward()
    assert all(zero.weight.grad.any() for zero in [*controlnet.zero, controlnet.zero_middle])


def test_control_follows_the_hint_by_its_weight(unet) -> None:
    controlnet = peers.awake(ControlNet.of(unet), seed=1)
    latents, context, hint = normal(2, 4, 8, 8), normal(2, 5, 32), normal(1, 3, 64, 64)
    with torch.no_grad():
        plain = unet(latents, T, context)
        assert torch.equal(controlled(unet, controlnet, hint, weight=0.0)(latents, T, context), plain)
        full = controlled(unet, controlnet, hint)(latents, T, context)
        twice = controlled(unet, controlnet, hint.repeat(2, 1, 1, 1))(latents, T, context)
        other = controlled(unet, controlnet, -hint)(latents, T, context)
    assert torch.equal(full, twice)
    assert (full - plain).abs().mean() > 0.01 and (full - other).abs().mean() > 0.001


def test_a_pipeline_takes_a_controlled_unet(ours, unet) -> None:
    controlnet = peers.awake(ControlNet.of(unet), seed=1)
    hint, noise = normal(1, 3, 64, 64).sigmoid(), normal(1, 4, 8, 8)
    *_, plain = ours.text_to_image(["a red seven"], noise, steps=2)
    ours.unet = controlled(unet, controlnet, hint)
    *_, steered = ours.text_to_image(["a red seven"], noise, steps=2)
    assert (plain.x_t - steered.x_t).abs().mean() > 0.01


def test_controlnet_refuses(unet) -> None:
    controlnet = ControlNet.of(unet)
    latents, context = torch.zeros(2, 4, 8, 8), torch.zeros(2, 5, 32)
    for shape, message in {
        (2, 3, 64, 32): "hint must have the size of the 2 images",
        (1, 3, 64, 64): "hint must have the size of the 2 images",
        (2, 1, 64, 64): r"hint must be \(B, 3, H, W\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            controlnet(latents, T, context, torch.zeros(shape))
