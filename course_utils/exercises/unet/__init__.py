"""The exercises of chapter 7, a module each, in the notation of course_utils/diffusion/unet.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.unet.ema_update import EMA_UPDATE
from course_utils.exercises.unet.noise_prediction_loss import NOISE_PREDICTION_LOSS
from course_utils.exercises.unet.residual_block import RESIDUAL_BLOCK
from course_utils.exercises.unet.self_attention import SELF_ATTENTION_2D
from course_utils.exercises.unet.timestep_embedding import TIMESTEP_EMBEDDING
from course_utils.exercises.unet.unet_forward import UNET_FORWARD

EXERCISES = (
    TIMESTEP_EMBEDDING,
    RESIDUAL_BLOCK,
    SELF_ATTENTION_2D,
    UNET_FORWARD,
    NOISE_PREDICTION_LOSS,
    EMA_UPDATE,
)
