"""The time-conditioned U-Net, against diffusers, torch's own attention, and identities."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.resnet import ResnetBlock2D
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.diffusion.unet import (
    PlainUNet,
    ResidualBlock,
    SelfAttention2d,
    UNet,
    ema_update,
    noise_prediction_loss,
    timestep_embedding,
    unet_forward,
)
from course_utils.training import seeded

SMALL = {"channels": (8, 16, 24), "heads": 2}
ALPHAS_CUMPROD = torch.linspace(0.98, 0.01, 1000, dtype=torch.float64)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def awake(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with random weights everywhere: nothing is hidden by layers that start at 0."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
        parameter.data = scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return model


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@given(st.integers(1, 5), st.integers(1, 20), st.floats(10, 1e5))
def test_timestep_embedding_is_that_of_diffusers(b: int, half: int, max_period: float) -> None:
    t = torch.arange(b)
    theirs = get_timestep_embedding(
        t, 2 * half, flip_sin_to_cos=False, downscale_freq_shift=0, max_period=max_period
    )
    torch.testing.assert_close(timestep_embedding(t, 2 * half, max_period), theirs, rtol=1e-5, atol=1e-5)


def test_timestep_embedding_is_exact_for_late_levels() -> None:
    t, dim = torch.tensor([999.0, 731.0], dtype=torch.float64), 12
    rows = [
        [wave(level * 10_000 ** (-i / 6)) for wave in (math.sin, math.cos) for i in range(6)]
        for level in t.tolist()
    ]
    expected = torch.tensor(rows, dtype=torch.float64)
    torch.testing.assert_close(timestep_embedding(t, dim, 10_000), expected, rtol=1e-10, atol=1e-10)
    late = timestep_embedding(t.long(), dim, 10_000)
    torch.testing.assert_close(late, expected.float(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("t", "dim", "max_period", "message"),
    [
        (torch.tensor(3), 8, 100, r"t must have 1 dimensions \(B,\)"),
        (torch.tensor([3]), 7, 100, "dim must be even"),
        (torch.tensor([3]), 8, 0, "max_period > 0"),
        (torch.tensor([3]), 0, 100, "dim must be at least 2"),
    ],
)
def test_timestep_embedding_refuses(t: Tensor, dim: int, max_period: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        timestep_embedding(t, dim, max_period)


@pytest.mark.parametrize("channels", [(16, 24), (24, 16), (16, 16)])
def test_residual_block_starts_as_its_skip_and_then_listens_to_the_time(channels: tuple[int, int]) -> None:
    before, after = channels
    block = ResidualBlock(before, after, 10)
    x, temb = normal(3, before, 4, 6), normal(3, 10, seed=1)
    torch.testing.assert_close(block(x, temb), block.skip(x), rtol=0, atol=0)
    if before == after:
        torch.testing.assert_close(block(x, temb), x, rtol=0, atol=0)
    awake(block)
    together = block(x, temb)
    assert together.shape == (3, after, 4, 6)
    one_by_one = torch.cat([block(x[i : i + 1], temb[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, one_by_one, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together, block(x, temb.flip(0)), atol=1e-2)


@pytest.mark.parametrize("channels", [(16, 24), (16, 16)])
def test_residual_block_is_that_of_diffusers(channels: tuple[int, int]) -> None:
    before, after = channels
    block = awake(ResidualBlock(before, after, 10)).double()
    theirs = ResnetBlock2D(
        in_channels=before,
        out_channels=after,
        temb_channels=10,
        groups=8,
        eps=1e-5,
        time_embedding_norm="scale_shift",
    ).double()
    weights = block.state_dict().items()
    theirs.load_state_dict(
        {
            key.replace("time.", "time_emb_proj.").replace("skip.", "conv_shortcut."): weight
            for key, weight in weights
        }
    )
    x, temb = normal(3, before, 4, 6, dtype=torch.float64), normal(3, 10, seed=1, dtype=torch.float64)
    torch.testing.assert_close(block(x, temb), theirs(x, temb), rtol=1e-10, atol=1e-10)


def test_a_scale_of_zero_leaves_the_block_as_without_time() -> None:
    block = awake(ResidualBlock(16, 16, 10))
    nn.init.zeros_(block.time.weight)
    nn.init.zeros_(block.time.bias)
    x = normal(2, 16, 4, 6)
    layers = nn.Sequential(block.norm1, nn.SiLU(), block.conv1, block.norm2, nn.SiLU(), block.conv2)
    torch.testing.assert_close(block(x, normal(2, 10)), x + layers(x))


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_self_attention_is_that_of_torch(heads: int) -> None:
    module = awake(SelfAttention2d(24, heads)).double()
    theirs = nn.MultiheadAttention(24, heads, batch_first=True, dtype=torch.float64)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = module.qkv.weight[:, :, 0, 0], module.qkv.bias
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = module.out.weight[:, :, 0, 0], module.out.bias
    x = normal(2, 24, 3, 5, dtype=torch.float64)
    pixels = module.norm(x).flatten(2).mT
    attended = theirs(pixels, pixels, pixels, need_weights=False)[0].mT.reshape(x.shape)
    torch.testing.assert_close(module(x), x + attended, rtol=1e-10, atol=1e-10)


def test_other_devices_get_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shapes.append((q.shape, k.shape, v.shape))
        return scaled_dot_product_attention(q, k, v)

    scaled_dot_product_attention = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", fused)
    SelfAttention2d(16, 2)(normal(3, 16, 4, 5))
    assert shapes == []
    assert SelfAttention2d(16, 2).to("meta")(torch.empty(3, 16, 4, 5, device="meta")).shape == (3, 16, 4, 5)
    assert shapes == [((3, 2, 20, 8),) * 3]


def test_self_attention_starts_as_the_identity_and_knows_no_order() -> None:
    module, x = SelfAttention2d(16, 2), normal(2, 16, 4, 5)
    torch.testing.assert_close(module(x), x, rtol=0, atol=0)
    awake(module)
    torch.testing.assert_close(module(x.flip(-1)), module(x).flip(-1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(module(x), x, atol=1e-2)


def test_heads_must_share_the_channels() -> None:
    with pytest.raises(ValueError, match="heads must divide channels, got 3 and 16"):
        SelfAttention2d(16, 3)


class Adds(nn.Module):
    """Adds a number and a share of temb, and keeps the first `channels` channels."""

    def __init__(self, number: float, channels: int):
        super().__init__()
        self.number, self.channels, self.seen = number, channels, torch.empty(0)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        self.seen = x
        return x[:, : self.channels] + self.number + temb[:, :1, None, None]


def test_skips_meet_their_own_level_and_come_second() -> None:
    """Each block adds a power of ten: every digit of a channel says where it has been."""
    down, middle, up = (
        [Adds(10.0**k, 2) for k in range(3)],
        Adds(1000.0, 2),
        [Adds(1e4, 2), Adds(1e5, 2), Adds(1e6, 2)],
    )
    x, temb = torch.zeros(1, 2, 4, 6), torch.zeros(1, 5)
    result = unet_forward(x, temb, down, middle, up)
    seen = [block.seen[0, :, 0, 0].tolist() for block in up]
    assert seen == [[1111, 1111, 111, 111], [11111, 11111, 11, 11], [111111, 111111, 1, 1]]
    assert result.unique().tolist() == [1111111]
    with_time = unet_forward(x, temb + 0.125, down, middle, up)
    assert (with_time - result).unique().tolist() == [7 * 0.125]


def test_as_many_blocks_up_as_down() -> None:
    down, up = [Adds(1, 2)] * 3, [Adds(1, 2)] * 2
    with pytest.raises(ValueError, match="zip"):
        unet_forward(torch.zeros(1, 2, 4, 4), torch.zeros(1, 5), down, Adds(1, 2), up)


def test_default_network_has_2_to_3_million_weights_and_starts_at_zero() -> None:
    model = UNet()
    assert 2e6 < parameters(model) < 3e6
    x = normal(2, 1, 32, 32)
    assert not model(x, torch.tensor([0, 999])).any()
    awake(model)
    assert model(x, torch.tensor([0, 999])).shape == x.shape


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({**SMALL, "image_channels": 1}, (2, 1, 28, 28)),
        ({**SMALL, "image_channels": 4, "channels": (16, 32)}, (3, 4, 8, 8)),
        ({**SMALL, "image_channels": 3, "blocks": 2}, (1, 3, 8, 12)),
        ({**SMALL, "channels": (8,)}, (2, 1, 5, 7)),
        ({**SMALL, "attention_levels": 0}, (2, 1, 8, 4)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_guess_is_like_the_image(
    arguments: dict, shape: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    model = awake(UNet(**arguments)).to(dtype)
    x = normal(*shape, dtype=dtype)
    guess = model(x, torch.arange(len(x)) * 300)
    assert (guess.shape, guess.dtype) == (x.shape, dtype)
    assert guess.isfinite().all()


def test_a_change_of_time_alone_changes_every_block() -> None:
    model = awake(UNet(**SMALL, blocks=2)).eval()
    blocks = {name: m for name, m in model.named_modules() if isinstance(m, ResidualBlock)}
    seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {name: [] for name in blocks}
    for name, block in blocks.items():
        block.register_forward_hook(lambda m, given, result, name=name: seen[name].append((*given, result)))
    x = normal(2, 1, 16, 16)
    with torch.no_grad():
        for level in (10, 600):
            model(x, torch.full((2,), level))
        calls = copy.copy(seen)
        for name, ((x_early, temb_early, early), (_, temb_late, late)) in calls.items():
            assert not torch.allclose(early, late, atol=1e-3), name
            # The same image and another time: it is this block that listens, not only the ones before it.
            assert not torch.allclose(early, blocks[name].forward(x_early, temb_late), atol=1e-3), name
            torch.testing.assert_close(early, blocks[name].forward(x_early, temb_early))
    assert len(blocks) == 3 * 2 * 2 + 1


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_attention_sits_at_the_lowest_resolutions_only(levels: int) -> None:
    model = UNet(**SMALL, attention_levels=levels)
    sides: list[int] = []
    for module in model.modules():
        if isinstance(module, SelfAttention2d):
            module.register_forward_hook(lambda m, given, result: sides.append(result.shape[-1]))
    model(normal(1, 1, 32, 32), torch.tensor([5]))
    assert sides == {0: [], 1: [8, 8, 8], 2: [16, 8, 8, 8, 16]}[levels]


def test_labels_are_heard_and_the_null_label_is_one_of_its_own() -> None:
    model = awake(UNet(**SMALL, num_classes=10)).eval()
    x, t = normal(1, 1, 8, 8).expand(11, -1, -1, -1), torch.full((11,), 40)
    guesses = model(x, t, torch.arange(11))
    differences = torch.cdist(guesses.flatten(1), guesses.flatten(1)) + torch.eye(11)
    assert differences.min() > 1e-3
    assert model.null_label == 10
    torch.testing.assert_close(model(x, t)[0], guesses[10])
    assert parameters(model) - parameters(UNet(**SMALL)) == 11 * 4 * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 1, 30, 32), torch.zeros(2).long()), r"\(B, 1, H, W\), H and W multiples of 4, got"),
        ((torch.zeros(2, 3, 32, 32), torch.zeros(2).long()), "x_t must be"),
        ((torch.zeros(1, 32, 32), torch.zeros(1).long()), "x_t must be"),
        ((torch.zeros(2, 1, 8, 8), torch.zeros(1).long()), r"t \(1,\)"),
        ((torch.zeros(2, 1, 8, 8), torch.tensor(3)), r"t \(\)"),
        ((torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), torch.zeros(2).long()), "a network with classes"),
    ],
)
def test_the_network_refuses(arguments: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(**SMALL)(*arguments)


def test_plain_network_is_the_one_in_circulation_and_ignores_the_time() -> None:
    model = PlainUNet().eval()
    assert 4.2e6 < parameters(model) < 4.4e6
    widths = [block.layers[0].out_channels for block in (model.down1, model.down2, model.down3)]
    assert widths == [64, 128, 256]
    x = normal(2, 1, 28, 28)
    early, late, none = model(x, torch.tensor([0, 0])), model(x, torch.tensor([999, 5])), model(x)
    assert early.shape == x.shape
    assert torch.equal(early, late)
    assert torch.equal(early, none)
    assert early.std() > 0


def test_loss_is_zero_for_a_perfect_guess_and_known_for_others() -> None:
    x0, noise = 2 * torch.rand(4, 2, 3, 5, generator=torch.Generator().manual_seed(0)) - 1, normal(4, 2, 3, 5)
    t = torch.tensor([0, 300, 700, 999])
    share = ALPHAS_CUMPROD[t].float().view(-1, 1, 1, 1)
    arguments = (x0, t, noise, ALPHAS_CUMPROD)

    def perfect(x_t: Tensor, level: Tensor) -> Tensor:
        assert torch.equal(level, t)
        return (x_t - share.sqrt() * x0) / (1 - share).sqrt()

    torch.testing.assert_close(noise_prediction_loss(perfect, *arguments), torch.tensor(0.0))
    off = noise_prediction_loss(lambda x_t, level: perfect(x_t, level) + 0.5, *arguments)
    torch.testing.assert_close(off, torch.tensor(0.25))
    nothing = noise_prediction_loss(lambda x_t, level: torch.zeros_like(x_t), *arguments)
    torch.testing.assert_close(nothing, noise.square().mean())
    told = noise_prediction_loss(lambda x_t, level: noise + level.view(-1, 1, 1, 1), *arguments)
    torch.testing.assert_close(told, t.float().square().mean())


def test_loss_refuses_a_guess_of_another_shape() -> None:
    x = normal(2, 1, 4, 4)
    with pytest.raises(ValueError, match="noise_prediction_loss: shapes must be equal"):
        noise_prediction_loss(lambda x_t, t: x_t[:, :, :1], x, torch.tensor([1, 2]), x, ALPHAS_CUMPROD)


def test_average_has_the_closed_form_and_copies_buffers() -> None:
    """After n updates the start has weight decay^n, and update k of n has (1 - decay) decay^(n - k)."""
    decay, n = 0.7, 6
    models = [awake(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), seed) for seed in range(n + 1)]
    for k, model in enumerate(models):
        model[1].running_mean.fill_(k)
        model[1].num_batches_tracked.fill_(10 * k)
    average = copy.deepcopy(models[0])
    own = list(average.parameters())
    for model in models[1:]:
        ema_update(average, model, decay)
    weights = [decay**n] + [(1 - decay) * decay ** (n - k) for k in range(1, n + 1)]
    assert sum(weights) == pytest.approx(1)
    for parameter, *versions in zip(average.parameters(), *(m.parameters() for m in models), strict=True):
        expected = sum(w * version.double() for w, version in zip(weights, versions, strict=True))
        torch.testing.assert_close(parameter.double(), expected, rtol=1e-5, atol=1e-6)
    assert average[1].running_mean.tolist() == [n] * 4
    assert average[1].num_batches_tracked == 10 * n
    assert all(now is then for now, then in zip(average.parameters(), own, strict=True))
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in average.parameters())


@given(st.floats(0, 1))
def test_a_model_is_its_own_average(decay: float) -> None:
    model = awake(nn.Linear(3, 4))
    average = copy.deepcopy(model)
    ema_update(average, model, decay)
    torch.testing.assert_close(average.weight, model.weight)


@pytest.mark.parametrize(
    ("models", "decay", "message"),
    [
        ((nn.Linear(2, 3), nn.Linear(2, 3)), 1.5, "decay must lie in 0..1, got 1.5"),
        ((nn.Linear(2, 3), nn.Linear(1, 3)), 0.5, "ema_update: shapes must be equal"),
        ((nn.Linear(2, 3), nn.Linear(2, 3, bias=False)), 0.5, "zip"),
        ((nn.BatchNorm1d(3, affine=False), nn.BatchNorm1d(1, affine=False)), 0.5, "shapes must be equal"),
    ],
)
def test_average_refuses(models: tuple[nn.Module, nn.Module], decay: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ema_update(*models, decay)


def test_a_tiny_network_overfits_one_batch() -> None:
    with seeded(0):
        model = UNet(channels=(16, 24), heads=2)
    x0 = F.interpolate(normal(4, 1, 2, 2).tanh(), scale_factor=4)
    t, noise = torch.tensor([50, 300, 600, 950]), normal(4, 1, 8, 8, seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = noise_prediction_loss(model, x0, t, noise, ALPHAS_CUMPROD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(noise.square().mean().item(), rel=1e-5)
    assert losses[-1] < 0.2 * losses[0]
