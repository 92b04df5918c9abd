"""Bounds against evidence that is known: closed forms, numerical integration, Bayes' rule on a grid."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from course_utils import vae
from course_utils.training import seeded

sizes, seeds = st.integers(1, 5), st.integers(0, 999)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=stream(seed))


def linear_gaussian(n, d, sigma=0.7, seed=0):
    return vae.LinearGaussian(normal(n, d, seed=seed), normal(n, seed=seed + 1), sigma)


def trained_looking_vae(latent_dim=3):
    """Weights large enough that every image has a posterior of its own."""
    with seeded(0):
        model = vae.VAE(latent_dim).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def images(b):
    return (torch.rand(b, 1, 28, 28, generator=stream()) < 0.3).double()


@given(sizes, sizes, seeds)
def test_log_normal_is_that_of_torch_distributions(b, d, seed):
    z, mu, logvar = 2 * normal(3, b, d, seed=seed)
    theirs = Independent(Normal(mu, logvar.div(2).exp()), 1).log_prob(z)
    assert torch.allclose(vae.log_normal(z, mu, logvar), theirs, rtol=1e-10, atol=1e-10)


def test_summed_squared_error_is_a_gaussian_decoder_of_variance_one_half():
    x, x_hat = normal(2, 4, 784)
    log_likelihood = vae.log_normal(x, x_hat, torch.tensor(0.5).double().log())
    constant = 784 / 2 * math.log(math.pi)
    assert torch.allclose(-log_likelihood - constant, (x - x_hat).square().sum(dim=1), rtol=1e-12)


def test_the_logarithm_of_a_density_may_exceed_zero():
    x = normal(1, 784)
    model = vae.LinearGaussian(normal(784, 2, seed=3), x[0], sigma=0.01)
    at_the_mean = vae.log_normal(x, x, torch.tensor(2 * math.log(0.01)).double())
    narrow = model.reconstruction(x, torch.zeros(1, 2).double(), torch.full((1, 2), -30.0).double())
    assert at_the_mean > 0
    assert narrow > 0


@given(n=sizes, d=sizes, b=sizes, sigma=st.floats(0.1, 3), seed=seeds)
def test_evidence_is_elbo_plus_gap_for_every_q(n, d, b, sigma, seed):
    model = linear_gaussian(n, d, sigma, seed)
    x, (mu, logvar) = 2 * normal(b, n, seed=seed + 2), normal(2, b, d, seed=seed + 3)
    evidence, elbo, gap = model.log_evidence(x), model.elbo(x, mu, logvar), model.gap(x, mu, logvar)
    assert torch.allclose(evidence, elbo + gap, rtol=1e-10, atol=1e-10)
    assert (gap >= 0).all()


@given(n=sizes, d=sizes, b=sizes, seed=seeds)
def test_gap_is_the_kl_to_the_posterior(n, d, b, seed):
    model = linear_gaussian(n, d, seed=seed)
    x, (mu, logvar) = normal(b, n, seed=seed + 2), normal(2, b, d, seed=seed + 3)
    mean, covariance = model.posterior(x)
    q = MultivariateNormal(mu, torch.diag_embed(logvar.exp()))
    theirs = kl_divergence(q, MultivariateNormal(mean, covariance.expand(b, d, d)))
    assert torch.allclose(model.gap(x, mu, logvar), theirs, rtol=1e-9, atol=1e-9)


def test_gap_closes_where_q_is_the_posterior():
    weight = torch.linalg.qr(normal(5, 3)).Q * torch.tensor([2.0, 1.0, 0.5]).double()
    model = vae.LinearGaussian(weight, normal(5, seed=1), 0.6)  # orthogonal columns: a diagonal posterior
    x = normal(4, 5, seed=2)
    mean, covariance = model.posterior(x)
    variances = covariance.diagonal()
    assert torch.allclose(covariance, torch.diag(variances), atol=1e-12)
    logvar = variances.log().expand_as(mean)
    assert model.gap(x, mean, logvar).abs().max() < 1e-12
    assert torch.allclose(model.elbo(x, mean, logvar), model.log_evidence(x), atol=1e-12)
    assert (model.gap(x, mean + 0.1, logvar) > 1e-3).all()


def log_joint(model, x, z):
    """log p(x, z) for one x (N,) and z (G, 1) on a grid, by torch.distributions."""
    likelihood = Independent(Normal(z @ model.weight.T + model.bias, model.sigma), 1).log_prob(x)
    return likelihood + Normal(0.0, 1.0).log_prob(z[:, 0])


def test_evidence_and_posterior_are_those_of_bayes_rule_on_a_grid():
    model, x = linear_gaussian(3, 1), 2 * normal(2, 3, seed=2)
    z = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    width = (z[1] - z[0]).item()
    means, covariance = model.posterior(x)
    for one, evidence, mean in zip(x, model.log_evidence(x), means, strict=True):
        joint = log_joint(model, one, z)
        assert (joint.logsumexp(0) + math.log(width)).item() == pytest.approx(evidence.item(), abs=1e-9)
        density = (joint - evidence).exp()
        theirs = Normal(mean, covariance[0].sqrt()).log_prob(z)[:, 0].exp()
        assert torch.allclose(density, theirs, atol=1e-9)


def test_reconstruction_is_what_monte_carlo_finds():
    model, x = linear_gaussian(4, 2), normal(3, 4, seed=2)
    mu, logvar = normal(2, 3, 2, seed=3)
    z = mu + logvar.div(2).exp() * normal(40_000, 3, 2, seed=4)
    draws = Independent(Normal(z @ model.weight.T + model.bias, model.sigma), 1).log_prob(x)
    error = draws.std(dim=0) / math.sqrt(len(draws))
    assert ((model.reconstruction(x, mu, logvar) - draws.mean(dim=0)).abs() < 4.5 * error).all()


def test_log_weights_of_the_linear_model_are_joint_over_q():
    model, x = linear_gaussian(3, 1), normal(2, 3, seed=2)
    mu, logvar = normal(2, 2, 1, seed=3)
    eps = normal(7, 2, 1, seed=4)
    z = mu + logvar.div(2).exp() * eps
    log_q = Normal(mu, logvar.div(2).exp()).log_prob(z)[..., 0]
    joint = torch.stack([log_joint(model, one, z[:, i]) for i, one in enumerate(x)], dim=1)
    assert torch.allclose(model.log_weights(x, mu, logvar, eps), joint - log_q, atol=1e-10)


def test_weights_under_the_posterior_are_all_the_evidence():
    model, x = linear_gaussian(3, 1), normal(2, 3, seed=2)
    mean, covariance = model.posterior(x)
    log_w = model.log_weights(x, mean, covariance[0].log().expand_as(mean), normal(5, 2, 1, seed=4))
    assert torch.allclose(log_w, model.log_evidence(x).expand(5, 2), atol=1e-10)


def test_the_importance_weighted_bound_climbs_from_the_elbo_to_the_evidence():
    model, x = linear_gaussian(4, 2, sigma=0.8), normal(1, 4, seed=2)
    mu, covariance = model.posterior(x)
    mu, logvar = mu + 0.3, covariance.diagonal().log()[None] + 0.5
    repeats, sizes = 2000, (1, 2, 4, 16, 64, 256)
    log_w = model.log_weights(
        *(a.repeat(repeats, 1) for a in (x, mu, logvar)), normal(max(sizes), repeats, 2, seed=3)
    )
    bounds = torch.stack([vae.iwae_bound(log_w[:k]) for k in sizes])
    errors = bounds.std(dim=1) / math.sqrt(repeats)
    means, evidence = bounds.mean(dim=1), model.log_evidence(x).item()
    assert abs(means[0] - model.elbo(x, mu, logvar).item()) < 4.5 * errors[0]
    assert (means.diff() > 0).all()
    assert means[-1] == pytest.approx(evidence, abs=0.01 + 4.5 * errors[-1].item())
    assert means[-1] < evidence + 4.5 * errors[-1]
    assert evidence - means[0] > 10 * (evidence - means[-1])


@given(k=sizes, b=sizes, seed=seeds, shift=st.floats(-2000, 2000))
def test_iwae_bound_is_the_logarithm_of_the_mean_weight(k, b, seed, shift):
    log_w = 2 * normal(k, b, seed=seed)
    plain = log_w.exp().mean(dim=0).log()
    assert torch.allclose(vae.iwae_bound(log_w), plain, rtol=1e-10, atol=1e-10)
    assert torch.allclose(vae.iwae_bound(log_w + shift) - shift, plain, atol=1e-9)
    assert (vae.iwae_bound(log_w) >= log_w.mean(dim=0) - 1e-12).all()
    assert torch.equal(vae.iwae_bound(log_w[:1]), log_w[0])


def test_log_weights_are_likelihood_prior_and_posterior():
    model, x = trained_looking_vae(), images(2)
    eps = normal(4, 2, 3)
    mu, logvar = model.encode(x)
    log_w = vae.log_weights(model, x, eps)
    for k in range(4):
        logits, _, _ = model(x, eps[k])
        z = vae.reparameterize(mu, logvar, eps[k])
        prior = Normal(0.0, 1.0).log_prob(z).sum(1)
        posterior = Normal(mu, logvar.div(2).exp()).log_prob(z).sum(1)
        likelihood = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3))
        assert torch.allclose(log_w[k], likelihood + prior - posterior, atol=1e-9)


@torch.no_grad()
def test_log_weights_average_to_the_elbo():
    model, x = trained_looking_vae(), images(2)
    draws = 4000
    eps = normal(draws, 2, 3, seed=5)
    log_w = vae.log_weights(model, x, eps)
    mu, logvar = model.encode(x)
    logits = model.decode((mu + logvar.div(2).exp() * eps).flatten(0, 1))
    reconstruction = vae.bernoulli_nll(logits, x.repeat(draws, 1, 1, 1)).view(draws, 2)
    elbo = -(reconstruction + vae.kl_standard_normal(mu, logvar))
    error = (log_w - elbo).std(dim=0) / math.sqrt(draws)
    assert error.min() > 0
    assert ((log_w - elbo).mean(dim=0).abs() < 4.5 * error).all()
    loss = vae.negative_elbo(model(x, eps[0])[0], x, mu, logvar, 1.0)
    assert loss.item() == pytest.approx(-elbo[0].mean().item(), rel=1e-10)


@given(st.lists(st.integers(1, 3), max_size=4), st.sampled_from([torch.float32, torch.int64]))
def test_iwae_bound_takes_a_matrix_of_floats(shape, dtype):
    log_w = torch.zeros(shape, dtype=dtype)
    if dtype == torch.int64:
        with pytest.raises(TypeError, match="iwae_bound: log_w must be a floating-point tensor"):
            vae.iwae_bound(log_w)
    elif len(shape) != 2:
        with pytest.raises(ValueError, match=r"iwae_bound: log_w must have 2 dimensions \(K, B\)"):
            vae.iwae_bound(log_w)
    else:
        assert vae.iwae_bound(log_w).tolist() == pytest.approx([0] * shape[1], abs=1e-6)


def test_iwae_bound_of_no_sample_is_refused():
    with pytest.raises(ValueError, match="iwae_bound: log_w must hold at least one sample"):
        vae.iwae_bound(torch.zeros(0, 3))


@given(st.lists(st.integers(1, 3), max_size=4).map(tuple))
def test_log_weights_need_draws_for_each_image(shape):
    model, x = vae.VAE(2), torch.zeros(3, 1, 28, 28)
    if shape[1:] == (3, 2):
        assert vae.log_weights(model, x, torch.zeros(shape)).shape == shape[:2]
        return
    with pytest.raises(ValueError, match=r"log_weights: eps must (have 3 dimensions|be \(K, 3, 2\))"):
        vae.log_weights(model, x, torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(3), torch.zeros(3), 1.0), ValueError, r"weight must have 2 dimensions \(N, D\)"),
        ((torch.zeros(3, 2), torch.zeros(2), 1.0), ValueError, r"bias must be \(N,\) with N = 3"),
        ((torch.zeros(3, 2), torch.zeros(3, 1), 1.0), ValueError, r"bias must be \(N,\) with N = 3"),
        ((torch.zeros(3, 2), torch.zeros(3), 0.0), ValueError, "sigma must be positive, got 0.0"),
        ((torch.zeros(3, 2), torch.zeros(3), math.nan), ValueError, "sigma must be positive, got nan"),
        ((torch.zeros(3, 2).int(), torch.zeros(3), 1.0), TypeError, "weight must be a floating-point tensor"),
        (([[1.0]], torch.zeros(1), 1.0), TypeError, "weight must be a floating-point tensor, got list"),
    ],
)
def test_linear_gaussian_refuses(arguments, error, message):
    with pytest.raises(error, match=f"LinearGaussian: {message}"):
        vae.LinearGaussian(*arguments)
