"""The exercises of chapter 3, a module each, in the notation of course_utils/vae.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.vae.bernoulli_nll import BERNOULLI_NLL
from course_utils.exercises.vae.interpolate import INTERPOLATE
from course_utils.exercises.vae.iwae_bound import IWAE_BOUND
from course_utils.exercises.vae.kl_standard_normal import KL_STANDARD_NORMAL
from course_utils.exercises.vae.negative_elbo import NEGATIVE_ELBO
from course_utils.exercises.vae.reparameterize import REPARAMETERIZE
from course_utils.exercises.vae.vae_module import VAE_MODULE

EXERCISES = (
    REPARAMETERIZE,
    KL_STANDARD_NORMAL,
    BERNOULLI_NLL,
    NEGATIVE_ELBO,
    VAE_MODULE,
    IWAE_BOUND,
    INTERPOLATE,
)
