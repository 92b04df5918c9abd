"""The ecosystem's own classes in small, with random weights everywhere, and folders that they wrote.

Nothing is downloaded: sizes are given here, words are learned from a few captions.
"""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course_utils.diffusion.unet import timestep_embedding
from course_utils.stable_diffusion.text_encoder import Tokenizer

CAPTIONS = [
    "a red seven on a blue background",
    "a green three left of a yellow eight",
    "don't you'll we've naïve café 42",
]
TOKENIZER = Tokenizer.learn(CAPTIONS, merges=60, length=77)
VOCABULARY = TOKENIZER.core.get_vocab_size()
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "bos_token_id": VOCABULARY - 2,
    "eos_token_id": VOCABULARY - 1,
    "pad_token_id": VOCABULARY - 1,
}
UNET = {
    "sample_size": 8,
    "block_out_channels": (16, 32, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "norm_num_groups": 8,
    "attention_head_dim": 4,
    "layers_per_block": 2,
}
AUTOENCODER = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 4,
    "layers_per_block": 2,
    "scaling_factor": 0.3,
}
SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
DDIM = SCHEDULER | {"clip_sample": False, "set_alpha_to_one": False}
# Stable Diffusion 1.5, as published.
FULL_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "projection_dim": 768,
}
FULL_UNET = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "layers_per_block": 2,
}
FULL_AUTOENCODER = AUTOENCODER | {
    "block_out_channels": (128, 256, 512, 512),
    "norm_num_groups": 32,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def awake(model: nn.Module, seed: int = 0) -> nn.Module:
    """In evaluation mode, with random weights everywhere: no norm, bias or output is 0 or 1 by its start."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
        middle = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
        parameter.data = middle + scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def text_encoder(**options: object) -> nn.Module:
    return awake(CLIPTextModel(CLIPTextConfig(**TEXT | options)))


def unet(**options: object) -> nn.Module:
    return awake(UNet2DConditionModel(**UNET | options))


def autoencoder(**options: object) -> nn.Module:
    return awake(AutoencoderKL(**AUTOENCODER | options))


def tokenizer(folder: Path) -> CLIPTokenizer:
    """That of transformers, with the vocabulary of TOKENIZER."""
    TOKENIZER.save(folder)
    return CLIPTokenizer.from_pretrained(folder)


def pipeline(folder: Path) -> StableDiffusionPipeline:
    parts = autoencoder(), text_encoder(), tokenizer(folder), unet(), DDIMScheduler(**DDIM)
    made = StableDiffusionPipeline(*parts, None, None, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


class ExactWaves(nn.Module):
    """diffusers' time embedding but for its frequencies, which it rounds to float32 even in float64."""

    def __init__(self, dim: int, flip: bool):
        super().__init__()
        self.dim, self.flip = dim, flip

    def forward(self, t: Tensor) -> Tensor:
        sines, cosines = timestep_embedding(t.double(), self.dim, 10_000).chunk(2, dim=1)
        return torch.cat([cosines, sines] if self.flip else [sines, cosines], dim=1)
