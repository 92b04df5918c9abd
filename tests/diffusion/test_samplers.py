"""Samplers: against diffusers on every level, as algebra in float64, and with models that know the answer."""

import itertools
import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion import samplers, schedules
from course_utils.diffusion.forward import predict_x0, q_sample
from course_utils.diffusion.samplers import CLEAN

T = 1000
SHAPE = (2, 1, 3, 4)
SEEDS = st.integers(0, 999)
BETAS = {
    "linear": schedules.linear_beta_schedule(T, 1e-4, 0.02),
    "scaled linear": schedules.scaled_linear_beta_schedule(T, 0.00085, 0.012),
    "cosine": schedules.cosine_beta_schedule(T, 0.008, 0.999),
}
FEW = schedules.linear_beta_schedule(20, 0.02, 0.3)
LEVELS = torch.tensor([19, 7, 0])
ON_EVERY_SCHEDULE = pytest.mark.parametrize("betas", BETAS.values(), ids=BETAS)
WRONG_DTYPES = (torch.uint8, torch.int64, torch.bool)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shares(betas):
    return schedules.alphas_cumprod(betas)


def shares_before(betas):
    return torch.cat([torch.ones(1, dtype=torch.float64), shares(betas)[:-1]])


def precise(scheduler, betas):
    """The scheduler of diffusers, on tables in float64 instead of float32."""
    scheduler.alphas_cumprod, scheduler.one = shares(betas), torch.ones((), dtype=torch.float64)
    if hasattr(scheduler, "final_alpha_cumprod"):
        scheduler.final_alpha_cumprod = scheduler.one
    return scheduler


def ddpm_of_diffusers(betas, **options):
    return DDPMScheduler(len(betas), trained_betas=betas.numpy(), **{"clip_sample": False, **options})


def ddim_of_diffusers(betas, **options):
    return DDIMScheduler(len(betas), trained_betas=betas.numpy(), **{"clip_sample": False, **options})


def wavy(x, t):
    """A model that depends on image and level, and never leaves [-1, 1]: a guess as bad as any."""
    return torch.sin(3 * x + t.view(-1, 1, 1, 1))


def still(x, t):
    """A model that takes no notice of the level."""
    return torch.sin(3 * x)


def knows_the_point(point, abar):
    """The perfect model where all images are one."""

    def model(x, t):
        a = abar[t].view(-1, 1, 1, 1)
        return (x - a.sqrt() * point) / (1 - a).sqrt()

    return model


def knows_the_gaussian(mean, std, abar):
    """The perfect model for pixels from N(mean, std^2): the expected noise, given x_t."""

    def model(x, t):
        a = abar[t].view(-1, 1, 1, 1)
        return (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * std**2 + 1 - a)

    return model


def every_sampler(model, x_T, betas):
    """Each sampler's states, by name."""
    abar, some = shares(betas), samplers.ddim_timesteps(len(betas), 7)
    return {
        "ddpm": samplers.ddpm(model, x_T, betas, generator=generator()),
        "ddpm, beta": samplers.ddpm(model, x_T, betas, variance="beta", generator=generator()),
        "ddim": samplers.ddim(model, x_T, some, abar, 0.0, generator=None),
        "ddim, eta 0.5": samplers.ddim(model, x_T, some, abar, 0.5, generator=generator()),
        "ddim, eta 1": samplers.ddim(model, x_T, some, abar, 1.0, generator=generator()),
        "dpm-solver++": samplers.dpm_solver_pp_2m(model, x_T, some, abar),
    }


X_64 = normal(*SHAPE, seed=9)
SAMPLERS = list(every_sampler(wavy, torch.zeros(SHAPE), FEW))
EVERY_SAMPLER = pytest.mark.parametrize("name", SAMPLERS)


def last(states):
    *_, state = states
    return state


# --- against diffusers ---


@ON_EVERY_SCHEDULE
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_p_sample_is_diffusers_step_on_every_level(betas, dtype, tolerance):
    """A guess of x_0 reaches 1e4 on the cosine schedule's last level: errors count relative to it.

    The tables of diffusers, in float32, are off by 1e-4 at the lowest levels: it is given those in float64.
    """
    peer = precise(ddpm_of_diffusers(betas, variance_type="fixed_small"), betas)
    for t in range(T):
        x, noise_pred, noise = (normal(*SHAPE, seed=3 * t + i, dtype=dtype) for i in range(3))
        step = peer.step(noise_pred, t, x, generator=generator(3 * t + 2))
        found = samplers.p_sample(lambda x, t, guess=noise_pred: guess, x, t, betas, noise)
        scale = max(1.0, step.pred_original_sample.abs().max().item())
        assert found.dtype == dtype
        assert (found - step.prev_sample).abs().max() <= tolerance * scale, t


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(("variance", "name"), [("posterior", "fixed_small"), ("beta", "fixed_large")])
def test_ddpm_is_diffusers_with_the_same_draws(variance, name, clip):
    peer = precise(ddpm_of_diffusers(FEW, variance_type=name, clip_sample=clip), FEW)
    x, drawn = normal(*SHAPE), generator(5)
    ours = samplers.ddpm(wavy, x, FEW, variance=variance, clip_x0=clip, generator=generator(5))
    for t, state in zip(reversed(range(len(FEW))), ours, strict=True):
        step = peer.step(wavy(x, torch.full((2,), t)), t, x, generator=drawn)
        x = step.prev_sample
        assert state.t == t - 1
        assert torch.allclose(state.x_t, x, rtol=1e-10, atol=1e-10)
        assert torch.allclose(state.x0_hat, step.pred_original_sample, rtol=1e-10, atol=1e-10)


@ON_EVERY_SCHEDULE
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1000, 50, 8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_ddim_step_is_diffusers_step_from_every_level(betas, eta, steps, dtype, tolerance):
    peer, stride = ddim_of_diffusers(betas), T // steps
    if dtype == torch.float64:
        precise(peer, betas)
    peer.set_timesteps(steps)
    for t in range(0, T, 1 if steps == 50 else 9):
        x, noise_pred, noise = (normal(*SHAPE, seed=3 * t + i, dtype=dtype) for i in range(3))
        step = peer.step(noise_pred, t, x, eta=eta, variance_noise=noise)
        found = samplers.ddim_step(x, noise_pred, t, max(t - stride, CLEAN), shares(betas), eta, noise)
        scale = max(1.0, step.pred_original_sample.abs().max().item())
        assert found.dtype == dtype
        assert (found - step.prev_sample).abs().max() <= tolerance * scale, t


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim_is_diffusers_with_the_same_draws(eta, clip):
    peer = precise(ddim_of_diffusers(FEW, clip_sample=clip), FEW)
    peer.set_timesteps(5)
    levels = torch.arange(19, -1, -4)
    x, drawn = normal(*SHAPE), generator(5)
    ours = samplers.ddim(wavy, x, levels, shares(FEW), eta, clip_x0=clip, generator=generator(5))
    for t, state in zip(levels.tolist(), ours, strict=True):
        guess = wavy(x, torch.full((2,), t))
        step = peer.step(guess, t, x, eta=eta, use_clipped_model_output=clip, generator=drawn)
        x = step.prev_sample
        assert state.t == max(t - 4, CLEAN)
        assert torch.allclose(state.x_t, x, rtol=1e-10, atol=1e-10)
        assert torch.allclose(state.x0_hat, step.pred_original_sample, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@ON_EVERY_SCHEDULE
@pytest.mark.parametrize(("steps", "tolerance"), [(2, 1e-5), (3, 1e-5), (10, 1e-5), (50, 1e-5), (1000, 1e-4)])
def test_dpm_solver_is_diffusers_on_the_same_levels(betas, steps, tolerance):
    """diffusers keeps its states in float32, whose rounding adds up over a thousand steps.

    Its noise levels, as its tables above, are given to it in float64.
    """
    peer = DPMSolverMultistepScheduler(
        T, trained_betas=betas.numpy(), algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=False
    )
    levels, abar = samplers.ddim_timesteps(T, steps), shares(betas)
    peer.set_timesteps(timesteps=levels.tolist())
    peer.sigmas = torch.cat([(1 / abar[levels] - 1).sqrt(), torch.zeros(1)])

    def model(x, t):
        a = abar[t].view(-1, 1, 1, 1)
        guess = torch.sin(x.double() + t.view(-1, 1, 1, 1) / 300)
        return ((x - a.sqrt() * guess) / (1 - a).sqrt()).float()

    state = normal(*SHAPE, dtype=torch.float32)
    for t, ours in zip(levels, samplers.dpm_solver_pp_2m(model, state, levels, abar), strict=True):
        state = peer.step(model(state, t.expand(2)), t, state).prev_sample
        assert torch.allclose(ours.x_t, state, rtol=tolerance, atol=tolerance), t


# --- as algebra ---


@ON_EVERY_SCHEDULE
def test_the_posterior_is_that_of_two_gaussians_in_a_row(betas):
    """x_{t-1} and x_t, given x_0, are jointly normal: conditioning on x_t is a regression."""
    t = torch.arange(T)
    x0, x_t = normal(T, 1, 1, 1, seed=1), normal(T, 1, 1, 1, seed=2)
    abar, before, beta = (table.view(-1, 1, 1, 1) for table in (shares(betas), shares_before(betas), betas))
    covariance = (1 - beta).sqrt() * (1 - before)
    slope = covariance / (1 - abar)
    mean, variance = samplers.posterior_mean_variance(x0, x_t, t, betas)
    assert torch.allclose(mean, before.sqrt() * x0 + slope * (x_t - abar.sqrt() * x0), rtol=1e-10, atol=1e-10)
    assert torch.allclose(variance, 1 - before - slope * covariance, rtol=1e-10, atol=1e-10)
    assert torch.allclose(mean[0], x0[0], atol=1e-10)
    assert variance[0] == 0


@ON_EVERY_SCHEDULE
def test_the_posterior_takes_a_level_for_each_image_and_keeps_the_dtype(betas):
    t, x0, x_t = (
        torch.tensor([999, 0, 500]),
        *(normal(3, 2, 3, 4, seed=i, dtype=torch.float32) for i in (1, 2)),
    )
    mean, variance = samplers.posterior_mean_variance(x0, x_t, t, betas)
    assert (mean.dtype, variance.dtype, variance.shape) == (torch.float32, torch.float32, (3, 1, 1, 1))
    for i in range(3):
        alone = samplers.posterior_mean_variance(x0[i : i + 1], x_t[i : i + 1], t[i : i + 1], betas)
        assert torch.equal(alone[0][0], mean[i])
        assert torch.equal(alone[1][0], variance[i])


@ON_EVERY_SCHEDULE
def test_ddim_with_eta_1_on_every_level_is_ddpm(betas):
    for t in range(T):
        x, noise = normal(*SHAPE, seed=t), normal(*SHAPE, seed=T + t)
        guess = normal(*SHAPE, seed=2 * T + t)
        ours = samplers.ddim_step(x, guess, t, t - 1, shares(betas), 1.0, noise)
        ddpm = samplers.p_sample(lambda x, t, guess=guess: guess, x, t, betas, noise)
        assert torch.allclose(ours, ddpm, rtol=1e-10, atol=1e-10), t


@given(SEEDS, st.integers(0, T - 1), st.integers(0, T), st.sampled_from(sorted(BETAS)))
def test_ddim_with_the_true_noise_stays_on_the_way_out(seed, t, down, name):
    """At eta = 0 the same x_0 and the same noise are mixed anew: sqrt(1 - abar_s) is the noise's factor."""
    abar, t_prev = shares(BETAS[name]), max(t - 1 - down, CLEAN)
    x0, noise = normal(*SHAPE, seed=seed), normal(*SHAPE, seed=seed + 1)
    x_t = q_sample(x0, torch.full((2,), t), abar, noise)
    there = samplers.ddim_step(x_t, noise, t, t_prev, abar, 0.0, torch.zeros_like(noise))
    expected = x0 if t_prev == CLEAN else q_sample(x0, torch.full((2,), t_prev), abar, noise)
    assert torch.allclose(there, expected, rtol=1e-10, atol=1e-10 / abar[t].sqrt().item())


@given(st.integers(1, T - 1), st.integers(0, T), st.floats(0, 1), st.sampled_from(sorted(BETAS)))
def test_ddim_keeps_the_variance_of_its_level_for_every_eta(t, down, eta, name):
    abar, t_prev = shares(BETAS[name]), max(t - 1 - down, 0)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    x_t = (1 - abar[t]).sqrt() * one  # x_0 = 0 and a noise of 1
    old = samplers.ddim_step(x_t, one, t, t_prev, abar, eta, zero)
    fresh = samplers.ddim_step(zero, zero, t, t_prev, abar, eta, one)
    assert (old**2 + fresh**2).item() == pytest.approx(1 - abar[t_prev].item(), rel=1e-8, abs=1e-10)
    assert fresh.item() >= 0


@given(SEEDS, st.integers(0, T - 1), st.integers(0, T), st.sampled_from(["linear", "scaled linear"]))
def test_a_first_order_step_of_dpm_solver_is_ddims(seed, t, down, name):
    abar, t_prev = shares(BETAS[name]), max(t - 1 - down, CLEAN)
    x, noise_pred = normal(*SHAPE, seed=seed), normal(*SHAPE, seed=seed + 1)
    x0_hat = (x - (1 - abar[t]).sqrt() * noise_pred) / abar[t].sqrt()
    ours = samplers.dpm_solver_pp_step(x, x0_hat, t, t_prev, abar)
    ddim = samplers.ddim_step(x, noise_pred, t, t_prev, abar, 0.0, torch.zeros_like(x))
    assert torch.allclose(ours, ddim, rtol=1e-10, atol=1e-10)


def test_p_sample_loop_is_ddpm_with_the_noises_in_order():
    x, drawn = normal(*SHAPE), generator(3)
    noises = torch.zeros(len(FEW), *SHAPE, dtype=torch.float64)
    for t in range(len(FEW) - 1, 0, -1):
        noises[t] = torch.randn(SHAPE, generator=drawn, dtype=torch.float64)
    by_ddpm = last(samplers.ddpm(wavy, x, FEW, generator=generator(3))).x_t
    assert torch.equal(samplers.p_sample_loop(wavy, x, FEW, noises), by_ddpm)
    noises[0] = math.nan
    x_0 = samplers.p_sample_loop(wavy, x, FEW, noises.nan_to_num(7.0))
    assert torch.equal(x_0, by_ddpm)


# --- a walk is its steps, one after another ---


def levels_of_a_walk(betas):
    """Each level with the one after it."""
    return itertools.pairwise([*samplers.ddim_timesteps(len(betas), 7).tolist(), CLEAN])


def guess_at(x, t, betas):
    """What the model says at t: the noise, and x_0."""
    levels = torch.full((len(x),), t)
    noise_pred = wavy(x, levels)
    return noise_pred, predict_x0(x, levels, noise_pred, shares(betas))


def by_ddim_steps(x, betas, eta):
    drawn = generator()
    for t, t_prev in levels_of_a_walk(betas):
        draws = eta > 0 and t_prev != CLEAN
        noise = torch.randn(SHAPE, generator=drawn, dtype=x.dtype) if draws else torch.zeros_like(x)
        noise_pred, _ = guess_at(x, t, betas)
        x = samplers.ddim_step(x, noise_pred, t, t_prev, shares(betas), eta, noise)
        yield x


def by_dpm_solver_steps(x, betas):
    lambdas = torch.cat([shares(betas), torch.ones(1, dtype=torch.float64)]).logit() / 2  # at -1: CLEAN
    before = None
    for t, t_prev in levels_of_a_walk(betas):
        data, h = guess_at(x, t, betas)[1], lambdas[t_prev] - lambdas[t]
        now = data, h
        if before and t_prev != CLEAN:
            guess, r = before[0], before[1] / h
            data = (1 + 1 / (2 * r)) * data - 1 / (2 * r) * guess
        x, before = samplers.dpm_solver_pp_step(x, data, t, t_prev, shares(betas)), now
        yield x


def by_posteriors(x, betas, variances):
    drawn = generator()
    for t in range(len(betas) - 1, -1, -1):
        levels = torch.full((len(x),), t)
        x, posterior = samplers.posterior_mean_variance(guess_at(x, t, betas)[1], x, levels, betas)
        if t > 0:
            spread = posterior if variances == "posterior" else betas[t]
            x = x + spread.sqrt() * torch.randn(SHAPE, generator=drawn, dtype=x.dtype)
        yield x


STEPS = {
    "ddpm": lambda x, betas: by_posteriors(x, betas, "posterior"),
    "ddpm, beta": lambda x, betas: by_posteriors(x, betas, "beta"),
    "ddim": lambda x, betas: by_ddim_steps(x, betas, 0.0),
    "ddim, eta 0.5": lambda x, betas: by_ddim_steps(x, betas, 0.5),
    "ddim, eta 1": lambda x, betas: by_ddim_steps(x, betas, 1.0),
    "dpm-solver++": by_dpm_solver_steps,
}


@pytest.mark.parametrize("betas", [FEW, *BETAS.values()], ids=["few", *BETAS])
@EVERY_SAMPLER
def test_a_walk_is_its_steps_one_after_another(name, betas):
    betas = betas[::20] if name.startswith("ddpm") and len(betas) == T else betas
    x = normal(*SHAPE, seed=6)
    for state, expected in zip(every_sampler(wavy, x, betas)[name], STEPS[name](x, betas), strict=True):
        assert (state.x_t - expected).abs().max() <= 1e-12 * max(1, expected.abs().max().item()), state.t


def test_a_stretch_without_noise_changes_nothing_on_the_way():
    """Where beta is 0 the level before is the same: a step there leads to where it began."""
    betas = torch.cat([FEW[:10], torch.zeros(3, dtype=torch.float64), FEW[10:]])
    levels = torch.tensor([22, 17, 12, 9, 4, 0])  # from 12 to 9 nothing happens
    states = {state.t: state for state in samplers.dpm_solver_pp_2m(still, X_64, levels, shares(betas))}
    assert torch.equal(states[9].x_t, states[12].x_t)
    assert all(state.x_t.isfinite().all() for state in states.values())
    without = samplers.dpm_solver_pp_2m(still, states[9].x_t, torch.tensor([9, 4, 0]), shares(betas))
    for state in without:
        torch.testing.assert_close(states[state.t].x_t, state.x_t, rtol=0, atol=1e-12)


# --- models that know the answer ---


@ON_EVERY_SCHEDULE
@EVERY_SAMPLER
def test_a_model_that_knows_the_only_point_leads_there(name, betas):
    point = normal(1, 1, 3, 4, seed=8).clamp(-1, 1)
    betas = betas[::20] if name.startswith("ddpm") else betas
    model = knows_the_point(point, shares(betas))
    for state in every_sampler(model, normal(*SHAPE), betas)[name]:
        assert torch.allclose(state.x0_hat, point.expand(SHAPE), rtol=1e-8, atol=1e-8)
    assert state.t == CLEAN
    assert torch.allclose(state.x_t, point.expand(SHAPE), rtol=1e-10, atol=1e-10)


def errors(sampler, steps, timesteps=1025, mean=0.3, std=0.5):
    """Distance to the exact solution of the probability-flow ODE at level 0, for each number of steps.

    Along the ODE (x_t - sqrt(abar_t) mean) / sqrt(abar_t std^2 + 1 - abar_t) stays constant. The levels
    divide the way evenly in lambda = log(sqrt(abar) / sqrt(1 - abar)), without rounding.
    """
    abar = torch.linspace(4, -4, timesteps, dtype=torch.float64).mul(2).sigmoid()
    model = knows_the_gaussian(mean, std, abar)
    x_T = normal(3, 1, 4, 5)

    def deviations(t):
        return mean * abar[t].sqrt(), (abar[t] * std**2 + 1 - abar[t]).sqrt()

    (m_T, s_T), (m_0, s_0) = deviations(-1), deviations(0)
    exact = m_0 + s_0 * (x_T - m_T) / s_T
    for n in steps:
        *_, at_level_0, _ = sampler(model, x_T, samplers.ddim_timesteps(timesteps, n + 1), abar)
        assert at_level_0.t == 0
        yield (at_level_0.x_t - exact).abs().max().item()


@pytest.mark.parametrize(
    ("sampler", "order"),
    [
        (lambda *args: samplers.ddim(*args, 0.0, generator=None), 1),
        (samplers.dpm_solver_pp_2m, 2),
    ],
    ids=["ddim", "dpm-solver++(2M)"],
)
def test_the_order_of_convergence(sampler, order):
    """Twice the steps, half the error (order 1), or a quarter of it (order 2)."""
    found = list(errors(sampler, [64, 128, 256, 512]))
    ratios = [before / after for before, after in itertools.pairwise(found)]
    assert ratios == pytest.approx([2**order] * 3, rel=0.1)


def test_the_second_order_is_worth_its_name_with_few_steps():
    ddim, dpm = (
        next(errors(sampler, [16]))
        for sampler in (lambda *args: samplers.ddim(*args, 0.0, generator=None), samplers.dpm_solver_pp_2m)
    )
    assert dpm < ddim / 4


def test_ddpms_two_variances_lie_on_both_sides_of_the_right_one():
    """For data between a point and a standard normal, beta-tilde loses variance, and beta gains it."""
    betas, mean, std = schedules.linear_beta_schedule(200, 5e-4, 0.1), 0.4, 0.3
    model, x_T = knows_the_gaussian(mean, std, shares(betas)), normal(1, 1, 100, 200)
    samples = {
        variance: last(samplers.ddpm(model, x_T, betas, variance=variance, generator=generator(1))).x_t
        for variance in ("posterior", "beta")
    }
    for sample in samples.values():
        assert sample.mean().item() == pytest.approx(mean, abs=0.02)
        assert sample.std().item() == pytest.approx(std, rel=0.1)
    assert samples["posterior"].std() < std < samples["beta"].std()


# --- how samplers behave ---


@EVERY_SAMPLER
def test_a_sampler_calls_its_model_once_a_level_with_levels_for_all_images(name):
    calls = []

    def model(x, t):
        assert (t.dtype, t.shape) == (torch.int64, (2,))
        assert t[0] == t[1]
        calls.append(t[0].item())
        return wavy(x, t)

    visited = [state.t for state in every_sampler(model, normal(*SHAPE), FEW)[name]]
    expected = range(19, -1, -1) if name.startswith("ddpm") else samplers.ddim_timesteps(20, 7).tolist()
    assert calls == list(expected)
    assert visited == [*calls[1:], CLEAN]


@EVERY_SAMPLER
def test_a_sampler_keeps_no_graph_and_leaves_global_state_alone(name):
    layer = torch.nn.Linear(4, 4, dtype=torch.float64)
    before = torch.get_rng_state()
    x = normal(*SHAPE)
    start = x.clone()
    for state in every_sampler(lambda x, t: layer(x), x, FEW)[name]:
        assert torch.is_grad_enabled()
        assert not state.x_t.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, start)


def test_a_deterministic_sampler_draws_nothing():
    drawn = generator(4)
    before = drawn.get_state()
    last(samplers.ddim(wavy, normal(*SHAPE), torch.tensor([9, 4, 0]), shares(FEW), 0.0, generator=drawn))
    assert torch.equal(drawn.get_state(), before)


@pytest.mark.parametrize(
    ("draws", "sampler"),
    [
        (19, lambda x, drawn: samplers.ddpm(wavy, x, FEW, generator=drawn)),
        (2, lambda x, drawn: samplers.ddim(wavy, x, LEVELS, shares(FEW), 0.5, generator=drawn)),
    ],
    ids=["ddpm", "ddim"],
)
def test_the_last_step_draws_nothing(draws, sampler):
    """One draw for each other step leaves the generator where it is found; in the end x_t is the guess."""
    drawn, expected = generator(4), generator(4)
    state = last(sampler(normal(*SHAPE), drawn))
    for _ in range(draws):
        torch.randn(SHAPE, generator=expected, dtype=torch.float64)
    assert torch.equal(drawn.get_state(), expected.get_state())
    assert torch.allclose(state.x_t, state.x0_hat, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip", [False, True])
def test_clipped_guesses_stay_in_the_range_of_images(clip):
    x, levels = 5 * normal(*SHAPE), samplers.ddim_timesteps(20, 6)
    runs = [
        samplers.ddpm(wavy, x, FEW, clip_x0=clip, generator=generator()),
        samplers.ddim(wavy, x, levels, shares(FEW), 0.5, clip_x0=clip, generator=generator()),
        samplers.dpm_solver_pp_2m(wavy, x, levels, shares(FEW), clip_x0=clip),
    ]
    for run in runs:
        states = list(run)
        assert (max(state.x0_hat.abs().max() for state in states) <= 1) == clip
        assert (states[-1].x_t.abs().max() <= 1 + 1e-12) == clip


@EVERY_SAMPLER
def test_states_keep_the_dtype_of_the_start_where_the_model_computes_in_less(name):
    def model(x, t):
        return wavy(x, t).bfloat16()

    for state in every_sampler(model, normal(*SHAPE, dtype=torch.float32), FEW)[name]:
        assert state.x_t.dtype == state.x0_hat.dtype == torch.float32
        assert state.x_t.isfinite().all()


@given(st.data(), st.integers(2, 2000))
def test_timesteps_fall_evenly_from_the_last_level_to_the_first(data, timesteps):
    steps = data.draw(st.integers(2, timesteps))
    levels = samplers.ddim_timesteps(timesteps, steps)
    exact = torch.linspace(timesteps - 1, 0, steps, dtype=torch.float64)
    assert (levels.dtype, levels.shape) == (torch.int64, (steps,))
    assert (levels[0], levels[-1]) == (timesteps - 1, 0)
    assert (levels.diff() < 0).all()
    assert (levels - exact).abs().max() <= 0.5 + 1e-9


@given(st.integers(1, 2000), st.data())
def test_trailing_timesteps_fall_evenly_from_the_last_level_to_the_clean_image(timesteps, data):
    steps = data.draw(st.integers(1, timesteps))
    levels = samplers.trailing_timesteps(timesteps, steps)
    exact = torch.linspace(timesteps - 1, CLEAN, steps + 1, dtype=torch.float64)
    assert (levels.dtype, levels.shape) == (torch.int64, (steps,))
    assert levels[0] == timesteps - 1
    assert (levels.diff() < 0).all() and levels[-1] >= 0
    assert (levels - exact[:-1]).abs().max() <= 0.5 + 1e-9


def test_trailing_timesteps_are_those_of_diffusers():
    """For a few numbers of steps, of which 61 is the first, rounding gives it one more: level -1."""
    peer = DDIMScheduler(T, timestep_spacing="trailing")
    for steps in range(1, T + 1):
        peer.set_timesteps(steps)
        assert torch.equal(samplers.trailing_timesteps(T, steps), peer.timesteps[:steps]), steps
        assert set(peer.timesteps[steps:].tolist()) <= {CLEAN}


# --- what they refuse ---

X = torch.zeros(SHAPE)
ABAR = shares(FEW)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: samplers.posterior_mean_variance(X, X, torch.tensor([0, 20]), FEW),
            ValueError,
            r"^posterior_mean_variance: t must lie in 0\.\.19, got 0\.\.20.*count from 1",
        ),
        (
            lambda: samplers.posterior_mean_variance(X, X, torch.tensor([0]), FEW),
            ValueError,
            r"^posterior_mean_variance: t must have an entry for each image",
        ),
        (
            lambda: samplers.posterior_mean_variance(X, X, torch.zeros(2), FEW),
            TypeError,
            r"^posterior_mean_variance: t must be an int64 tensor",
        ),
        (
            lambda: samplers.posterior_mean_variance(X, X, torch.tensor([0, 1]), 0 * FEW),
            ValueError,
            "^posterior_mean_variance: betas must begin above 0",
        ),
        (
            lambda: samplers.posterior_mean_variance(X, X, torch.tensor([0, 1]), 2 + FEW),
            ValueError,
            r"^posterior_mean_variance: betas must lie in 0\.\.1",
        ),
        (
            lambda: samplers.p_sample(wavy, X, 20, FEW, X),
            ValueError,
            r"^p_sample: t must lie in 0\.\.19, got 20",
        ),
        (
            lambda: samplers.p_sample(wavy, X, -1, FEW, X),
            ValueError,
            "^p_sample: t must be at least 0, got -1",
        ),
        (
            lambda: samplers.p_sample(wavy, X, LEVELS, FEW, X),
            TypeError,
            "^p_sample: t must be an int, got a int64",
        ),
        (
            lambda: samplers.p_sample_loop(wavy, X, FEW, torch.zeros(19, *SHAPE)),
            ValueError,
            r"^p_sample_loop: noises must be \(20, 2, 1, 3, 4\), one like x_T for each of the 20 steps",
        ),
        (
            lambda: next(samplers.ddpm(wavy, X, FEW, variance="std", generator=generator())),
            ValueError,
            '^ddpm: variance must be "posterior" or "beta", got \'std\'',
        ),
        (
            lambda: next(samplers.ddpm(wavy, X, 0 * FEW, generator=generator())),
            ValueError,
            "^ddpm: betas must begin above 0",
        ),
        (
            lambda: samplers.ddim_timesteps(10, 11),
            ValueError,
            "^ddim_timesteps: num_steps must not exceed num_train_steps, got 11 and 10",
        ),
        (
            lambda: samplers.ddim_timesteps(10, 1),
            ValueError,
            "^ddim_timesteps: num_steps must be at least 2, got 1",
        ),
        (lambda: samplers.ddim_timesteps(10, 2.0), TypeError, "^ddim_timesteps: num_steps must be an int"),
        (
            lambda: samplers.trailing_timesteps(10, 11),
            ValueError,
            "^trailing_timesteps: num_steps must not exceed num_train_steps, got 11 and 10",
        ),
        (
            lambda: samplers.trailing_timesteps(10, 0),
            ValueError,
            "^trailing_timesteps: num_steps must be at least 1, got 0",
        ),
        (
            lambda: samplers.trailing_timesteps(10.0, 2),
            TypeError,
            "^trailing_timesteps: num_train_steps must be an int",
        ),
        (
            lambda: next(samplers.ddim(wavy, X.long(), LEVELS, ABAR, 0.0, generator=None)),
            TypeError,
            "^ddim: x_T must be a floating-point tensor, got a int64",
        ),
        (
            lambda: next(samplers.ddpm(wavy, X[0, 0, 0, 0], FEW, generator=generator())),
            ValueError,
            "^ddpm: x_T needs a batch dimension",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, 3, ABAR, 0.0, X),
            ValueError,
            r"^ddim_step: levels must fall from step to step, got \[3, 3\]",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, -2, ABAR, 0.0, X),
            ValueError,
            "^ddim_step: t_prev must be at least -1, got -2",
        ),
        (
            lambda: samplers.ddim_step(X, X, 20, 3, ABAR, 0.0, X),
            ValueError,
            r"^ddim_step: t must lie in 0\.\.19",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, 1, ABAR, 1.5, X),
            ValueError,
            r"^ddim_step: eta must lie in 0\.\.1",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, 1, ABAR, math.nan, X),
            ValueError,
            "^ddim_step: eta must lie in",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, 1, torch.ones(5), 0.0, X),
            ValueError,
            "^ddim_step: alphas_cumprod must be below 1, got 1 at t = 3",
        ),
        (
            lambda: samplers.ddim_step(X, X, 3, 1, FEW, 0.0, X),
            ValueError,
            "^ddim_step: alphas_cumprod must not rise",
        ),
        (
            lambda: samplers.dpm_solver_pp_step(X, X, 3, 4, ABAR),
            ValueError,
            r"^dpm_solver_pp_step: levels must fall from step to step, got \[3, 4\]",
        ),
        (
            lambda: next(samplers.ddim(wavy, X, LEVELS, ABAR, 0.5, generator=None)),
            TypeError,
            r"^ddim: generator must be a torch\.Generator where eta is above 0, got eta = 0.5",
        ),
        (
            lambda: next(samplers.ddim(wavy, X, LEVELS, ABAR, -0.5, generator=generator())),
            ValueError,
            r"^ddim: eta must lie in 0\.\.1, got -0.5",
        ),
        (
            lambda: next(samplers.ddim(wavy, X, LEVELS.flip(0), ABAR, 0.0, generator=None)),
            ValueError,
            r"^ddim: levels must fall from step to step, got \[0, 7, 19, -1\]",
        ),
        (
            lambda: next(samplers.dpm_solver_pp_2m(wavy, X, LEVELS.double(), ABAR)),
            TypeError,
            r"^dpm_solver_pp_2m: timesteps must be an int64 tensor of shape \(n,\)",
        ),
        (
            lambda: next(samplers.dpm_solver_pp_2m(wavy, X, LEVELS[:0], ABAR)),
            TypeError,
            r"^dpm_solver_pp_2m: timesteps must be an int64 tensor of shape \(n,\)",
        ),
        (
            lambda: next(samplers.dpm_solver_pp_2m(wavy, X, LEVELS + 1, ABAR)),
            ValueError,
            r"^dpm_solver_pp_2m: t must lie in 0\.\.19, got 20",
        ),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@EVERY_SAMPLER
@pytest.mark.parametrize("late", [False, True])
def test_a_model_that_returns_another_shape_is_named(name, late):
    calls = []

    def model(x, t):
        calls.append(t)
        return x if late and len(calls) < 3 else x[..., :1]

    with pytest.raises(ValueError, match=r"^predict_x0: shapes must be equal, got x_t .*4\), noise .*1\)"):
        list(every_sampler(model, X, FEW)[name])
    assert len(calls) == (3 if late else 1)


@EVERY_SAMPLER
def test_a_start_without_signal_is_refused_before_the_model_is_called(name):
    def model(x, t):
        raise AssertionError("it was called")

    betas = torch.cat([FEW[:-1], torch.ones(1, dtype=torch.float64)])
    with pytest.raises(ValueError, match=r"^(?!predict_x0)\w+: alphas_cumprod must be .* t = \[19, 19\]"):
        next(every_sampler(model, X, betas)[name])


PAIRS = {
    "posterior_mean_variance": lambda a, b: samplers.posterior_mean_variance(
        a, b, torch.zeros(len(a), dtype=torch.int64), FEW
    )[0],
    "p_sample": lambda a, b: samplers.p_sample(lambda x, t: x, a, 3, FEW, b),
    "ddim_step": lambda a, b: samplers.ddim_step(a, b, 3, 1, ABAR, 0.5, a),
    "ddim_step ": lambda a, b: samplers.ddim_step(a, a, 3, 1, ABAR, 0.5, b),
    "dpm_solver_pp_step": lambda a, b: samplers.dpm_solver_pp_step(a, b, 3, 1, ABAR),
}
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize("function", PAIRS)
@given(shapes=st.tuples(SHAPES, SHAPES), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_tensors_of_two_shapes_are_refused_and_of_one_shape_give_it_back(function, shapes, dtype):
    a, b = (torch.ones(shape, dtype=dtype) for shape in shapes)
    if a.shape == b.shape:
        assert (PAIRS[function](a, b).shape, PAIRS[function](a, b).dtype) == (a.shape, dtype)
    else:
        with pytest.raises(ValueError, match=f"^{function.strip()}: shapes must be equal"):
            PAIRS[function](a, b)


@pytest.mark.parametrize("function", PAIRS)
@given(shape=SHAPES, dtype=st.sampled_from(WRONG_DTYPES), swapped=st.booleans())
def test_numbers_that_are_no_floats_are_refused(function, shape, dtype, swapped):
    pair = torch.ones(shape, dtype=dtype), torch.ones(shape)
    with pytest.raises(TypeError, match=f"^{function.strip()}: .* must be a floating-point tensor"):
        PAIRS[function](*(reversed(pair) if swapped else pair))


@given(st.lists(st.integers(-3, 25), min_size=1, max_size=5))
def test_samplers_take_falling_levels_of_the_schedule_and_no_others(levels):
    falling = all(a > b for a, b in itertools.pairwise(levels))
    if falling and min(levels) >= 0 and max(levels) < len(FEW):
        states = list(samplers.dpm_solver_pp_2m(wavy, X, torch.tensor(levels), ABAR))
        assert [state.t for state in states] == [*levels[1:], CLEAN]
    else:
        with pytest.raises(ValueError, match=r"^dpm_solver_pp_2m: (t must|levels must fall)"):
            list(samplers.dpm_solver_pp_2m(wavy, X, torch.tensor(levels), ABAR))


# --- where sampling ends, and what is done on the way ---


@given(SEEDS, st.integers(0, 6))
def test_ddim_ends_at_the_level_it_is_told(seed, last):
    """Stopping at a level is one step less of the same walk."""
    x_T, abar = normal(*SHAPE, seed=seed), shares(FEW)
    *_, end = samplers.ddim(wavy, x_T, torch.tensor([19, 7]), abar, 0.0, last=last, generator=None)
    longer = list(samplers.ddim(wavy, x_T, torch.tensor([19, 7, last]), abar, 0.0, generator=None))
    assert end.t == last
    torch.testing.assert_close(end.x_t, longer[1].x_t)


def test_ddim_refuses_to_end_above_its_levels():
    with pytest.raises(ValueError, match="levels must fall from step to step"):
        list(samplers.ddim(wavy, normal(*SHAPE), LEVELS, shares(FEW), 0.0, last=0, generator=None))


@pytest.mark.parametrize("name", ["ddim", "dpm_solver_pp_2m"])
def test_a_correction_is_what_the_next_step_starts_from(name):
    sampler, options = getattr(samplers, name), {"eta": 0.0, "generator": None} if name == "ddim" else {}
    point, abar = normal(*SHAPE, seed=5), shares(FEW)

    def put_back(x_t, t):
        noised = abar[t].sqrt() if t != CLEAN else 1.0
        return torch.cat([x_t[..., :2], (noised * point)[..., 2:]], dim=-1)

    states = list(sampler(wavy, normal(*SHAPE), LEVELS, abar, correct=put_back, **options))
    assert [state.t for state in states] == [7, 0, CLEAN]
    assert all(torch.equal(state.x_t[..., 2:], put_back(state.x_t, state.t)[..., 2:]) for state in states)
    torch.testing.assert_close(states[-1].x_t[..., 2:], point[..., 2:])
    t = torch.full((2,), 7)
    torch.testing.assert_close(states[1].x0_hat, predict_x0(states[0].x_t, t, wavy(states[0].x_t, t), abar))
