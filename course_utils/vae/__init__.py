"""Chapter 3: the variational autoencoder, in the notation of Kingma & Welling 2014 (arXiv:1312.6114).

    x           (B, 1, 28, 28) float    images in [0, 1]; binary ones (0 or 1) where a likelihood is meant
    z           (B, D) float            codes; the prior p(z) is N(0, I)
    mu, logvar  (B, D) float            q(z|x) = N(mu, exp(logvar)); logvar is the log of the VARIANCE
    eps         like mu                 standard normal
    logits      (B, 1, 28, 28) float    p(x_i = 1 | z) = sigmoid(logits_i)
    log_w       (K, B) float, nats      log p(x, z_k) - log q(z_k|x), z_k drawn from q(z|x)

Likelihoods, bounds and divergences are in nats an image: summed over pixels and latents, never averaged.
"""

from course_utils.vae.bounds import LinearGaussian, iwae_bound, log_normal, log_weights
from course_utils.vae.collapse import CURES, NeighbourVAE, train_step_with
from course_utils.vae.model import MODES, VAE, active_units, binarise, interpolate, train_step
from course_utils.vae.objective import (
    bernoulli_nll,
    free_bits_loss,
    kl_by_unit,
    kl_standard_normal,
    negative_elbo,
    reparameterize,
)

__all__ = [
    "CURES",
    "MODES",
    "VAE",
    "LinearGaussian",
    "NeighbourVAE",
    "active_units",
    "bernoulli_nll",
    "binarise",
    "free_bits_loss",
    "interpolate",
    "iwae_bound",
    "kl_by_unit",
    "kl_standard_normal",
    "log_normal",
    "log_weights",
    "negative_elbo",
    "reparameterize",
    "train_step",
    "train_step_with",
]
