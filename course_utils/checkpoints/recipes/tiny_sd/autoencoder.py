"""The first stage: a KL autoencoder of scenes, 64 x 64 pixels to 4 x 8 x 8 numbers and back.

loss = mean |x_hat - x| + mean (x_hat - x)^2 + KL_WEIGHT * mean KL of a latent number (nats)
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.checkpoints.recipes.tiny_sd.judge import real_scenes, shares
from course_utils.checkpoints.recipes.tiny_sd.parts import DTYPE, FAMILY, load_judge, require_stages
from course_utils.data import load
from course_utils.data.scenes import NEW_INK, render, training_scenes
from course_utils.denoising import psnr
from course_utils.runtime import profile
from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderConfig, AutoencoderKL, sample_latents
from course_utils.training import seeded
from course_utils.vae import kl_standard_normal

STEPS = 3_000
BATCH_SIZE = 32
OBJECTIVE = "absolute and squared error, KL weight 1e-4 a latent number; Adam 7e-4, falling; EMA"
KL_WEIGHT = 1e-4
MEASURED = 1_000  # scenes
SIZES = AutoencoderConfig(
    block_out_channels=(24, 48, 64, 64), layers_per_block=1, norm_num_groups=8, scaling_factor=1.0
)


def network() -> AutoencoderKL:
    """With its first weights."""
    with seeded(0):
        return AutoencoderKL(SIZES)


class AutoencoderRun(Resumable):
    """Every batch is rendered anew."""

    def __init__(self, steps: int, file: Path):
        super().__init__(network(), steps, file, learning_rate=7e-4, clip=1.0)
        self.digits = load("mnist", "train")

    def loss(self) -> Tensor:
        scenes = training_scenes(BATCH_SIZE, generator=self.generator)
        images = render(scenes, self.digits, generator=self.generator)
        eps = torch.randn(BATCH_SIZE, 4, 8, 8, generator=self.generator)
        images, eps = (ranks.mine(x).to(self.device) for x in (images, eps))
        with profile().autocast():
            moments = self.model.encode(images).float()
            decoded = self.model.decode(sample_latents(moments, eps, 1.0)).float()
        mean, logvar = (half.flatten(1) for half in moments.chunk(2, dim=1))
        kl = kl_standard_normal(mean, logvar).mean() / mean.shape[1]
        distance = nn.functional.l1_loss(decoded, images) + nn.functional.mse_loss(decoded, images)
        return distance + KL_WEIGHT * kl


def start(steps: int, file: Path, folder: Path) -> AutoencoderRun:
    require_stages(folder, "judge")
    return AutoencoderRun(steps, file)


@torch.no_grad()
def released(trained: AutoencoderKL, _folder: Path) -> AutoencoderKL:
    """The same autoencoder with codes around 0, its config told 1 / their standard deviation.

    The mean of each channel moves into the biases before and behind the codes.
    """
    generator = torch.Generator().manual_seed(3)
    scenes = training_scenes(MEASURED, generator=generator)
    codes = _codes(trained, render(scenes, load("mnist", "train"), generator=generator))
    centre = codes.mean(dim=(0, 2, 3))
    before, behind = trained.quant, trained.post_quant
    assert before.bias is not None and behind.bias is not None
    before.bias[: len(centre)] -= centre
    behind.bias += behind.weight[:, :, 0, 0] @ centre
    spread = (codes - centre[:, None, None]).std().item()
    trained.config = replace(trained.config, scaling_factor=round(1 / spread, 5))
    return trained


@torch.no_grad()
def measure(model: AutoencoderKL, folder: Path) -> dict:
    """How well scenes of MNIST's test digits come back, and what the judge reads in them.

    The new ink is one that the autoencoder never saw.
    """
    judge, digits, generator = load_judge(folder), load("mnist", "test"), torch.Generator().manual_seed(9)
    images, scenes = real_scenes(MEASURED, digits, generator=generator, inks=range(NEW_INK))
    others, in_new_ink = real_scenes(MEASURED, digits, generator=generator, inks=[NEW_INK])
    copies, of_others = (_copies(model, x) for x in (images, others))
    return {
        "psnr_db": psnr(copies, images, 2.0).mean().item(),
        "judge_agrees_on_copies": shares(judge.read(copies), scenes),
        "judge_agrees_on_the_scenes": shares(judge.read(images), scenes),
        "judge_agrees_on_copies_in_a_new_ink": shares(judge.read(of_others), in_new_ink),
    }


def write(model: AutoencoderKL, folder: Path) -> Path:
    return weights.save_network(model, folder / FAMILY / "vae", weights.AUTOENCODER, DTYPE)


def _copies(model: AutoencoderKL, images: Tensor) -> Tensor:
    """Encoded and decoded."""
    return model.decode(model.config.scaling_factor * _codes(model, images)).clamp(-1, 1)


def _codes(model: AutoencoderKL, images: Tensor) -> Tensor:
    """Their means, not scaled."""
    means: Tensor = model.encode(images).chunk(2, dim=1)[0]
    return means
