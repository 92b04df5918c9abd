"""Shorter walks: the same noise levels as the long one's, and the same states as DDIM with eta = 1."""

import itertools

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion import respacing, samplers, schedules

T = 1000
SHAPE = (2, 3, 4, 6)
SCHEDULES = {
    "linear": schedules.alphas_cumprod(schedules.linear_beta_schedule(T, 1e-4, 0.02)),
    "cosine": schedules.alphas_cumprod(schedules.cosine_beta_schedule(T, 0.008, 0.999)),
}
ON_BOTH_SCHEDULES = pytest.mark.parametrize("abar", SCHEDULES.values(), ids=SCHEDULES)
LEVELS = st.sets(st.integers(0, T - 1), min_size=1, max_size=30).map(
    lambda levels: torch.tensor(sorted(levels, reverse=True))
)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def wavy(x_t, t):
    """A model that depends on image and level."""
    return torch.sin(3 * x_t + t.view(-1, 1, 1, 1))


@given(levels=LEVELS, name=st.sampled_from(sorted(SCHEDULES)))
def test_the_short_walk_has_as_much_signal_at_each_level_as_the_long_one(levels, name):
    _, betas = respacing.respaced(wavy, levels, SCHEDULES[name])
    assert (betas.dtype, betas.shape) == (torch.float64, levels.shape)
    assert betas.min() >= 0 and betas.max() <= 1
    found = schedules.alphas_cumprod(betas).flip(0)
    assert torch.allclose(found, SCHEDULES[name][levels], rtol=0, atol=1e-12)


@ON_BOTH_SCHEDULES
def test_every_level_gives_back_the_betas_of_the_training(abar):
    _, betas = respacing.respaced(wavy, torch.arange(T - 1, -1, -1), abar)
    assert torch.allclose(schedules.alphas_cumprod(betas), abar, rtol=0, atol=1e-12)


@given(levels=LEVELS, seed=st.integers(0, 99))
def test_the_models_levels_are_those_of_the_long_walk_in_rising_order(levels, seed):
    model, _ = respacing.respaced(lambda x_t, t: t, levels, SCHEDULES["linear"])
    chosen = torch.randint(len(levels), (7,), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(model(None, chosen), levels.flip(0)[chosen])


@ON_BOTH_SCHEDULES
@pytest.mark.parametrize("steps", [2, 7, 50])
def test_ddpm_on_fewer_levels_is_ddim_with_eta_1_along_them(abar, steps):
    levels, x_T = samplers.ddim_timesteps(T, steps), normal(*SHAPE)
    model, betas = respacing.respaced(wavy, levels, abar)
    short, long = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    by_ddpm = samplers.ddpm(model, x_T, betas, clip_x0=True, generator=short)
    by_ddim = samplers.ddim(wavy, x_T, levels, abar, 1.0, clip_x0=True, generator=long)
    for one, other in zip(by_ddpm, by_ddim, strict=True):
        assert torch.allclose(one.x_t, other.x_t, rtol=0, atol=1e-9)
        assert torch.allclose(one.x0_hat, other.x0_hat, rtol=0, atol=1e-9)
    assert torch.equal(short.get_state(), long.get_state())


def test_it_is_how_diffusers_walks_with_fewer_steps():
    """DDPMScheduler on every 50th level takes its betas from the same quotients."""
    abar, x, generator = SCHEDULES["linear"], normal(*SHAPE), torch.Generator().manual_seed(5)
    peer = DDPMScheduler(T, clip_sample=False, timestep_spacing="leading")
    peer.alphas_cumprod, peer.one = abar, torch.ones((), dtype=torch.float64)
    peer.set_timesteps(20)
    model, betas = respacing.respaced(wavy, peer.timesteps, abar)
    ours = samplers.ddpm(model, x, betas, generator=torch.Generator().manual_seed(5))
    for t, state in zip(peer.timesteps, ours, strict=True):
        x = peer.step(wavy(x, t.expand(2)), t, x, generator=generator).prev_sample
        assert torch.allclose(state.x_t, x, rtol=1e-10, atol=1e-10), t


def test_one_level_is_one_jump_to_the_guess():
    abar, levels = SCHEDULES["linear"], torch.tensor([700])
    model, betas = respacing.respaced(wavy, levels, abar)
    (state,) = samplers.ddpm(model, normal(*SHAPE), betas, generator=torch.Generator())
    assert torch.allclose(state.x_t, state.x0_hat, rtol=1e-12, atol=1e-12)


# --- what it refuses ---


@given(st.lists(st.integers(-2, 12), max_size=5))
def test_levels_fall_within_the_schedule_and_nothing_else_is_taken(levels):
    falling = all(a > b for a, b in itertools.pairwise(levels))
    timesteps, abar = torch.tensor(levels, dtype=torch.int64), torch.linspace(0.9, 0.1, 10)
    if levels and falling and min(levels) >= 0 and max(levels) < 10:
        assert len(respacing.respaced(wavy, timesteps, abar)[1]) == len(levels)
    else:
        with pytest.raises(ValueError, match=r"^respaced: timesteps must fall strictly within 9\.\.0"):
            respacing.respaced(wavy, timesteps, abar)


@pytest.mark.parametrize(
    "wrong", [None, [3, 2], torch.tensor([3.0, 2.0]), torch.tensor([[3, 2]]), torch.tensor([3, 2]).int()]
)
def test_levels_are_an_int64_row(wrong):
    with pytest.raises(TypeError, match=r"^respaced: timesteps must be an int64 tensor \(n,\), got"):
        respacing.respaced(wavy, wrong, SCHEDULES["linear"])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (None, TypeError, "alphas_cumprod must be a floating-point tensor"),
        (torch.arange(10), TypeError, "alphas_cumprod must be a floating-point tensor"),
        (torch.linspace(0.1, 0.9, 10), ValueError, "alphas_cumprod must not rise"),
        (torch.linspace(9, 1, 10), ValueError, r"alphas_cumprod must lie in 0\.\.1"),
        (torch.full((1, 10), 0.5), ValueError, r"alphas_cumprod must have 1 dimensions \(T,\)"),
    ],
)
def test_the_schedule_is_one(wrong, error, message):
    with pytest.raises(error, match=f"^respaced: {message}"):
        respacing.respaced(wavy, torch.tensor([3, 2]), wrong)
