"""The third stage: a ControlNet that is shown edges, beside the U-Net of the second, which stays as it is.

    hint     (N, 3, 64, 64) uint8    edges of the images whose moments are beside them: data.scenes.edges

Every second caption is hidden: then only the edges can tell what is there.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.checkpoints.recipes.tiny_sd.parts import (
    DTYPE,
    FAMILY,
    load_pipeline,
    require_stages,
    some_captions,
)
from course_utils.checkpoints.recipes.tiny_sd.quality import PIECE, drawn, first_latents
from course_utils.data import load
from course_utils.data.scenes import Scenes, edges, render, training_scenes
from course_utils.diffusion.forward import q_sample
from course_utils.runtime import profile
from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.adapters import ControlNet, controlled
from course_utils.stable_diffusion.autoencoder_kl import sample_latents
from course_utils.stable_diffusion.pipeline import StableDiffusion
from course_utils.stable_diffusion.unet import UNet
from course_utils.training import seeded

STEPS = 1_500
BATCH_SIZE = 64
OBJECTIVE = "noise prediction beside a frozen U-Net; Adam 5e-4, falling; EMA; every second caption hidden"
POOL = 10_000
HIDDEN_CAPTIONS = 0.5
HINT_WIDTHS = (8, 16, 24, 32)
MEASURED = 300
SCALE = 3.0
EDGE = 0.3  # from here on a pixel belongs to an edge


@dataclass(frozen=True)
class Shown:
    """Scenes, the moments of their images, and their edges."""

    scenes: Scenes
    moments: Tensor
    hints: Tensor


@torch.no_grad()
def shown(model: StableDiffusion, count: int) -> Shown:
    """Scenes to train on."""
    generator, digits = torch.Generator().manual_seed(6), load("mnist", "train")
    scenes = training_scenes(count, generator=generator)
    moments, hints = [], []
    for part in torch.arange(count).split(500):
        images = render(scenes[part], digits, generator=generator).to(profile().device)
        with profile().autocast():
            moments.append(model.autoencoder.encode(images).half())
        hints.append((255 * edges(images)).byte())
    return Shown(scenes, torch.cat(moments), torch.cat(hints))


class EdgesRun(Resumable):
    """See Resumable and the module."""

    def __init__(self, model: StableDiffusion, data: Shown, steps: int, file: Path):
        self.unet = _plain(model)
        with seeded(0):
            network = ControlNet.of(self.unet, conditioning_embedding_out_channels=HINT_WIDTHS)
        super().__init__(network, steps, file, learning_rate=5e-4, clip=1.0)
        self.told, self.data = model, data
        self.scaling_factor = model.autoencoder.config.scaling_factor
        self.abar = model.scheduler.alphas_cumprod.to(self.device)

    def loss(self) -> Tensor:
        chosen = torch.randint(len(self.data.scenes), (BATCH_SIZE,), generator=self.generator)
        t = torch.randint(len(self.abar), (BATCH_SIZE,), generator=self.generator)
        eps, noise = torch.randn(2, BATCH_SIZE, 4, 8, 8, generator=self.generator)
        context = self._context(chosen)
        there, t, eps, noise = (ranks.mine(x).to(self.device) for x in (chosen, t, eps, noise))
        latents = sample_latents(self.data.moments[there].float(), eps, self.scaling_factor)
        x_t = q_sample(latents, t, self.abar, noise)
        hint = self.data.hints[there].float() / 255
        with profile().autocast():
            noise_pred = controlled(self.unet, self.model, hint)(x_t, t, context)
        return torch.nn.functional.mse_loss(noise_pred.float(), noise)

    def _context(self, chosen: Tensor) -> Tensor:
        told = some_captions(self.data.scenes[chosen], HIDDEN_CAPTIONS, generator=self.generator)
        return self.told.context(ranks.mine(told))


def start(steps: int, file: Path, folder: Path) -> EdgesRun:
    require_stages(folder, "text-to-image")
    model = load_pipeline(folder)
    return EdgesRun(model, shown(model, POOL), steps, file)


def _plain(model: StableDiffusion) -> UNet:
    """Its U-Net, as it was loaded."""
    assert isinstance(model.unet, UNet)
    return model.unet.requires_grad_(False)


def released(trained: ControlNet, _folder: Path) -> ControlNet:
    return trained


def write(model: ControlNet, folder: Path) -> Path:
    return weights.save_network(model, folder / FAMILY / "controlnet", weights.CONTROLNET, DTYPE)


def measure(controlnet: ControlNet, folder: Path) -> dict:
    """How many edge pixels of hint and image meet within one pixel, with the ControlNet and without.

    The captions are those of the hints' scenes; the hints are of MNIST's test digits. What can be reached at
    best are the autoencoder's copies of the scenes themselves.
    """
    device, model = profile().device, load_pipeline(folder)
    controlnet = controlnet.to(device)
    generator = torch.Generator().manual_seed(7)
    scenes = training_scenes(MEASURED, generator=generator)
    images = render(scenes, load("mnist", "test"), generator=generator)
    hint, prompts, noise = edges(images), scenes.captions(generator=None), first_latents(MEASURED, seed=8)
    unet, without = _plain(model), drawn(model, prompts, noise, SCALE)
    parts = []
    for part in torch.arange(MEASURED).split(PIECE):  # drawn at once: as many as there are hints
        model.unet = controlled(unet, controlnet, hint[part])
        parts.append(drawn(model, [prompts[i] for i in part], noise[part], SCALE))
    model.unet = unet
    eps = torch.zeros(MEASURED, 4, 8, 8, device=device)
    copies = model.decode(model.encode(images.to(device), eps)).cpu()
    return {
        "edges_that_meet": {
            "with_controlnet": edge_score(torch.cat(parts), hint),
            "without": edge_score(without, hint),
            "copies_of_the_scenes": edge_score(copies, hint),
        }
    }


def edge_score(images: Tensor, hint: Tensor) -> float:
    """F1 score of edge pixels: harmonic mean of the shares of both sides that meet the other's."""
    seen, asked = (strength[:, :1] > EDGE for strength in (edges(images), hint))
    near = [torch.nn.functional.max_pool2d(x.float(), 3, stride=1, padding=1) > 0 for x in (seen, asked)]
    precision, recall = (
        (x & other).sum() / x.sum().clamp(min=1) for x, other in ((seen, near[1]), (asked, near[0]))
    )
    return (2 * precision * recall / (precision + recall).clamp(min=1e-9)).item()
