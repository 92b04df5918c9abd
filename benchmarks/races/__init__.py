"""The races, in the order in which they are run and shown."""

from benchmarks.races import (
    chapters,
    drawing,
    footprint,
    grading,
    quality,
    sampling,
    scheduler,
    scrubbing,
    torchrun,
    training_step,
)
from benchmarks.runner import Race

MODULES = (
    training_step,
    sampling,
    scheduler,
    drawing,
    quality,
    torchrun,
    footprint,
    scrubbing,
    chapters,
    grading,
)
RACES: tuple[Race, ...] = tuple(module.RACE for module in MODULES)
