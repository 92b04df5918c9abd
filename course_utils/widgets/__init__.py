"""Widgets: one module a family, no maths inside, nothing asked of the kernel while a slider moves.

    FrameScrubber      a slider through precomputed frames, if need be with selections beside it
    LatentScatter      a cloud of encoded images to point at
    LatentMap          a plane of two latent numbers to drag through, with its holes
    ThresholdSlider    a threshold across two histograms, with live counts
    ArrowField         dots and arrows in a plane, at each stop of a slider
    ElboBalance        a normal q(z|x) to shape, and what that does to ELBO and gap
    LatentSweep        a slider over models: images, codes and the use of each latent
    NoiseMixer         a slider through forward diffusion: images and noise, mixed in the browser

Each shows in four ways: live (anywidget), as HTML that needs no kernel, as a picture, as a line of text.
"""

from course_utils.widgets.arrow_field import ArrowField
from course_utils.widgets.elbo_balance import ElboBalance
from course_utils.widgets.frame_scrubber import FrameScrubber
from course_utils.widgets.latent_map import LatentMap
from course_utils.widgets.latent_scatter import LatentScatter
from course_utils.widgets.latent_sweep import LatentSweep
from course_utils.widgets.noise_mixer import NoiseMixer
from course_utils.widgets.threshold_slider import ThresholdSlider

__all__ = [
    "ArrowField",
    "ElboBalance",
    "FrameScrubber",
    "LatentMap",
    "LatentScatter",
    "LatentSweep",
    "NoiseMixer",
    "ThresholdSlider",
]
