"""Chapter 5: convolutional and conditional GANs, and tests of their failures.

    x, real, fake    (B, C, H, W) float in [-1, 1]   images; 1 x 28 x 28 unless a network is told otherwise
    z                (B, nz) float                   latents, standard normal
    labels           (B,) int64                      classes, 0..K-1; E numbers in the embedding of each
    logits           (B, 1) float                    of "this image is real"
    critic           images -> scores                a discriminator without the meaning of a probability
    mix              (B, 1, 1, 1) float in [0, 1]    share of the real image in each mixture
    sigma            float >= 0                      the largest singular value of a matrix

The networks (Radford et al. 2016, arXiv:1511.06434, for 28 x 28 pixels). Every convolution, transposed or
not, has kernel 4, stride 2, padding 1 and no bias.

    Generator        z                                                    nz
                     Linear with bias, reshaped                           256 x 7 x 7
                     ConvTranspose2d, BatchNorm2d, ReLU                   128 x 14 x 14
                     ConvTranspose2d, Tanh                                1 x 28 x 28
    Discriminator    x                                                    1 x 28 x 28
                     Conv2d, LeakyReLU 0.2                                64 x 14 x 14
                     Conv2d, BatchNorm2d, LeakyReLU 0.2                   128 x 7 x 7
                     Conv2d, BatchNorm2d, LeakyReLU 0.2                   256 x 3 x 3
                     flattened, Linear with bias                          1 logit

Other numbers of channels and other sizes are arguments: GENERATOR_64 and DISCRIMINATOR_64 are the networks of
four such layers for 64 x 64 pixels in colour.
"""

from course_utils.dcgan.conditional import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    Told,
    condition_latent,
    label_maps,
)
from course_utils.dcgan.networks import (
    DISCRIMINATOR_64,
    GENERATOR_64,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    RecordedGenerator,
    add_spectral_norm,
    init_weights,
)
from course_utils.dcgan.stability import pairwise_diversity, spectral_norm
from course_utils.dcgan.translation import (
    Judges,
    PatchDiscriminator,
    Translators,
    outlined,
    patch_receptive_field,
    translation_loss,
    translation_step,
)
from course_utils.gan.critic import gradient_penalty

__all__ = [
    "DISCRIMINATOR_64",
    "GENERATOR_64",
    "ConditionalDiscriminator",
    "ConditionalGenerator",
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Judges",
    "PatchDiscriminator",
    "RecordedGenerator",
    "Told",
    "Translators",
    "add_spectral_norm",
    "condition_latent",
    "gradient_penalty",
    "init_weights",
    "label_maps",
    "outlined",
    "pairwise_diversity",
    "patch_receptive_field",
    "spectral_norm",
    "translation_loss",
    "translation_step",
]
