"""The exercises of chapter 6, a module each, in the notation of course_utils/diffusion.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise. `drawn` holds what
several of them share.
"""

from course_utils.exercises.forward_diffusion.alphas_cumprod import ALPHAS_CUMPROD
from course_utils.exercises.forward_diffusion.cosine_beta_schedule import COSINE_BETA_SCHEDULE
from course_utils.exercises.forward_diffusion.linear_beta_schedule import LINEAR_BETA_SCHEDULE
from course_utils.exercises.forward_diffusion.predict_x0 import PREDICT_X0
from course_utils.exercises.forward_diffusion.q_sample import Q_SAMPLE
from course_utils.exercises.forward_diffusion.q_step import Q_STEP
from course_utils.exercises.forward_diffusion.snr import SNR
from course_utils.exercises.forward_diffusion.velocity import VELOCITY

EXERCISES = (
    LINEAR_BETA_SCHEDULE,
    COSINE_BETA_SCHEDULE,
    ALPHAS_CUMPROD,
    Q_STEP,
    Q_SAMPLE,
    SNR,
    PREDICT_X0,
    VELOCITY,
)
