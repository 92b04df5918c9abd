"""Seconds to draw one image of 64 x 64 pixels by tiny-sd: this package beside diffusers, in one process.

    python benchmarks/drawing.py [--rounds 7]

Both read the same folder, start from the same latents and take 20 steps of DDIM with guidance 3, in turn. The
images are compared, so that nothing is measured that is not the same.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import diffusers
import torch
from torch import Tensor

from course_utils.stable_diffusion import weights
from course_utils.training import TINY_SD

PROMPT = "a red seven left of a yellow eight on a blue background"
STEPS, SCALE = 20, 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    ways: dict[str, Callable[[Tensor], Tensor]] = {"course_utils": ours(), "diffusers": theirs()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    images: dict[str, Tensor] = {}
    for round_ in range(rounds + 1):  # the first one warms up
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(round_))
        for name, draw in ways.items():
            start = time.perf_counter()
            images[name] = draw(latents)
            if round_:
                seconds[name].append(time.perf_counter() - start)
        difference = (images["course_utils"] - images["diffusers"]).abs().max() / 2
        assert difference < 1e-3, f"the images differ by {difference}"
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, {rounds} images each, in turn")
    for name, values in seconds.items():
        print(f"{name:14} median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f}")
    ratio = statistics.median(seconds["diffusers"]) / statistics.median(seconds["course_utils"])
    print(f"diffusers / course_utils: {ratio:.2f}")


def ours() -> Callable[[Tensor], Tensor]:
    """By this package: latents -> image in [-1, 1]."""
    model = weights.load(TINY_SD)

    def draw(latents: Tensor) -> Tensor:
        *_, last = model.text_to_image([PROMPT], latents, steps=STEPS, scale=SCALE)
        return model.decode(last.x_t)

    return draw


def theirs() -> Callable[[Tensor], Tensor]:
    """By the library."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        TINY_SD, dtype=torch.float32, low_cpu_mem_usage=False
    )
    pipeline.set_progress_bar_config(disable=True)

    def draw(latents: Tensor) -> Tensor:
        drawn = pipeline(
            PROMPT, latents=latents, num_inference_steps=STEPS, guidance_scale=SCALE, output_type="pt"
        )
        return 2 * drawn.images - 1

    return draw


if __name__ == "__main__":
    main()
