"""The exercises of chapter 5, a module each, in the notation of course_utils/dcgan.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.dcgan.condition_latent import CONDITION_LATENT
from course_utils.exercises.dcgan.discriminator import DISCRIMINATOR
from course_utils.exercises.dcgan.generator import GENERATOR
from course_utils.exercises.dcgan.gradient_penalty import GRADIENT_PENALTY
from course_utils.exercises.dcgan.init_weights import INIT_WEIGHTS
from course_utils.exercises.dcgan.pairwise_diversity import PAIRWISE_DIVERSITY
from course_utils.exercises.dcgan.patch_receptive_field import PATCH_RECEPTIVE_FIELD
from course_utils.exercises.dcgan.spectral_norm import SPECTRAL_NORM

EXERCISES = (
    GENERATOR,
    DISCRIMINATOR,
    INIT_WEIGHTS,
    CONDITION_LATENT,
    GRADIENT_PENALTY,
    SPECTRAL_NORM,
    PAIRWISE_DIVERSITY,
    PATCH_RECEPTIVE_FIELD,
)
