"""The forward process: against diffusers on every t, as algebra in float64, and as a distribution."""

import math

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion import forward, schedules

T = 1000
SEEDS = st.integers(0, 999)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)
SCHEDULES = {
    "linear": (1e-4, 0.02),
    "scaled_linear": (0.00085, 0.012),
    "squaredcos_cap_v2": (1e-4, 0.02),
}

# Each function as (x, t, schedule, noise) -> result, with the names of its tensors.
CALLS = {
    "q_step": lambda x, t, schedule, noise: forward.q_step(x, t, schedule, noise),
    "q_sample": lambda x, t, schedule, noise: forward.q_sample(x, t, schedule, noise),
    "predict_x0": lambda x, t, schedule, noise: forward.predict_x0(x, t, noise, schedule),
    "velocity": lambda x, t, schedule, noise: forward.velocity(x, t, noise, schedule),
    "x0_from_velocity": lambda x, t, schedule, noise: forward.x0_from_velocity(x, t, noise, schedule),
    "noise_from_velocity": lambda x, t, schedule, noise: forward.noise_from_velocity(x, t, noise, schedule),
}
ON_SHARES = [name for name in CALLS if name != "q_step"]
ALL = pytest.mark.parametrize("function", CALLS)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def levels(batch, timesteps, seed=0):
    return torch.randint(timesteps, (batch,), generator=torch.Generator().manual_seed(seed))


def falling(timesteps=10):
    """(T,) float64: valid as alphas_cumprod and as betas."""
    return torch.linspace(0.9, 0.1, timesteps, dtype=torch.float64)


def our_betas(name):
    if name == "squaredcos_cap_v2":
        return schedules.cosine_beta_schedule(T, 0.008, 0.999)
    kind = {"linear": "linear_beta_schedule", "scaled_linear": "scaled_linear_beta_schedule"}[name]
    return getattr(schedules, kind)(T, *SCHEDULES[name])


def our_shares(name):
    return schedules.alphas_cumprod(our_betas(name))


def diffusers_scheduler(name, **options):
    start, end = SCHEDULES[name]
    return DDPMScheduler(num_train_timesteps=T, beta_start=start, beta_end=end, beta_schedule=name, **options)


def on_every_level(seed=0):
    """An image and its noise for each t, float32."""
    x, noise = normal(2, T, 2, 3, 4, seed=seed, dtype=torch.float32)
    return x.clamp(-1, 1), torch.arange(T), noise


# --- against diffusers, on the whole grid of t ---


@pytest.mark.parametrize("name", SCHEDULES)
def test_q_sample_is_add_noise_of_diffusers(name):
    x0, t, noise = on_every_level()
    ours = forward.q_sample(x0, t, our_shares(name), noise)
    theirs = diffusers_scheduler(name).add_noise(x0, noise, t)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_velocity_is_get_velocity_of_diffusers(name):
    x0, t, noise = on_every_level()
    ours = forward.velocity(x0, t, noise, our_shares(name))
    theirs = diffusers_scheduler(name).get_velocity(x0, noise, t)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(
    ("prediction", "ours"),
    [("epsilon", forward.predict_x0), ("v_prediction", forward.x0_from_velocity)],
)
def test_the_image_is_the_one_that_diffusers_predicts(name, prediction, ours):
    """On diffusers' own alphas_cumprod: where little signal is left, its float32 rounding is magnified."""
    x_t, t, guess = on_every_level()
    peer = diffusers_scheduler(name, prediction_type=prediction, clip_sample=False)
    generator = torch.Generator().manual_seed(0)
    theirs = torch.cat(
        [
            peer.step(guess[i : i + 1], i, x_t[i : i + 1], generator=generator).pred_original_sample
            for i in range(T)
        ]
    )
    assert torch.allclose(ours(x_t, t, guess, peer.alphas_cumprod), theirs, rtol=1e-5, atol=1e-5)


# --- the algebra, in float64 ---


def factors(function, schedule):
    """(T,), (T,): what the function multiplies x and noise with at every t."""
    t = torch.arange(len(schedule))
    one, zero = torch.ones(len(schedule), 1, dtype=torch.float64), torch.zeros(len(schedule), 1).double()
    call = CALLS[function]
    return call(one, t, schedule, zero).flatten(), call(zero, t, schedule, one).flatten()


@given(st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=40))
def test_single_steps_add_up_to_the_jump(betas):
    """x_t is Gaussian around a multiple of x_0: both ways have the same multiple and the same variance."""
    betas = torch.tensor(betas, dtype=torch.float64)
    keeps, adds = factors("q_step", betas)
    signal, sigma = factors("q_sample", schedules.alphas_cumprod(betas))
    multiple, variance = 1.0, 0.0
    for t in range(len(betas)):
        multiple, variance = keeps[t] * multiple, keeps[t] ** 2 * variance + adds[t] ** 2
        assert torch.allclose(signal[t], multiple, rtol=1e-10, atol=1e-12)
        assert torch.allclose(sigma[t] ** 2, variance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("function", ["q_step", "q_sample", "velocity"])
def test_the_squares_of_the_factors_add_up_to_one(name, function):
    schedule = our_betas(name) if function == "q_step" else our_shares(name)
    of_x, of_noise = factors(function, schedule)
    assert torch.allclose(of_x**2 + of_noise**2, torch.ones(T).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_ratio_of_the_squared_factors_is_the_snr(name):
    signal, sigma = factors("q_sample", our_shares(name))
    assert torch.allclose(signal**2 / sigma**2, schedules.snr(our_shares(name)), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_beta_is_a_variance(name):
    _, adds = factors("q_step", our_betas(name))
    assert torch.allclose(adds**2, our_betas(name), rtol=1e-12, atol=0)


@given(shape=SHAPES, seed=SEEDS)
def test_predict_x0_inverts_q_sample(shape, seed):
    x0, noise, t = normal(*shape, seed=seed), normal(*shape, seed=seed + 1), levels(shape[0], 10, seed)
    x_t = forward.q_sample(x0, t, falling(), noise)
    assert torch.allclose(forward.predict_x0(x_t, t, noise, falling()), x0, rtol=1e-10, atol=1e-10)


def test_predict_x0_inverts_q_sample_even_where_almost_nothing_is_left():
    x0, noise, t = normal(3, 2, 4, 5), normal(3, 2, 4, 5, seed=1), torch.tensor([0, 500, T - 1])
    shares = our_shares("squaredcos_cap_v2")
    x_t = forward.q_sample(x0, t, shares, noise)
    assert torch.allclose(forward.predict_x0(x_t, t, noise, shares), x0, rtol=0, atol=1e-10)


def test_an_error_of_the_noise_comes_back_multiplied():
    """By sqrt(1 / snr): small early, large late."""
    shares, t = our_shares("linear"), torch.arange(T)
    x0, noise = normal(T, 3), normal(T, 3, seed=1)
    x_t = forward.q_sample(x0, t, shares, noise)
    error = forward.predict_x0(x_t, t, noise + 0.01, shares) - x0
    expected = -0.01 * schedules.snr(shares).rsqrt()
    assert torch.allclose(error, expected[:, None].expand(T, 3), rtol=1e-9, atol=1e-10)


@given(shape=SHAPES, seed=SEEDS)
def test_velocity_and_x_t_are_image_and_noise_turned(shape, seed):
    """By an angle whose cosine is sqrt(abar), so v is the derivative of x_t by the angle."""
    x0, noise, t = normal(*shape, seed=seed), normal(*shape, seed=seed + 1), levels(shape[0], 10, seed)
    angle = torch.acos(falling().sqrt())[t].view(-1, *[1] * (len(shape) - 1))
    x_t, v = forward.q_sample(x0, t, falling(), noise), forward.velocity(x0, t, noise, falling())
    assert torch.allclose(x_t, angle.cos() * x0 + angle.sin() * noise, rtol=0, atol=1e-10)
    assert torch.allclose(v, angle.cos() * noise - angle.sin() * x0, rtol=0, atol=1e-10)
    assert torch.allclose(x_t**2 + v**2, x0**2 + noise**2, rtol=1e-10, atol=1e-10)


@given(shape=SHAPES, seed=SEEDS)
def test_image_and_noise_come_back_from_the_velocity(shape, seed):
    x0, noise, t = normal(*shape, seed=seed), normal(*shape, seed=seed + 1), levels(shape[0], 10, seed)
    x_t, v = forward.q_sample(x0, t, falling(), noise), forward.velocity(x0, t, noise, falling())
    assert torch.allclose(forward.x0_from_velocity(x_t, t, v, falling()), x0, rtol=0, atol=1e-10)
    assert torch.allclose(forward.noise_from_velocity(x_t, t, v, falling()), noise, rtol=0, atol=1e-10)


def test_velocity_needs_no_signal_and_predict_x0_does():
    """Where abar is 0, x_t is the noise and v is minus the image."""
    shares, t = torch.tensor([0.5, 0.0]), torch.tensor([1, 0])
    x0, noise = normal(2, 3, dtype=torch.float32), normal(2, 3, seed=1, dtype=torch.float32)
    x_t, v = forward.q_sample(x0, t, shares, noise), forward.velocity(x0, t, noise, shares)
    assert torch.allclose(forward.x0_from_velocity(x_t, t, v, shares), x0, atol=1e-6)
    assert torch.equal(v[0], -x0[0])
    with pytest.raises(
        ValueError, match=r"^predict_x0: alphas_cumprod must be above 0, got 0 .* t = \[1\]\. Nothing is left"
    ):
        forward.predict_x0(x_t, t, noise, shares)


# --- as a distribution ---


def test_steps_in_a_row_have_the_mean_and_the_variance_of_the_jump():
    """Five standard errors: of a mean sigma / sqrt(n), of a variance sigma^2 sqrt(2 / n)."""
    n, timesteps = 40_000, 20
    betas = schedules.linear_beta_schedule(timesteps, 0.005, 0.3)
    start = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)
    generator, x = torch.Generator().manual_seed(0), start.expand(n, 3)
    for t in range(timesteps):
        noise = torch.randn(n, 3, dtype=torch.float64, generator=generator)
        x = forward.q_step(x, torch.full((n,), t), betas, noise)
        share = schedules.alphas_cumprod(betas)[t].item()
        variance = 1 - share
        assert torch.allclose(
            x.mean(dim=0), math.sqrt(share) * start, rtol=0, atol=5 * math.sqrt(variance / n)
        )
        assert torch.allclose(
            x.var(dim=0), torch.full((3,), variance).double(), rtol=5 * math.sqrt(2 / n), atol=0
        )


def test_the_jump_formula_applied_step_by_step_destroys_the_image_too_early():
    """The first error in circulation: a tenth of the way, 0.15 of the image is left where 0.95 should be."""
    shares, betas = our_shares("linear"), our_betas("linear")
    x, wrong = torch.ones(2, 1, 1, 1, 1, dtype=torch.float64)
    nothing = torch.zeros_like(x)
    for t in range(T // 10):
        level = torch.tensor([t])
        x = forward.q_step(x, level, betas, nothing)
        wrong = forward.q_sample(wrong, level, shares, nothing)
    assert x.item() == pytest.approx(shares[T // 10 - 1].sqrt().item(), abs=1e-12)
    assert f"{x.item():.2f} {wrong.item():.2f}" == "0.95 0.15"


# --- shapes, dtypes, devices ---


@ALL
@pytest.mark.parametrize("shape", [(3,), (3, 2), (4, 1, 5, 6), (2, 3, 4, 5, 6), (0, 1, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("schedule_dtype", [torch.float32, torch.float64])
def test_results_are_like_the_images(function, shape, dtype, schedule_dtype):
    x = torch.ones(shape, dtype=dtype)
    out = CALLS[function](x, levels(shape[0], 10), falling().to(schedule_dtype), x)
    assert (out.shape, out.dtype) == (x.shape, dtype)


@ALL
def test_float32_differs_from_float64_by_rounding_alone(function):
    x, noise, t = normal(4, 2, 3, 5), normal(4, 2, 3, 5, seed=1), levels(4, 10)
    exact = CALLS[function](x, t, falling(), noise)
    rounded = CALLS[function](x.float(), t, falling(), noise.float())
    assert torch.allclose(rounded.double(), exact, rtol=1e-5, atol=1e-5)


@ALL
def test_every_image_has_its_own_level(function):
    x, noise, t = normal(5, 2, 4, 5), normal(5, 2, 4, 5, seed=1), torch.tensor([0, 9, 3, 3, 7])
    together = CALLS[function](x, t, falling(), noise)
    for i in range(5):
        one = slice(i, i + 1)
        assert torch.equal(together[one], CALLS[function](x[one], t[one], falling(), noise[one]))


@ALL
def test_inputs_are_left_alone(function):
    inputs = normal(3, 4), levels(3, 10), falling(), normal(3, 4, seed=1)
    before = [x.clone() for x in inputs]
    CALLS[function](*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def test_a_schedule_may_stay_on_the_cpu():
    """Says something where there is a GPU; elsewhere both sides run on the same device."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = normal(3, 4), levels(3, 10), falling(), normal(3, 4, seed=1)
    x, t, schedule, noise = inputs
    for call in CALLS.values():
        out = call(x.to(device), t.to(device), schedule, noise.to(device))
        assert out.device.type == device
        assert torch.allclose(out.cpu(), call(*inputs), rtol=1e-12, atol=1e-12)


# --- what is refused ---


@ALL
@given(shapes=st.tuples(SHAPES, SHAPES), batch=st.integers(0, 5))
def test_shapes_that_do_not_fit_are_refused(function, shapes, batch):
    x, noise = (torch.rand(shape) for shape in shapes)
    t = torch.zeros(batch, dtype=torch.int64)
    if x.shape == noise.shape and batch == len(x):
        assert CALLS[function](x, t, falling(), noise).shape == x.shape
        return
    message = "t must have an entry for each image" if x.shape == noise.shape else "shapes must be equal"
    with pytest.raises(ValueError, match=f"^{function}: {message}"):
        CALLS[function](x, t, falling(), noise)


@ALL
@given(timesteps=st.integers(1, 12), t=st.lists(st.integers(-3, 14), min_size=1, max_size=4))
def test_levels_outside_of_the_schedule_are_refused(function, timesteps, t):
    x = torch.rand(len(t), 2)
    if 0 <= min(t) <= max(t) < timesteps:
        assert CALLS[function](x, torch.tensor(t), falling(timesteps), x).shape == x.shape
        return
    message = (
        rf"^{function}: t must lie in 0\.\.{timesteps - 1}, got {min(t)}\.\.{max(t)}\. Papers count from 1; "
        r"arrays here from 0\."
    )
    with pytest.raises(ValueError, match=message):
        CALLS[function](x, torch.tensor(t), falling(timesteps), x)


@ALL
@pytest.mark.parametrize(
    "t", [3, 0.5, [1, 2], torch.tensor([0.1, 0.2]), torch.zeros(2, dtype=torch.int32), torch.ones(2) > 0]
)
def test_t_is_an_int64_tensor(function, t):
    x = torch.rand(2, 3)
    with pytest.raises(TypeError, match=rf"^{function}: t must be an int64 tensor .* torch\.full\("):
        CALLS[function](x, t, falling(), x)


@ALL
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("swapped", [False, True])
def test_images_and_noise_are_floating_point(function, dtype, swapped):
    x, other = torch.rand(2, 3), torch.ones(2, 3, dtype=dtype)
    if swapped:
        x, other = other, x
    with pytest.raises(TypeError, match=f"^{function}: .* must be a floating-point tensor"):
        CALLS[function](x, levels(2, 10), falling(), other)


@ALL
def test_images_and_noise_have_one_dtype(function):
    x = torch.rand(2, 3)
    with pytest.raises(TypeError, match=f"^{function}: dtypes must be equal, got .* float32, .* float64"):
        CALLS[function](x, levels(2, 10), falling(), x.double())


@ALL
def test_a_batch_dimension_is_needed(function):
    x = torch.tensor(0.5)
    with pytest.raises(ValueError, match=f"^{function}: .* needs a batch dimension"):
        CALLS[function](x, torch.tensor(0), falling(), x)


@ALL
@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (torch.tensor([1, 0]), TypeError, "must be a floating-point tensor"),
        (torch.rand(2, 2), ValueError, r"must have 1 dimensions \(T,\)"),
        (torch.tensor([1.1, 0.5]), ValueError, r"must lie in 0\.\.1, got 0\.5\.\.1\.1"),
        (torch.tensor([math.nan, 0.5]), ValueError, r"must lie in 0\.\.1"),
    ],
)
def test_schedules_that_are_none_are_refused(function, schedule, error, message):
    name = "betas" if function == "q_step" else "alphas_cumprod"
    x = torch.rand(2, 3)
    with pytest.raises(error, match=f"^{function}: {name} {message}"):
        CALLS[function](x, torch.tensor([0, 1]), schedule, x)


@pytest.mark.parametrize("function", ON_SHARES)
def test_betas_are_not_taken_for_alphas_cumprod(function):
    x = torch.rand(2, 3)
    with pytest.raises(ValueError, match=f"^{function}: alphas_cumprod must not rise .* Are these betas"):
        CALLS[function](x, levels(2, T), our_betas("linear"), x)
