"""Bounds on log p(x), and a model whose log p(x) is known (notation in course_utils.vae)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.vae.model import VAE
from course_utils.vae.objective import kl_standard_normal
from course_utils.validation import describe, require_dims, require_float_tensor

LOG_2PI = math.log(2 * math.pi)


def log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mu, exp(logvar)), nats, summed over the last dimension."""
    return -0.5 * (LOG_2PI + logvar + (z - mu).square() / logvar.exp()).sum(dim=-1)


def log_weights(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """log p(x, z_k) - log q(z_k|x) for K draws from q(z|x): their mean estimates the ELBO, see iwae_bound.

    Args:
        x: (B, 1, 28, 28), binary.
        eps: (K, B, D) standard normal.

    Returns:
        (K, B) float, nats.

    Raises:
        ValueError: eps does not have a row for each image, and a number for each latent.
    """
    require_dims("log_weights", 3, "(K, B, D)", eps=eps)
    mu, logvar = model.encode(x)
    if eps.shape[1:] != mu.shape:
        raise ValueError(
            f"log_weights: eps must be (K, {len(mu)}, {mu.shape[1]}), got {tuple(eps.shape)}: "
            "K draws for each image."
        )
    z = mu + torch.exp(0.5 * logvar) * eps
    logits = model.decode(z.flatten(0, 1)).view(*eps.shape[:2], *x.shape[1:])
    log_likelihood = (x * logits - F.softplus(logits)).flatten(2).sum(dim=2)
    zero = torch.zeros((), dtype=z.dtype, device=z.device)
    return log_likelihood + log_normal(z, zero, zero) - log_normal(z, mu, logvar)


def iwae_bound(log_w: Tensor) -> Tensor:
    """The importance-weighted bound: log of the mean weight (Burda et al. 2016, arXiv:1509.00519, eq. 8).

    It never exceeds log p(x) on average, grows with K, and is the ELBO's estimate at K = 1.

    Args:
        log_w: (K, B) float, nats.

    Returns:
        (B,) float, nats.
    """
    require_float_tensor("iwae_bound", log_w=log_w)
    require_dims("iwae_bound", 2, "(K, B)", log_w=log_w)
    if not len(log_w):
        raise ValueError(f"iwae_bound: log_w must hold at least one sample, got {describe(log_w)}.")
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


class LinearGaussian:
    """A latent model whose evidence is known: z ~ N(0, I), x = W z + b + sigma noise.

    Everything is Gaussian: log p(x) and the true posterior have closed forms (Bishop 2006, 2.113-2.117), and
    so has the ELBO of any Gaussian q: evidence = ELBO + KL(q || posterior) can be checked to the last digit.

    Args:
        weight: (N, D) float, W.
        bias: (N,) float, b.
        sigma: float > 0, standard deviation of the observation noise.
    """

    def __init__(self, weight: Tensor, bias: Tensor, sigma: float):
        require_float_tensor("LinearGaussian", weight=weight, bias=bias)
        require_dims("LinearGaussian", 2, "(N, D)", weight=weight)
        if bias.shape != weight.shape[:1]:
            raise ValueError(
                f"LinearGaussian: bias must be (N,) with N = {len(weight)}, got {describe(bias)}: "
                "one number for each number in x."
            )
        if not sigma > 0:
            raise ValueError(f"LinearGaussian: sigma must be positive, got {sigma}.")
        self.weight, self.bias, self.sigma = weight, bias, sigma

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x), nats, (B,): x (B, N) is Gaussian around b with covariance W W^T + sigma^2 I."""
        identity = torch.eye(len(self.bias), dtype=x.dtype)
        covariance = self.weight @ self.weight.T + self.sigma**2 * identity
        return torch.distributions.MultivariateNormal(self.bias, covariance).log_prob(x)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """p(z|x) = N(mean, covariance): mean (B, D), covariance (D, D), the same for every x."""
        identity = torch.eye(self.weight.shape[1], dtype=x.dtype)
        covariance = torch.linalg.inv(identity + self.weight.T @ self.weight / self.sigma**2)
        return (x - self.bias) @ self.weight @ covariance / self.sigma**2, covariance

    def reconstruction(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """E_q[log p(x|z)], nats, (B,), in closed form; a density's may exceed 0.

        Args:
            x: (B, N).
            mu, logvar: (B, D), of q(z|x).
        """
        squared = (x - self.bias - mu @ self.weight.T).square().sum(dim=1)
        spread = (logvar.exp() * self.weight.square().sum(dim=0)).sum(dim=1)  # what the width of q adds
        constant = len(self.bias) * (LOG_2PI + 2 * math.log(self.sigma))
        return -0.5 * (constant + (squared + spread) / self.sigma**2)

    def elbo(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """E_q[log p(x|z)] - KL(q || prior), nats, (B,)."""
        return self.reconstruction(x, mu, logvar) - kl_standard_normal(mu, logvar)

    def gap(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """KL(q || p(z|x)), nats, (B,): by how much the ELBO of q misses the evidence."""
        mean, covariance = self.posterior(x)
        precision = torch.linalg.inv(covariance)
        distance = torch.einsum("bi,ij,bj->b", mean - mu, precision, mean - mu)
        trace = (logvar.exp() * precision.diagonal()).sum(dim=1)
        volume = torch.linalg.slogdet(covariance).logabsdet - logvar.sum(dim=1)
        return 0.5 * (trace + distance - mu.shape[1] + volume)

    def log_weights(self, x: Tensor, mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
        """log p(x, z_k) - log q(z_k|x), nats, (K, B), for z_k = mu + exp(logvar / 2) eps_k, eps (K, B, D)."""
        z = mu + torch.exp(0.5 * logvar) * eps
        zero = torch.zeros((), dtype=x.dtype)
        log_variance = torch.tensor(2 * math.log(self.sigma), dtype=x.dtype)
        likelihood = log_normal(x, self.bias + z @ self.weight.T, log_variance)
        return likelihood + log_normal(z, zero, zero) - log_normal(z, mu, logvar)
