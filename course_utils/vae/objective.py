"""The pieces of the ELBO, and the loss they make (notation in course_utils.vae)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.validation import require_dims, require_float_tensor, require_same_shape


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """A draw from N(mu, exp(logvar)) through which gradients flow: mu + exp(logvar / 2) eps (eq. 10).

    Args:
        mu, logvar, eps: same shape, float.

    Returns:
        like mu.

    Raises:
        ValueError: shapes differ.
    """
    require_float_tensor("reparameterize", mu=mu, logvar=logvar, eps=eps)
    require_same_shape("reparameterize", mu=mu, logvar=logvar, eps=eps)
    return mu + torch.exp(0.5 * logvar) * eps


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL( N(mu, exp(logvar)) || N(0, I) ) of each example (app. B).

    Args:
        mu, logvar: (B, D) float.

    Returns:
        (B,) float, nats, >= 0: summed over D, no batch average.

    Raises:
        ValueError: mu and logvar differ in shape.
    """
    return kl_by_unit(mu, logvar).sum(dim=1)


def kl_by_unit(mu: Tensor, logvar: Tensor) -> Tensor:
    """The KL divergence from the prior, latent by latent: (B, D) nats, see kl_standard_normal."""
    require_float_tensor("kl_standard_normal", mu=mu, logvar=logvar)
    require_same_shape("kl_standard_normal", mu=mu, logvar=logvar)
    require_dims("kl_standard_normal", 2, "(B, D)", mu=mu)
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of each image, its pixels being independent coins: softplus(logit) - x logit, summed.

    Args:
        logits, x: (B, ...) same shape, float; x in [0, 1]. It is a likelihood only where x is 0 or 1.

    Returns:
        (B,) float, nats, summed over all pixels.

    Raises:
        ValueError: shapes differ, or there is no dimension but one.
    """
    require_float_tensor("bernoulli_nll", logits=logits, x=x)
    require_same_shape("bernoulli_nll", logits=logits, x=x)
    if x.dim() < 2:
        raise ValueError(f"bernoulli_nll: x needs a batch dimension and pixels, got shape {tuple(x.shape)}.")
    return (F.softplus(logits) - x * logits).flatten(1).sum(dim=1)


def negative_elbo(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """The loss of a VAE: reconstruction + beta KL, summed over an image, averaged over the batch.

    Args:
        logits, x: (B, ...) same shape.
        mu, logvar: (B, D).
        beta: float >= 0; 1 gives minus the ELBO, other values the beta-VAE (Higgins et al. 2017).

    Returns:
        scalar, nats an image.

    Raises:
        ValueError: shapes differ, or there are not as many codes as images.
    """
    reconstruction, divergence = bernoulli_nll(logits, x), kl_standard_normal(mu, logvar)
    require_same_shape("negative_elbo", reconstruction=reconstruction, divergence=divergence)
    return (reconstruction + beta * divergence).mean()


def free_bits_loss(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, free: float) -> Tensor:
    """minus the ELBO, but `free` nats of each latent's KL cost nothing (Kingma et al. 2016, eq. 15).

    Args:
        free: float >= 0, nats; a latent whose KL, averaged over the batch, is below has no gradient from it.

    Returns:
        scalar, nats an image.

    Raises:
        ValueError: shapes differ, or there are not as many codes as images.
    """
    reconstruction, divergence = bernoulli_nll(logits, x), kl_by_unit(mu, logvar)
    require_same_shape("free_bits_loss", reconstruction=reconstruction, divergence=divergence.sum(dim=1))
    return reconstruction.mean() + divergence.mean(dim=0).clamp(min=free).sum()
