"""Chapter 2's references, against torch.distributions, scikit-learn, autograd, integrals, and identities."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_squared_error
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from course_utils import denoising as dn
from course_utils.training import seeded

SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)
WRONG_DTYPES = (torch.uint8, torch.int64, torch.bool)
SEEDS = st.integers(0, 999)
PAIRS = {
    "add_noise": lambda a, b: dn.add_noise(a, 0.1, b),
    "psnr": lambda a, b: dn.psnr(a, b, 1.0),
    "score_from_denoiser": lambda a, b: dn.score_from_denoiser(a, b, 0.1),
}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def modes_of(n, seed=0):
    """(n,) numbers of Gaussians, 0..2."""
    return torch.randint(3, (n,), generator=torch.Generator().manual_seed(seed))


def mixture(modes=3, dims=2, std=0.4, seed=7, dtype=torch.float64):
    return dn.GaussianMixture(2 * normal(modes, dims, seed=seed, dtype=dtype), std)


def as_distribution(data, sigma):
    """The same density, by torch.distributions."""
    components = Independent(Normal(data.means, math.hypot(data.std, sigma)), 1)
    return MixtureSameFamily(Categorical(logits=torch.zeros(len(data.means)).double()), components)


# --- corruption ---


@given(SHAPES, st.floats(0, 2), SEEDS)
def test_add_noise_is_a_sum_kept_between_black_and_white(shape, sigma, seed):
    x, noise = uniform(*shape, seed=seed), normal(*shape, seed=seed + 1)
    noisy = dn.add_noise(x, sigma, noise)
    expected = [min(max(a + sigma * e, 0.0), 1.0) for a, e in zip(x.flatten(), noise.flatten(), strict=True)]
    assert noisy.shape == x.shape
    assert noisy.flatten().tolist() == pytest.approx([float(e) for e in expected], abs=1e-12)


def test_add_noise_without_noise_is_the_image_and_far_from_the_ends_has_standard_deviation_sigma():
    x = torch.full((1, 1, 200, 200), 0.5, dtype=torch.float64)
    noise = normal(*x.shape)
    assert torch.equal(dn.add_noise(x, 0.0, noise), x)
    assert (dn.add_noise(x, 0.05, noise) - x).std().item() == pytest.approx(0.05, rel=0.02)


@given(st.integers(-4, 9), st.integers(-4, 9), st.integers(1, 9), st.integers(1, 3))
def test_cover_squares_blackens_pixel_by_pixel(row, column, side, channels):
    x = 0.5 + uniform(2, channels, 5, 7)
    corners = torch.tensor([[row, column], [0, 0]])
    covered = dn.cover_squares(x, corners, side)
    for image, corner, after in zip(x, corners.tolist(), covered, strict=True):
        for i in range(5):
            for j in range(7):
                inside = corner[0] <= i < corner[0] + side and corner[1] <= j < corner[1] + side
                assert torch.equal(after[:, i, j], torch.zeros(channels) if inside else image[:, i, j])


@pytest.mark.parametrize(
    ("x", "corners", "side", "error", "message"),
    [
        (torch.rand(2, 5, 5), torch.zeros(2, 2), 1, ValueError, r"4 dimensions \(B, C, H, W\).*x\[None\]"),
        (torch.rand(2, 1, 5, 5), torch.zeros(1, 2), 1, ValueError, r"corners must be \(B, 2\) with B = 2"),
        (torch.rand(2, 1, 5, 5), torch.zeros(2), 1, ValueError, r"corners must be \(B, 2\) with B = 2"),
        (torch.rand(2, 1, 5, 5), torch.zeros(2, 2), 0, ValueError, "side must be at least 1, got 0"),
        (torch.rand(2, 1, 5, 5), torch.zeros(2, 2), 2.0, TypeError, "side must be an int"),
    ],
)
def test_cover_squares_refuses(x, corners, side, error, message):
    with pytest.raises(error, match=message):
        dn.cover_squares(x, corners, side)


# --- training ---


def test_restoration_step_is_gradient_descent_on_the_mean_squared_error():
    model = nn.Linear(3, 3, dtype=torch.float64)
    corrupted, clean = uniform(5, 3), uniform(5, 3, seed=1)
    before = model.weight.detach().clone()
    difference = (model(corrupted) - clean).detach()
    loss = dn.restoration_step(model, corrupted, clean, torch.optim.SGD(model.parameters(), lr=0.1))
    assert loss == pytest.approx(difference.square().mean().item(), abs=1e-12)
    gradient = 2 * difference.T @ corrupted / clean.numel()  # by hand
    assert torch.allclose(model.weight, before - 0.1 * gradient, atol=1e-12)


def test_denoise_step_restores_clean_images_from_noisy_ones():
    x, noise = uniform(4, 1, 3, 5), normal(4, 1, 3, 5, seed=1)
    ours = nn.Linear(5, 5, dtype=torch.float64)
    theirs = copy.deepcopy(ours)
    loss = dn.denoise_step(ours, x, 0.7, noise, torch.optim.SGD(ours.parameters(), lr=0.1))
    noisy = torch.clip(x + 0.7 * noise, 0, 1)
    assert loss == dn.restoration_step(theirs, noisy, x, torch.optim.SGD(theirs.parameters(), lr=0.1))
    assert torch.equal(ours.weight, theirs.weight)


def test_a_step_refuses_a_model_that_changes_the_shape():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.rand(5, 3)
    for step in (
        lambda: dn.restoration_step(model, x, x, optimizer),
        lambda: dn.denoise_step(model, x, 0.1, torch.zeros(5, 3), optimizer),
    ):
        with pytest.raises(ValueError, match=r"shapes must be equal, got x_hat \(5, 1\), clean \(5, 3\)"):
            step()


def test_a_dense_denoiser_learns_a_few_images_by_heart():
    x = (uniform(4, 1, 28, 28, dtype=torch.float32) > 0.8).float()
    with seeded(0):
        model = dn.DenseDenoiser(hidden=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    noises = (normal(*x.shape, seed=step, dtype=torch.float32) for step in range(80))
    losses = [dn.denoise_step(model, x, 0.5, noise, optimizer) for noise in noises]
    assert losses[-1] < 0.1 * losses[0]


def test_a_point_denoiser_comes_close_to_the_best_one():
    data, sigma = mixture(dtype=torch.float32), 0.5
    with seeded(0):
        model = dn.PointDenoiser(hidden=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def pairs(seed):
        mine, added = normal(2, 256, 2, seed=seed, dtype=torch.float32)
        clean = data.sample(mine, modes_of(256, seed))
        return clean + sigma * added, clean

    noisy, _ = pairs(seed=1000)
    best = data.denoise(noisy, sigma)
    before = (model(noisy) - best).square().mean()
    for step in range(300):
        dn.restoration_step(model, *pairs(step), optimizer)
    assert (model(noisy) - best).square().mean() < 0.05 * before


@pytest.mark.parametrize("batch", [1, 3])
def test_denoisers_map_shapes_and_ranges(batch):
    x_hat = dn.DenseDenoiser(7)(uniform(batch, 1, 28, 28, dtype=torch.float32))
    assert x_hat.shape == (batch, 1, 28, 28)
    assert x_hat.min() > 0
    assert x_hat.max() < 1
    assert dn.PointDenoiser(7)(normal(batch, 2, dtype=torch.float32)).shape == (batch, 2)


@pytest.mark.parametrize("denoiser", [dn.DenseDenoiser, dn.PointDenoiser])
@pytest.mark.parametrize(("hidden", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_denoisers_refuse(denoiser, hidden, error):
    with pytest.raises(error, match=f"{denoiser.__name__}: hidden must be"):
        denoiser(hidden)


# --- iteration ---


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), SEEDS)
def test_iterating_n_and_then_m_times_is_iterating_n_plus_m_times(n, m, batch, seed):
    with seeded(seed):
        model = nn.Sequential(nn.Linear(5, 5), nn.Tanh()).double()
    x = uniform(batch, 5, seed=seed)
    once = dn.iterate_denoiser(model, x, n + m)
    first = dn.iterate_denoiser(model, x, n)
    then = dn.iterate_denoiser(model, first[-1], m)
    assert once.shape == (n + m + 1, batch, 5)
    assert torch.allclose(once, torch.cat([first, then[1:]]), rtol=0, atol=1e-12)
    assert torch.equal(once[0], x)


def test_iterate_denoiser_follows_a_map_whose_iterates_are_known():
    class Halve(nn.Module):
        def forward(self, x):
            return x / 2

    x = uniform(2, 1, 3, 4)
    states = dn.iterate_denoiser(Halve(), x, 3)
    assert torch.equal(states, torch.stack([x, x / 2, x / 4, x / 8]))


def test_iterate_denoiser_remembers_no_computation():
    assert not dn.iterate_denoiser(nn.Linear(3, 3), torch.rand(2, 3), 2).requires_grad


@pytest.mark.parametrize(
    ("x", "n", "error", "message"),
    [
        (torch.rand(2, 3), -1, ValueError, "iterate_denoiser: n must be at least 0, got -1"),
        (torch.rand(2, 3), 1.0, TypeError, "iterate_denoiser: n must be an int"),
        (torch.ones(2, 3, dtype=torch.uint8), 1, TypeError, "iterate_denoiser: x must be a floating-point"),
    ],
)
def test_iterate_denoiser_refuses(x, n, error, message):
    with pytest.raises(error, match=message):
        dn.iterate_denoiser(nn.Identity(), x, n)


# --- psnr ---


@given(SHAPES, st.floats(0.1, 300), SEEDS)
def test_psnr_is_that_of_scikit_learns_error(shape, data_range, seed):
    x, x_hat = data_range * uniform(*shape, seed=seed), data_range * uniform(*shape, seed=seed + 1)
    errors = [mean_squared_error(a.flatten(), b.flatten()) for a, b in zip(x, x_hat, strict=True)]
    expected = [20 * math.log10(data_range) - 10 * math.log10(error) for error in errors]
    assert dn.psnr(x_hat, x, data_range).tolist() == pytest.approx(expected, abs=1e-9)


def test_psnr_counts_decibels():
    x, noise = uniform(3, 1, 8, 9), normal(3, 1, 8, 9, seed=1)
    decibels = dn.psnr(x + 0.1 * noise, x, 1.0)
    assert torch.allclose(dn.psnr(x + 0.01 * noise, x, 1.0), decibels + 20, atol=1e-9)
    assert torch.allclose(dn.psnr(2 * (x + 0.1 * noise) - 1, 2 * x - 1, 2.0), decibels, atol=1e-9)
    assert dn.psnr(x + 0.1, x, 1.0).tolist() == pytest.approx([20, 20, 20])
    assert dn.psnr(x, x, 1.0).tolist() == [math.inf] * 3


@pytest.mark.parametrize("data_range", [0.0, -1.0, math.nan])
def test_psnr_refuses_a_range_that_is_none(data_range):
    with pytest.raises(ValueError, match="psnr: data_range must be positive, got"):
        dn.psnr(torch.rand(2, 3), torch.rand(2, 3), data_range)


def test_psnr_refuses_numbers_without_a_batch():
    with pytest.raises(ValueError, match=r"psnr: x needs a batch dimension and pixels, got shape \(4,\)"):
        dn.psnr(torch.rand(4), torch.rand(4), 1.0)


# --- what all of these refuse ---


@pytest.mark.parametrize("function", PAIRS)
@given(shapes=st.tuples(SHAPES, SHAPES))
def test_functions_of_two_images_refuse_to_broadcast(function, shapes):
    a, b = (torch.rand(shape) for shape in shapes)
    if a.shape == b.shape:
        assert PAIRS[function](a, b).shape in (a.shape, a.shape[:1])
    else:
        with pytest.raises(ValueError, match=f"^{function}: shapes must be equal"):
            PAIRS[function](a, b)


@pytest.mark.parametrize("function", PAIRS)
@given(shape=SHAPES, dtype=st.sampled_from(WRONG_DTYPES), swapped=st.booleans())
def test_functions_of_two_images_refuse_other_dtypes(function, shape, dtype, swapped):
    pair = torch.ones(shape, dtype=dtype), torch.rand(shape)
    with pytest.raises(TypeError, match=f"^{function}: .* must be a floating-point tensor"):
        PAIRS[function](*(reversed(pair) if swapped else pair))


@pytest.mark.parametrize("sigma", [-0.1, math.nan])
@pytest.mark.parametrize("function", ["add_noise", "score_from_denoiser", "log_density", "score", "denoise"])
def test_a_standard_deviation_is_never_negative(function, sigma):
    points = normal(4, 2)
    call = {
        "add_noise": lambda: dn.add_noise(points, sigma, points),
        "score_from_denoiser": lambda: dn.score_from_denoiser(points, points, sigma),
    }.get(function, lambda: getattr(mixture(), function)(points, sigma))
    with pytest.raises(ValueError, match=f"{function}: sigma must not be negative, got"):
        call()


def test_there_is_no_score_without_noise():
    with pytest.raises(ValueError, match="score_from_denoiser: sigma must be positive"):
        dn.score_from_denoiser(normal(2, 2), normal(2, 2), 0.0)


# --- the mixture whose every noisy density is known ---


@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.1, 2), st.floats(0, 3), SEEDS)
def test_log_density_is_that_of_torch_distributions(modes, dims, std, sigma, seed):
    data, points = mixture(modes, dims, std, seed), 2 * normal(6, dims, seed=seed + 1)
    expected = as_distribution(data, sigma).log_prob(points)
    assert torch.allclose(data.log_density(points, sigma), expected, rtol=1e-10, atol=1e-10)


@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.2, 2), st.floats(0, 3), SEEDS)
def test_score_is_the_gradient_of_the_log_density(modes, dims, std, sigma, seed):
    data, points = mixture(modes, dims, std, seed), 2 * normal(6, dims, seed=seed + 1).requires_grad_()
    (gradient,) = torch.autograd.grad(data.log_density(points, sigma).sum(), points)
    assert torch.allclose(data.score(points, sigma), gradient, rtol=1e-10, atol=1e-10)


@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.2, 2), st.floats(0.1, 3), SEEDS)
def test_tweedies_formula_turns_the_best_denoiser_into_the_score(modes, dims, std, sigma, seed):
    data, points = mixture(modes, dims, std, seed), 2 * normal(6, dims, seed=seed + 1)
    ours = dn.score_from_denoiser(data.denoise(points, sigma), points, sigma)
    assert torch.allclose(ours, data.score(points, sigma), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_the_best_denoiser_is_the_mean_of_the_posterior_by_numerical_integration(sigma):
    data, noisy = mixture(dims=1), 2 * normal(7, 1)
    x = torch.linspace(-30, 30, 20_001, dtype=torch.float64)
    joint = as_distribution(data, 0.0).log_prob(x[:, None]).exp() * Normal(x, sigma).log_prob(noisy).exp()
    expected = (joint * x).sum(dim=1) / joint.sum(dim=1)
    assert torch.allclose(data.denoise(noisy, sigma)[:, 0], expected, atol=1e-10)


def test_without_noise_the_best_denoiser_does_nothing():
    data, points = mixture(), normal(5, 2)
    assert torch.allclose(data.denoise(points, 0.0), points, atol=1e-12)


def test_no_other_denoiser_beats_the_best_one():
    data, sigma = mixture(), 0.7
    clean = data.sample(normal(20_000, 2), modes_of(20_000, seed=1))
    noisy = clean + sigma * normal(20_000, 2, seed=2)

    def error(denoised):
        return (denoised - clean).square().sum(dim=1).mean().item()

    best = data.denoise(noisy, sigma)
    others = {
        "nothing": noisy,
        "nearest centre": data.means[torch.cdist(noisy, data.means).argmin(dim=1)],
        "too little noise assumed": data.denoise(noisy, 0.5 * sigma),
        "too much noise assumed": data.denoise(noisy, 1.5 * sigma),
        "half of the way": (noisy + best) / 2,
        "moved": best + torch.tensor([0.1, -0.1]),
        "stretched": 1.1 * best,
        "turned": best + 0.1 * best.flip(1),
    }
    for name, other in others.items():
        assert error(best) < error(other), name


def test_samples_have_the_moments_of_the_mixture():
    data = mixture()
    chosen = torch.arange(30_000) % 3
    points = data.sample(normal(30_000, 2), chosen)
    for mode, mean in enumerate(data.means):
        mine = points[chosen == mode]
        assert torch.allclose(mine.mean(dim=0), mean, atol=0.02)
        assert torch.allclose(mine.std(dim=0), torch.tensor(data.std, dtype=torch.float64), rtol=0.03)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: dn.GaussianMixture(torch.rand(3), 0.1),
            ValueError,
            r"means must have 2 dimensions \(M, D\)",
        ),
        (lambda: dn.GaussianMixture(torch.ones(3, 2, dtype=torch.int64), 0.1), TypeError, "floating-point"),
        (lambda: dn.GaussianMixture(torch.rand(3, 2), 0.0), ValueError, "std must be positive, got 0.0"),
        (lambda: mixture().score(normal(4), 0.1), ValueError, r"points must have 2 dimensions \(B, D\)"),
        (
            lambda: mixture().denoise(normal(4, 1), 0.1),
            ValueError,
            r"points must be \(B, 2\) like the means, got \(4, 1\)",
        ),
        (
            lambda: mixture().log_density(torch.ones(4, 2, dtype=torch.int64), 0.1),
            TypeError,
            "points must be a floating-point tensor",
        ),
        (
            lambda: mixture().sample(normal(4, 2), torch.zeros(1, dtype=torch.int64)),
            ValueError,
            r"sample: shapes must be equal, got noise \(4, 2\), centres \(1, 2\)",
        ),
    ],
)
def test_the_mixture_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
