"""Noise schedules, against diffusers, against loops over Python's numbers, and identities."""

import math

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion import schedules

T = 1000
STEPS = st.integers(1, 60)
OFFSETS = st.floats(0, 0.5)
LIMITS = st.floats(0.01, 1)
BETAS = st.lists(st.floats(0, 1), min_size=1, max_size=30)
NO_COUNTS = [2.0, True, "2", None, torch.tensor(2)]

OURS = {
    "linear": lambda: schedules.linear_beta_schedule(T, 1e-4, 0.02),
    "scaled_linear": lambda: schedules.scaled_linear_beta_schedule(T, 0.00085, 0.012),
    "squaredcos_cap_v2": lambda: schedules.cosine_beta_schedule(T, 0.008, 0.999),
}
ENDS = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012), "squaredcos_cap_v2": (1e-4, 0.02)}


def diffusers_scheduler(name):
    start, end = ENDS[name]
    return DDPMScheduler(num_train_timesteps=T, beta_start=start, beta_end=end, beta_schedule=name)


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def ends():
    return st.tuples(st.floats(1e-6, 0.99), st.floats(1e-6, 0.99)).map(sorted)


def signal_left(betas):
    """sqrt(abar_T): the factor of the image after the last step."""
    return schedules.alphas_cumprod(betas)[-1].sqrt().item()


# --- against diffusers ---


@pytest.mark.parametrize("name", OURS)
def test_schedules_are_those_of_diffusers(name):
    peer, betas = diffusers_scheduler(name), OURS[name]()
    assert betas.dtype == torch.float64
    assert torch.allclose(betas.float(), peer.betas, rtol=1e-5, atol=1e-7)
    assert torch.allclose(schedules.alphas_cumprod(betas).float(), peer.alphas_cumprod, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_snr_is_that_of_diffusers(name):
    peer = diffusers_scheduler(name)
    expected = compute_snr(peer, torch.arange(T))
    assert torch.allclose(schedules.snr(peer.alphas_cumprod), expected, rtol=1e-5, atol=0)


# --- the definitions, number by number ---


@given(st.integers(2, 60), ends())
def test_linear_goes_in_equal_steps_from_end_to_end(timesteps, ends):
    start, end = ends
    betas = schedules.linear_beta_schedule(timesteps, start, end)
    expected = [start + i / (timesteps - 1) * (end - start) for i in range(timesteps)]
    assert torch.allclose(betas, double(*expected), rtol=1e-10, atol=0)


@given(st.integers(2, 60), ends())
def test_scaled_linear_goes_in_equal_steps_of_the_root(timesteps, ends):
    start, end = (math.sqrt(beta) for beta in ends)
    betas = schedules.scaled_linear_beta_schedule(timesteps, *ends)
    expected = [(start + i / (timesteps - 1) * (end - start)) ** 2 for i in range(timesteps)]
    assert torch.allclose(betas, double(*expected), rtol=1e-10, atol=0)


@given(STEPS, OFFSETS, LIMITS)
def test_cosine_is_its_definition(timesteps, s, max_beta):
    def share(i):
        return math.cos((i / timesteps + s) / (1 + s) * math.pi / 2) ** 2

    betas = schedules.cosine_beta_schedule(timesteps, s, max_beta)
    expected = [min(1 - share(i) / share(i - 1), max_beta) for i in range(1, timesteps + 1)]
    assert betas.dtype == torch.float64
    assert torch.allclose(betas, double(*expected), rtol=1e-9, atol=1e-14)


@given(st.integers(2, 60), OFFSETS)
def test_without_a_limit_the_cosine_schedule_leaves_a_squared_cosine(timesteps, s):
    left = schedules.alphas_cumprod(schedules.cosine_beta_schedule(timesteps, s, 1.0))
    u = torch.arange(1, timesteps + 1, dtype=torch.float64) / timesteps
    angle = (u + s) / (1 + s) * math.pi / 2
    start = math.cos(s / (1 + s) * math.pi / 2)
    assert torch.allclose(left, (angle.cos() / start).square(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", [schedules.linear_beta_schedule, schedules.scaled_linear_beta_schedule])
def test_a_single_step_takes_the_start(schedule):
    assert schedule(1, 0.1, 0.3).tolist() == pytest.approx([0.1], abs=1e-15)


@given(BETAS)
def test_alphas_cumprod_multiplies_what_the_steps_keep(betas):
    left = schedules.alphas_cumprod(double(*betas))
    expected = [math.prod(1 - beta for beta in betas[: i + 1]) for i in range(len(betas))]
    assert torch.allclose(left, double(*expected), rtol=1e-10, atol=1e-300)
    assert (left.diff() <= 0).all()


@given(st.lists(st.floats(1e-3, 0.5), min_size=1, max_size=30))
def test_betas_come_back_from_alphas_cumprod(betas):
    left = torch.cat([double(1.0), schedules.alphas_cumprod(double(*betas))])
    assert torch.allclose(1 - left[1:] / left[:-1], double(*betas), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", OURS)
def test_snr_is_a_ratio_of_variances(name):
    left = schedules.alphas_cumprod(OURS[name]())
    ratio = schedules.snr(left)
    assert torch.allclose(ratio.log(), torch.logit(left), rtol=1e-10, atol=1e-10)
    assert torch.allclose(ratio / (1 + ratio), left, rtol=1e-10, atol=0)  # the share, from the ratio
    assert torch.allclose(1 / ratio, 1 / left - 1, rtol=1e-10, atol=0)
    assert (ratio.diff() < 0).all()


def test_snr_at_the_limits():
    assert schedules.snr(double(1.0, 0.8, 0.5, 0.2, 0.0)).tolist() == pytest.approx(
        [math.inf, 4, 1, 0.25, 0], abs=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_functions_of_a_schedule_keep_its_dtype(dtype):
    betas = torch.tensor([0.1, 0.2, 0.3], dtype=dtype)
    left = schedules.alphas_cumprod(betas)
    assert left.dtype == schedules.snr(left).dtype == dtype
    assert betas.tolist() == torch.tensor([0.1, 0.2, 0.3], dtype=dtype).tolist()


# --- what the chapter says in numbers, with the digits it prints ---


@pytest.mark.parametrize(
    ("timesteps", "left"), [(1000, 0.006), (500, 0.080), (300, 0.219), (200, 0.364), (100, 0.603)]
)
def test_the_linear_ends_belong_to_a_thousand_steps(timesteps, left):
    assert round(signal_left(schedules.linear_beta_schedule(timesteps, 1e-4, 0.02)), 3) == left
    scale = 1000 / timesteps
    assert signal_left(schedules.linear_beta_schedule(timesteps, scale * 1e-4, scale * 0.02)) < 0.007


def test_the_first_cosine_betas():
    betas = OURS["squaredcos_cap_v2"]()
    assert [f"{beta:.4e}" for beta in betas[:3]] == ["4.1284e-05", "4.6142e-05", "5.0999e-05"]


def test_every_tenth_cosine_beta():
    betas = OURS["squaredcos_cap_v2"]()
    tenth = [f"{beta:.4e}" for beta in betas[::10][:4]]
    assert tenth == ["4.1284e-05", "8.9871e-05", "1.3850e-04", "1.8719e-04"]


def test_the_cosine_limit_touches_only_the_last_step():
    limited, free = OURS["squaredcos_cap_v2"](), schedules.cosine_beta_schedule(T, 0.008, 1.0)
    assert limited[-1] == 0.999
    assert (limited != free).nonzero().tolist() == [[T - 1]]


def test_the_last_cosine_step_divides_by_a_thirtieth():
    last = 1 - OURS["squaredcos_cap_v2"]()[-1]
    assert f"{1 / last.sqrt():.1f}" == "31.6"


def test_a_cosine_limit_of_0_02_leaves_some_of_the_image():
    limited = schedules.cosine_beta_schedule(T, 0.008, 0.02)
    assert f"{signal_left(limited):.4f}" == "0.0565"
    assert signal_left(OURS["squaredcos_cap_v2"]()) < 1e-4


def test_stable_diffusions_schedule_does_not_end_in_pure_noise():
    assert f"{signal_left(OURS['scaled_linear']()):.3f}" == "0.068"


# --- what is refused ---


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("linear_beta_schedule", (0.1, 0.2)),
        ("scaled_linear_beta_schedule", (0.1, 0.2)),
        ("cosine_beta_schedule", (0.008, 0.999)),
    ],
)
def test_timesteps_are_ints(name, arguments, value):
    with pytest.raises(TypeError, match=f"^{name}: timesteps must be an int, got"):
        getattr(schedules, name)(value, *arguments)
    with pytest.raises(ValueError, match=f"^{name}: timesteps must be at least 1, got 0"):
        getattr(schedules, name)(0, *arguments)


@pytest.mark.parametrize("name", ["linear_beta_schedule", "scaled_linear_beta_schedule"])
@given(timesteps=STEPS, start=st.floats(), end=st.floats())
def test_ends_out_of_order_or_range_are_refused(name, timesteps, start, end):
    schedule = getattr(schedules, name)
    if 0 < start <= end < 1:
        betas = schedule(timesteps, start, end)
        assert betas.shape == (timesteps,)
        assert ((betas >= 0) & (betas < 1)).all()
        return
    with pytest.raises(
        ValueError, match=f"^{name}: 0 < beta_start <= beta_end < 1 must hold, got .* swapped"
    ):
        schedule(timesteps, start, end)


@given(STEPS, st.floats(), st.floats())
def test_cosine_refuses_what_makes_no_schedule(timesteps, s, max_beta):
    if not 0 <= s < math.inf:
        message = "^cosine_beta_schedule: s must not be negative, got"
    elif not 0 < max_beta <= 1:
        message = "^cosine_beta_schedule: max_beta must lie above 0 and not above 1, got .* variance"
    else:
        betas = schedules.cosine_beta_schedule(timesteps, s, max_beta)
        assert betas.shape == (timesteps,)
        assert ((betas >= 0) & (betas <= max_beta)).all()
        return
    with pytest.raises(ValueError, match=message):
        schedules.cosine_beta_schedule(timesteps, s, max_beta)


@pytest.mark.parametrize("name", ["alphas_cumprod", "snr"])
@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (torch.tensor([1, 0]), TypeError, "must be a floating-point tensor, got a int64 tensor"),
        ([0.1, 0.2], TypeError, r"must be a floating-point tensor, got list \[0.1, 0.2\]"),
        (torch.rand(2, 3), ValueError, r"must have 1 dimensions \(T,\), got shape \(2, 3\)"),
        (torch.tensor(0.1), ValueError, r"must have 1 dimensions \(T,\), got shape \(\)"),
        (torch.rand(0), ValueError, "must hold at least one step"),
        (torch.tensor([0.5, -0.1]), ValueError, r"must lie in 0\.\.1, got -0\.1\.\.0\.5\."),
        (torch.tensor([1.5, 0.1]), ValueError, r"must lie in 0\.\.1, got 0\.1\.\.1\.5\."),
        (torch.tensor([0.5, math.nan]), ValueError, r"must lie in 0\.\.1, got nan\.\.nan\."),
    ],
)
def test_a_schedule_is_a_row_of_numbers_from_0_to_1(name, row, error, message):
    argument = {"alphas_cumprod": "betas", "snr": "alphas_cumprod"}[name]
    with pytest.raises(error, match=f"^{name}: {argument} {message}"):
        getattr(schedules, name)(row)


def test_betas_are_not_taken_for_alphas_cumprod():
    with pytest.raises(
        ValueError, match=r"^snr: alphas_cumprod must not rise .* 0\.0001 at first and 0\.02 at last.*betas"
    ):
        schedules.snr(OURS["linear"]())
