"""Layers that the networks share, against torch's own attention, and identities."""

from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.stable_diffusion import blocks
from course_utils.stable_diffusion.blocks import (
    Attention,
    ResidualBlock,
    Upsample,
    as_map,
    as_tokens,
    attention_weights,
    cross_attention,
    require_maps,
)

from .peers import awake, normal


def torchs_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool) -> tuple[Tensor, Tensor]:
    """MultiheadAttention whose projections do nothing: outputs, and weights (B, heads, Nq, Nk)."""
    c = q.shape[2]
    layer = nn.MultiheadAttention(c, heads, bias=False, batch_first=True).double()
    layer.in_proj_weight.data = torch.eye(c, dtype=torch.float64).repeat(3, 1)
    layer.out_proj.weight.data = torch.eye(c, dtype=torch.float64)
    mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).triu(1) if causal else None
    with torch.no_grad():
        return layer(q, k, v, attn_mask=mask, average_attn_weights=False)


def few(tokens: int) -> mock._patch:
    """So many tokens are few: 0 sends everything to the fused kernel, 1000 everything to plain products."""
    return mock.patch.object(blocks, "FEW", tokens)


WAYS = pytest.mark.parametrize("way", [0, 1000], ids=["fused", "plain"])


def some(b, nq, nk, c, dtype) -> list[Tensor]:
    """q, k, v that want gradients."""
    shapes = [(b, n, c) for n in (nq, nk, nk)]
    return [normal(*shape, seed=i).to(dtype).requires_grad_() for i, shape in enumerate(shapes)]


def attended(way: int, q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool) -> list[Tensor]:
    """The output, and the gradients of its sum of squares to q, k and v."""
    with few(way):
        out = cross_attention(q, k, v, heads, causal=causal)
    return [out.detach(), *torch.autograd.grad(out.square().sum(), (q, k, v))]


@WAYS
@given(*[st.integers(1, 4)] * 5, st.booleans())
def test_cross_attention_is_that_of_torch(way, b, nq, nk, heads, width, causal) -> None:
    q, k, v = some(b, nq, nk, heads * width, torch.float64)
    theirs, _ = torchs_attention(q, k, v, heads, causal)
    with few(way):
        ours = cross_attention(q, k, v, heads, causal=causal)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


SIZES = pytest.mark.parametrize(("nq", "nk"), [(64, 64), (64, 24), (24, 64), (1, 64), (64, 1), (24, 24)])
CAUSAL = pytest.mark.parametrize("causal", [False, True])


@SIZES
@CAUSAL
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_both_ways_to_attend_agree_in_values_and_gradients(nq, nk, causal, dtype, error) -> None:
    q, k, v = some(2, nq, nk, 32, dtype)
    for plain, fused in zip(*(attended(way, q, k, v, 4, causal) for way in (1000, 0)), strict=True):
        torch.testing.assert_close(plain, fused, rtol=error, atol=error)


@SIZES
@CAUSAL
def test_in_bfloat16_both_ways_are_as_near_to_the_truth(nq, nk, causal) -> None:
    inputs = some(2, nq, nk, 32, torch.bfloat16)
    exact = attended(0, *(x.double().detach().requires_grad_() for x in inputs), 4, causal)
    for way in (1000, 0):
        for found, truth in zip(attended(way, *inputs, 4, causal), exact, strict=True):
            assert found.dtype == torch.bfloat16 and found.shape == truth.shape
            assert found.isfinite().all()
            assert (found.double() - truth).norm() <= 0.03 * (truth.norm() + truth.numel() ** 0.5)


def test_under_autocast_a_layer_learns_in_either_way() -> None:
    layer, x = awake(Attention(32, 16, heads=4, bias=False)), normal(2, 64, 32)
    context, slopes = normal(2, 24, 16, seed=1), []
    for way in (1000, 0):
        with few(way), torch.autocast("cpu", torch.bfloat16):
            loss = layer(x, context).float().square().mean()
        slopes.append(torch.autograd.grad(loss, list(layer.parameters())))
    for plain, fused in zip(*slopes, strict=True):
        assert plain.isfinite().all() and plain.shape == fused.shape
        assert (plain - fused).norm() <= 0.1 * fused.norm()


@pytest.mark.parametrize("n", [blocks.FEW, blocks.FEW + 1])
def test_long_sequences_are_left_to_the_fused_kernel(n: int) -> None:
    q, k, v = some(1, 2, n, 8, torch.float32)
    with mock.patch.object(
        blocks.F, "scaled_dot_product_attention", return_value=torch.zeros(1, 2, 2, 4)
    ) as fused:
        cross_attention(q, k, v, 2)
    assert fused.called == (n > blocks.FEW)


def test_a_token_does_not_see_later_ones_in_either_way() -> None:
    q, k, v = some(1, 5, 5, 8, torch.float64)
    later = [x.detach().clone() for x in (k, v)]
    for x in later:
        x[:, 3:] = 100
    for way in (0, 1000):
        with few(way):
            before = cross_attention(q, k, v, 2, causal=True)
            after = cross_attention(q, *later, 2, causal=True)
        torch.testing.assert_close(before[:, :3], after[:, :3], rtol=1e-12, atol=1e-12)
        assert (before[:, 3:] - after[:, 3:]).abs().amax(dim=2).min() > 1


def test_attention_weights_are_those_of_torch_and_mix_the_values() -> None:
    q, k, v = (normal(2, n, 12, seed=n, dtype=torch.float64) for n in (5, 7, 7))
    weights = attention_weights(q, k, heads=3)
    torch.testing.assert_close(weights, torchs_attention(q, k, v, 3, causal=False)[1])
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 5, dtype=torch.float64))
    mixed = torch.einsum("bhqk,bkhc->bqhc", weights, v.unflatten(2, (3, 4))).flatten(2)
    torch.testing.assert_close(mixed, cross_attention(q, k, v, heads=3))


def test_one_key_is_all_there_is_to_see() -> None:
    q, v = normal(2, 5, 6), normal(2, 1, 6, seed=1)
    torch.testing.assert_close(cross_attention(q, normal(2, 1, 6, seed=2), v, heads=2), v.expand(2, 5, 6))


@pytest.mark.parametrize(
    ("shapes", "heads", "message"),
    [
        (((2, 3, 8), (2, 4, 8), (2, 4, 8)), 3, "heads must divide C, got 3 heads and C = 8"),
        (((2, 3, 8), (1, 4, 8), (1, 4, 8)), 2, "B and C must be equal"),
        (((2, 3, 8), (2, 4, 6), (2, 4, 6)), 2, "B and C must be equal"),
        (((2, 3, 8), (2, 4, 8), (2, 5, 8)), 2, "k and v must have one shape"),
        (((3, 8), (4, 8), (4, 8)), 2, r"3 dimensions \(B, N, C\)"),
        (((2, 3, 8), (2, 4, 8), (2, 4, 8)), 0, "heads must be at least 1"),
    ],
)
def test_cross_attention_refuses(shapes, heads: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_attention(*(torch.zeros(shape) for shape in shapes), heads)


def test_cross_attention_refuses_what_is_no_float() -> None:
    whole = torch.zeros(1, 2, 4, dtype=torch.int64)
    with pytest.raises(TypeError, match="q must be a floating-point tensor"):
        cross_attention(whole, whole, whole, 2)


def test_weights_of_a_layer_are_what_it_mixes_with() -> None:
    layer = awake(Attention(8, 6, heads=2, bias=False)).double()
    x, context = normal(2, 5, 8, dtype=torch.float64), normal(2, 3, 6, seed=1, dtype=torch.float64)
    values = layer.v(context).unflatten(2, (2, 4))
    mixed = torch.einsum("bhqk,bkhc->bqhc", layer.weights(x, context), values).flatten(2)
    torch.testing.assert_close(layer.out(mixed), layer(x, context))


@pytest.mark.parametrize("time_dim", [0, 6])
def test_a_residual_block_starts_as_its_skip(time_dim: int) -> None:
    x, temb = normal(2, 4, 3, 5), normal(2, 6) if time_dim else None
    same = ResidualBlock(4, 4, time_dim, groups=2, eps=1e-5)
    wider = ResidualBlock(4, 8, time_dim, groups=2, eps=1e-5)
    torch.testing.assert_close(same(x, temb), x)
    torch.testing.assert_close(wider(x, temb), wider.skip(x))


def test_tokens_are_pixels_row_by_row() -> None:
    x = normal(2, 3, 4, 5)
    tokens = as_tokens(x)
    assert torch.equal(tokens[1, 2 * 5 + 3], x[1, :, 2, 3])
    assert torch.equal(as_map(tokens, like=x), x)


def test_upsample_doubles_pixels() -> None:
    layer = Upsample(2)
    with torch.no_grad():
        layer.conv.weight.zero_()[[0, 1], [0, 1], 1, 1] = 1
        layer.conv.bias.zero_()
    x = normal(1, 2, 3, 4)
    torch.testing.assert_close(layer(x), x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8), (2, 3, 8, 6), (2, 3, 6, 8)])
def test_require_maps_refuses(shape) -> None:
    with pytest.raises(ValueError, match=r"f: x must be \(B, 3, H, W\), H and W multiples of 4"):
        require_maps("f", 3, 4, x=torch.zeros(shape))
