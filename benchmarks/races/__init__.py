"""The races, in the order in which they are run."""

from benchmarks.races import training_step
from benchmarks.runner import Race

RACES: tuple[Race, ...] = (training_step.RACE,)
