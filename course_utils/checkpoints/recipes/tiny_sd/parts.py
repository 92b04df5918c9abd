"""What the stages read of each other: folder is the one that holds all checkpoints."""

from pathlib import Path

import torch

from course_utils.classifier import SceneClassifier
from course_utils.data.scenes import Scenes
from course_utils.runtime import profile
from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderKL
from course_utils.stable_diffusion.pipeline import StableDiffusion
from course_utils.training import load_checkpoint

FAMILY = "tiny-sd"
JUDGE = f"{FAMILY}/judge"
DTYPE = torch.float16  # of the weights in the files
WRITTEN = {  # by each stage that others build on
    "judge": "judge.safetensors",
    "autoencoder": "vae/config.json",
    "text-to-image": "model_index.json",
}


def require_stages(folder: Path, *names: str) -> None:
    """Before hours of training, not after. FileNotFoundError: a stage has not been written yet."""
    missing = [name for name in names if not (folder / FAMILY / WRITTEN[name]).is_file()]
    if missing:
        raise FileNotFoundError(
            f"train: {folder / FAMILY} lacks what this stage builds on: {', '.join(missing)}. Stages go in "
            f"order: course train {FAMILY} --only {' '.join(missing)}, with the same --out."
        )


def load_judge(folder: Path) -> SceneClassifier:
    """The first stage's."""
    model = load_checkpoint(JUDGE, folder)
    assert isinstance(model, SceneClassifier)
    return model


def load_autoencoder(folder: Path) -> AutoencoderKL:
    """The second stage's."""
    network: AutoencoderKL = weights.load_network(folder / FAMILY / "vae", weights.AUTOENCODER)
    return network


def load_pipeline(folder: Path) -> StableDiffusion:
    """What the third stage completes, on the profile's device."""
    return weights.load(folder / FAMILY, device=str(profile().device))


def some_captions(scenes: Scenes, hidden: float, *, generator: torch.Generator) -> list[str]:
    """A caption for each scene; a share `hidden`, 0..1, of them is empty, so that guidance is learnt."""
    captions = scenes.captions(generator=generator)
    hide = torch.rand(len(captions), generator=generator) < hidden
    return ["" if gone else text for text, gone in zip(captions, hide.tolist(), strict=True)]
