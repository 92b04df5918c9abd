"""Restoration: linear algebra of what is known, and walks that end where it is known exactly."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion import restoration, samplers, schedules
from course_utils.diffusion.forward import predict_x0

T = 1000
ABAR = schedules.alphas_cumprod(schedules.linear_beta_schedule(T, 1e-4, 0.02))
SEEDS = st.integers(0, 999)
SMALL = st.integers(1, 4)
KINDS = ("visible", "coarse", "grey")
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def a_mask(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5


def what_is_known(kind, h, w, factor=1, seed=0):
    """One Known of a kind, for images of h x w pixels that the factor divides."""
    if kind == "visible":
        return restoration.visible(a_mask(h, w, seed=seed))
    return restoration.coarse(factor) if kind == "coarse" else restoration.grey()


@st.composite
def cases(draw):
    """A shape (B, C, H, W), two images of it and a Known of each kind in turn."""
    b, c, factor, seed = draw(SMALL), draw(SMALL), draw(SMALL), draw(SEEDS)
    h, w = factor * draw(SMALL), factor * draw(SMALL)
    known = what_is_known(draw(st.sampled_from(KINDS)), h, w, factor, seed)
    return known, normal(b, c, h, w, seed=seed), normal(b, c, h, w, seed=seed + 1)


def matrix(function, shape):
    """A linear function of one example of that shape, as a matrix: a column for each number that goes in."""
    units = torch.eye(math.prod(shape), dtype=torch.float64).unflatten(1, shape)
    return function(units).flatten(1).T


def guessing(x0, abar=ABAR):
    """The model whose guess of x_0 is always the same, whatever it sees."""

    def model(x_t, t):
        share = abar[t].view(-1, 1, 1, 1)
        return ((x_t - share.sqrt() * x0) / (1 - share).sqrt()).to(x_t)

    return model


def wavy(x_t, t):
    """A model as bad as any."""
    return torch.sin(3 * x_t + t.view(-1, 1, 1, 1))


def last(states):
    *_, state = states
    return state.x_t


# --- what is known ---


@given(cases())
def test_the_nearest_image_agrees_with_what_is_known(case):
    known, x0, other = case
    y = known.measure(other)
    assert torch.allclose(known.measure(known.consistent(x0, y)), y, rtol=0, atol=1e-12)


@given(cases())
def test_lifting_and_measuring_gives_back_what_was_measured(case):
    known, x0, _ = case
    y = known.measure(x0)
    assert torch.allclose(known.measure(known.lift(y)), y, rtol=0, atol=1e-12)


@given(cases())
def test_an_image_that_agrees_is_left_alone_and_so_is_a_corrected_one(case):
    known, x0, other = case
    assert torch.allclose(known.consistent(x0, known.measure(x0)), x0, rtol=0, atol=1e-12)
    once = known.consistent(x0, known.measure(other))
    assert torch.allclose(known.consistent(once, known.measure(other)), once, rtol=0, atol=1e-12)


@given(cases())
def test_the_correction_is_orthogonal_to_all_that_the_measurement_cannot_see(case):
    """other - consistent(other, A(x0)) is what changes; z - L(A(z)) spans the null space."""
    known, x0, other = case
    correction = known.consistent(x0, known.measure(other)) - x0
    unseen = other - known.lift(known.measure(other))
    assert torch.allclose(known.measure(unseen), torch.zeros_like(known.measure(unseen)), rtol=0, atol=1e-12)
    assert (correction * unseen).sum().item() == pytest.approx(0, abs=1e-9)


@given(cases())
def test_no_image_that_agrees_is_nearer(case):
    known, x0, other = case
    nearest = known.consistent(x0, known.measure(other))  # other itself agrees, too
    assert (nearest - x0).square().sum() <= (other - x0).square().sum() + 1e-9


@EVERY_KIND
@pytest.mark.parametrize("size", [(4, 6), (2, 8)])
def test_lift_is_the_pseudo_inverse_of_the_measurement(kind, size):
    """As matrices, against torch.linalg.pinv: then x0 + L(y - A(x0)) is the projection of DDNM, eq. 13."""
    known = what_is_known(kind, *size, factor=2, seed=3)
    measurement = matrix(known.measure, (3, *size))
    shape = known.measure(torch.zeros(1, 3, *size)).shape[1:]
    lift = matrix(lambda y: known.lift(y).expand(-1, 3, *size), tuple(shape))
    assert torch.allclose(lift, torch.linalg.pinv(measurement), rtol=0, atol=1e-10)


@given(b=SMALL, c=SMALL, h=SMALL, w=SMALL, factor=SMALL, seed=SEEDS)
def test_a_coarse_image_is_the_one_that_area_interpolation_gives(b, c, h, w, factor, seed):
    x = normal(b, c, factor * h, factor * w, seed=seed)
    known = restoration.coarse(factor)
    y = known.measure(x)
    assert torch.allclose(y, F.interpolate(x, size=(h, w), mode="area"), rtol=0, atol=1e-12)
    assert torch.equal(known.lift(y), F.interpolate(y, scale_factor=float(factor), mode="nearest"))


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (3, 4, 6), (2, 1, 4, 6), (1, 1, 4, 6), (2, 3, 4, 6)])
def test_a_mask_may_lack_batch_and_channels(shape):
    mask, x, other = a_mask(*shape), normal(2, 3, 4, 6), normal(2, 3, 4, 6, seed=1)
    known, everywhere = restoration.visible(mask), mask.expand(2, 3, 4, 6)
    y = known.measure(other)
    assert torch.equal(y, torch.where(everywhere, other, 0.0))
    assert torch.allclose(known.consistent(x, y), torch.where(everywhere, other, x), rtol=0, atol=1e-12)


# --- models that always agree ---


def walks(model, x_T, betas):
    """The last state of each sampler."""
    abar, some = schedules.alphas_cumprod(betas), samplers.ddim_timesteps(len(betas), 6)
    generator = torch.Generator().manual_seed(5)
    return {
        "ddpm": last(samplers.ddpm(model, x_T, betas, generator=generator)),
        "ddim, eta 0": last(samplers.ddim(model, x_T, some, abar, 0.0, generator=None)),
        "ddim, eta 1": last(samplers.ddim(model, x_T, some, abar, 1.0, generator=generator)),
        "dpm-solver++": last(samplers.dpm_solver_pp_2m(model, x_T, some, abar)),
    }


@EVERY_KIND
@pytest.mark.parametrize("clip", [False, True])
def test_every_sampler_ends_at_an_image_that_agrees_exactly(kind, clip):
    betas = schedules.linear_beta_schedule(20, 0.02, 0.3)
    abar = schedules.alphas_cumprod(betas)
    known, x0 = what_is_known(kind, 4, 6, factor=2), normal(2, 3, 4, 6).clamp(-1, 1)
    y = known.measure(x0)
    model = restoration.restoring(wavy, known, y, abar, clip_x0=clip)
    for name, end in walks(model, normal(2, 3, 4, 6, seed=1), betas).items():
        assert torch.allclose(known.measure(end), y, rtol=0, atol=1e-12), name
        assert (end - x0).abs().max() > 0.1, name  # the model knows nothing; what is unknown stays so


@EVERY_KIND
def test_in_float32_it_agrees_to_the_last_digits(kind):
    known, x0 = what_is_known(kind, 4, 6, factor=2), normal(2, 3, 4, 6, dtype=torch.float32).clamp(-1, 1)
    y = known.measure(x0)
    model = restoration.restoring(wavy, known, y, ABAR)
    start, levels = normal(2, 3, 4, 6, seed=1, dtype=torch.float32), samplers.ddim_timesteps(T, 10)
    end = last(samplers.ddim(model, start, levels, ABAR, 1.0, generator=torch.Generator().manual_seed(5)))
    assert end.dtype == torch.float32
    assert torch.allclose(known.measure(end), y, rtol=0, atol=1e-5)


@EVERY_KIND
def test_a_model_that_knows_the_image_restores_it(kind):
    known, x0 = what_is_known(kind, 4, 6, factor=2), normal(2, 3, 4, 6).clamp(-1, 1)
    model = restoration.restoring(guessing(x0), known, known.measure(x0), ABAR)
    levels = samplers.ddim_timesteps(T, 8)
    for state in samplers.ddim(
        model, normal(2, 3, 4, 6, seed=1), levels, ABAR, 1.0, generator=torch.Generator().manual_seed(5)
    ):
        assert torch.allclose(state.x0_hat, x0, rtol=0, atol=1e-9)
    assert torch.allclose(state.x_t, x0, rtol=0, atol=1e-12)


@given(case=cases(), t=st.integers(0, T - 1))
def test_the_guess_is_the_nearest_consistent_image_to_the_models_guess(case, t):
    known, x0, other = case
    levels, y = torch.full((len(x0),), t), known.measure(other)
    for clip, guess in ((False, x0), (True, x0.clamp(-1, 1))):
        model = restoration.restoring(guessing(x0), known, y, ABAR, clip_x0=clip)
        found = predict_x0(other, levels, model(other, levels), ABAR)
        assert torch.allclose(found, known.consistent(guess, y), rtol=0, atol=1e-8)


def test_a_level_for_each_image():
    """A batch is its images one by one."""
    known, x_t = restoration.grey(), normal(3, 2, 4, 6)
    y, t = known.measure(normal(3, 2, 4, 6, seed=1)), torch.tensor([0, 500, 999])
    together = restoration.restoring(wavy, known, y, ABAR)(x_t, t)
    for i in range(3):
        alone = restoration.restoring(wavy, known, y[i : i + 1], ABAR)(x_t[i : i + 1], t[i : i + 1])
        assert torch.allclose(alone[0], together[i], rtol=1e-12, atol=1e-12)


def test_the_samplers_own_clipping_would_undo_the_agreement():
    """Why it is to be left off: the nearest consistent image may leave [-1, 1]."""
    known, x0 = restoration.coarse(2), torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double().view(1, 1, 2, 2)
    guess = torch.tensor([[1.0, -1.0], [-1.0, -1.0]]).double().view(1, 1, 2, 2)
    y, levels = known.measure(x0), samplers.ddim_timesteps(T, 5)
    model = restoration.restoring(guessing(guess), known, y, ABAR)
    start = normal(1, 1, 2, 2)
    ends = {
        clip: last(samplers.ddim(model, start, levels, ABAR, 0.0, clip_x0=clip, generator=None))
        for clip in (False, True)
    }
    assert torch.allclose(known.measure(ends[False]), y, rtol=0, atol=1e-12)
    assert (known.measure(ends[True]) - y).abs().max() > 0.1


def test_fresh_noise_brings_the_unknown_part_nearer_to_what_follows_from_the_known():
    """Two pixels of correlation 0.99, one of them known: the other's mean is 0.99 times it."""
    correlation, n = 0.99, 4000
    covariance = torch.tensor([[1, correlation], [correlation, 1]]).double()

    def knows_the_gaussian(x_t, t):
        share = ABAR[t[0]]
        marginal = share * covariance + (1 - share) * torch.eye(2).double()
        return (1 - share).sqrt() * x_t @ torch.linalg.inv(marginal)

    x0 = normal(n, 1, 1, 2) @ torch.linalg.cholesky(covariance).T
    known = restoration.visible(torch.tensor([[True, False]]))
    y, levels = known.measure(x0), samplers.ddim_timesteps(T, 50)
    model = restoration.restoring(knows_the_gaussian, known, y, ABAR, clip_x0=False)
    errors = {}
    for eta in (0.0, 1.0):
        draws = torch.Generator().manual_seed(5)
        end = last(samplers.ddim(model, normal(n, 1, 1, 2, seed=1), levels, ABAR, eta, generator=draws))
        errors[eta] = (end[..., 1] - correlation * x0[..., 0]).square().mean().sqrt()
    assert errors[1.0] < 0.75 * errors[0.0]


# --- what they refuse ---


@given(shape=st.lists(SMALL, min_size=1, max_size=5).map(tuple))
def test_a_mask_that_does_not_fit_is_refused(shape):
    x, known = normal(2, 3, 4, 4), restoration.visible(torch.ones(shape, dtype=torch.bool))
    sizes = (1,) * (4 - len(shape)) + shape
    if len(shape) in (2, 3, 4) and sizes[2:] == (4, 4) and sizes[0] in (1, 2) and sizes[1] in (1, 3):
        assert torch.equal(known.measure(x), x)
    else:
        with pytest.raises(ValueError, match=r"^visible: mask .* does not fit images \(2, 3, 4, 4\)"):
            known.measure(x)


@pytest.mark.parametrize("wrong", [None, [[True]], torch.ones(4, 6), torch.ones(4, 6, dtype=torch.uint8)])
def test_a_mask_is_a_bool_tensor(wrong):
    with pytest.raises(TypeError, match=r"^visible: mask must be a bool tensor"):
        restoration.visible(wrong)


@given(factor=st.integers(2, 5), h=st.integers(1, 12), w=st.integers(1, 12))
def test_the_factor_must_divide_both_sides(factor, h, w):
    known, x = restoration.coarse(factor), normal(1, 2, h, w)
    if h % factor or w % factor:
        with pytest.raises(ValueError, match=f"^coarse: {factor} must divide both sides"):
            known.measure(x)
    else:
        assert known.measure(x).shape == (1, 2, h // factor, w // factor)


@pytest.mark.parametrize(
    ("factor", "error"), [(0, ValueError), (-2, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_the_factor_is_a_whole_number_from_one_on(factor, error):
    with pytest.raises(error, match=r"^coarse: factor must be"):
        restoration.coarse(factor)


@EVERY_KIND
@given(shape=st.lists(SMALL, min_size=1, max_size=4).map(tuple))
def test_what_is_known_of_other_images_is_never_broadcast(kind, shape):
    known, x = what_is_known(kind, 4, 2, factor=2), normal(2, 3, 4, 2)
    right = tuple(known.measure(x).shape)
    if shape == right:
        assert known.consistent(x, torch.zeros(shape).double()).shape == x.shape
    else:
        with pytest.raises(ValueError, match=r"^consistent: shapes must be equal, got y \("):
            known.consistent(x, torch.zeros(shape).double())


@EVERY_KIND
def test_restoring_refuses_batches_that_are_not_those_of_y(kind):
    known, t = what_is_known(kind, 4, 6, factor=2), torch.zeros(2, dtype=torch.int64)
    for other in (1, 3):
        model = restoration.restoring(wavy, known, known.measure(normal(other, 3, 4, 6)), ABAR)
        with pytest.raises(ValueError, match="shapes must be equal"):
            model(normal(2, 3, 4, 6), t)


def test_restoring_refuses_levels_that_are_none():
    known = restoration.grey()
    model = restoration.restoring(lambda x, t: x, known, known.measure(normal(2, 3, 4, 6)), ABAR)
    with pytest.raises(ValueError, match=r"t must lie in 0\.\.999"):
        model(normal(2, 3, 4, 6), torch.tensor([0, T]))
    with pytest.raises(TypeError, match="t must be an int64 tensor"):
        model(normal(2, 3, 4, 6), torch.zeros(2))
