"""The network, its training step, and what is done with codes: identities and second implementations."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import vae
from course_utils.training import seeded

seeds = st.integers(0, 999)
shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=stream(seed))


def images(b):
    return (torch.rand(b, 1, 28, 28, generator=stream()) < 0.3).float()


def new_vae(latent_dim):
    with seeded(0):
        return vae.VAE(latent_dim)


def test_vae_is_its_layers_in_a_row():
    model, x, eps = new_vae(5).double(), images(3).double(), normal(3, 5)
    first, second, to_mu, to_logvar, third, fourth, last = (
        layer for layer in model.modules() if isinstance(layer, nn.Linear)
    )
    hidden = second(first(x.reshape(3, 784)).clamp(min=0)).clamp(min=0)
    mu, logvar = to_mu(hidden), to_logvar(hidden)
    z = torch.normal(mu, 0 * mu) + torch.sqrt(torch.exp(logvar)) * eps
    logits = last(fourth(third(z).clamp(min=0)).clamp(min=0)).reshape(3, 1, 28, 28)
    for ours, theirs in zip(model(x, eps), (logits, mu, logvar), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)
    shapes = [tuple(layer.weight.shape) for layer in (first, second, to_mu, to_logvar, third, fourth, last)]
    assert shapes == [(200, 784), (200, 200), (5, 200), (5, 200), (200, 5), (200, 200), (784, 200)]


def test_vae_is_made_of_its_parts():
    model, x, eps = new_vae(4), images(2), normal(2, 4).float()
    logits, mu, logvar = model(x, eps)
    assert [tuple(one.shape) for one in (logits, mu, logvar)] == [(2, 1, 28, 28), (2, 4), (2, 4)]
    assert all(map(torch.equal, (mu, logvar), model.encode(x)))
    assert torch.equal(logits, model.decode(vae.reparameterize(mu, logvar, eps)))
    assert not torch.equal(logits, model(x, eps + 1)[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.encode(torch.rand(2, 1, 32, 32)),
            ValueError,
            r"VAE.encode: x must be \(B, 1, 28, 28\), got \(2, 1, 32, 32\)",
        ),
        (lambda m: m(torch.rand(28, 28), torch.rand(1, 4)), ValueError, r"x must be \(B, 1, 28, 28\)"),
        (lambda m: m.encode(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)), TypeError, "floating-point"),
        (lambda m: m.decode(torch.rand(2, 5)), ValueError, r"VAE.decode: z must be \(B, 4\), got \(2, 5\)"),
        (lambda m: m.decode(torch.rand(4)), ValueError, r"z must be \(B, 4\), got \(4,\)"),
        (lambda m: m.decode(torch.zeros(1, 4).long()), TypeError, "z must be a floating-point tensor"),
        (lambda m: m(images(3), torch.rand(1, 4)), ValueError, r"shapes must be equal, got mu \(3, 4\)"),
        (lambda _: vae.VAE(0), ValueError, "VAE: latent_dim must be at least 1"),
        (lambda _: vae.VAE(2.0), TypeError, "VAE: latent_dim must be an int"),
    ],
)
def test_vae_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call(new_vae(4))


def test_train_step_is_gradient_descent_on_the_negative_elbo():
    model, x, eps, beta = new_vae(3).double(), images(4).double(), normal(4, 3), 2.5
    mu, logvar = model.encode(x)
    logits = model.decode(mu + logvar.div(2).exp() * eps)
    expected = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    expected = (expected + beta * 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum()) / 4
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    loss = vae.train_step(model, x, eps, torch.optim.SGD(model.parameters(), lr=0.01), beta)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for parameter, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        assert torch.allclose(parameter, old - 0.01 * gradient, atol=1e-12)


def test_four_images_are_learned_by_heart():
    x, noise = images(4), stream(1)
    model = new_vae(8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = [
        vae.train_step(model, x, torch.randn(4, 8, generator=noise), optimizer, beta=0.01) for _ in range(200)
    ]
    assert losses[-1] < 0.2 * losses[0]


def test_train_step_needs_a_code_for_each_image():
    model = new_vae(4)
    with pytest.raises(ValueError, match="reparameterize: shapes must be equal"):
        vae.train_step(model, images(3), torch.rand(1, 4), torch.optim.SGD(model.parameters(), lr=0.1))


def test_binarise_is_white_as_often_as_the_grey_value_says():
    n = 40_000
    grey = torch.tensor([0.0, 0.1, 0.5, 0.8, 1.0])
    drawn = vae.binarise(grey.expand(n, 5), torch.rand(n, 5, generator=stream()))
    assert drawn.unique().tolist() == [0, 1]
    error = (grey * (1 - grey) / n).sqrt()
    assert ((drawn.mean(dim=0) - grey).abs() <= 4.5 * error).all()  # 0 is never white, 1 always


@given(shapes, shapes, st.sampled_from([torch.float32, torch.float64, torch.uint8, torch.int64]))
def test_binarise_keeps_shape_and_dtype_or_refuses(one, other, dtype):
    x, u = torch.ones(one, dtype=dtype), torch.zeros(other)
    if not x.is_floating_point():
        with pytest.raises(TypeError, match="binarise: x must be a floating-point tensor"):
            vae.binarise(x, u)
    elif one != other:
        with pytest.raises(ValueError, match="binarise: shapes must be equal"):
            vae.binarise(x, u)
    else:
        white = vae.binarise(x, u)
        assert (white.shape, white.dtype, white.all()) == (one, dtype, True)


def test_active_units_are_those_whose_mean_moves():
    mu = normal(500, 4) * torch.tensor([0.0, 0.05, 0.2, 1.0]) + torch.tensor([5.0, 0.0, 0.0, -3.0])
    variances = torch.cov(mu.T, correction=0).diagonal()
    assert vae.active_units(mu).tolist() == (variances > 0.01).tolist() == [False, False, True, True]
    assert not vae.active_units(mu[:1]).any()


@pytest.mark.parametrize(
    ("mu", "error", "message"),
    [
        (torch.zeros(3), ValueError, r"mu must have 2 dimensions \(N, D\)"),
        (torch.zeros(3, 2, 1), ValueError, r"mu must have 2 dimensions \(N, D\)"),
        (torch.zeros(3, 2).long(), TypeError, "mu must be a floating-point tensor"),
    ],
)
def test_active_units_refuses(mu, error, message):
    with pytest.raises(error, match=f"active_units: {message}"):
        vae.active_units(mu)


def rotated(z0, z1, t):
    """z0 turned towards z1 by the share t of their angle, in the plane that they span; lengths left alone."""
    a = z0 / z0.norm()
    b = z1 - (z1 @ a) * a
    b = b / b.norm()
    angle = torch.atan2(z1 @ b, z1 @ a)
    return z0.norm() * (torch.cos(t * angle) * a + torch.sin(t * angle) * b)


@given(d=st.integers(2, 9), steps=st.integers(2, 9), seed=seeds)
def test_spherical_steps_between_equal_lengths_are_equal_turns(d, steps, seed):
    z0, z1 = F.normalize(normal(2, d, seed=seed), dim=1) * 3
    path = vae.interpolate(z0, z1, steps, "spherical")
    theirs = torch.stack([rotated(z0, z1, t) for t in torch.linspace(0, 1, steps, dtype=z0.dtype)])
    assert torch.allclose(path, theirs, atol=1e-6)  # the bound holds for ends that are nearly opposite
    assert torch.allclose(path.norm(dim=1), torch.full((steps,), 3.0).double(), atol=1e-6)


@given(d=st.integers(2, 9), steps=st.integers(2, 9), seed=seeds, longer=st.floats(0.2, 5))
def test_spherical_weights_do_not_depend_on_lengths(d, steps, seed, longer):
    z0, z1 = normal(2, d, seed=seed)
    t = torch.linspace(0, 1, steps, dtype=z0.dtype)
    omega = torch.acos(F.cosine_similarity(z0, z1, dim=0))
    weights = torch.stack([((1 - t) * omega).sin(), (t * omega).sin()], dim=1) / omega.sin()
    path = vae.interpolate(longer * z0, z1, steps, "spherical")
    assert torch.allclose(path, weights @ torch.stack([longer * z0, z1]), rtol=1e-6, atol=1e-6)


@given(d=st.integers(1, 9), steps=st.integers(2, 9), seed=seeds)
def test_linear_steps_are_torchs_lerp(d, steps, seed):
    z0, z1 = normal(2, d, seed=seed)
    path = vae.interpolate(z0, z1, steps, "linear")
    theirs = torch.stack([torch.lerp(z0, z1, i / (steps - 1)) for i in range(steps)])
    assert torch.allclose(path, theirs, atol=1e-12)


@pytest.mark.parametrize("mode", vae.MODES)
@given(steps=st.integers(2, 9), seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_ends_are_exact(mode, steps, seed, dtype):
    z0, z1 = normal(2, 5, seed=seed).to(dtype)
    path = vae.interpolate(z0, z1, steps, mode)
    assert torch.equal(path[0], z0) and torch.equal(path[-1], z1)
    assert (path.shape, path.dtype) == ((steps, 5), dtype)


@given(angle=st.floats(0, 1e-2), seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_spherical_comes_to_the_line_as_the_angle_shrinks(angle, seed, dtype):
    a, b = torch.linalg.qr(normal(6, 2, seed=seed)).Q.T
    z0, z1 = (2 * a).to(dtype), (5 * (math.cos(angle) * a + math.sin(angle) * b)).to(dtype)
    path, line = (vae.interpolate(z0, z1, 5, mode) for mode in ("spherical", "linear"))
    assert torch.allclose(path, line, atol=angle**2 + 1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.rand(3), torch.rand(3), 4, "cubic"), ValueError, "mode must be one of linear, spherical"),
        ((torch.rand(3), torch.rand(3), 1, "linear"), ValueError, "steps must be at least 2, got 1"),
        ((torch.rand(3), torch.rand(3), 4.0, "linear"), TypeError, "steps must be an int, got float 4.0"),
        ((torch.rand(3), torch.rand(1), 4, "linear"), ValueError, r"shapes must be equal, got z0 \(3,\)"),
        ((torch.rand(2, 3), torch.rand(2, 3), 4, "linear"), ValueError, r"must have 1 dimensions \(D,\)"),
        ((torch.ones(3).int(), torch.ones(3), 4, "linear"), TypeError, "z0 must be a floating-point tensor"),
        ((torch.ones(3), -2 * torch.ones(3), 4, "spherical"), ValueError, "point in opposite directions"),
    ],
)
def test_interpolate_refuses(arguments, error, message):
    with pytest.raises(error, match=f"interpolate: .*{message}"):
        vae.interpolate(*arguments)


@given(shapes, shapes, st.sampled_from(vae.MODES))
def test_interpolate_takes_two_vectors_of_one_length(one, other, mode):
    if one == other and len(one) == 1:
        assert vae.interpolate(torch.ones(one), torch.ones(other), 3, mode).shape == (3, *one)
        return
    with pytest.raises(ValueError, match=r"interpolate: (shapes must be equal|.*1 dimensions)"):
        vae.interpolate(torch.ones(one), torch.ones(other), 3, mode)
