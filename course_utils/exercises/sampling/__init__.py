"""The exercises of chapter 8, a module each, in the notation of course_utils/diffusion/samplers.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise. What several of them
share is in common.py.
"""

from course_utils.exercises.sampling.ddim_step import DDIM_STEP
from course_utils.exercises.sampling.ddim_timesteps import DDIM_TIMESTEPS
from course_utils.exercises.sampling.drop_labels import DROP_LABELS
from course_utils.exercises.sampling.frechet_distance import FRECHET_DISTANCE
from course_utils.exercises.sampling.guided_noise import GUIDED_NOISE
from course_utils.exercises.sampling.p_sample import P_SAMPLE
from course_utils.exercises.sampling.p_sample_loop import P_SAMPLE_LOOP
from course_utils.exercises.sampling.posterior_mean_variance import POSTERIOR_MEAN_VARIANCE

EXERCISES = (
    POSTERIOR_MEAN_VARIANCE,
    P_SAMPLE,
    P_SAMPLE_LOOP,
    DDIM_TIMESTEPS,
    DDIM_STEP,
    GUIDED_NOISE,
    DROP_LABELS,
    FRECHET_DISTANCE,
)
