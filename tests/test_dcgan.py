"""Chapter 5's references, against PyTorch's own spectral norm, scipy, autograd, and identities."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as parametrized

from course_utils import dcgan
from course_utils.training import seeded

SEEDS = st.integers(0, 999)
WRONG_DTYPES = (torch.uint8, torch.int64, torch.bool)
SIZES = st.integers(1, 5)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layers_of(network, kinds):
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# --- networks ---


@given(st.integers(1, 4), st.integers(1, 30), SEEDS)
def test_generator_makes_images_in_the_range_of_a_tanh(b, nz, seed):
    with seeded(seed):
        generator = dcgan.Generator(nz)
    images = generator(100 * normal(b, nz, seed=seed, dtype=torch.float32))
    assert images.shape == (b, 1, 28, 28)
    assert images.abs().max() <= 1
    assert images.min() < 0 < images.max()


@given(st.integers(1, 4), SEEDS)
def test_discriminator_gives_one_unbounded_number_per_image(b, seed):
    with seeded(0):
        discriminator = dcgan.Discriminator()
    logits = discriminator(2 * uniform(b, 1, 28, 28, seed=seed, dtype=torch.float32) - 1)
    assert logits.shape == (b, 1)
    nn.init.constant_(discriminator.layers[-1].bias, 50.0)
    assert discriminator(torch.zeros(b, 1, 28, 28)).min() > 1


def test_parameter_counts_are_those_of_the_table():
    assert count(dcgan.Generator(100)) == (100 + 1) * 12544 + 16 * (256 * 128 + 128) + 2 * 128
    assert count(dcgan.Discriminator()) == 16 * (64 + 64 * 128 + 128 * 256) + 2 * (128 + 256) + 2304 + 1


def test_no_convolution_has_a_bias_and_the_linear_layers_do():
    for network in (dcgan.Generator(10), dcgan.Discriminator()):
        assert all(layer.bias is None for layer in layers_of(network, (nn.Conv2d, nn.ConvTranspose2d)))
        assert all(layer.bias is not None for layer in layers_of(network, nn.Linear))


def test_batch_norm_is_in_the_middle_and_never_at_the_ends():
    assert [n.num_features for n in layers_of(dcgan.Generator(10), nn.BatchNorm2d)] == [128]
    assert [n.num_features for n in layers_of(dcgan.Discriminator(), nn.BatchNorm2d)] == [128, 256]


def test_feature_maps_have_the_sizes_of_the_table():
    shapes = []
    for network, x in (
        (dcgan.Generator(100), torch.zeros(2, 100)),
        (dcgan.Discriminator(), torch.zeros(2, 1, 28, 28)),
    ):
        for layer in layers_of(network, (nn.Unflatten, nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda *args: shapes.append(tuple(args[2].shape[1:])))
        network(x)
    assert shapes[:3] == [(256, 7, 7), (128, 14, 14), (1, 28, 28)]
    assert shapes[3:] == [(64, 14, 14), (128, 7, 7), (256, 3, 3)]


def test_every_weight_of_both_networks_is_trained_by_the_logit():
    generator, discriminator = dcgan.Generator(7), dcgan.Discriminator()
    discriminator(generator(normal(3, 7, dtype=torch.float32))).sum().backward()
    for parameter in (*generator.parameters(), *discriminator.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 5, 1, 1)])
def test_generator_refuses_other_latents(shape):
    with pytest.raises(ValueError, match=r"Generator: z must be \(B, 5\), got"):
        dcgan.Generator(5)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(28, 28), (2, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32), (2, 784)])
def test_discriminator_refuses_other_images(shape):
    with pytest.raises(ValueError, match=r"Discriminator: x must be \(B, 1, 28, 28\), got"):
        dcgan.Discriminator()(torch.zeros(shape))


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_networks_refuse_whole_numbers(dtype):
    with pytest.raises(TypeError, match="Generator: z must be a floating-point tensor"):
        dcgan.Generator(5)(torch.zeros(2, 5, dtype=dtype))
    with pytest.raises(TypeError, match="Discriminator: x must be a floating-point tensor"):
        dcgan.Discriminator()(torch.zeros(2, 1, 28, 28, dtype=dtype))


@pytest.mark.parametrize(
    ("nz", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_generator_refuses_sizes_that_are_none(nz, error):
    with pytest.raises(error, match="Generator: nz must be"):
        dcgan.Generator(nz)


# --- first weights ---


def moments(x):
    return x.mean().item(), x.std().item()


@pytest.mark.parametrize("way", ["called", "applied"])
def test_init_weights_draws_what_radford_et_al_drew(way):
    with seeded(0):
        network = nn.Sequential(dcgan.Generator(100), dcgan.Discriminator(), nn.BatchNorm1d(4096))
        dcgan.init_weights(network) if way == "called" else network.apply(dcgan.init_weights)
    for layer in layers_of(network, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        if layer.weight.numel() > 10_000:
            assert moments(layer.weight) == pytest.approx((0, 0.02), abs=5e-4)
    scale, offset = network[2].weight, network[2].bias
    assert moments(scale) == pytest.approx((1, 0.02), abs=2e-3)
    assert moments(offset) == (0, 0)
    assert all(norm.weight.min() > 0.8 and not norm.bias.any() for norm in layers_of(network, nn.BatchNorm2d))


def test_init_weights_leaves_all_else_as_it_is_and_returns_nothing():
    network = nn.ModuleList([nn.Embedding(5, 3), nn.GroupNorm(2, 4), nn.BatchNorm2d(3, affine=False)])
    linear = nn.Linear(4, 3)
    network[1].weight.data += 2
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    bias, weight = linear.bias.clone(), linear.weight
    with seeded(0):
        assert dcgan.init_weights(nn.ModuleList([network, linear])) is None
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(bias, linear.bias)
    assert linear.weight is weight and weight.requires_grad and weight.grad_fn is None


def test_init_weights_refuses_what_is_no_module():
    with pytest.raises(TypeError, match=r"init_weights: module must be an nn\.Module, got type"):
        dcgan.init_weights(nn.Linear)


# --- condition ---


@given(SIZES, SIZES, SIZES, SIZES, SEEDS)
def test_condition_latent_comes_apart_again(b, nz, k, e, seed):
    z, embedding = normal(b, nz, seed=seed), nn.Embedding(k, e, dtype=torch.float64)
    labels = torch.randint(k, (b,), generator=torch.Generator().manual_seed(seed))
    joined = dcgan.condition_latent(z, labels, embedding)
    assert joined.shape == (b, nz + e)
    assert torch.equal(joined[:, :nz], z)
    for row, label in zip(joined[:, nz:], labels, strict=True):
        assert torch.equal(row, embedding.weight[label])


def test_condition_latent_teaches_the_rows_that_were_named():
    embedding = nn.Embedding(4, 3)
    dcgan.condition_latent(torch.zeros(3, 2), torch.tensor([1, 3, 1]), embedding).sum().backward()
    assert embedding.weight.grad.sum(dim=1).tolist() == [0, 6, 0, 3]


@pytest.mark.parametrize(
    ("z", "labels", "embedding", "error", "message"),
    [
        (torch.zeros(2), torch.zeros(2).long(), nn.Embedding(3, 2), ValueError, r"2 dimensions \(B, nz\)"),
        (torch.zeros(2, 2).long(), torch.zeros(2).long(), nn.Embedding(3, 2), TypeError, "z must be a float"),
        (torch.zeros(2, 2), torch.zeros(2), nn.Embedding(3, 2), TypeError, "labels must be an int64 tensor"),
        (
            torch.zeros(2, 2),
            [0, 1],
            nn.Embedding(3, 2),
            TypeError,
            "labels must be an int64 tensor, got list",
        ),
        (torch.zeros(2, 2), torch.zeros(1).long(), nn.Embedding(3, 2), ValueError, r"labels must be \(2,\)"),
        (
            torch.zeros(2, 2),
            torch.zeros(2, 1).long(),
            nn.Embedding(3, 2),
            ValueError,
            r"labels must be \(2,\)",
        ),
        (torch.zeros(2, 2), torch.zeros(2).long(), lambda y: torch.zeros(2), ValueError, r"must be \(2, E\)"),
        (torch.zeros(2, 2), torch.zeros(2).long(), lambda y: y, TypeError, "embedded must be a floating"),
    ],
)
def test_condition_latent_refuses(z, labels, embedding, error, message):
    with pytest.raises(error, match=f"condition_latent: .*{message}"):
        dcgan.condition_latent(z, labels, embedding)


# --- gradient penalty ---


def linear_critic(w):
    return lambda x: x.flatten(1) @ w[:, None]


@given(SIZES, SIZES, st.floats(0.01, 20), SEEDS)
def test_penalty_of_a_linear_critic_depends_on_its_length_alone(b, c, length, seed):
    w = normal(c * 12, seed=seed)
    w = length * w / w.norm()
    real, fake = normal(b, c, 3, 4, seed=seed + 1), normal(b, c, 3, 4, seed=seed + 2)
    penalty = dcgan.gradient_penalty(linear_critic(w), real, fake, uniform(b, 1, 1, 1, seed=seed))
    assert penalty.item() == pytest.approx((length - 1) ** 2, rel=1e-9, abs=1e-12)


def test_penalty_of_a_quadratic_critic_sees_the_mixtures():
    """critic = ||x||^2 / 2 has the gradient x: the norm is that of the mixture itself."""
    real, fake, mix = normal(4, 2, 3, 5), normal(4, 2, 3, 5, seed=1), uniform(4, 1, 1, 1)
    penalty = dcgan.gradient_penalty(lambda x: x.square().flatten(1).sum(dim=1) / 2, real, fake, mix)
    expected = [
        (m * r + (1 - m) * f).square().sum().sqrt() - 1 for r, f, m in zip(real, fake, mix, strict=True)
    ]
    assert penalty.item() == pytest.approx(sum(e.item() ** 2 for e in expected) / 4, rel=1e-12)


def test_penalty_is_differentiable_by_the_critics_weights():
    real, fake, mix = normal(3, 1, 2, 4), normal(3, 1, 2, 4, seed=1), uniform(3, 1, 1, 1)
    first, last = normal(5, 8, seed=2).requires_grad_(), normal(5, seed=3).requires_grad_()

    def penalty(first, last):
        return dcgan.gradient_penalty(lambda x: (x.flatten(1) @ first.T).tanh() @ last, real, fake, mix)

    assert torch.autograd.gradcheck(penalty, (first, last))


def test_penalty_leaves_no_gradient_on_what_it_was_given():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    fake = normal(2, 1, 3, 4, dtype=torch.float32).requires_grad_()
    real, mix = normal(2, 1, 3, 4, seed=1, dtype=torch.float32), torch.full((2, 1, 1, 1), 0.3)
    penalty = dcgan.gradient_penalty(critic, real, fake, mix)
    assert penalty.requires_grad and not real.requires_grad
    assert all(parameter.grad is None for parameter in critic.parameters())
    penalty.backward()
    assert fake.grad is None


@given(st.lists(SIZES, min_size=1, max_size=5).map(tuple), st.lists(SIZES, min_size=1, max_size=5).map(tuple))
def test_penalty_refuses_shapes_that_would_broadcast(shape, mix_shape):
    real, mix = torch.zeros(shape), torch.zeros(mix_shape)
    if len(shape) == 4 and mix_shape == (shape[0], 1, 1, 1):
        assert dcgan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix).shape == ()
    else:
        with pytest.raises(ValueError, match=r"gradient_penalty: (real must have 4 dimensions|mix must be)"):
            dcgan.gradient_penalty(lambda x: x.flatten(1).sum(1), real, real, mix)


def test_penalty_refuses_unequal_shapes_and_whole_numbers():
    real, mix = torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 1, 1)
    with pytest.raises(ValueError, match="gradient_penalty: shapes must be equal"):
        dcgan.gradient_penalty(torch.sum, real, real[:1], mix)
    for dtype in WRONG_DTYPES:
        with pytest.raises(TypeError, match="gradient_penalty: fake must be a floating-point tensor"):
            dcgan.gradient_penalty(torch.sum, real, real.to(dtype), mix)


# --- spectral norm ---

WEIGHTS = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


@given(WEIGHTS, SEEDS)
def test_spectral_norm_converges_to_the_largest_singular_value_from_below(shape, seed):
    weight, u = normal(*shape, seed=seed), normal(shape[0], seed=seed + 1)
    exact = torch.linalg.matrix_norm(weight.flatten(1), ord=2).item()
    estimates = [dcgan.spectral_norm(weight, u, n).item() for n in (1, 2, 5, 20, 5000)]
    assert estimates == sorted(estimates, key=lambda sigma: round(sigma, 9))
    assert estimates[-1] == pytest.approx(exact, rel=1e-3)
    assert max(estimates) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("n_iter", [1, 2, 7])
def test_spectral_norm_goes_through_the_vectors_of_pytorchs_own(n_iter):
    """PyTorch updates u and then v, ours v and then u: with v from our first half round, u is the same."""
    with seeded(3):
        layer = parametrized(nn.Conv2d(3, 5, 4, dtype=torch.float64), n_power_iterations=n_iter)
    weight = layer.parametrizations.weight.original.detach()
    theirs, matrix, u = layer.parametrizations.weight[0], weight.flatten(1), normal(5)
    theirs._v.copy_(nn.functional.normalize(matrix.T @ u, dim=0))
    sigma = (weight / layer.weight.detach()).mean().item()  # reading the weight iterates
    assert dcgan.spectral_norm(weight, u, n_iter + 1).item() == pytest.approx(
        (matrix @ theirs._v).norm().item(), rel=1e-12
    )
    before, after = (dcgan.spectral_norm(weight, u, n).item() for n in (n_iter, n_iter + 1))
    assert before < sigma < after  # theirs is half a round further than ours after n_iter


@given(WEIGHTS, st.floats(0.1, 10), SEEDS)
def test_spectral_norm_scales_with_the_weight_and_not_with_u(shape, factor, seed):
    weight, u = normal(*shape, seed=seed), normal(shape[0], seed=seed + 1)
    sigma = dcgan.spectral_norm(weight, u, 2)
    assert sigma.shape == ()
    assert dcgan.spectral_norm(factor * weight, u, 2).item() == pytest.approx(factor * sigma.item(), rel=1e-9)
    assert dcgan.spectral_norm(weight, factor * u, 2).item() == pytest.approx(sigma.item(), rel=1e-9)


def test_spectral_norm_of_a_rotation_is_one_and_its_gradient_is_the_outer_product():
    rotation = torch.linalg.qr(normal(4, 4)).Q
    assert dcgan.spectral_norm(rotation, normal(4, seed=1), 1).item() == pytest.approx(1, abs=1e-12)
    weight, u = normal(3, 5).requires_grad_(), normal(3, seed=1)
    dcgan.spectral_norm(weight, u, 500).backward()
    left, _, right = torch.linalg.svd(weight.detach())
    assert torch.allclose(weight.grad, torch.outer(left[:, 0], right[0]), atol=1e-9)
    assert torch.equal(u, normal(3, seed=1))


@pytest.mark.parametrize(
    ("weight", "u", "n_iter", "error", "message"),
    [
        (torch.ones(3), torch.ones(3), 1, ValueError, "weight must have 2 dimensions or more"),
        (torch.ones(3, 4), torch.ones(4), 1, ValueError, r"u must be \(3,\), a number for each output"),
        (torch.ones(3, 4), torch.ones(3, 1), 1, ValueError, r"u must be \(3,\)"),
        (torch.ones(3, 4), torch.ones(3), 0, ValueError, "n_iter must be at least 1, got 0"),
        (torch.ones(3, 4), torch.ones(3), 1.0, TypeError, "n_iter must be an int"),
        (torch.ones(3, 4).long(), torch.ones(3), 1, TypeError, "weight must be a floating-point tensor"),
        (torch.ones(3, 4), [1.0, 1.0, 1.0], 1, TypeError, "u must be a floating-point tensor"),
    ],
)
def test_spectral_norm_refuses(weight, u, n_iter, error, message):
    with pytest.raises(error, match=f"spectral_norm: {message}"):
        dcgan.spectral_norm(weight, u, n_iter)


# --- diversity ---


@given(st.integers(2, 6), SIZES, SIZES, SIZES, SEEDS)
def test_diversity_is_the_mean_of_scipys_distances(b, c, h, w, seed):
    x = normal(b, c, h, w, seed=seed)
    expected = pdist(x.flatten(1).numpy()).mean()
    assert dcgan.pairwise_diversity(x).item() == pytest.approx(expected, rel=1e-10)


def test_diversity_of_a_collapsed_generator_is_zero_and_of_a_simplex_its_side():
    assert dcgan.pairwise_diversity(normal(1, 1, 4, 4).expand(5, 1, 4, 4)).item() == 0
    assert dcgan.pairwise_diversity(torch.eye(6).double()).item() == pytest.approx(math.sqrt(2), abs=1e-12)


@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (1, 1, 28, 28), (0, 3)])
def test_diversity_refuses_what_has_no_pairs(shape):
    with pytest.raises(ValueError, match=r"pairwise_diversity: x must be \(B, ...\) with B >= 2"):
        dcgan.pairwise_diversity(torch.zeros(shape))


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_diversity_refuses_whole_numbers(dtype):
    with pytest.raises(TypeError, match="pairwise_diversity: x must be a floating-point tensor"):
        dcgan.pairwise_diversity(torch.zeros(3, 4).to(dtype))


# --- receptive field ---

LAYERS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=4)


@given(LAYERS)
def test_receptive_field_is_where_a_real_network_has_gradient(layers):
    """The outermost pixels with a gradient; all weights are 1, so that none cancels."""
    size = dcgan.patch_receptive_field(layers)
    network = nn.Sequential(*(nn.Conv1d(1, 1, k, s, bias=False, dtype=torch.float64) for k, s in layers))
    for weight in network.parameters():
        nn.init.ones_(weight)
    x = torch.zeros(1, 1, size + 20, dtype=torch.float64, requires_grad=True)
    network(x)[0, 0, 0].backward()
    assert x.grad[0, 0].nonzero().max().item() + 1 == size


def test_receptive_field_of_the_published_patch_discriminators():
    """Isola et al. 2017, appendix 6.1.2: 16, 70 and 286 pixels."""
    for halvings, pixels in ((1, 16), (3, 70), (5, 286)):
        assert dcgan.patch_receptive_field([(4, 2)] * halvings + [(4, 1)] * 2) == pixels
    assert dcgan.patch_receptive_field([]) == 1


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([(3, 2, 1)], ValueError, r"a layer is \(kernel, stride\)"),
        ([(0, 2)], ValueError, "kernel must be at least 1"),
        ([(3, 0)], ValueError, "stride must be at least 1"),
        ([(3, 1.0)], TypeError, "stride must be an int"),
    ],
)
def test_receptive_field_refuses(layers, error, message):
    with pytest.raises(error, match=f"patch_receptive_field: {message}"):
        dcgan.patch_receptive_field(layers)
