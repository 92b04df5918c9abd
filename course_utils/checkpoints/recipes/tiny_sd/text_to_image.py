"""The second stage: text encoder and U-Net, trained together on latents and captions.

    moments    (N, 8, 8, 8) float16    mean and logvar of the codes of N scenes, from the first stage
    weight     (B,) float              of the noise's squared error: min(1 / abar_t, MAX_WEIGHT)

1 / abar is what makes of the error of the noise that of v, which does not neglect the high levels, where
ground, colours and places are decided; it is cut where it would grow without bound.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.checkpoints.recipes import ranks
from course_utils.checkpoints.recipes.resumable import Resumable
from course_utils.checkpoints.recipes.tiny_sd.parts import (
    DTYPE,
    FAMILY,
    load_autoencoder,
    load_judge,
    require_stages,
    some_captions,
)
from course_utils.checkpoints.recipes.tiny_sd.quality import asked_for, by_kind, prompt_accuracy
from course_utils.data import load
from course_utils.data.scenes import Scenes, render, training_scenes
from course_utils.diffusion.forward import q_sample
from course_utils.runtime import profile
from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderKL, sample_latents
from course_utils.stable_diffusion.pipeline import StableDiffusion
from course_utils.stable_diffusion.scheduler import DDIM
from course_utils.stable_diffusion.text_encoder import TextConfig, TextEncoder, Tokenizer
from course_utils.stable_diffusion.unet import UNet, UNetConfig
from course_utils.training import seeded

STEPS = 9_000
BATCH_SIZE = 128
OBJECTIVE = (
    "noise prediction on latents, weight min(1 / abar, 5), betas linear in the root from 0.00085 to 0.02, "
    "T = 1000; Adam 8e-4, falling; EMA; one caption in ten hidden"
)
POOL = 60_000  # scenes, encoded once
HIDDEN_CAPTIONS = 0.1
MAX_WEIGHT = 5.0
LENGTH = 24  # tokens of a prompt
MERGES = 200
SCHEDULER = DDIM(
    beta_schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.02,
    timestep_spacing="trailing",
    steps_offset=1,  # without effect here; other libraries warn where it is not 1
    clip_sample=False,
)
WIDTH = 128  # of a text state
SCALES = (1.0, 2.0, 3.0, 5.0, 7.5)  # of guidance, that are measured


def tokenizer() -> Tokenizer:
    """Whose vocabulary has a token for each word of the captions."""
    generator = torch.Generator().manual_seed(0)
    captions = training_scenes(5_000, generator=generator).captions(generator=generator)
    return Tokenizer.learn(captions, MERGES, LENGTH)


def start(steps: int, file: Path, folder: Path) -> "TextToImageRun":
    require_stages(folder, "judge", "autoencoder")
    pool = encoded(load_autoencoder(folder), POOL)
    return TextToImageRun(tokenizer(), pool, steps, file)


def released(trained: "TextToImage", folder: Path) -> StableDiffusion:
    """The whole pipeline, on the profile's device."""
    device = profile().device
    return StableDiffusion(
        tokenizer=tokenizer(),
        text_encoder=trained.text_encoder.to(device),
        unet=trained.unet.to(device),
        autoencoder=load_autoencoder(folder).to(device),
        scheduler=SCHEDULER,
    )


def measure(model: StableDiffusion, folder: Path) -> dict:
    """Prompt accuracy for each guidance scale, and by chance: of images that answer other prompts."""
    judge, scenes = load_judge(folder), asked_for()
    by_scale = {f"{scale:g}": by_kind(prompt_accuracy(model, judge, scenes, scale)) for scale in SCALES}
    others = scenes[torch.arange(len(scenes)).roll(1)]
    return {"by_guidance_scale": by_scale, "chance": by_kind(others.agreement(scenes))}


def write(model: StableDiffusion, folder: Path) -> Path:
    weights.save(model, folder / FAMILY, DTYPE)
    return folder / FAMILY / "unet" / weights.UNET.file


class TextToImage(nn.Module):
    """Both networks: (latents, t, ids) -> noise_pred."""

    def __init__(self, words: Tokenizer):
        super().__init__()
        vocabulary = words.core.get_vocab_size()
        self.text_encoder = TextEncoder(
            TextConfig(
                vocab_size=vocabulary,
                hidden_size=WIDTH,
                intermediate_size=4 * WIDTH,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=LENGTH,
                bos_token_id=vocabulary - 2,
                eos_token_id=vocabulary - 1,
            )
        )
        self.unet = UNet(
            UNetConfig(
                sample_size=8,
                block_out_channels=(96, 72),
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                layers_per_block=1,
                attention_head_dim=4,
                cross_attention_dim=WIDTH,
                norm_num_groups=8,
            )
        )

    def forward(self, latents: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        noise_pred: Tensor = self.unet(latents, t, self.text_encoder(ids))
        return noise_pred


@dataclass(frozen=True)
class Pool:
    """Scenes and the moments of their images."""

    scenes: Scenes
    moments: Tensor
    scaling_factor: float


@torch.no_grad()
def encoded(autoencoder: AutoencoderKL, count: int) -> Pool:
    """Scenes to train on."""
    generator, digits = torch.Generator().manual_seed(2), load("mnist", "train")
    scenes = training_scenes(count, generator=generator)
    device, moments = profile().device, []
    encoder = autoencoder.to(device)
    for part in torch.arange(count).split(500):
        images = render(scenes[part], digits, generator=generator).to(device)
        with profile().autocast():
            moments.append(encoder.encode(images).half())
    return Pool(scenes, torch.cat(moments), autoencoder.config.scaling_factor)


class TextToImageRun(Resumable):
    """See Resumable and the module."""

    def __init__(self, words: Tokenizer, pool: Pool, steps: int, file: Path):
        with seeded(0):
            network = TextToImage(words)
        super().__init__(network, steps, file, learning_rate=8e-4, clip=1.0)
        self.words, self.pool = words, pool
        self.abar = SCHEDULER.alphas_cumprod.to(self.device)

    def loss(self) -> Tensor:
        chosen = torch.randint(len(self.pool.scenes), (BATCH_SIZE,), generator=self.generator)
        t = torch.randint(len(self.abar), (BATCH_SIZE,), generator=self.generator)
        eps, noise = torch.randn(2, BATCH_SIZE, 4, 8, 8, generator=self.generator)
        ids = self._ids(chosen)
        there, t, eps, noise = (ranks.mine(x).to(self.device) for x in (chosen, t, eps, noise))
        moments = self.pool.moments[there].float()
        latents = sample_latents(moments, eps, self.pool.scaling_factor)
        x_t = q_sample(latents, t, self.abar, noise)
        with profile().autocast():
            noise_pred = self.model(x_t, t, ids)
        error = (noise_pred.float() - noise).square().mean(dim=(1, 2, 3))
        weight = (1 / self.abar[t]).clamp(max=MAX_WEIGHT).float()
        return (weight * error).mean()

    def _ids(self, chosen: Tensor) -> Tensor:
        """The captions, some of them hidden."""
        told = some_captions(self.pool.scenes[chosen], HIDDEN_CAPTIONS, generator=self.generator)
        return self.words(ranks.mine(told)).to(self.device)
