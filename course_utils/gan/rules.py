"""How two players in a plane are trained, and cures of mode collapse (notation in course_utils.gan).

A cure is a set of rules that differs from the plain ones in one thing. Each is measured over ten seeds, see
course_utils/checkpoints/recipes/gan.
"""

from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils.gan.networks import PointDiscriminator, PointGenerator
from course_utils.gan.objective import Kind

Players = tuple[nn.Module, nn.Module]  # a generator and its discriminator


@dataclass(frozen=True)
class Rules:
    """One way to train two players on points.

    Args:
        latent_dim, hidden: sizes of the players.
        lr_d, lr_g, betas: of the two Adams. The generator is the faster one, which is how collapse is had: it
            runs to where the discriminator says "real", all of it, before that one can take it back.
        batch_size: points in a batch, real and fake each.
        kind: of the generator's loss.
        discriminator_steps: how many for one step of the generator.
        pack: how many points the discriminator judges at once (PacGAN, Lin et al. 2018, arXiv:1712.04086).
        spectral: whether each layer of the discriminator is divided by its largest singular value (Miyato et
            al. 2018, arXiv:1802.05957), so that its logit changes by at most `scale` over one unit.
        scale: what the discriminator's logits are multiplied with.
        penalty: weight of the gradient penalty of a Wasserstein critic (Gulrajani et al. 2017,
            arXiv:1704.00028); 0: a discriminator as in this chapter.
    """

    latent_dim: int = 2
    hidden: int = 64
    lr_d: float = 2e-4
    lr_g: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    batch_size: int = 64
    kind: Kind = "non_saturating"
    discriminator_steps: int = 1
    pack: int = 1
    spectral: bool = False
    scale: float = 1.0
    penalty: float = 0.0

    def players(self) -> Players:
        """A new generator and its discriminator. First weights come from torch's global stream."""
        discriminator = PointDiscriminator(self.hidden, self.pack, self.scale)
        if self.spectral:
            for layer in discriminator.modules():
                if isinstance(layer, nn.Linear):
                    spectral_norm(layer)
        return PointGenerator(self.latent_dim, self.hidden), discriminator


CURES = {
    "none": Rules(),
    "logits × 30": Rules(scale=30.0),  # no cure in circulation, but the other half of the next one
    "spectral norm, × 30": Rules(spectral=True, scale=30.0),
    "packs of 4": Rules(pack=4),
    "5 D steps": Rules(discriminator_steps=5),
    "WGAN-GP, 5 D steps": Rules(discriminator_steps=5, penalty=1.0),
}
