"""Seconds to draw an image of 64 x 64 pixels by tiny-sd: see benchmarks/drawing.py."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks import drawing
from benchmarks.records import Row, beside
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import in_turns

PEER = "diffusers"


def run(setting: Setting) -> Iterator[Row]:
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    draws = {"course_utils": partial(drawing.ours(), latents), PEER: partial(drawing.theirs(), latents)}
    difference = ((draws["course_utils"]() - draws[PEER]()).abs().max() / 2).item()
    if difference > 1e-3:
        raise RuntimeError(f"drawing: both must draw the same image, and they differ by {difference:.4f}.")
    rounds = setting.pick(tiny=1, quick=5, full=25)
    seconds = in_turns(draws, rounds, setting.progress)
    yield beside("an image by tiny-sd, 20 steps", "s", seconds["course_utils"], PEER, seconds[PEER])


RACE = Race(
    name="drawing",
    title="An image by Stable Diffusion",
    method="tiny-sd, the same folder, prompt and latents on both sides, 20 steps of DDIM with guidance 3,\n"
    "in turns; nothing is measured unless both draw the same image.",
    run=run,
    inputs=(
        "benchmarks/races/drawing.py",
        "benchmarks/drawing.py",
        "course_utils/stable_diffusion",
        "course_utils/checkpoints/tiny-sd",
    ),
    seconds={"tiny": 5, "quick": 10, "full": 30},
)
