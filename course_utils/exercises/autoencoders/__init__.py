"""The exercises of chapter 1, a module each, in the notation of course_utils/autoencoders.py.

In every module come first the functions that draw the cases; then the misconceptions, wrong on purpose, whose
names are the functions' names and whose hints are their docstrings; then the exercise.
"""

from course_utils.exercises.autoencoders.anomaly_threshold import ANOMALY_THRESHOLD
from course_utils.exercises.autoencoders.conv_ae import CONV_AE
from course_utils.exercises.autoencoders.conv_out_size import CONV_OUT_SIZE
from course_utils.exercises.autoencoders.conv_transpose_out_size import CONV_TRANSPOSE_OUT_SIZE
from course_utils.exercises.autoencoders.pca_reconstruct import PCA_RECONSTRUCT
from course_utils.exercises.autoencoders.reconstruction_error import RECONSTRUCTION_ERROR
from course_utils.exercises.autoencoders.train_step import TRAIN_STEP

EXERCISES = (
    CONV_OUT_SIZE,
    CONV_TRANSPOSE_OUT_SIZE,
    CONV_AE,
    TRAIN_STEP,
    RECONSTRUCTION_ERROR,
    ANOMALY_THRESHOLD,
    PCA_RECONSTRUCT,
)
