"""Where and how large: device, precision and budget come from this one place.

    ci, grade   any machine, smallest budgets, same code path (tests, graders)
    cpu         two cores: live training within a minute a demo, quality from the shipped checkpoints
    gpu         real training in the notebook

The environment decides: COURSE_PROFILE names a profile (default: gpu where torch sees one, else cpu),
COURSE_THREADS sets the number of CPU threads (two threads beside a busy process run slower than one).
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch

NAMES = ("ci", "grade", "cpu", "gpu")
Budget = TypeVar("Budget")


@dataclass(frozen=True)
class Profile:
    name: str  # one of NAMES
    device: torch.device
    autocast_dtype: torch.dtype | None  # None: no autocast

    def pick(self, *, ci: Budget, cpu: Budget, gpu: Budget) -> Budget:
        """The budget of this profile; a grader's is the one of ci."""
        return {"ci": ci, "grade": ci, "cpu": cpu, "gpu": gpu}[self.name]

    def autocast(self) -> AbstractContextManager:
        """A context in which the forward pass runs in bf16 where the hardware gains by it."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)

    def __str__(self) -> str:
        if self.device.type == "cuda":
            return f"profile {self.name} on {torch.cuda.get_device_name()}"
        threads = torch.get_num_threads()
        return f"profile {self.name} on {threads} CPU thread{'s' if threads > 1 else ''}"


def profile() -> Profile:
    """The profile of this process.

    Raises:
        ValueError: COURSE_PROFILE or COURSE_THREADS has a value that means nothing.
        RuntimeError: COURSE_PROFILE asks for a GPU and torch sees none.
    """
    _set_threads()
    has_gpu = torch.cuda.is_available()
    name = os.environ.get("COURSE_PROFILE") or ("gpu" if has_gpu else "cpu")
    if name not in NAMES:
        raise ValueError(f"profile: COURSE_PROFILE must be one of {', '.join(NAMES)}, got {name!r}.")
    if name != "gpu":
        return Profile(name, torch.device("cpu"), torch.bfloat16 if name == "cpu" and _has_bf16() else None)
    if not has_gpu:
        raise RuntimeError(
            "profile: COURSE_PROFILE=gpu, but torch sees no GPU here. "
            "Unset COURSE_PROFILE to run on the CPU, or run `course doctor` to see why."
        )
    return Profile(name, torch.device("cuda"), torch.bfloat16)


def _has_bf16() -> bool:
    """Whether this CPU multiplies in bf16 by itself; where it does not, autocast slows it down."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _set_threads() -> None:
    threads = os.environ.get("COURSE_THREADS")
    if not threads:
        return
    if not threads.isdecimal() or int(threads) < 1:
        raise ValueError(
            f"profile: COURSE_THREADS must be a whole number of CPU threads from 1 on, got {threads!r}."
        )
    torch.set_num_threads(int(threads))
