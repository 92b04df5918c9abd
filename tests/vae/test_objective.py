"""The pieces of the ELBO against torch.distributions, torch's own losses, and identities."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import AffineTransform, Bernoulli, Normal, kl_divergence

from course_utils import vae

sizes, seeds = st.integers(1, 6), st.integers(0, 999)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
not_floats = st.sampled_from([torch.int64, torch.uint8, torch.bool, torch.complex64])


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=stream(seed))


def pixels(*shape, seed=0):
    return (torch.rand(*shape, generator=stream(seed)) < 0.4).double()


def batch(b=3, d=5, h=4, w=6, seed=0):
    """logits, x, mu, logvar."""
    return (
        2 * normal(b, 1, h, w, seed=seed),
        pixels(b, 1, h, w, seed=seed),
        normal(b, d, seed=seed + 1),
        2 * normal(b, d, seed=seed + 2),
    )


@given(sizes, sizes, seeds)
def test_reparameterize_is_torchs_affine_transform(b, d, seed):
    mu, logvar, eps = 3 * normal(3, b, d, seed=seed)
    theirs = AffineTransform(mu, logvar.div(2).exp())(eps)
    assert torch.allclose(vae.reparameterize(mu, logvar, eps), theirs, atol=1e-12)


def test_reparameterize_draws_from_the_normal_distribution_it_names():
    mu, logvar = torch.tensor([2.0, -1.0]).double(), torch.tensor([3.0, -3.0]).double()
    n = 40_000
    z = vae.reparameterize(mu.expand(n, 2), logvar.expand(n, 2), normal(n, 2))
    uniform = Normal(mu, logvar.div(2).exp()).cdf(z).sort(dim=0).values
    steps = torch.arange(1, n + 1, dtype=torch.float64)[:, None] / n
    assert (uniform - steps).abs().max() < 1.95 / math.sqrt(n)  # Kolmogorov-Smirnov, p = 0.001


def test_gradients_flow_through_reparameterize():
    mu, logvar, eps = normal(3, 4, 2)
    assert torch.autograd.gradcheck(
        lambda m, v: vae.reparameterize(m, v, eps), (mu.requires_grad_(), logvar.requires_grad_())
    )


@given(sizes, sizes, seeds)
def test_kl_is_that_of_torch_distributions(b, d, seed):
    mu, logvar = 3 * normal(2, b, d, seed=seed)
    theirs = kl_divergence(Normal(mu, logvar.div(2).exp()), Normal(torch.zeros(()).double(), 1.0))
    assert torch.allclose(vae.kl_by_unit(mu, logvar), theirs, rtol=1e-10, atol=1e-10)
    assert torch.allclose(vae.kl_standard_normal(mu, logvar), theirs.sum(1), rtol=1e-10, atol=1e-10)
    single = vae.kl_standard_normal(mu.float(), logvar.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), theirs.sum(1), rtol=1e-5, atol=1e-5)


@given(sizes, sizes, seeds)
def test_kl_is_zero_at_the_prior_and_positive_elsewhere(b, d, seed):
    mu, logvar = normal(2, b, d, seed=seed)
    assert (vae.kl_by_unit(mu, logvar) > 0).all()
    assert not vae.kl_by_unit(torch.zeros_like(mu), torch.zeros_like(mu)).any()


@given(sizes, st.integers(1, 3), sizes, sizes, seeds)
def test_bernoulli_nll_is_that_of_torch(b, c, h, w, seed):
    logits, x = 4 * normal(b, c, h, w, seed=seed), pixels(b, c, h, w, seed=seed)
    ours = vae.bernoulli_nll(logits, x)
    likelihood = Bernoulli(logits=logits).log_prob(x).sum(dim=(1, 2, 3))
    loss = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3))
    assert torch.allclose(ours, -likelihood, rtol=1e-10, atol=1e-10)
    assert torch.allclose(ours, loss, rtol=1e-10, atol=1e-10)
    assert torch.allclose(vae.bernoulli_nll(logits.float(), x.float()).double(), loss, rtol=1e-5, atol=1e-5)


def test_bernoulli_nll_of_sure_logits_is_the_logit():
    logits = torch.tensor([[60.0, -60.0], [60.0, -60.0]])
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert vae.bernoulli_nll(logits, x).tolist() == pytest.approx([120, 0], abs=1e-20)


def test_likelihoods_of_all_images_add_up_to_one():
    logits = normal(1, 5).expand(32, 5)
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 5)
    assert vae.bernoulli_nll(logits, x).neg().exp().sum().item() == pytest.approx(1, abs=1e-12)


@given(sizes, sizes, st.floats(0, 8), seeds)
def test_negative_elbo_is_made_of_torchs_losses(b, d, beta, seed):
    logits, x, mu, logvar = batch(b, d, seed=seed)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = kl_divergence(Normal(mu, logvar.div(2).exp()), Normal(0.0, 1.0)).sum()
    theirs = (reconstruction + beta * divergence) / b
    assert torch.allclose(vae.negative_elbo(logits, x, mu, logvar, beta), theirs, rtol=1e-10)


@pytest.mark.parametrize(("latents", "beta"), [(200, 3.92), (5, 156.8)])
def test_means_over_pixels_and_latents_silently_set_beta(latents, beta):
    logits, x, mu, logvar = batch(4, latents, 28, 28)
    means = F.binary_cross_entropy_with_logits(logits, x) + vae.kl_by_unit(mu, logvar).mean()
    assert torch.allclose(784 * means, vae.negative_elbo(logits, x, mu, logvar, beta), rtol=1e-12)
    assert not torch.allclose(784 * means, vae.negative_elbo(logits, x, mu, logvar, 1.0), rtol=0.1)


@given(sizes, sizes, seeds)
def test_free_bits_of_zero_are_the_elbo(b, d, seed):
    parts = batch(b, d, seed=seed)
    assert torch.allclose(
        vae.free_bits_loss(*parts, free=0.0), vae.negative_elbo(*parts, beta=1.0), rtol=1e-12
    )


def test_free_bits_pay_for_what_exceeds_them():
    logits, x, mu, logvar = batch(4, 6)
    by_unit = [
        max(0.5, kl_divergence(Normal(m, v.div(2).exp()), Normal(0.0, 1.0)).mean().item())
        for m, v in zip(mu.T, logvar.T, strict=True)
    ]
    loss = vae.free_bits_loss(logits, x, mu, logvar, free=0.5)
    assert loss.item() == pytest.approx(vae.bernoulli_nll(logits, x).mean().item() + sum(by_unit), rel=1e-12)


def test_free_bits_leave_latents_below_the_threshold_alone():
    logits, x, mu, logvar = batch(4, 2)
    mu, logvar = mu * torch.tensor([0.01, 3.0]), logvar * torch.tensor([0.01, 1.0])
    mu.requires_grad_()
    logvar.requires_grad_()
    vae.free_bits_loss(logits, x, mu, logvar, free=0.5).backward()
    assert not mu.grad[:, 0].any() and not logvar.grad[:, 0].any()
    assert torch.allclose(mu.grad[:, 1], mu[:, 1] / 4)


CALLS = {
    "reparameterize": lambda a, b: vae.reparameterize(a, b, a),
    "kl_standard_normal": vae.kl_standard_normal,
    "bernoulli_nll": vae.bernoulli_nll,
}


@pytest.mark.parametrize("name", CALLS)
@given(shapes, shapes)
def test_shapes_that_differ_are_refused_and_others_give_a_row_each(name, one, other):
    a, b = torch.zeros(one), torch.zeros(other)
    dims = {"reparameterize": range(9), "kl_standard_normal": [2], "bernoulli_nll": range(2, 9)}[name]
    if one == other and len(one) in dims:
        assert CALLS[name](a, b).shape == (one if name == "reparameterize" else one[:1])
        return
    with pytest.raises(ValueError, match=rf"^{name}: (shapes must be equal|.* dimension)"):
        CALLS[name](a, b)


@pytest.mark.parametrize("name", CALLS)
@given(not_floats, st.booleans())
def test_only_floats_are_taken(name, dtype, first):
    pair = torch.zeros(2, 3), torch.zeros(2, 3, dtype=dtype)
    with pytest.raises(TypeError, match=rf"^{name}: \w+ must be a floating-point tensor"):
        CALLS[name](*(pair[::-1] if first else pair))


@pytest.mark.parametrize("loss", [vae.negative_elbo, vae.free_bits_loss])
@given(b=st.integers(0, 3), c=st.integers(0, 3))
def test_losses_need_a_code_for_each_image(loss, b, c):
    image, code = torch.zeros(b, 1, 2, 2), torch.zeros(c, 2)
    if b != c:
        with pytest.raises(ValueError, match=rf"^{loss.__name__}: shapes must be equal, got reconstruction"):
            loss(image, image, code, code, 1.0)
    elif b:
        assert loss(image, image, code, code, 0.0).item() == pytest.approx(4 * math.log(2))


@pytest.mark.parametrize("loss", [vae.negative_elbo, vae.free_bits_loss])
def test_losses_refuse_what_their_parts_refuse(loss):
    logits, x, mu, logvar = batch()
    with pytest.raises(ValueError, match=r"bernoulli_nll: shapes must be equal, got logits \(3, 1, 4, 6\)"):
        loss(logits, x[:, 0], mu, logvar, 1.0)
    with pytest.raises(ValueError, match=r"kl_standard_normal: shapes must be equal, got mu \(3, 5\)"):
        loss(logits, x, mu, logvar[:, :1], 1.0)
    with pytest.raises(TypeError, match="x must be a floating-point tensor, got a bool tensor"):
        loss(logits, x.bool(), mu, logvar, 1.0)
