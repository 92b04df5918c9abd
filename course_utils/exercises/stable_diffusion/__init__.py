"""The exercises of chapter 9, a module each, in the notation of course_utils.stable_diffusion.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise. What several of them
share is in common.py.
"""

from course_utils.exercises.stable_diffusion.cross_attention import CROSS_ATTENTION
from course_utils.exercises.stable_diffusion.guided_prediction import GUIDED_PREDICTION
from course_utils.exercises.stable_diffusion.img2img_start import IMG2IMG_START
from course_utils.exercises.stable_diffusion.inpaint_blend import INPAINT_BLEND
from course_utils.exercises.stable_diffusion.lora_linear import LORA_LINEAR
from course_utils.exercises.stable_diffusion.sample_latents import SAMPLE_LATENTS
from course_utils.exercises.stable_diffusion.text_to_latents import TEXT_TO_LATENTS
from course_utils.exercises.stable_diffusion.zero_conv import ZERO_CONV_2D

EXERCISES = (
    CROSS_ATTENTION,
    SAMPLE_LATENTS,
    GUIDED_PREDICTION,
    TEXT_TO_LATENTS,
    IMG2IMG_START,
    INPAINT_BLEND,
    LORA_LINEAR,
    ZERO_CONV_2D,
)
