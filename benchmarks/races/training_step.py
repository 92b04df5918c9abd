"""A training step of our U-Net beside its peers: as many weights, the same batch and optimizer, in turns.

What the machine can do is measured in the same rounds: the fastest of a few 3 x 3 convolutions, forward and
backward. Peers have other numbers of operations for as many weights, so the share of that peak stands beside
the time. Why ours stays below it is measured, too: the share that its very convolutions reach on their own,
and what they leave of the step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import networks
from benchmarks.records import Row, alone, beside, missing
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import in_turns
from course_utils.runtime import profile
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
Contender: TypeAlias = "Step | Convolutions"
ALONE = f"{networks.OURS}, its convolutions alone"
# Channels and pixels a side of the convolutions among which the fastest is the peak.
PEAKS = {"cpu": ((96, 32), (192, 16), (256, 16)), "cuda": ((256, 32), (512, 32), (1024, 16))}


def run(setting: Setting) -> Iterator[Row]:
    batch = setting.pick(tiny=2, quick=64, full=64)
    rounds = setting.pick(tiny=2, quick=3, full=9)
    steps: dict[str, Contender] = {}
    ways = ways_of(setting)
    for way in ways:
        for name, build in networks.builders(tiny=setting.budget == "tiny").items():
            with seeded(0):
                steps[key(name, way)] = Step(build(), way, batch, setting)
        for channels, side in PEAKS[setting.device.type] if setting.budget != "tiny" else ((8, 8),):
            steps[key(f"convolution of {channels} channels", way)] = Step(
                Convolution(channels, side), way, batch, setting
            )
        steps[key(ALONE, way)] = Convolutions(steps[key(networks.OURS, way)])
    seconds = in_turns(steps, rounds, setting.progress, setting.device)
    for way in WAYS:
        yield from rows_of(way, steps, seconds) if way in ways else rows_without_units(way)


def ways_of(setting: Setting) -> list[Way]:
    """Without bf16 where the CPU has no units for it: a step would take a minute."""
    gains = setting.budget == "tiny" or profile().autocast_dtype is not None
    return [way for way in WAYS if gains or way.dtype is None]


def rows_without_units(way: Way) -> Iterator[Row]:
    for peer in networks.DISTRIBUTIONS:
        yield missing(f"step, {way.name}", "ms", peer, note="This CPU does not multiply in bf16.")


def rows_of(way: Way, steps: dict[str, Contender], seconds: dict[str, list[float]]) -> Iterator[Row]:
    """Times beside the peers'; each contender's share of the peak, and the peak; what ours consists of."""
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
        yield alone(
            f"{contender}: share of the peak, {way.name}", "%", shares(steps[step], seconds[step], peak)
        )
    yield alone(f"the peak, {way.name}", "GFLOP/s", peak)
    lonely = key(ALONE, way)
    yield alone(f"{ALONE}: share of the peak, {way.name}", "%", shares(steps[lonely], seconds[lonely], peak))
    rest = [100 * (1 - part / step) for part, step in zip(seconds[lonely], seconds[own], strict=True)]
    yield alone(f"{networks.OURS}: share of the step beyond these convolutions, {way.name}", "%", rest)


def key(contender: str, way: Way) -> str:
    return f"{contender}, {way.name}"


def peak_of(way: Way, steps: dict[str, Contender], seconds: dict[str, list[float]]) -> list[float]:
    """GFLOP/s of the fastest convolution of this precision, whatever its layout, in each round."""
    same = [
        rates(step, seconds[name])
        for name, step in steps.items()
        if isinstance(step, Step) and isinstance(step.network, Convolution) and step.way.dtype == way.dtype
    ]
    return [max(each) for each in zip(*same, strict=True)]


def milliseconds(seconds: list[float]) -> list[float]:
    return [1e3 * one for one in seconds]


def rates(step: Contender, seconds: list[float]) -> list[float]:
    """GFLOP/s."""
    return [step.operations / one / 1e9 for one in seconds]


def shares(step: Contender, seconds: list[float], peak: list[float]) -> list[float]:
    """Per cent of the peak of the same round."""
    return [100 * rate / most for rate, most in zip(rates(step, seconds), peak, strict=True)]


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


class Convolutions:
    """Every convolution of a step's network, forward and backward, one after another; nothing between them.

    Each has the input that it has in the network, in shape, precision and layout, and the same weights.
    """

    def __init__(self, step: Step):
        self.step = step
        self.layers: list[tuple[nn.Conv2d, Tensor, Tensor]] = []  # with input, and gradient of the output
        convolutions = [layer for layer in step.network.modules() if isinstance(layer, nn.Conv2d)]
        hooks = [layer.register_forward_hook(self.note) for layer in convolutions]
        step.gradients()
        for hook in hooks:
            hook.remove()
        with FlopCounterMode(display=False) as counter:
            self()
        self.operations = counter.get_total_flops()

    def note(self, layer: nn.Module, given: tuple[Tensor], result: Tensor) -> None:
        """Keep what a layer is given. The image needs no gradient, in the network and here."""
        assert isinstance(layer, nn.Conv2d)
        x = given[0].detach().requires_grad_(given[0].requires_grad)
        self.layers.append((layer, x, torch.ones_like(result)))

    def __call__(self) -> None:
        self.step.optimizer.zero_grad()
        for layer, x, slope in self.layers:
            x.grad = None
            with self.step.setting.autocast(self.step.way.dtype):
                result = layer(x)
            result.backward(slope)


RACE = Race(
    name="training-step",
    title="A training step",
    method="Batches of 64 images of 1 × 32 × 32 pixels, forward, backward and Adam; all contenders in\n"
    "turns. The peak is the fastest of three wide 3 × 3 convolutions there and back, in the same rounds.\n"
    "Why ours stays below it: what its own convolutions reach one after another, with the same inputs and\n"
    "nothing between them, and how much of the step's time they leave to all the rest.",
    run=run,
    inputs=("benchmarks/races/training_step.py", "benchmarks/networks.py", "course_utils/diffusion/unet.py"),
    seconds={"tiny": 2, "quick": 40, "full": 120},
    on_gpu=True,
)
