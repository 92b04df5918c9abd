"""A decoder that does not need its code: posterior collapse and its cures (notation in course_utils.vae).

A cure is a loss: cure(model, x, eps, share, generator) -> scalar, nats an image. share (0..1) is how much of
the training is over; generator draws what the cure needs.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from course_utils.vae.objective import free_bits_loss, negative_elbo, reparameterize
from course_utils.validation import require_int

FREE_NATS = 0.5
KEPT_PIXELS = 0.5


class MaskedLinear(nn.Linear):
    """A linear layer of which only the connections where `mask` is 1 exist; mask (out, in)."""

    mask: Tensor

    def __init__(self, mask: Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, out)."""
        return F.linear(x, self.weight * self.mask, self.bias)


class NeighbourVAE(nn.Module):
    """A VAE of small images whose decoder also sees the pixels before each pixel, and so can ignore z.

    The logit of pixel i is the sum of what an ordinary decoder makes of z and of what an autoregressive
    network makes of the pixels 0..i-1 in reading order (MADE, Germain et al. 2015, arXiv:1502.03509). Alone
    the latter is a good model of digits, hence posterior collapse (Bowman et al. 2016, arXiv:1511.06349).

    Args:
        latent_dim: int >= 1 (D).
        side: int >= 2, pixels of an image's side.
        hidden: int >= 1, units of the autoregressive hidden layer.
    """

    def __init__(self, latent_dim: int = 8, side: int = 14, hidden: int = 200):
        super().__init__()
        require_int("NeighbourVAE", 1, latent_dim=latent_dim, hidden=hidden)
        require_int("NeighbourVAE", 2, side=side)
        pixels = side * side
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 100), nn.ReLU())
        self.to_mu, self.to_logvar = nn.Linear(100, latent_dim), nn.Linear(100, latent_dim)
        self.from_code = nn.Sequential(nn.Linear(latent_dim, 100), nn.ReLU(), nn.Linear(100, pixels))
        position = torch.arange(pixels)
        last_seen = torch.arange(hidden) * (pixels - 1) // hidden  # the last pixel that each hidden unit sees
        self.from_pixels_directly = MaskedLinear((position < position[:, None]).float())
        self.from_pixels = nn.Sequential(
            MaskedLinear((position <= last_seen[:, None]).float()),
            nn.ReLU(),
            MaskedLinear((last_seen < position[:, None]).float()),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, side, side) -> mu, logvar: (B, D) each."""
        hidden = self.encoder(x)
        return self.to_mu(hidden), self.to_logvar(hidden)

    def forward(self, x: Tensor, eps: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """logits, mu, logvar; the decoder sees `seen` of x, e.g. x with pixels dropped (default: all)."""
        mu, logvar = self.encode(x)
        pixels = (x if seen is None else seen).flatten(1)
        from_pixels = self.from_pixels(pixels) + self.from_pixels_directly(pixels)
        logits = self.from_code(reparameterize(mu, logvar, eps)) + from_pixels
        return logits.view_as(x), mu, logvar


def no_cure(model: NeighbourVAE, x: Tensor, eps: Tensor, share: float, generator: Generator) -> Tensor:
    """minus the ELBO."""
    logits, mu, logvar = model(x, eps)
    return negative_elbo(logits, x, mu, logvar, beta=1.0)


def warm_up(model: NeighbourVAE, x: Tensor, eps: Tensor, share: float, generator: Generator) -> Tensor:
    """The KL costs nothing at first, and its full price from half-way on (Bowman et al. 2016)."""
    logits, mu, logvar = model(x, eps)
    return negative_elbo(logits, x, mu, logvar, beta=min(1.0, 2 * share))


def free_bits(model: NeighbourVAE, x: Tensor, eps: Tensor, share: float, generator: Generator) -> Tensor:
    """The first FREE_NATS of each latent's KL cost nothing."""
    logits, mu, logvar = model(x, eps)
    return free_bits_loss(logits, x, mu, logvar, FREE_NATS)


def dropped_pixels(model: NeighbourVAE, x: Tensor, eps: Tensor, share: float, generator: Generator) -> Tensor:
    """The decoder sees only KEPT_PIXELS of the pixels, others each time: z has to say the rest."""
    kept = torch.rand(x.shape, generator=generator).to(x.device) < KEPT_PIXELS
    logits, mu, logvar = model(x, eps, seen=x * kept)
    return negative_elbo(logits, x, mu, logvar, beta=1.0)


CURES = {"none": no_cure, "warm-up": warm_up, "free bits": free_bits, "dropped pixels": dropped_pixels}


def train_step_with(
    cure: str, model: NeighbourVAE, x: Tensor, share: float, optimizer: Optimizer, generator: Generator
) -> float:
    """One update of a NeighbourVAE under one of CURES.

    Args:
        cure: name of the cure.
        x: (B, 1, side, side) float, 0 or 1.
        share: 0..1, how much of the training is over.
        generator: on the CPU; draws eps and dropped pixels.

    Returns:
        the cure's loss before the update, nats an image.

    Raises:
        ValueError: no cure has this name.
    """
    if cure not in CURES:
        raise ValueError(f"train_step_with: cure must be one of {', '.join(CURES)}, got {cure!r}.")
    eps = torch.randn(len(x), model.latent_dim, generator=generator).to(x.device)
    loss = CURES[cure](model, x, eps, share, generator)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
