"""Mode collapse on a ring of 8 Gaussians: how often, and what each cure does about it.

Every cure is trained from the same SEEDS: a seed fixes the first weights and all draws.
"""

import time
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from course_utils import gan
from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.dcgan import pairwise_diversity
from course_utils.gan import CURES, Rules
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, seeded

TURNS = 500
SEEDS = tuple(range(10))
STOPS = (0, 25, 50, 75, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)  # turns, of the first seed
KEPT, JUDGED, PAIRED = 200, 2_000, 500  # points: of a picture, behind a figure, among which pairs are taken
COLLAPSED = 4.0  # effective modes of 8; fewer are a collapse


@dataclass(frozen=True)
class Training:
    """What a training leaves behind."""

    pictures: Tensor  # (stops, KEPT, 2)
    figures: dict[str, float]


def make(report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train all cures from all seeds, see train_released."""
    turns, start = steps or TURNS, time.perf_counter()
    runs = {
        cure: {seed: fit_ring(rules, turns, seed, report, f"ring: {cure}, seed {seed}") for seed in SEEDS}
        for cure, rules in CURES.items()
    }
    seconds = time.perf_counter() - start
    figures = {cure: {str(seed): run.figures for seed, run in some.items()} for cure, some in runs.items()}
    sheet = gan.PointSheet.of({cure: some[SEEDS[0]].pictures for cure, some in runs.items()})
    stops, count = sheet.points.shape[1:3]
    card = Card(
        architecture={"class": "PointSheet", "rows": list(CURES), "stops": stops, "count": count},
        data="8 Gaussians of standard deviation 0.1 on a circle of radius 2, drawn anew for each batch",
        objective="non-saturating loss, or a Wasserstein critic with gradient penalty; "
        "Adam 2e-4 for D, 1e-3 for G, betas 0.5 and 0.999; rules in course_utils/gan/rules.py",
        steps=turns,
        batch_size=Rules().batch_size,
        seed=SEEDS[0],
        device=str(profile()),
        seconds=round(seconds),
        quality=rounded(
            {"by_cure_and_seed": figures, "data": measure(real_points()), "stops": _stops(turns)}
        ),
        command="course train gan --only ring",
    )
    return sheet, card


def fit_ring(rules: Rules, turns: int, seed: int, report: Report, label: str) -> Training:
    """One training, with pictures on the way."""
    with seeded(seed):
        players = rules.players()
    random = Generator().manual_seed(seed)
    duel = gan.Duel(players, gan.ring_of_gaussians(), rules, generator=random)
    stops, pictures = _stops(turns).values(), [duel.fakes(KEPT)]
    for turn in duel.turns(turns):
        report(label, TrainStep(turn, duel.losses[-1][0]), turns)
        if turn in stops:
            pictures.append(duel.fakes(KEPT))
    return Training(torch.stack(pictures), measure(duel.fakes(JUDGED)))


def _stops(turns: int) -> dict[str, int]:
    """Those of STOPS that so many turns come by, and the last turn."""
    return {str(stop): stop for stop in sorted({turns, *(stop for stop in STOPS if stop < turns)})}


def measure(points: Tensor) -> dict[str, float]:
    """Modes, diversity and quality of points (N, 2)."""
    ring = gan.ring_of_gaussians()
    return {
        "effective_modes": gan.effective_modes(gan.nearest_mode(points, ring), len(ring.means)),
        "pairwise_diversity": pairwise_diversity(points[:PAIRED]).item(),
        "good_share": gan.good_points(points, ring).double().mean().item(),
    }


def real_points() -> Tensor:
    """(JUDGED, 2): points of the ring, to compare with."""
    ring, random = gan.ring_of_gaussians(), Generator().manual_seed(0)
    chosen = torch.randint(len(ring.means), (JUDGED,), generator=random)
    return ring.sample(torch.randn(JUDGED, 2, generator=random), chosen)
