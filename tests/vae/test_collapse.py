"""Posterior collapse: the decoder that sees its neighbours, and the cures."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import vae
from course_utils.training import seeded


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def images(b, side, seed=0):
    return (torch.rand(b, 1, side, side, generator=stream(seed)) < 0.4).float()


def new_model(latent_dim=3, side=4, **sizes):
    with seeded(0):
        return vae.NeighbourVAE(latent_dim, side, **sizes)


@given(b=st.integers(1, 4), d=st.integers(1, 5), side=st.integers(2, 7))
def test_shapes(b, d, side):
    logits, mu, logvar = new_model(d, side)(images(b, side), torch.zeros(b, d))
    assert (logits.shape, mu.shape, logvar.shape) == ((b, 1, side, side), (b, d), (b, d))


@given(side=st.integers(2, 5), hidden=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_pixel_sees_only_those_before_it(side, hidden, seed):
    model, x = new_model(3, side, hidden=hidden), images(1, side, seed)
    eps = torch.randn(1, 3, generator=stream(seed))
    seen = torch.autograd.functional.jacobian(lambda seen: model(x, eps, seen)[0].flatten(), x + 0.5)
    seen = seen.flatten(1)  # (pixel of the logits, pixel seen)
    assert not seen.triu().any()


def test_later_pixels_do_see_earlier_ones():
    model, x = new_model(side=4), images(1, 4)
    eps = torch.zeros(1, 3)
    jacobians = [
        torch.autograd.functional.jacobian(lambda s: model(x, eps, s)[0].flatten(), x + shift).flatten(1)
        for shift in (-1.0, 0.0, 0.5, 1.0)
    ]
    dependent = sum(jacobian.abs() for jacobian in jacobians) > 0
    assert dependent.tril(-1).float().sum() > 0.9 * (16 * 15 / 2)


def test_all_of_x_is_seen_unless_something_else_is_given():
    model, x, eps = new_model(), images(2, 4), torch.randn(2, 3, generator=stream())
    assert torch.equal(model(x, eps)[0], model(x, eps, seen=x)[0])
    logits, mu, logvar = model(x, eps, seen=1 - x)
    assert not torch.equal(logits, model(x, eps)[0])
    assert all(map(torch.equal, (mu, logvar), model.encode(x)))


def test_likelihoods_of_all_images_add_up_to_one():
    """Given a code, the model is autoregressive: the 16 images of 2 x 2 pixels have total probability 1."""
    model = new_model(side=2).double()
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4).view(16, 1, 2, 2)
    with torch.no_grad():
        for layer in (model.to_mu, model.to_logvar):
            layer.weight.zero_()  # one code for every image
        logits, _, _ = model(x, torch.ones(16, 3).double())
    assert vae.bernoulli_nll(logits, x).neg().exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: vae.NeighbourVAE(0), ValueError, "latent_dim must be at least 1"),
        (lambda: vae.NeighbourVAE(side=1), ValueError, "side must be at least 2"),
        (lambda: vae.NeighbourVAE(side=2.0), TypeError, "side must be an int"),
        (lambda: vae.NeighbourVAE(hidden=0), ValueError, "hidden must be at least 1"),
    ],
)
def test_neighbour_vae_refuses(call, error, message):
    with pytest.raises(error, match=f"NeighbourVAE: {message}"):
        call()


def test_neighbour_vae_needs_a_code_for_each_image():
    with pytest.raises(ValueError, match="reparameterize: shapes must be equal"):
        new_model()(images(2, 4), torch.zeros(1, 3))


def cure(name, share, seed=0):
    model, x = new_model(), images(5, 4)
    eps = torch.randn(5, 3, generator=stream(1))
    return vae.CURES[name](model, x, eps, share, stream(seed)), model(x, eps), x


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_cures_are_the_losses_that_they_name(share):
    losses = {name: cure(name, share)[0] for name in vae.CURES}
    _, (logits, mu, logvar), x = cure("none", share)
    assert torch.equal(losses["none"], vae.negative_elbo(logits, x, mu, logvar, 1.0))
    assert torch.equal(losses["warm-up"], vae.negative_elbo(logits, x, mu, logvar, min(2 * share, 1)))
    assert torch.equal(losses["free bits"], vae.free_bits_loss(logits, x, mu, logvar, 0.5))


def test_dropped_pixels_are_hidden_from_the_decoder_and_no_one_else():
    loss, (_, mu, logvar), x = cure("dropped pixels", 0.5)
    model, eps = new_model(), torch.randn(5, 3, generator=stream(1))
    kept = torch.rand(x.shape, generator=stream(0)) < 0.5
    logits = model(x, eps, seen=torch.where(kept, x, torch.zeros_like(x)))[0]
    assert torch.allclose(loss, vae.negative_elbo(logits, x, mu, logvar, 1.0))
    assert not torch.equal(loss, cure("dropped pixels", 0.5, seed=1)[0])


@pytest.mark.parametrize("name", vae.CURES)
def test_train_step_with_is_a_step_down_the_cures_loss(name):
    model, twin, x = new_model(), new_model(), images(5, 4)
    generator = stream(7)
    eps = torch.randn(5, 3, generator=generator)
    loss = vae.CURES[name](twin, x, eps, 0.25, generator)
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert vae.train_step_with(name, model, x, 0.25, optimizer, stream(7)) == pytest.approx(loss.item())
    for new, old, gradient in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        assert torch.allclose(new, old - 0.1 * gradient, atol=1e-6)


def test_four_images_are_learned_by_heart():
    model, x, noise = new_model(side=6), images(4, 6), stream(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = [vae.train_step_with("none", model, x, 1.0, optimizer, noise) for _ in range(200)]
    assert losses[-1] < 0.3 * losses[0]


def test_train_step_with_knows_its_cures():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"train_step_with: cure must be one of none, .*, got 'annealing'"):
        vae.train_step_with("annealing", model, images(2, 4), 0.5, optimizer, stream())
