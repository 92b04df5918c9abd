"""One training shared by several processes: torchrun --nproc-per-node 2 .venv/bin/course train diffusion

Every process draws the same whole batch from the same generator, computes with its own part of it, and takes
the mean of all gradients before it updates. So all have the same weights at any time, and the losses are
those of one process but for rounding. DistributedDataParallel averages the same; it is not used, because it
knows a model by its forward only, and an autoencoder is called by its encode and decode.

What looks at a whole batch at once, as BatchNorm does, cannot be shared: see ALONE of each recipe.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from course_utils.runtime import profile

Batch = TypeVar("Batch", Tensor, list[str])


def launched() -> int:
    """How many processes torchrun started: 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes files and speaks; one does."""
    return os.environ.get("RANK", "0") == "0" or launched() == 1


@contextmanager
def joined() -> Iterator[None]:
    """The processes that torchrun started know each other: over NCCL on GPUs, one each, else over gloo."""
    if launched() == 1:
        yield
        return
    on_gpu = profile().device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def wait() -> None:
    """Until all processes are here."""
    if _count() > 1:
        dist.barrier()


def mine(batch: Batch) -> Batch:
    """This process's part of a whole batch. ValueError: it cannot be divided evenly."""
    share, rest = divmod(len(batch), _count())
    if rest:
        raise ValueError(
            f"train: {_count()} processes cannot share a batch of {len(batch)} evenly. "
            "Start a number of them that divides it."
        )
    return batch[_rank() * share : (_rank() + 1) * share]


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by the mean over all processes, in one exchange."""
    if _count() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    joint = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(joint)
    pieces = (joint / _count()).split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def average_before(optimizer: torch.optim.Optimizer) -> None:
    """Have every step of this optimizer average the gradients first."""

    def hook(stepping: torch.optim.Optimizer, *_: Any) -> None:
        average_gradients(parameter for group in stepping.param_groups for parameter in group["params"])

    optimizer.register_step_pre_hook(hook)


def mean(value: float) -> float:
    """Of a figure that each process has its own of."""
    if _count() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=profile().device)
    dist.all_reduce(total)
    return total.item() / _count()


def _count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0
