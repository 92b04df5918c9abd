"""Chapters 6 to 8's released models.

    mnist    UNet that is told the class, 32 x 32 pixels, T = 1000, linear schedule; the weights are an
             exponential moving average. One label in ten is hidden, so that guidance is possible

A run that was killed goes on where it last wrote its state, at most a minute before: start it again.
"""

import copy
import io
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.data import load
from course_utils.diffusion.forward import q_sample
from course_utils.diffusion.guidance import drop_labels, guided
from course_utils.diffusion.samplers import ddim, ddim_timesteps
from course_utils.diffusion.schedules import alphas_cumprod, linear_beta_schedule
from course_utils.diffusion.unet import UNet, ema_update
from course_utils.metrics import feature_distance
from course_utils.runtime import profile
from course_utils.training import Card, TrainStep, in_batches, load_checkpoint, seeded, write_atomically

NAMES = ("mnist",)
STEPS = 3_000
BATCH_SIZE = 64
LEARNING_RATE = 5e-4
WARM_UP = 200  # updates
EMA_DECAY = 0.999
HIDDEN_LABELS = 0.1
CLASSES = 10
TIMESTEPS = 1000
SAVE_EVERY = 50.0  # seconds
SAMPLES, SAMPLING_STEPS = 1_000, 20
GUIDANCE_SCALES = (1.0, 2.0)


def make(name: str, report: Report, steps: int | None) -> tuple[nn.Module, Card]:
    """Train one of NAMES and measure it, see train_released."""
    steps = steps or STEPS
    run = Run(steps, state_file(name, steps))
    for record in run.records():
        report(name, record, steps)
    model = run.average.cpu().eval()
    card = Card(
        architecture={"class": "UNet", "num_classes": CLASSES},
        data="MNIST train, 60,000 images padded to 32 x 32, [-1, 1]",
        objective="noise prediction, linear schedule 1e-4 to 0.02, T = 1000; Adam 5e-4, falling; "
        f"EMA {EMA_DECAY}; one label in ten hidden",
        steps=steps,
        batch_size=BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(run.seconds),
        quality=rounded(measure(model)),
        command=f"course train diffusion --only {name}",
    )
    run.file.unlink(missing_ok=True)
    return model, card


def state_file(name: str, steps: int) -> Path:
    """Where a run of so many steps keeps its state: in the working folder, until it is over."""
    return Path("build") / f"diffusion-{name}-{steps}.state"


class Run:
    """A training run that can be killed and started again: it goes on from its last state, draw for draw.

    Args:
        steps: updates in all.
        file: of the state.
    """

    def __init__(self, steps: int, file: Path):
        device = profile().device
        data = load("mnist", "train", value_range=(-1, 1), size=32)
        self.images, self.labels = data.images.to(device), data.labels.to(device)
        self.abar = alphas_cumprod(linear_beta_schedule(TIMESTEPS, 1e-4, 0.02)).to(device)
        with seeded(0):
            self.model = UNet(num_classes=CLASSES).to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.generator = torch.Generator().manual_seed(0)
        self.steps, self.file, self.done, self.seconds = steps, file, 0, 0.0
        if file.is_file():
            self._restore()

    def records(self) -> Iterator[TrainStep]:
        """Update until all steps are done, and write the state about once a minute."""
        start, written = time.perf_counter() - self.seconds, time.perf_counter()
        while self.done < self.steps:
            loss = self._update()
            self.done += 1
            now = time.perf_counter()
            self.seconds = now - start
            if now - written > SAVE_EVERY:
                self._write()
                written = now
            yield TrainStep(self.done, loss)

    def _update(self) -> float:
        chosen, t, noise, u = self._draw()
        x0 = self.images[chosen]
        labels = drop_labels(self.labels[chosen], HIDDEN_LABELS, u, self.model.null_label)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(
                1.0, (self.done + 1) / WARM_UP, 2 * (1 - self.done / self.steps)
            )
        with profile().autocast():
            noise_pred = self.model(q_sample(x0, t, self.abar, noise), t, labels)
        loss = nn.functional.mse_loss(noise_pred.float(), noise)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        ema_update(self.average, self.model, min(EMA_DECAY, (1 + self.done) / (10 + self.done)))
        return loss.item()

    def _draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions of images, their levels, their noise, and numbers that decide which labels are hidden."""
        device, size = self.images.device, (BATCH_SIZE,)
        chosen = torch.randint(len(self.images), size, generator=self.generator)
        t = torch.randint(TIMESTEPS, size, generator=self.generator)
        noise = torch.randn(*size, *self.images.shape[1:], generator=self.generator)
        u = torch.rand(size, generator=self.generator)
        return chosen.to(device), t.to(device), noise.to(device), u.to(device)

    def _write(self) -> None:
        state = {part: getattr(self, part).state_dict() for part in ("model", "average", "optimizer")}
        state |= {"generator": self.generator.get_state(), "done": self.done, "seconds": self.seconds}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(self.file, content.getvalue())

    def _restore(self) -> None:
        state = torch.load(self.file, map_location=self.images.device, weights_only=True)
        for part in ("model", "average", "optimizer"):
            getattr(self, part).load_state_dict(state[part])
        self.generator.set_state(state["generator"].cpu())
        self.done, self.seconds = state["done"], state["seconds"]


def sample(model: UNet, labels: Tensor, scale: float) -> Tensor:
    """Digits that the labels name, by DDIM: (B, 1, 28, 28) in [0, 1], as the classifier wants them."""
    abar = alphas_cumprod(linear_beta_schedule(TIMESTEPS, 1e-4, 0.02))
    timesteps = ddim_timesteps(TIMESTEPS, SAMPLING_STEPS)
    generator, pieces = torch.Generator().manual_seed(1), []
    for told in labels.split(250):
        x_T = torch.randn(len(told), 1, 32, 32, generator=generator)
        predict = guided(model, told, scale, model.null_label) if scale != 1 else partial(model, labels=told)
        with profile().autocast():
            *_, last = ddim(predict, x_T, timesteps, abar, eta=0.0, clip_x0=True, generator=None)
        pieces.append(((last.x_t[..., 2:30, 2:30] + 1) / 2).clamp(0, 1))
    return torch.cat(pieces)


def measure(model: UNet) -> dict:
    """Fréchet distance and class accuracy of SAMPLES samples for each guidance scale, and the floor."""
    judge = load_checkpoint("classifier/mnist")
    features = judge.get_submodule("features")
    real = load("mnist", "test").images[::10]
    labels = torch.arange(SAMPLES) % CLASSES
    by_scale = {}
    for scale in GUIDANCE_SCALES:
        images = sample(model, labels, scale)
        right = in_batches(lambda x: judge(x).argmax(dim=1), images) == labels
        by_scale[f"{scale:g}"] = {
            "frechet": feature_distance(features, images, real),
            "class_accuracy": right.double().mean().item(),
        }
    train = load("mnist", "train").images[:SAMPLES]
    return {
        "by_guidance_scale": by_scale,
        "frechet_floor_training_images": feature_distance(features, train, real),
    }
