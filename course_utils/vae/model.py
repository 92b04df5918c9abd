"""The network, its training step, and what is done with its codes (notation in course_utils.vae)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.vae.objective import negative_elbo, reparameterize
from course_utils.validation import require_dims, require_float_tensor, require_int, require_same_shape

ACTIVE = 0.01  # variance of mu over the data above which a unit counts as active
MODES = ("linear", "spherical")
IMAGE_SHAPE = (1, 28, 28)


class VAE(nn.Module):
    """Variational autoencoder of (B, 1, 28, 28) images with Bernoulli pixels: 784-200-200-D and back.

    Args:
        latent_dim: int >= 1, numbers in a code (D).
    """

    def __init__(self, latent_dim: int = 32):
        super().__init__()
        require_int("VAE", 1, latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU()
        )
        self.to_mu = nn.Linear(200, latent_dim)
        self.to_logvar = nn.Linear(200, latent_dim)
        self.decoder = nn.Sequential(
            *(nn.Linear(latent_dim, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU()),
            *(nn.Linear(200, 784), nn.Unflatten(1, (1, 28, 28))),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 28, 28) -> mu, logvar: (B, D) each."""
        require_float_tensor("VAE.encode", x=x)
        if x.shape[1:] != IMAGE_SHAPE:
            raise ValueError(
                f"VAE.encode: x must be (B, 1, 28, 28), got {tuple(x.shape)}. "
                'MNIST in that size is load("mnist", size=28).'
            )
        hidden = self.encoder(x)
        return self.to_mu(hidden), self.to_logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) -> logits (B, 1, 28, 28)."""
        require_float_tensor("VAE.decode", z=z)
        if z.dim() != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"VAE.decode: z must be (B, {self.latent_dim}), got {tuple(z.shape)}.")
        logits: Tensor = self.decoder(z)
        return logits

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """logits, mu, logvar; eps (B, D) chooses the code from q(z|x)."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar, eps)), mu, logvar


def train_step(model: nn.Module, x: Tensor, eps: Tensor, optimizer: Optimizer, beta: float = 1.0) -> float:
    """One update of a VAE.

    Args:
        model: called as model(x, eps) -> logits, mu, logvar.
        x: (B, ...) float in [0, 1].
        eps: (B, D) standard normal.

    Returns:
        negative_elbo before the update, nats an image.
    """
    logits, mu, logvar = model(x, eps)
    loss = negative_elbo(logits, x, mu, logvar, beta)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def binarise(x: Tensor, u: Tensor) -> Tensor:
    """Black and white images: a pixel is white with the probability that its grey value names.

    Args:
        x: any shape, float in [0, 1].
        u: like x, uniform in [0, 1). Drawn once for all of training, this is static binarisation.

    Returns:
        like x, 0 or 1.
    """
    require_float_tensor("binarise", x=x, u=u)
    require_same_shape("binarise", x=x, u=u)
    return (u < x).to(x.dtype)


def active_units(mu: Tensor) -> Tensor:
    """Which latents carry anything: their mean moves with the image (Burda et al. 2016, sec. 5.2).

    Args:
        mu: (N, D) float, the posterior means of many images.

    Returns:
        (D,) bool: the variance of mu over the images exceeds 0.01.
    """
    require_float_tensor("active_units", mu=mu)
    require_dims("active_units", 2, "(N, D)", mu=mu)
    return mu.var(dim=0, correction=0) > ACTIVE


def interpolate(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Codes on the way from z0 to z1.

    Args:
        z0, z1: (D,) float.
        steps: int >= 2, how many codes, both ends included.
        mode: "linear": on the straight line. "spherical": along the great circle, after Shoemake 1985,
            (sin((1-t) omega) z0 + sin(t omega) z1) / sin omega with omega the angle between z0 and z1; the
            straight line where they are parallel.

    Returns:
        (steps, D); the first row is z0, the last one z1, exactly.

    Raises:
        ValueError: another mode, shapes differ, or z0 and z1 point in opposite directions (spherical).
    """
    require_float_tensor("interpolate", z0=z0, z1=z1)
    require_dims("interpolate", 1, "(D,)", z0=z0, z1=z1)
    require_same_shape("interpolate", z0=z0, z1=z1)
    require_int("interpolate", 2, steps=steps)
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(MODES)}, got {mode!r}.")
    t = torch.linspace(0, 1, steps, dtype=z0.dtype, device=z0.device)[:, None]
    omega = _angle(z0, z1)
    weights = (1 - t, t)
    if mode == "spherical" and omega.sin() > 1e-4:
        weights = (((1 - t) * omega).sin() / omega.sin(), (t * omega).sin() / omega.sin())
    elif mode == "spherical" and omega > 1:
        raise ValueError(
            "interpolate: z0 and z1 point in opposite directions: no great circle is the shortest."
        )
    path = weights[0] * z0 + weights[1] * z1
    path[0], path[-1] = z0, z1
    return path


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """The angle between two vectors, 0..pi, exact also near both ends."""
    a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
    return 2 * torch.atan2((a - b).norm(), (a + b).norm())
