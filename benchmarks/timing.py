"""Seconds of several contenders, in turns: A B C A B C ..., so that all meet the same machine."""

import time
from collections.abc import Callable, Mapping

import torch

Progress = Callable[[int, int, str], None]  # how many are done, of how many, what comes next


def in_turns(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    progress: Progress,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Wall-clock seconds of each contender in each round.

    Args:
        contenders: by name; each call is one measurement.
        warm_up: rounds that are not counted: caches fill, kernels are chosen.
        device: a GPU is waited for.

    Returns:
        as many values for each name as there are rounds, in their order.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    total = (rounds + warm_up) * len(contenders)
    for turn in range(rounds + warm_up):
        for place, (name, run) in enumerate(contenders.items()):
            progress(turn * len(contenders) + place, total, name)
            taken = clock(run, device)
            if turn >= warm_up:
                seconds[name].append(taken)
    return seconds


def clock(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
