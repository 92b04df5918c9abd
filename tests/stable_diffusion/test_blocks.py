"""Layers that the networks share, against torch's own attention, and identities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

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


@given(*[st.integers(1, 4)] * 5, st.booleans())
def test_cross_attention_is_that_of_torch(b, nq, nk, heads, width, causal) -> None:
    nk = nq if causal else nk
    shapes = [(b, n, heads * width) for n in (nq, nk, nk)]
    q, k, v = (normal(*shape, seed=i, dtype=torch.float64) for i, shape in enumerate(shapes))
    theirs, _ = torchs_attention(q, k, v, heads, causal)
    torch.testing.assert_close(cross_attention(q, k, v, heads, causal=causal), theirs, rtol=1e-10, atol=1e-10)


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
