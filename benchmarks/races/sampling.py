"""Images a second to reach a given quality, by sampler and steps: ours, and diffusers' with the same network.

The network is diffusion/mnist, as it is shipped, told the class. All start from the same noise. Every sampler
draws a piece in its turn; the time is that of the pieces, the distance that of all images.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Generator, Tensor

from benchmarks.judge import Judge
from benchmarks.records import Row, alone, beside, measured
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import clock
from course_utils.checkpoints.recipes.diffusion import quality
from course_utils.checkpoints.recipes.diffusion.sampling import SAMPLERS
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.diffusion.unet import UNet
from course_utils.runtime import profile
from course_utils.training import load_checkpoint

OWN, DIFFUSERS = "course_utils", "diffusers"
CLASSES = 10
TOLERANCE = 1.5  # a distance of so many times the floor counts as reached

Way = tuple[str, str, int]  # whose, which sampler, how many steps
Draw = Callable[[UNet, Tensor, Tensor, int, Generator], Tensor]  # (network, x_T, labels, steps, noise) -> x_0


def run(setting: Setting) -> Iterator[Row]:
    model = cast(UNet, load_checkpoint("diffusion/mnist")).to(setting.device)
    pieces, size = setting.pick(tiny=(2, 10), quick=(1, 100), full=(4, 100))
    steps = setting.pick(tiny=(2, 3), quick=(5, 10), full=(5, 10, 20))
    ways = [(side, name, n) for name in OURS for n in steps for side in SIDES]
    rates: dict[Way, list[float]] = {way: [] for way in ways}
    drawn: dict[Way, list[Tensor]] = {way: [] for way in ways}
    fresh = {
        way: Generator(setting.device).manual_seed(2) for way in ways
    }  # of steps: goes on from piece to piece
    generator, labels = Generator().manual_seed(1), (torch.arange(size) % CLASSES).to(setting.device)
    for piece in range(pieces):
        x_T = torch.randn(size, 1, 32, 32, generator=generator).to(setting.device)
        for place, (side, name, n) in enumerate(ways):
            setting.progress(piece * len(ways) + place, pieces * len(ways), f"{side}: {name}, {n} steps")
            way = side, name, n
            images, seconds = timed(partial(SIDES[side][name], model, x_T, labels, n, fresh[way]), setting)
            rates[way].append(size / seconds)
            drawn[way].append(images)
    judge = Judge(setting.pick(tiny=20, quick=2_000, full=10_000))
    yield from rows({way: torch.cat(images) for way, images in drawn.items()}, rates, steps, judge)


def timed(draw: Callable[[], Tensor], setting: Setting) -> tuple[Tensor, float]:
    """Images for the judge, and the seconds that they took."""
    found: list[Tensor] = []
    seconds = clock(lambda: found.append(draw()), setting.device)
    return quality.for_the_judge(found[0].float().cpu()), seconds


def rows(
    drawn: dict[Way, Tensor], rates: dict[Way, list[float]], steps: Sequence[int], judge: Judge
) -> Iterator[Row]:
    """The fastest way of each side to the quality asked for, then every way."""
    count = len(next(iter(drawn.values())))
    distance, floor = {way: judge.distance(images) for way, images in drawn.items()}, judge.floor(count)
    goal = TOLERANCE * floor
    best = {side: fastest(side, goal, distance, rates) for side in SIDES}
    if all(best.values()):
        words = "; ".join(f"{side}: {way[1]}, {way[2]} steps" for side, way in best.items() if way)
        ours, theirs = (rates[way] for way in best.values() if way)
        name = f"images a second to a distance of {TOLERANCE:g} floors"
        yield beside(name, "", ours, DIFFUSERS, theirs, more_is_better=True, note=words + ".")
    for name in OURS:
        for n in steps:
            mine, other, title = (OWN, name, n), (DIFFUSERS, name, n), f"{name}, {n} steps"
            pace = rates[mine], DIFFUSERS, rates[other]
            yield beside(f"{title}: images a second", "", *pace, more_is_better=True)
            yield beside(f"{title}: distance", "", [distance[mine]], DIFFUSERS, [distance[other]])
    yield alone(f"floor: distance of {count:,} training images", "", [floor])


def fastest(side: str, goal: float, distance: dict[Way, float], rates: dict[Way, list[float]]) -> Way | None:
    """Of the ways of one side that come as near as the goal; None where none does."""
    near = [way for way, found in distance.items() if way[0] == side and found <= goal]
    return max(near, key=lambda way: measured(rates[way]).value, default=None)


def our(sampler: str, model: UNet, x_T: Tensor, labels: Tensor, steps: int, fresh: Generator) -> Tensor:
    """By one of the samplers of chapter 8."""
    return quality.last_state(
        SAMPLERS[sampler](partial(model, labels=labels), x_T, abar(), steps, generator=fresh)
    )


@torch.no_grad()
def their(sampler: str, model: UNet, x_T: Tensor, labels: Tensor, steps: int, fresh: Generator) -> Tensor:
    """By a scheduler of diffusers, which keeps guesses in [-1, 1], too."""
    scheduler, options, x = scheduler_of(sampler), {"eta": 1.0} if sampler == "DDIM, eta = 1" else {}, x_T
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        with profile().autocast():
            noise_pred = model(x, t.expand(len(x)).to(x.device), labels)
        x = scheduler.step(noise_pred.float(), t, x, generator=fresh, **options).prev_sample
    return x


def scheduler_of(sampler: str) -> Any:
    """With the schedule of the training, and levels spread over all of it, as ours."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if sampler.startswith("DDIM"):
        return DDIMScheduler(1000, timestep_spacing="trailing")
    # Clamping is called thresholding there; the quantile of 1 clamps at the largest value or at 1.
    return DPMSolverMultistepScheduler(1000, timestep_spacing="trailing")


def abar() -> Tensor:
    return alphas_cumprod(linear_beta_schedule(1000, 1e-4, 0.02))


OURS: dict[str, Draw] = {name: partial(our, name) for name in SAMPLERS}
THEIRS: dict[str, Draw] = {name: partial(their, name) for name in SAMPLERS}
SIDES = {OWN: OURS, DIFFUSERS: THEIRS}

RACE = Race(
    name="sampling",
    title="Sampling",
    method="The shipped U-Net of digits, told the class, drawn by our samplers and by diffusers' schedulers\n"
    "in turns, from the same noise. The distance is that of the race for quality.",
    run=run,
    inputs=(
        "benchmarks/races/sampling.py",
        "benchmarks/judge.py",
        "course_utils/diffusion",
        "course_utils/checkpoints/recipes/diffusion",
        "course_utils/checkpoints/diffusion",
        "course_utils/checkpoints/classifier",
    ),
    seconds={"tiny": 10, "quick": 25, "full": 240},
    on_gpu=True,
)
