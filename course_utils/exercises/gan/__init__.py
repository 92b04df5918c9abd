"""The exercises of chapter 4, a module each, in the notation of course_utils/gan.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.gan.discriminator_loss import DISCRIMINATOR_LOSS
from course_utils.exercises.gan.discriminator_step import DISCRIMINATOR_STEP
from course_utils.exercises.gan.effective_modes import EFFECTIVE_MODES
from course_utils.exercises.gan.generator import GENERATOR
from course_utils.exercises.gan.generator_loss import GENERATOR_LOSS
from course_utils.exercises.gan.generator_step import GENERATOR_STEP
from course_utils.exercises.gan.js_divergence import JS_DIVERGENCE
from course_utils.exercises.gan.optimal_discriminator import OPTIMAL_DISCRIMINATOR

EXERCISES = (
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    GENERATOR,
    DISCRIMINATOR_STEP,
    GENERATOR_STEP,
    OPTIMAL_DISCRIMINATOR,
    JS_DIVERGENCE,
    EFFECTIVE_MODES,
)
