"""Widgets: one module a family, no maths inside, nothing asked of the kernel while a slider moves.

    FrameScrubber      a slider through precomputed frames
    LatentScatter      a cloud of encoded images to point at
    LatentMap          a plane of two latent numbers to drag through, with its holes
    ThresholdSlider    a threshold across two histograms, with live counts

Each shows in four ways: live (anywidget), as HTML that needs no kernel, as a picture, as a line of text.
"""

from course_utils.widgets.frame_scrubber import FrameScrubber
from course_utils.widgets.latent_map import LatentMap
from course_utils.widgets.latent_scatter import LatentScatter
from course_utils.widgets.threshold_slider import ThresholdSlider

__all__ = ["FrameScrubber", "LatentMap", "LatentScatter", "ThresholdSlider"]
