"""Chapter 4's references, against torch's losses, SciPy, closed forms, and Goodfellow's propositions."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from torch import nn
from torch.distributions import Normal

from course_utils import gan
from course_utils.denoising import GaussianMixture
from course_utils.training import seeded

SIZES, SEEDS = st.integers(1, 9), st.integers(0, 999)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
NOT_FLOATS = st.sampled_from([torch.uint8, torch.int64, torch.bool, torch.complex64])
KINDS = ("non_saturating", "minimax")
PAIRS = {
    "optimal_discriminator": gan.optimal_discriminator,
    "js_divergence": gan.js_divergence,
}


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=stream(seed))


def distribution(n, seed=0, zeros=0):
    """(n,) probabilities, the first `zeros` of them 0."""
    weights = torch.rand(n, dtype=torch.float64, generator=stream(seed)) + 0.01
    weights[:zeros] = 0
    return weights / weights.sum()


def objective(d, p_data, p_generator):
    """E_data[log D] + E_generator[log(1 - D)], which the discriminator maximises."""
    return (torch.xlogy(p_data, d) + torch.xlogy(p_generator, 1 - d)).sum().item()


def players(seed=0):
    """A small generator and discriminator of points in a plane."""
    with seeded(seed):
        return gan.PointGenerator(3, hidden=8), gan.PointDiscriminator(hidden=8)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def same_state(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


# --- losses ---


@given(SIZES, SIZES, SEEDS)
def test_discriminator_loss_is_torchs_cross_entropy_of_both_batches(n, m, seed):
    real, fake = 4 * normal(n, seed=seed), 4 * normal(m, seed=seed + 1)
    theirs = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    theirs = theirs + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    torch.testing.assert_close(gan.discriminator_loss(real, fake), theirs, rtol=1e-10, atol=1e-12)
    single = gan.discriminator_loss(real.float(), fake.float())
    torch.testing.assert_close(single, theirs.float(), rtol=1e-5, atol=1e-6)


@given(SIZES, SEEDS)
def test_generator_losses_are_torchs_cross_entropies(n, seed):
    fake = 4 * normal(n, seed=seed)
    as_real = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    as_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    torch.testing.assert_close(gan.generator_loss(fake, "non_saturating"), as_real, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gan.generator_loss(fake, "minimax"), -as_fake, rtol=1e-10, atol=1e-12)


@given(SIZES, SIZES, SEEDS)
def test_discriminator_loss_is_the_negative_of_the_objective_it_maximises(n, m, seed):
    real, fake = normal(n, seed=seed), normal(m, seed=seed + 1)
    value = real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()
    torch.testing.assert_close(gan.discriminator_loss(real, fake), -value)


def test_a_discriminator_that_knows_nothing_pays_two_log_2():
    assert gan.discriminator_loss(torch.zeros(3), torch.zeros(5)).item() == pytest.approx(2 * math.log(2))


def test_losses_of_sure_logits_are_the_logits():
    sure = torch.tensor([100.0])
    assert gan.discriminator_loss(-sure, sure).item() == pytest.approx(200)
    assert gan.discriminator_loss(sure, -sure).item() == pytest.approx(0, abs=1e-30)
    assert gan.generator_loss(-sure, "non_saturating").item() == pytest.approx(100)
    assert gan.generator_loss(sure, "minimax").item() == pytest.approx(-100)


def gradient_of(kind, logit):
    leaf = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gan.generator_loss(leaf, kind), leaf)
    return gradient.item()


@given(st.floats(-30, 30))
def test_gradients_by_a_logit_are_those_of_the_closed_form(logit):
    d = 1 / (1 + math.exp(-logit))
    assert gradient_of("non_saturating", logit) == pytest.approx(-1 / (1 + math.exp(logit)), rel=1e-10)
    assert gradient_of("minimax", logit) == pytest.approx(-d, rel=1e-10)


def test_where_fakes_are_recognised_the_minimax_gradient_has_almost_vanished():
    assert -gradient_of("minimax", -6.0) == pytest.approx(0.0025, abs=5e-5)
    assert -gradient_of("non_saturating", -6.0) == pytest.approx(0.9975, abs=5e-5)


@given(st.floats(-20, 20))
def test_both_losses_push_logits_up_and_by_one_together(logit):
    gradients = [gradient_of(kind, logit) for kind in KINDS]
    assert all(gradient < 0 for gradient in gradients)
    assert sum(gradients) == pytest.approx(-1)


@given(NOT_FLOATS, st.booleans())
def test_losses_refuse_other_dtypes(dtype, swapped):
    pair = [torch.ones(3, dtype=dtype), torch.ones(3)]
    with pytest.raises(TypeError, match=r"^discriminator_loss: .* must be a floating-point tensor"):
        gan.discriminator_loss(*(reversed(pair) if swapped else pair))
    with pytest.raises(TypeError, match=r"^generator_loss: fake_logits must be a floating-point tensor"):
        gan.generator_loss(pair[0], "minimax")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gan.discriminator_loss(torch.ones(0), torch.ones(2)), "real_logits must not be empty"),
        (lambda: gan.discriminator_loss(torch.ones(2), torch.ones(0)), "fake_logits must not be empty"),
        (lambda: gan.generator_loss(torch.ones(0), "minimax"), "fake_logits must not be empty"),
        (lambda: gan.generator_loss(torch.ones(2), "max"), "kind must be 'non_saturating' or 'minimax', got"),
    ],
)
def test_losses_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- networks ---


@given(st.integers(1, 20), st.integers(2, 4))
def test_the_generator_makes_images_in_the_range_of_tanh(latent_dim, b):
    images = gan.Generator(latent_dim)(10 * normal(b, latent_dim, dtype=torch.float32))
    assert images.shape == (b, 1, 28, 28) and images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_the_generators_layers_are_the_published_ones():
    kinds = [type(layer) for layer in gan.Generator(100).layers]
    assert kinds == [nn.Linear, nn.LeakyReLU, nn.BatchNorm1d] * 3 + [nn.Linear, nn.Tanh, nn.Unflatten]
    sizes = [layer.out_features for layer in gan.Generator(100).layers if isinstance(layer, nn.Linear)]
    assert sizes == [256, 512, 1024, 784]


def test_in_evaluation_mode_an_image_does_not_depend_on_its_batch():
    generator, z = gan.Generator(7), normal(4, 7, dtype=torch.float32)
    generator(z)
    assert not torch.allclose(generator(z)[:2], generator(z[:2]), atol=1e-3)
    generator.eval()
    torch.testing.assert_close(generator(z)[:1], generator(z[:1]))


@given(st.integers(1, 4))
def test_the_discriminator_gives_a_logit_for_each_image(b):
    logits = gan.Discriminator().eval()(normal(b, 1, 28, 28, dtype=torch.float32))
    assert logits.shape == (b,) and logits.dtype == torch.float32


def test_the_discriminators_dropout_works_in_training_only():
    discriminator, x = gan.Discriminator(), normal(3, 1, 28, 28, dtype=torch.float32)
    with seeded(0):
        assert not torch.equal(discriminator(x), discriminator(x))
    discriminator.eval()
    assert torch.equal(discriminator(x), discriminator(x))


@given(SHAPES, NOT_FLOATS)
def test_networks_refuse_other_shapes_and_dtypes(shape, dtype):
    calls = {
        "Generator": lambda x: gan.Generator(7)(x),
        "Discriminator": lambda x: gan.Discriminator()(x),
        "PointGenerator": lambda x: gan.PointGenerator(7)(x),
        "PointDiscriminator": lambda x: gan.PointDiscriminator()(x[..., :1]),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"^{name}: .*got"):
            call(torch.ones(shape))
        with pytest.raises(TypeError, match=f"^{name}: .* must be a floating-point tensor"):
            call(torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 784), (2, 1, 32, 32), (2, 3, 28, 28)])
def test_the_discriminator_refuses_images_of_other_shapes(shape):
    with pytest.raises(ValueError, match=r"Discriminator: x must be \(B, 1, 28, 28\), got"):
        gan.Discriminator()(torch.ones(shape))


@pytest.mark.parametrize("network", [gan.Generator, gan.PointGenerator])
def test_generators_refuse_sizes_that_are_none(network):
    with pytest.raises(ValueError, match=f"{network.__name__}: latent_dim must be at least 1, got 0"):
        network(0)
    with pytest.raises(TypeError, match=f"{network.__name__}: latent_dim must be an int, got float"):
        network(2.0)
    with pytest.raises(ValueError, match="PointDiscriminator: hidden must be at least 1, got 0"):
        gan.PointDiscriminator(0)


# --- steps ---


def test_discriminator_step_follows_the_gradient_of_its_loss():
    generator, discriminator = players()
    real, z = normal(5, 2, dtype=torch.float32), normal(4, 3, seed=1, dtype=torch.float32)
    expected = copy.deepcopy(discriminator)
    loss = gan.discriminator_loss(expected(real), expected(generator(z)))
    gradients = torch.autograd.grad(loss, list(expected.parameters()))
    assert gan.discriminator_step(generator, discriminator, real, z, sgd(discriminator)) == loss.item()
    for new, old, gradient in zip(discriminator.parameters(), expected.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)


def test_generator_step_follows_the_gradient_of_the_non_saturating_loss():
    generator, discriminator = players()
    z = normal(4, 3, dtype=torch.float32)
    expected = copy.deepcopy(generator)
    loss = gan.generator_loss(discriminator(expected(z)), "non_saturating")
    gradients = torch.autograd.grad(loss, list(expected.parameters()))
    assert gan.generator_step(generator, discriminator, z, sgd(generator)) == loss.item()
    for new, old, gradient in zip(generator.parameters(), expected.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)


@pytest.mark.parametrize("earlier", [None, 3.0])
def test_discriminator_step_leaves_the_generator_as_it_is(earlier):
    generator, discriminator = players()
    for parameter in generator.parameters():
        parameter.grad = None if earlier is None else torch.full_like(parameter, earlier)
    before = copy.deepcopy(generator.state_dict())
    real, z = normal(5, 2, dtype=torch.float32), normal(5, 3, dtype=torch.float32)
    gan.discriminator_step(generator, discriminator, real, z, sgd(discriminator))
    assert same_state(before, generator.state_dict())
    for parameter in generator.parameters():
        if earlier is None:
            assert parameter.grad is None
        else:
            assert (parameter.grad == earlier).all()


def test_generator_step_leaves_the_discriminators_weights_as_they_are():
    generator, discriminator = players()
    before = copy.deepcopy(discriminator.state_dict())
    gan.generator_step(generator, discriminator, normal(5, 3, dtype=torch.float32), sgd(generator))
    assert same_state(before, discriminator.state_dict())


def test_gradients_that_the_other_step_left_do_not_count():
    real, z = normal(5, 2, dtype=torch.float32), normal(5, 3, dtype=torch.float32)
    results = []
    for left in (False, True):
        generator, discriminator = players()
        if left:
            gan.generator_step(generator, discriminator, z, sgd(generator, lr=0.0))
            assert any(parameter.grad is not None for parameter in discriminator.parameters())
        gan.discriminator_step(generator, discriminator, real, z, sgd(discriminator))
        results.append(discriminator.state_dict())
    assert same_state(*results)


def test_real_and_fake_pass_through_batchnorm_as_batches_of_their_own():
    seen = []
    generator = nn.Identity()
    discriminator = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1), nn.Flatten(0))
    discriminator[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    real, z = normal(5, 2, dtype=torch.float32), normal(4, 2, seed=1, dtype=torch.float32)
    gan.discriminator_step(generator, discriminator, real, z, sgd(discriminator))
    assert [len(batch) for batch in seen] == [5, 4]
    assert torch.equal(seen[0], real) and torch.equal(seen[1], z)


def test_discriminator_step_refuses_fakes_of_another_shape():
    discriminator = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"discriminator_step: .* real \(5, 3\) and fake \(4, 2\)"):
        gan.discriminator_step(
            nn.Identity(), discriminator, torch.ones(5, 3), torch.ones(4, 2), sgd(discriminator)
        )


def test_a_discriminator_finds_the_optimal_one():
    """Trained on a line against a fixed generator, its loss comes close to the smallest one, and to D*."""
    data, noise = GaussianMixture(torch.tensor([[1.0, 0.0]]), 1.0), 4_000
    real = data.sample(normal(noise, 2, dtype=torch.float32), torch.zeros(noise, dtype=torch.int64))
    z = normal(noise, 2, seed=1, dtype=torch.float32)
    with seeded(0):
        discriminator = gan.PointDiscriminator(hidden=16)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.01)
    losses = [gan.discriminator_step(nn.Identity(), discriminator, real, z, optimizer) for _ in range(150)]
    fixed = GaussianMixture(torch.zeros(1, 2), 1.0)
    best = {name: gan.optimal_discriminator_between(data, fixed, x) for name, x in (("r", real), ("f", z))}
    smallest = -(best["r"].log().mean() + (1 - best["f"]).log().mean()).item()
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(smallest, abs=0.02)
    with torch.no_grad():
        assert (discriminator(real).sigmoid() - best["r"]).abs().mean() < 0.05


# --- the optimal discriminator and the Jensen-Shannon divergence ---


@given(SHAPES, SEEDS)
def test_optimal_discriminator_is_the_datas_share(shape, seed):
    p, q = normal(*shape, seed=seed).abs(), normal(*shape, seed=seed + 1).abs()
    d = gan.optimal_discriminator(p, q)
    torch.testing.assert_close(d, p / (p + q), rtol=1e-12, atol=0)
    torch.testing.assert_close(d + gan.optimal_discriminator(q, p), torch.ones_like(d))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_optimal_discriminator_at_the_ends(dtype):
    p = torch.tensor([0.0, 0.0, 2.0, 1e-30], dtype=dtype)
    q = torch.tensor([0.0, 3.0, 0.0, 3e-30], dtype=dtype)
    d = gan.optimal_discriminator(p, q)
    assert d.dtype == dtype
    torch.testing.assert_close(d, torch.tensor([0.5, 0, 1, 0.25], dtype=dtype))


@given(st.integers(2, 9), SEEDS)
def test_no_other_discriminator_reaches_a_larger_objective(n, seed):
    p, q = distribution(n, seed), distribution(n, seed + 1)
    best = gan.optimal_discriminator(p, q)
    largest = objective(best, p, q)
    for scale in (0.01, 0.1, 1.0):
        other = torch.sigmoid(best.logit() + scale * normal(n, seed=seed + 2))
        assert objective(other, p, q) < largest


@given(st.integers(1, 9), st.integers(0, 2), SEEDS)
def test_the_largest_objective_is_twice_the_divergence_less_log_4(n, zeros, seed):
    p, q = distribution(n + 2, seed, zeros), distribution(n + 2, seed + 1).flip(0)
    largest = objective(gan.optimal_discriminator(p, q), p, q)
    assert largest == pytest.approx(-math.log(4) + 2 * gan.js_divergence(p, q).item(), abs=1e-12)


@given(st.integers(1, 40), st.integers(0, 3), SEEDS)
def test_js_divergence_is_the_square_of_scipys_distance(n, zeros, seed):
    p, q = distribution(n + 3, seed, zeros), distribution(n + 3, seed + 1, 2).flip(0)
    theirs = jensenshannon(p.numpy(), q.numpy()) ** 2
    assert gan.js_divergence(p, q).item() == pytest.approx(theirs, rel=1e-10, abs=1e-12)
    assert gan.js_divergence(p.float(), q.float()).item() == pytest.approx(theirs, rel=1e-5, abs=1e-6)


@given(st.integers(1, 9), st.integers(1, 9), SEEDS)
def test_js_divergence_of_distributions_that_never_meet_is_log_2(n, m, seed):
    p = torch.cat([distribution(n, seed), torch.zeros(m).double()])
    q = torch.cat([torch.zeros(n).double(), distribution(m, seed)])
    assert gan.js_divergence(p, q).item() == pytest.approx(math.log(2), abs=1e-12)


@given(st.integers(1, 20), SEEDS)
def test_js_divergence_is_symmetric_bounded_and_zero_between_equals(n, seed):
    p, q = distribution(n, seed), distribution(n, seed + 1)
    assert gan.js_divergence(p, q).item() == pytest.approx(gan.js_divergence(q, p).item(), abs=1e-14)
    assert -1e-15 <= gan.js_divergence(p, q).item() <= math.log(2)
    assert gan.js_divergence(p, p).item() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("function", PAIRS)
@given(shapes=st.tuples(SHAPES, SHAPES))
def test_functions_of_two_densities_refuse_to_broadcast(function, shapes):
    p, q = (torch.full(shape, 1 / math.prod(shape)) for shape in shapes)
    if p.shape == q.shape:
        assert PAIRS[function](p, q).shape in (p.shape, ())
    else:
        with pytest.raises(ValueError, match=f"^{function}: shapes must be equal"):
            PAIRS[function](p, q)


@pytest.mark.parametrize("function", PAIRS)
@given(shape=SHAPES, dtype=NOT_FLOATS, swapped=st.booleans())
def test_functions_of_two_densities_refuse_other_dtypes(function, shape, dtype, swapped):
    pair = torch.ones(shape, dtype=dtype), torch.ones(shape)
    with pytest.raises(TypeError, match=f"^{function}: .* must be a floating-point tensor"):
        PAIRS[function](*(reversed(pair) if swapped else pair))


@pytest.mark.parametrize("function", PAIRS)
@pytest.mark.parametrize("bad", [-0.5, math.nan])
def test_functions_of_two_densities_refuse_negative_ones(function, bad):
    good, wrong = torch.tensor([0.5, 0.5]), torch.tensor([bad, 1.5])
    with pytest.raises(ValueError, match=f"{function}: .* must not be negative or NaN, got a minimum of"):
        PAIRS[function](wrong, good)
    with pytest.raises(ValueError, match=f"{function}: .* must not be negative or NaN, got a minimum of"):
        PAIRS[function](good, wrong)


@pytest.mark.parametrize("scale", [0.0, 0.9, 1.1, 40.0])
def test_js_divergence_refuses_what_does_not_sum_to_one(scale):
    p, q = distribution(4), scale * distribution(4, 1)
    with pytest.raises(ValueError, match="js_divergence: q must sum to 1, got"):
        gan.js_divergence(p, q)
    with pytest.raises(ValueError, match="js_divergence: p must sum to 1, got"):
        gan.js_divergence(q, p)


# --- effective modes ---


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60), st.integers(0, 3))
def test_effective_modes_are_scipys_entropy_raised(labels, more):
    n_classes = max(labels) + 1 + more
    theirs = math.exp(entropy(np.bincount(labels)))
    assert gan.effective_modes(torch.tensor(labels), n_classes) == pytest.approx(theirs, rel=1e-12)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 3))
def test_n_equal_classes_are_n_effective_modes(n, each, empty):
    labels = torch.arange(n).repeat(each)
    assert gan.effective_modes(labels, n + empty) == pytest.approx(n)


@given(st.integers(0, 7), st.integers(1, 9))
def test_one_class_is_one_effective_mode(label, n):
    assert gan.effective_modes(torch.full((n,), label), 8) == 1.0


@given(NOT_FLOATS.filter(lambda dtype: dtype != torch.int64), SIZES)
def test_effective_modes_refuses_other_dtypes(dtype, n):
    for labels in (torch.zeros(n, dtype=dtype), torch.zeros(n), [0] * n):
        with pytest.raises(TypeError, match="effective_modes: labels must be an int64 tensor, got"):
            gan.effective_modes(labels, 3)


@pytest.mark.parametrize(
    ("labels", "n_classes", "message"),
    [
        ([], 3, r"labels must be \(N,\) with N >= 1, got \(0,\)"),
        ([[0, 1]], 3, r"labels must be \(N,\) with N >= 1, got \(1, 2\)"),
        ([1, 3], 3, r"labels must lie in 0..2, got 1..3"),
        ([-1, 1], 3, r"labels must lie in 0..2, got -1..1"),
        ([0], 0, "n_classes must be at least 1, got 0"),
    ],
)
def test_effective_modes_refuses(labels, n_classes, message):
    with pytest.raises(ValueError, match=f"effective_modes: {message}"):
        gan.effective_modes(torch.tensor(labels, dtype=torch.int64), n_classes)


# --- toys ---


@given(st.integers(1, 12), st.floats(0.5, 5), st.floats(0.01, 1))
def test_a_ring_has_its_modes_at_equal_distances(modes, radius, std):
    ring = gan.ring_of_gaussians(modes, radius, std)
    assert ring.means.shape == (modes, 2) and ring.std == std
    assert torch.allclose(ring.means.norm(dim=1), torch.tensor(radius), rtol=1e-5)
    assert torch.allclose(ring.means[0], torch.tensor([radius, 0.0]), atol=1e-6)
    sides = (ring.means - ring.means.roll(-1, dims=0)).norm(dim=1)
    assert torch.allclose(sides, torch.tensor(2 * radius * math.sin(math.pi / modes)), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 1.0, 0.1), ValueError, "ring_of_gaussians: modes must be at least 1, got 0"),
        ((2.0, 1.0, 0.1), TypeError, "ring_of_gaussians: modes must be an int, got float"),
        ((8, 0.0, 0.1), ValueError, "ring_of_gaussians: radius must be positive, got 0.0"),
        ((8, 1.0, 0.0), ValueError, "std must be positive, got 0.0"),
    ],
)
def test_a_ring_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        gan.ring_of_gaussians(*arguments)


def test_the_curve_between_densities_is_the_optimal_discriminator_also_in_the_tails():
    data = GaussianMixture(torch.tensor([[-1.0], [2.0]]).double(), 0.5)
    generator = GaussianMixture(torch.tensor([[0.5]]).double(), 0.7)
    x = torch.linspace(-4, 5, 200, dtype=torch.float64)
    p = Normal(data.means, torch.tensor(0.5).double()).log_prob(x).exp().mean(dim=0)
    q = Normal(generator.means[0], torch.tensor(0.7, dtype=torch.float64)).log_prob(x).exp()
    curve = gan.optimal_discriminator_between(data, generator, x[:, None])
    torch.testing.assert_close(curve, gan.optimal_discriminator(p, q), rtol=1e-10, atol=1e-12)
    far = gan.optimal_discriminator_between(data, data, torch.tensor([[100.0]]).double())
    assert far.item() == pytest.approx(0.5)


def test_players_of_the_plane_have_the_shapes_they_name():
    generator, discriminator = players()
    points = generator(normal(5, 3, dtype=torch.float32))
    assert points.shape == (5, 2)
    assert discriminator(points).shape == (5,)
