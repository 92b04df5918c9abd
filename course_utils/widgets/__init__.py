"""Widgets: one module a family, no maths inside; scrubbing through what is there asks nothing of the kernel.

    FrameScrubber      a slider through precomputed frames, if need be with selections beside it
    LatentScatter      a cloud of encoded images to point at
    LatentMap          a plane of two latent numbers to drag through, with its holes
    ThresholdSlider    a threshold across two histograms, with live counts
    ArrowField         dots and arrows in a plane, at each stop of a slider
    ElboBalance        a normal q(z|x) to shape, and what that does to ELBO and gap
    LatentSweep        a slider over models: images, codes and the use of each latent
    NoiseMixer         a slider through forward diffusion: images and noise, mixed in the browser
    CurveScrubber      curves over one axis, at each stop of a slider, and images beside them
    LatentWalk         images on a grid, one at a time: two sliders, and a walk past all of them
    NetworkAnatomy     a network as a U of blocks: the feature maps of the one that is chosen
    WordMaps           a prompt whose words show where in an image they are read

Two ask the kernel to compute, and say so while it does:

    LiveScrubber       controls for the settings of a computation, a slider through its frames
    DuelTrainer        buttons that train a generator and a discriminator, and a picture of both

Each shows in four ways: live (anywidget), as HTML that needs no kernel, as a picture, as a line of text.
"""

from course_utils.widgets.arrow_field import ArrowField
from course_utils.widgets.curve_scrubber import CurveScrubber
from course_utils.widgets.duel_trainer import DuelTrainer
from course_utils.widgets.elbo_balance import ElboBalance
from course_utils.widgets.frame_scrubber import FrameScrubber
from course_utils.widgets.latent_map import LatentMap
from course_utils.widgets.latent_scatter import LatentScatter
from course_utils.widgets.latent_sweep import LatentSweep
from course_utils.widgets.latent_walk import LatentWalk
from course_utils.widgets.live_scrubber import LiveScrubber, Run
from course_utils.widgets.network_anatomy import Block, NetworkAnatomy
from course_utils.widgets.noise_mixer import NoiseMixer
from course_utils.widgets.threshold_slider import ThresholdSlider
from course_utils.widgets.word_maps import WordMaps

__all__ = [
    "ArrowField",
    "Block",
    "CurveScrubber",
    "DuelTrainer",
    "ElboBalance",
    "FrameScrubber",
    "LatentMap",
    "LatentScatter",
    "LatentSweep",
    "LatentWalk",
    "LiveScrubber",
    "NetworkAnatomy",
    "NoiseMixer",
    "Run",
    "ThresholdSlider",
    "WordMaps",
]
