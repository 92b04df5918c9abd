"""The networks of a DCGAN: shapes, counts, first weights, other sizes, and spectral norm built in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import dcgan, gan
from course_utils.training import seeded

SEEDS = st.integers(0, 999)
WRONG_DTYPES = (torch.uint8, torch.int64, torch.bool)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layers_of(network, kinds):
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


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


# --- other sizes ---


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_any_generator_doubles_and_any_discriminator_halves(up, down, colours, start):
    size = start * 2 ** len(up)
    generator = dcgan.Generator(4, up, colours, start)
    images = generator(normal(2, 4, dtype=torch.float32))
    assert images.shape == (2, colours, size, size)
    assert len(layers_of(generator, nn.BatchNorm2d)) == len(up) - 1
    if size >= 2 ** len(down):
        discriminator = dcgan.Discriminator(down, colours, size)
        assert discriminator(images).shape == (2, 1)
        assert len(layers_of(discriminator, nn.BatchNorm2d)) == len(down) - 1
    else:
        with pytest.raises(ValueError, match=f"Discriminator: {len(down)} convolutions halve {size} pixels"):
            dcgan.Discriminator(down, colours, size)


def test_the_colour_networks_have_the_four_layers_of_the_paper():
    generator = dcgan.Generator(100, **dcgan.GENERATOR_64)
    assert [
        (layer.in_channels, layer.out_channels) for layer in layers_of(generator, nn.ConvTranspose2d)
    ] == [(512, 256), (256, 128), (128, 64), (64, 3)]
    discriminator = dcgan.Discriminator(**dcgan.DISCRIMINATOR_64)
    assert [(layer.in_channels, layer.out_channels) for layer in layers_of(discriminator, nn.Conv2d)] == [
        (3, 64),
        (64, 128),
        (128, 256),
        (256, 512),
    ]
    images = generator(normal(2, 100, dtype=torch.float32))
    assert images.shape == (2, 3, 64, 64)
    assert discriminator(images).shape == (2, 1)


def test_colour_networks_of_64_pixels_learn_a_colour():
    """Data is red throughout: the samples become red, and neither green nor blue."""
    with seeded(0):
        generator = dcgan.Generator(8, (16, 8, 8, 8), 3, 4).apply(dcgan.init_weights)
        discriminator = dcgan.Discriminator((8, 8, 8, 16), 3, 64).apply(dcgan.init_weights)
    adams = [
        torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.5, 0.999))
        for network in (discriminator, generator)
    ]
    red = torch.tensor([0.9, -0.9, -0.9]).view(1, 3, 1, 1)
    for step in range(50):
        real = (red + 0.05 * normal(8, 3, 64, 64, seed=step, dtype=torch.float32)).clamp(-1, 1)
        z = normal(8, 8, seed=step + 1000, dtype=torch.float32)
        gan.discriminator_step(generator, discriminator, real, z, adams[0])
        gan.generator_step(generator, discriminator, z, adams[1])
    with torch.no_grad():
        means = generator(normal(16, 8, dtype=torch.float32)).mean(dim=(0, 2, 3))
    assert means[0] > 0.4
    assert means[1:].max() < -0.4


def test_without_batch_norm_an_image_is_judged_by_itself():
    with seeded(0):
        critic = dcgan.Discriminator((4, 8), batch_norm=False)
    assert not layers_of(critic, nn.BatchNorm2d)
    images = uniform(5, 1, 28, 28, dtype=torch.float32)
    assert torch.allclose(critic(images)[:2], critic(images[:2]), atol=1e-6)


def test_a_recorded_generator_is_a_generator_with_a_history():
    recorded = dcgan.RecordedGenerator([1, 5], count=3, nz=4, channels=(6, 5), start=2)
    assert recorded.history.shape == (2, 3, 1, 8, 8)
    assert recorded.stops == (1, 5)
    assert "history" in recorded.state_dict()
    plain = dcgan.Generator(4, (6, 5), start=2)
    plain.load_state_dict({k: v for k, v in recorded.state_dict().items() if k != "history"})
    z = normal(2, 4, dtype=torch.float32)
    assert torch.equal(plain.eval()(z), recorded.eval()(z))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: dcgan.Generator(3, ()), ValueError, "Generator: channels must name one layer or more"),
        (lambda: dcgan.Generator(3, (4, 0)), ValueError, "Generator: channels must be at least 1, got 0"),
        (lambda: dcgan.Generator(3, (4, 2.0)), TypeError, "Generator: channels must be an int"),
        (lambda: dcgan.Generator(3, start=0), ValueError, "Generator: start must be at least 1"),
        (lambda: dcgan.Discriminator(()), ValueError, "Discriminator: channels must name one layer or more"),
        (lambda: dcgan.Discriminator(size=7), ValueError, "3 convolutions halve 7 pixels to nothing"),
        (lambda: dcgan.Discriminator(image_channels=0), ValueError, "image_channels must be at least 1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


# --- spectral norm, built in ---


def test_spectral_norm_is_added_to_every_weight_and_makes_it_one():
    with seeded(0):
        discriminator = dcgan.Discriminator((4, 6, 8), batch_norm=False).apply(dcgan.init_weights)
        dcgan.add_spectral_norm(discriminator)
    x = uniform(2, 1, 28, 28, dtype=torch.float32)
    for _ in range(200):  # each pass in training mode is one power iteration
        discriminator(x)
    discriminator.eval()
    layers = layers_of(discriminator, (nn.Conv2d, nn.Linear))
    assert len(layers) == 4
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, rel=1e-3)


def test_with_spectral_norm_the_logit_changes_no_faster_than_its_weights_allow():
    """Each pixel lies in four windows, so a convolution stretches by at most twice the norm of its matrix."""
    with seeded(0):
        discriminator = dcgan.Discriminator((4, 6), batch_norm=False)
        for parameter in discriminator.parameters():
            parameter.data *= 30
        dcgan.add_spectral_norm(discriminator)
    x = uniform(8, 1, 28, 28, dtype=torch.float32)
    for _ in range(100):
        discriminator(x)
    discriminator.eval()
    y = x + 0.1 * uniform(8, 1, 28, 28, seed=1, dtype=torch.float32)
    slope = (discriminator(y) - discriminator(x)).abs().squeeze(1) / (y - x).flatten(1).norm(dim=1)
    assert slope.max() <= 2 * 2 * 1.01


def test_spectral_norm_keeps_the_direction_of_first_weights():
    with seeded(0):
        layer = nn.Sequential(nn.Linear(5, 3)).apply(dcgan.init_weights)
        weight = layer[0].weight.detach().clone()
        dcgan.add_spectral_norm(layer)
    scaled = layer[0].weight.detach()
    assert torch.allclose(scaled / scaled.norm(), weight / weight.norm(), atol=1e-5)
