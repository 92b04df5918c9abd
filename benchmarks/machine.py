"""On what a race was run, in words: a figure without its machine says nothing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

NAMED = ("torch", "diffusers", "denoising-diffusion-pytorch", "nbgrader", "ipywidgets", "matplotlib")


def versions() -> dict[str, str]:
    """Of the packages that race; one that is not installed is "missing"."""
    return {name: installed(name) or "missing" for name in NAMED}


def installed(distribution: str) -> str:
    """Its version, or "" where it is not there."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The name that the system gives it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def describe(device: torch.device, threads: int) -> str:
    """One line."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {cores()} cores, {memory:.0f} GiB, {threads} torch threads"


def load() -> float:
    """Processes that wanted to run, mean of the last minute: well above `threads` means a busy machine."""
    return os.getloadavg()[0]
