"""A training step of our U-Net beside its peers: as many weights, the same batch and optimizer, in turns.

What the machine can do is measured in the same rounds: the fastest of a few 3 x 3 convolutions, forward and
backward. Peers have other numbers of operations for as many weights, so the share of that peak stands beside
the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import networks
from benchmarks.records import Row, alone, beside, missing
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import in_turns
from course_utils.training import seeded


@dataclass(frozen=True)
class Way:
    """A precision and a layout of memory."""

    name: str
    dtype: torch.dtype | None  # of autocast; None: float32
    layout: torch.memory_format


WAYS = (
    Way("fp32", None, torch.contiguous_format),
    Way("bf16 autocast", torch.bfloat16, torch.contiguous_format),
    Way("bf16 autocast, channels-last", torch.bfloat16, torch.channels_last),
)
# Channels and pixels a side of the convolutions among which the fastest is the peak.
PEAKS = {"cpu": ((96, 32), (192, 16), (256, 16)), "cuda": ((256, 32), (512, 32), (1024, 16))}


def run(setting: Setting) -> Iterator[Row]:
    batch = setting.pick(tiny=2, quick=64, full=64)
    rounds = setting.pick(tiny=2, quick=3, full=9)
    steps: dict[str, Step] = {}
    for way in WAYS:
        for name, build in networks.builders(tiny=setting.budget == "tiny").items():
            with seeded(0):
                steps[key(name, way)] = Step(build(), way, batch, setting)
        for channels, side in PEAKS[setting.device.type] if setting.budget != "tiny" else ((8, 8),):
            steps[key(f"convolution of {channels} channels", way)] = Step(
                Convolution(channels, side), way, batch, setting
            )
    seconds = in_turns(steps, rounds, setting.progress, setting.device)
    for way in WAYS:
        yield from rows_of(way, steps, seconds)


def rows_of(way: Way, steps: dict[str, "Step"], seconds: dict[str, list[float]]) -> Iterator[Row]:
    """Times beside the peers'; then what share of the peak each contender reaches, and the peak."""
    own, peak = key(networks.OURS, way), peak_of(way, steps, seconds)
    for peer in networks.DISTRIBUTIONS:
        name, mine = f"step, {way.name}", milliseconds(seconds[own])
        if networks.absent(peer):
            yield missing(name, "ms", peer, mine, networks.absent(peer))
            continue
        theirs = key(peer, way)
        note = f"{peer}: {steps[theirs].describe()}; ours: {steps[own].describe()}."
        yield beside(name, "ms", mine, peer, milliseconds(seconds[theirs]), note=note)
    for contender in networks.builders():
        step = key(contender, way)
        shares = [
            100 * rate / most for rate, most in zip(rates(steps[step], seconds[step]), peak, strict=True)
        ]
        yield alone(f"{contender}: share of the peak, {way.name}", "%", shares)
    yield alone(f"the peak, {way.name}", "GFLOP/s", peak)


def key(contender: str, way: Way) -> str:
    return f"{contender}, {way.name}"


def peak_of(way: Way, steps: dict[str, "Step"], seconds: dict[str, list[float]]) -> list[float]:
    """GFLOP/s of the fastest convolution of this precision, whatever its layout, in each round."""
    same = [
        rates(step, seconds[name])
        for name, step in steps.items()
        if isinstance(step.network, Convolution) and step.way.dtype == way.dtype
    ]
    return [max(each) for each in zip(*same, strict=True)]


def milliseconds(seconds: list[float]) -> list[float]:
    return [1e3 * one for one in seconds]


def rates(step: "Step", seconds: list[float]) -> list[float]:
    """GFLOP/s."""
    return [step.operations / one / 1e9 for one in seconds]


class Convolution(nn.Module):
    """What the peak is taken from: model(x, t), with x of its own."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.shape = (channels, side, side)

    def forward(self, x: Tensor, _t: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class Step:
    """One update of a network on one fixed batch."""

    def __init__(self, network: nn.Module, way: Way, batch: int, setting: Setting):
        self.way, self.setting = way, setting
        device, generator = setting.device, torch.Generator().manual_seed(0)
        shape = network.shape if isinstance(network, Convolution) else (1, networks.SIDE, networks.SIDE)
        self.network = network.to(device, memory_format=way.layout)
        x, noise = torch.randn(2, batch, *shape, generator=generator).to(device)
        self.x, self.noise = (one.to(memory_format=way.layout) for one in (x, noise))
        # The gradient for x is a third of a layer's work: a network's layers but the first do it, too.
        self.x.requires_grad_(isinstance(network, Convolution))
        self.t = torch.randint(1000, (batch,), generator=generator).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)
        with FlopCounterMode(display=False) as counter:
            self.gradients()
        self.operations = counter.get_total_flops()
        self.batch = batch

    def __call__(self) -> None:
        self.gradients()
        if not isinstance(self.network, Convolution):
            self.optimizer.step()

    def gradients(self) -> None:
        """Forward and backward."""
        self.optimizer.zero_grad()
        self.x.grad = None
        with self.setting.autocast(self.way.dtype):
            noise_pred = self.network(self.x, self.t)
        if isinstance(self.network, Convolution):
            noise_pred.backward(self.noise.to(noise_pred.dtype))
        else:
            F.mse_loss(noise_pred.float(), self.noise).backward()

    def describe(self) -> str:
        """Its size, in words."""
        count = networks.weights(self.network) / 1e6
        return f"{count:.2f} M weights, {self.operations / self.batch / 1e9:.2f} GFLOP an image and step"


RACE = Race(
    name="training-step",
    title="A training step",
    method="Batches of 64 images of 1 × 32 × 32 pixels, forward, backward and Adam; all contenders in\n"
    "turns. The peak is the fastest of three wide 3 × 3 convolutions there and back, in the same rounds.\n"
    "Three quarters of our step are convolutions, and those of 48 channels reach less than wide ones.",
    run=run,
    inputs=("benchmarks/races/training_step.py", "benchmarks/networks.py", "course_utils/diffusion/unet.py"),
    seconds={"tiny": 2, "quick": 40, "full": 120},
    on_gpu=True,
)
