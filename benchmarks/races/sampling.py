"""Images a second to reach a given quality, by sampler, steps and levels: ours, and diffusers'.

The network is diffusion/mnist, as it is shipped, told the class. Both sides have the same levels, x_T and
draws, and keep guesses of x_0 in [-1, 1]. Every way draws a piece in its turn; the time is that of the
pieces, the distance that of all images.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Generator, Tensor

from benchmarks.judge import Judge
from benchmarks.records import Row, alone, beside, measured
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import clock
from course_utils.checkpoints.recipes.diffusion import quality
from course_utils.diffusion.samplers import ddim, ddim_timesteps, dpm_solver_pp_2m, trailing_timesteps
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.diffusion.unet import UNet
from course_utils.runtime import profile
from course_utils.training import load_checkpoint

OWN, DIFFUSERS = "course_utils", "diffusers"
T, CLASSES = 1000, 10
TOLERANCE = 1.5  # a distance of so many times the floor counts as reached
ETAS = {"DDIM, eta = 0": 0.0, "DDIM, eta = 1": 1.0}
SAMPLERS = (*ETAS, "DPM-Solver++(2M)")
LEVELS = {"both ends": ddim_timesteps, "trailing": trailing_timesteps}
SPACINGS = {"both ends": "linspace", "trailing": "trailing"}  # of diffusers


class Way(NamedTuple):
    """To draw: whose sampler, which one, in how many steps, along which levels."""

    side: str
    sampler: str
    steps: int
    levels: str

    def __str__(self) -> str:
        return f"{self.sampler}, {self.steps} steps, {self.levels}"

    @property
    def timesteps(self) -> Tensor:
        return LEVELS[self.levels](T, self.steps)


Draw = Callable[[Way, UNet, Tensor, Tensor, Generator], Tensor]  # (way, network, x_T, labels, noise) -> x_0


def run(setting: Setting) -> Iterator[Row]:
    model = cast(UNet, load_checkpoint("diffusion/mnist")).to(setting.device)
    pieces, size = setting.pick(tiny=(2, 10), quick=(1, 50), full=(3, 100))
    ways = ways_of(
        {
            "both ends": setting.pick(tiny=(2, 3), quick=(5,), full=(5, 10)),
            "trailing": setting.pick(tiny=(2, 3), quick=(5,), full=(5,)),
        }
    )
    rates: dict[Way, list[float]] = {way: [] for way in ways}
    drawn: dict[Way, list[Tensor]] = {way: [] for way in ways}
    generator, labels = Generator().manual_seed(1), (torch.arange(size) % CLASSES).to(setting.device)
    for piece in range(pieces):
        x_T = torch.randn(size, 1, 32, 32, generator=generator).to(setting.device)
        for place, way in enumerate(ways):
            setting.progress(piece * len(ways) + place, pieces * len(ways), f"{way.side}: {way}")
            fresh = Generator(setting.device).manual_seed(2 + piece)
            images, seconds = timed(partial(SIDES[way.side], way, model, x_T, labels, fresh), setting)
            rates[way].append(size / seconds)
            drawn[way].append(images)
    judge = Judge(setting.pick(tiny=20, quick=2_000, full=10_000))
    yield from rows({way: torch.cat(images) for way, images in drawn.items()}, rates, judge)


def ways_of(steps: dict[str, tuple[int, ...]]) -> list[Way]:
    """All ways, both sides next to each other; steps by the name of the levels."""
    return [
        Way(side, sampler, n, levels)
        for sampler in SAMPLERS
        for n in sorted(set().union(*steps.values()))
        for levels in LEVELS
        if n in steps[levels]
        for side in SIDES
    ]


def timed(draw: Callable[[], Tensor], setting: Setting) -> tuple[Tensor, float]:
    """Images for the judge, and the seconds that they took."""
    found: list[Tensor] = []
    seconds = clock(lambda: found.append(draw()), setting.device)
    return quality.for_the_judge(found[0].float().cpu()), seconds


def rows(drawn: dict[Way, Tensor], rates: dict[Way, list[float]], judge: Judge) -> Iterator[Row]:
    """The fastest way of each side to the quality asked for; how fast all are; how good each is."""
    count = len(next(iter(drawn.values())))
    distance, floor = {way: judge.distance(images) for way, images in drawn.items()}, judge.floor(count)
    best = {side: fastest(side, TOLERANCE * floor, distance, rates) for side in SIDES}
    if all(best.values()):
        words = "; ".join(f"{side}: {way}" for side, way in best.items())
        ours, theirs = (rates[way] for way in best.values() if way)
        name = f"images a second to a distance of {TOLERANCE:g} floors"
        yield beside(name, "", ours, DIFFUSERS, theirs, more_is_better=True, note=words + ".")
    for n in sorted({way.steps for way in rates}):
        ours, theirs = (
            [rate for way in rates if way.side == side and way.steps == n for rate in rates[way]]
            for side in SIDES
        )
        yield beside(f"images a second in {n} steps", "", ours, DIFFUSERS, theirs, more_is_better=True)
    for way in distance:
        if way.side == OWN:
            theirs = [distance[way._replace(side=DIFFUSERS)]]
            yield beside(f"distance: {way}", "", [distance[way]], DIFFUSERS, theirs)
    yield alone(f"floor: distance of {count:,} training images", "", [floor])


def fastest(side: str, goal: float, distance: dict[Way, float], rates: dict[Way, list[float]]) -> Way | None:
    """Of the ways of one side that come as near as the goal; None where none does."""
    near = [way for way, found in distance.items() if way.side == side and found <= goal]
    return max(near, key=lambda way: measured(rates[way]).value, default=None)


def our(way: Way, model: UNet, x_T: Tensor, labels: Tensor, fresh: Generator) -> Tensor:
    """By one of the samplers of chapter 8."""
    given = partial(model, labels=labels), x_T, way.timesteps, abar()
    if way.sampler in ETAS:
        return quality.last_state(ddim(*given, ETAS[way.sampler], clip_x0=True, generator=fresh))
    return quality.last_state(dpm_solver_pp_2m(*given, clip_x0=True))


@torch.no_grad()
def their(way: Way, model: UNet, x_T: Tensor, labels: Tensor, fresh: Generator) -> Tensor:
    """By a scheduler of diffusers."""
    (scheduler, options), x = scheduler_of(way), x_T
    with profile().autocast():
        for t in scheduler.timesteps:
            noise_pred = model(x, t.expand(len(x)).to(x.device), labels).float()
            x = scheduler.step(noise_pred, t, x, generator=fresh, **options).prev_sample
    return x


def scheduler_of(way: Way) -> tuple[Any, dict[str, Any]]:
    """With the schedule of the training, and set to the levels; and what its steps are told."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if way.sampler in ETAS:
        scheduler = DDIMScheduler(T, timestep_spacing=SPACINGS[way.levels])
        scheduler.set_timesteps(way.steps)
        return scheduler, {"eta": ETAS[way.sampler], "use_clipped_model_output": True}
    scheduler = DPMSolverMultistepScheduler(T, thresholding=True)  # at its largest value of 1 it clamps
    scheduler.set_timesteps(timesteps=way.timesteps.tolist())
    return scheduler, {}


def abar() -> Tensor:
    return alphas_cumprod(linear_beta_schedule(T, 1e-4, 0.02))


SIDES: dict[str, Draw] = {OWN: our, DIFFUSERS: their}

RACE = Race(
    name="sampling",
    title="Sampling",
    method="The shipped U-Net of digits, told the class, drawn by our samplers and by diffusers' schedulers\n"
    "in turns, from the same noise, at the same levels, with guesses kept in [-1, 1]. Both ends:\n"
    "from 999 to 0, diffusers' linspace for DDIM. Trailing: all steps of one length, the last to x_0\n"
    "too. diffusers' DPM-Solver is handed the levels; its own linspace leaves out the last of n + 1,\n"
    "which is almost trailing. Where the arithmetic is the same, distances differ by rounding only. It\n"
    "is not for DDIM with both ends: diffusers goes from t to t - 1000 // n whatever level comes next,\n"
    "so that the next guess expects less noise than there is. The distance is that of the race for\n"
    "quality; for the first row each side takes its best sampler, steps and levels.",
    run=run,
    inputs=(
        "benchmarks/races/sampling.py",
        "benchmarks/judge.py",
        "course_utils/diffusion",
        "course_utils/checkpoints/recipes/diffusion",
        "course_utils/checkpoints/diffusion",
        "course_utils/checkpoints/classifier",
    ),
    seconds={"tiny": 10, "quick": 30, "full": 400},
    on_gpu=True,
)
