"""What is reached in equal time, from nothing: our U-Net, peers by their own recipes, latent diffusion.

    minutes    of training on the clock, the same for all, in turns of some seconds
    images     (N, 1, 28, 28) float in [0, 1]    as the judge wants them
    judge      the classifier that the course ships: its 128 features

Peers have 2.5 million weights and their published recipes: batch, optimizer, learning rate, schedule, average
of the weights, and sampler. All run in the same precision.
"""

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.judge import Judge
from benchmarks.records import Row, alone, beside, missing
from benchmarks.runner import Race
from benchmarks.setting import Setting
from benchmarks.timing import wait
from course_utils.checkpoints.recipes.diffusion import quality
from course_utils.checkpoints.recipes.diffusion.ablation import clamped_jumps
from course_utils.checkpoints.recipes.diffusion.run import Run, Task
from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.data import load
from course_utils.diffusion.schedules import alphas_cumprod, cosine_beta_schedule, linear_beta_schedule
from course_utils.diffusion.unet import PlainUNet, UNet
from course_utils.runtime import profile
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderConfig, AutoencoderKL, sample_latents
from course_utils.training import in_batches, seeded
from course_utils.vae import kl_standard_normal

LATENT = "latent diffusion"
PLAIN = "plain U-Net in circulation"
TURN = 10.0  # seconds
PROTOCOL = 10  # minutes of the full one
STEPS = 20  # of sampling
TIMESTEPS = 1000
PIECE = 250  # images drawn at a time
CHANNELS = (24, 48, 96)  # of our U-Net
SIZES, TINY = ((16, 32, 64), (64, 128)), ((8, 8, 8), (8, 16))  # of latent diffusion: autoencoder, U-Net
AUTOENCODER_SHARE = 0.3  # of the time of latent diffusion


class Contender(Protocol):
    """A training that is judged by what it draws."""

    def update(self, progress: float) -> None:
        """One update; progress: 0..1, the share of the time that is over."""

    def draw(self, noise: Tensor) -> Tensor:
        """Images (B, 1, 32, 32), in [-1, 1] or a little beyond, from noise of that shape."""


def cosine() -> Tensor:
    return alphas_cumprod(cosine_beta_schedule(TIMESTEPS, 0.008, 0.999))


def digits() -> Tensor:
    """(60000, 1, 32, 32) in [-1, 1]."""
    return load("mnist", "train", value_range=(-1, 1), size=networks.SIDE).images


def advance(run: Resumable, progress: float) -> None:
    """One update of a training that counts updates: as many are to come as fit into the time that is left."""
    run.steps = max(run.done + 1, round((run.done + 1) / max(progress, 1e-3)))
    next(run.records())


class Ours:
    """The training loop of `course train diffusion`, and DDIM with fresh noise: it forgives guesses."""

    rate = 1.5e-3

    def __init__(self, network: nn.Module, folder: Path, images: Tensor, abar: Tensor):
        labels = torch.zeros(len(images), dtype=torch.int64)
        self.abar, self.run = abar, Run(Task(images, labels, abar, network), 1, folder / "ours.state")
        self.run.learning_rate = self.rate
        self.fresh = torch.Generator(self.run.device).manual_seed(2)

    def update(self, progress: float) -> None:
        advance(self.run, progress)

    def draw(self, noise: Tensor) -> Tensor:
        model = self.run.average.eval()
        sampler = quality.by_ddim(model, noise, self.abar, STEPS, eta=1.0, generator=self.fresh)
        return quality.last_state(sampler)


class Plain(Ours):
    """Not told t, betas clipped at 0.02, weights not averaged; x0 is guessed, clamped, and the next state."""

    def __init__(self, folder: Path, images: Tensor):
        clipped = alphas_cumprod(cosine_beta_schedule(TIMESTEPS, 0.008, 0.02))
        with seeded(0):
            network = PlainUNet()
        super().__init__(network, folder, images, clipped)

    def draw(self, noise: Tensor) -> Tensor:
        return quality.last_state(clamped_jumps(self.run.model.eval(), noise, self.abar))


class Diffusers:
    """examples/unconditional_image_generation/train_unconditional.py of diffusers, with its defaults."""

    batch, rate, warm_up = 16, 1e-4, 500

    def __init__(self, network: nn.Module, images: Tensor, device: torch.device):
        from diffusers import DDPMScheduler
        from diffusers.training_utils import EMAModel

        self.images, self.device, self.network = images, device, network.to(device)
        self.noising, self.sampler = DDPMScheduler(TIMESTEPS), DDPMScheduler(TIMESTEPS)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), self.rate, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
        )
        self.average = EMAModel(
            self.network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75
        )
        self.done, self.generator = 0, torch.Generator().manual_seed(0)

    def update(self, progress: float) -> None:
        falling = (1 + torch.cos(torch.tensor(progress * torch.pi)).item()) / 2
        self.optimizer.param_groups[0]["lr"] = self.rate * min(1, (self.done + 1) / self.warm_up) * falling
        chosen = torch.randint(len(self.images), (self.batch,), generator=self.generator)
        x0 = self.images[chosen].to(self.device)
        noise = torch.randn(x0.shape, generator=self.generator).to(self.device)
        t = torch.randint(TIMESTEPS, (self.batch,), generator=self.generator).to(self.device)
        with profile().autocast():
            noise_pred = self.network(self.noising.add_noise(x0, noise, t), t)
        F.mse_loss(noise_pred.float(), noise).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.step(self.network.parameters())
        self.done += 1

    @torch.no_grad()
    def draw(self, noise: Tensor) -> Tensor:
        self.average.store(self.network.parameters())
        self.average.copy_to(self.network.parameters())
        self.sampler.set_timesteps(STEPS)
        x = noise.to(self.device)
        for t in self.sampler.timesteps:
            with profile().autocast():
                noise_pred = self.network(x, t.expand(len(x)).to(self.device))
            x = self.sampler.step(noise_pred.float(), t, x).prev_sample
        self.average.restore(self.network.parameters())
        return x


class Lucidrains:
    """What the Trainer of denoising-diffusion-pytorch does, as its README starts it; images are in memory."""

    batch, accumulate, rate = 32, 2, 8e-5

    def __init__(self, network: nn.Module, images: Tensor, device: torch.device):
        from denoising_diffusion_pytorch.denoising_diffusion_pytorch import GaussianDiffusion
        from ema_pytorch import EMA

        self.images, self.device = (images + 1) / 2, device
        self.model: Any = GaussianDiffusion(
            network, image_size=networks.SIDE, timesteps=TIMESTEPS, sampling_timesteps=STEPS
        ).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.rate, betas=(0.9, 0.99))
        self.average = EMA(self.model, beta=0.995, update_every=10)
        self.generator = torch.Generator().manual_seed(0)

    def update(self, progress: float) -> None:
        for _ in range(self.accumulate):
            chosen = torch.randint(len(self.images), (self.batch,), generator=self.generator)
            with profile().autocast():
                loss = self.model(self.images[chosen].to(self.device))
            (loss / self.accumulate).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()

    @torch.no_grad()
    def draw(self, noise: Tensor) -> Tensor:
        """It draws its own noise."""
        model = self.average.ema_model.eval()
        with redirect_stderr(io.StringIO()), profile().autocast():  # its progress bar
            images: Tensor = model.ddim_sample(tuple(noise.shape))
        return 2 * images.float() - 1


class CodesRun(Resumable):
    """A KL autoencoder of digits, 1 x 32 x 32 to 4 x 8 x 8; see recipes.tiny_sd.autoencoder."""

    batch = 64
    kl_weight = 1e-4

    def __init__(self, file: Path, images: Tensor, widths: tuple[int, ...]):
        sizes = AutoencoderConfig(1, 1, 4, widths, layers_per_block=1, norm_num_groups=8, scaling_factor=1.0)
        with seeded(0):
            network = AutoencoderKL(sizes)
        super().__init__(network, 1, file, learning_rate=2e-3, clip=1.0)
        self.images = images

    def loss(self) -> Tensor:
        chosen = torch.randint(len(self.images), (self.batch,), generator=self.generator)
        eps = torch.randn(self.batch, 4, 8, 8, generator=self.generator).to(self.device)
        x = self.images[chosen].to(self.device)
        with profile().autocast():
            moments = self.model.encode(x).float()
            decoded = self.model.decode(sample_latents(moments, eps, 1.0)).float()
        mean, logvar = (half.flatten(1) for half in moments.chunk(2, dim=1))
        kl = kl_standard_normal(mean, logvar).mean() / mean.shape[1]
        return F.l1_loss(decoded, x) + F.mse_loss(decoded, x) + self.kl_weight * kl


class Latent:
    """First the autoencoder, then our U-Net on its codes; encoding all digits counts, too."""

    def __init__(self, folder: Path, images: Tensor, widths: tuple[int, ...], channels: tuple[int, ...]):
        self.folder, self.images, self.channels = folder, images, channels
        self.codes = CodesRun(folder / "codes.state", images, widths)
        self.inner: Ours | None = None

    def update(self, progress: float) -> None:
        if progress < AUTOENCODER_SHARE:
            advance(self.codes, progress / AUTOENCODER_SHARE)
            return
        self.inner = self.inner or self._start()
        self.inner.update((progress - AUTOENCODER_SHARE) / (1 - AUTOENCODER_SHARE))

    def _start(self) -> Ours:
        encoder, device = self.codes.average, self.codes.device
        with profile().autocast():
            codes = in_batches(lambda x: encoder.encode(x.to(device)).float().chunk(2, dim=1)[0], self.images)
        self.spread = codes.std().item()
        with seeded(0):
            network = UNet(4, self.channels)
        return Ours(network, self.folder / "latent", codes / self.spread, linear())

    def draw(self, noise: Tensor) -> Tensor:
        self.inner = self.inner or self._start()
        first = noise.flatten(1)[:, : 4 * 8 * 8].unflatten(1, (4, 8, 8))
        model, fresh = self.inner.run.average.eval(), self.inner.fresh
        codes = quality.last_state(quality.ddim(model, first, levels(), linear(), 1.0, generator=fresh))
        with torch.no_grad(), profile().autocast():
            images: Tensor = self.codes.average.decode(codes * self.spread)
        return images.float()


def linear() -> Tensor:
    return alphas_cumprod(linear_beta_schedule(TIMESTEPS, 1e-4, 0.02))


def levels() -> Tensor:
    return quality.ddim_timesteps(TIMESTEPS, STEPS)


@dataclass
class Lane:
    """A contender, and the time that it has had."""

    contender: Contender
    seconds: float = 0.0
    updates: int = field(default=0)

    def turn(self, length: float, limit: float, device: torch.device) -> None:
        """Train for so many seconds, or until its time is over; at least one update."""
        end = min(limit, self.seconds + length)
        while self.seconds < end:
            start = time.perf_counter()
            self.contender.update(self.seconds / limit)
            wait(device)
            self.seconds += time.perf_counter() - start
            self.updates += 1


def run(setting: Setting) -> Iterator[Row]:
    count = setting.pick(tiny=20, quick=100, full=2_000 if setting.minutes >= PROTOCOL else 500)
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        lanes = {name: Lane(one) for name, one in contenders(Path(folder), setting).items()}
        train(lanes, setting)
        drawn = {name: draw(lane.contender, count, setting, name) for name, lane in lanes.items()}
    judge = Judge(setting.pick(tiny=20, quick=2_000, full=10_000))
    found = {name: judge.distance(images) for name, images in drawn.items()}
    title = f"distance of {count:,} samples after {setting.minutes:g} min"
    for peer in (*networks.DISTRIBUTIONS, PLAIN, LATENT):
        if peer not in found:
            yield missing(title, "", peer, [found[networks.OURS]], networks.absent(peer))
            continue
        note = f"{peer} made {lanes[peer].updates:,} updates, ours {lanes[networks.OURS].updates:,}."
        yield beside(title, "", [found[networks.OURS]], peer, [found[peer]], note=note)
    yield alone(f"floor: distance of {count:,} training images", "", [judge.floor(count)])


def contenders(folder: Path, setting: Setting) -> dict[str, Contender]:
    """All that are installed, with their first weights."""
    tiny, device = setting.budget == "tiny", profile().device
    images = digits()[: setting.pick(tiny=64, quick=None, full=None)]
    with seeded(0):
        bare = {name: build() for name, build in networks.builders(tiny).items()}
        own = UNet(channels=(8, 16) if tiny else CHANNELS)
    found: dict[str, Contender] = {networks.OURS: Ours(own, folder, images, cosine())}
    if networks.DIFFUSERS in bare:
        found[networks.DIFFUSERS] = Diffusers(bare[networks.DIFFUSERS], images, device)
    if networks.LUCIDRAINS in bare:
        found[networks.LUCIDRAINS] = Lucidrains(bare[networks.LUCIDRAINS], images, device)
    found[PLAIN] = Plain(folder / "plain", images)
    found[LATENT] = Latent(folder / "codes", images, *(TINY if tiny else SIZES))
    return found


def train(lanes: dict[str, Lane], setting: Setting) -> None:
    """All in turns, until each has had its minutes."""
    limit, turns = 60 * setting.minutes, max(1, round(60 * setting.minutes / TURN))
    for turn in range(turns):
        for place, (name, lane) in enumerate(lanes.items()):
            setting.progress(turn * len(lanes) + place, (turns + 1) * len(lanes), f"{name} trains")
            lane.turn(limit / turns, limit, setting.device)


def draw(contender: Contender, count: int, setting: Setting, name: str) -> Tensor:
    """So many images for the judge, on the CPU."""
    generator, pieces = torch.Generator().manual_seed(1), []
    for part in torch.arange(count).split(PIECE):
        setting.progress(len(pieces), 1 + count // PIECE, f"{name} draws")
        noise = torch.randn(len(part), 1, networks.SIDE, networks.SIDE, generator=generator)
        pieces.append(quality.for_the_judge(contender.draw(noise.to(profile().device)).cpu()))
    return torch.cat(pieces)


RACE = Race(
    name="quality",
    title="Quality in equal time",
    method="Fréchet distance to MNIST's test images on the features of the course's classifier; lower is\n"
    "better. Each network is trained from nothing for the same time on the clock, one at a time with\n"
    "all threads, in turns of 10 s, so that what slows the machine down slows all. Peers have 2.5 M\n"
    "weights and their published recipes; ours may choose its size, as everything else. No network is\n"
    "told the class; each is evaluated 20 times for an image. With ARGS='--only quality --minutes 10'\n"
    "it is the full protocol, of 2,000 images; the default is a minute and a half, and 500.",
    run=run,
    inputs=(
        "benchmarks/races/quality.py",
        "benchmarks/networks.py",
        "benchmarks/judge.py",
        "course_utils/diffusion",
        "course_utils/checkpoints/recipes/diffusion",
        "course_utils/checkpoints/recipes/resumable.py",
        "course_utils/stable_diffusion/autoencoder_kl.py",
        "course_utils/checkpoints/classifier",
    ),
    seconds={"tiny": 20, "quick": 80, "full": 1_000},
    on_gpu=True,
)
