"""The exercises of chapter 2, a module each, in the notation of course_utils/denoising.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.denoising.add_noise import ADD_NOISE
from course_utils.exercises.denoising.denoise_step import DENOISE_STEP
from course_utils.exercises.denoising.iterate_denoiser import ITERATE_DENOISER
from course_utils.exercises.denoising.psnr import PSNR
from course_utils.exercises.denoising.score_from_denoiser import SCORE_FROM_DENOISER

EXERCISES = (ADD_NOISE, DENOISE_STEP, ITERATE_DENOISER, PSNR, SCORE_FROM_DENOISER)
