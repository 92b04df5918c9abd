"""Chapter 4: adversarial training, after Goodfellow et al. 2014 (arXiv:1406.2661).

    x, real, fake       (B, 1, 28, 28) float in [-1, 1]   images of the data, and images of the generator
    z                   (B, latent_dim) float             standard normal; fake = G(z)
    logits              (B,) float                        D(x) = sigmoid(logit): probability that x is real
    p_data, p_generator any shape, float >= 0             densities at the same places
    p, q                any shape, float >= 0             probabilities that sum to 1
    labels              (N,) int64, 0..n_classes-1        the mode that each sample belongs to
    points              (B, 2) float                      places in a plane: toy data and toy fakes

Every loss is to be MINIMISED: papers that maximise write the negative. 1 - D(x) = sigmoid(-logit), so that no
probability has to be rounded before its logarithm is taken.
"""

from course_utils.gan.critic import critic_generator_step, critic_loss, critic_step, gradient_penalty
from course_utils.gan.duel import Duel, DuelView
from course_utils.gan.networks import (
    Discriminator,
    Generator,
    PointDiscriminator,
    PointGenerator,
    SmallDiscriminator,
    SmallGenerator,
)
from course_utils.gan.objective import (
    Kind,
    discriminator_loss,
    effective_modes,
    generator_loss,
    js_divergence,
    optimal_discriminator,
)
from course_utils.gan.plane import (
    PointSheet,
    good_points,
    nearest_mode,
    optimal_discriminator_between,
    ring_of_gaussians,
)
from course_utils.gan.rules import CURES, Rules
from course_utils.gan.steps import discriminator_step, generator_step

__all__ = [
    "CURES",
    "Discriminator",
    "Duel",
    "DuelView",
    "Generator",
    "Kind",
    "PointDiscriminator",
    "PointGenerator",
    "PointSheet",
    "Rules",
    "SmallDiscriminator",
    "SmallGenerator",
    "critic_generator_step",
    "critic_loss",
    "critic_step",
    "discriminator_loss",
    "discriminator_step",
    "effective_modes",
    "generator_loss",
    "generator_step",
    "good_points",
    "gradient_penalty",
    "js_divergence",
    "nearest_mode",
    "optimal_discriminator",
    "optimal_discriminator_between",
    "ring_of_gaussians",
]
