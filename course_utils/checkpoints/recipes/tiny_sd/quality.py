"""Whether images show what their prompts say, in the eyes of the judge of scenes.

prompts    600 scenes, captioned: SEEN that were held out, then UNSEEN with a pair never trained
scale      of guidance
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.checkpoints.recipes.tiny_sd.judge import read_in_pieces
from course_utils.classifier import SceneClassifier
from course_utils.data.scenes import Scenes, test_scenes
from course_utils.runtime import profile
from course_utils.stable_diffusion.pipeline import Prompts, StableDiffusion

SEEN, UNSEEN = 400, 200
STEPS = 20
PIECE = 100  # images at a time


def asked_for() -> Scenes:
    """Always the same 600."""
    return test_scenes(SEEN, UNSEEN, generator=torch.Generator().manual_seed(4))


def first_latents(count: int, seed: int = 5) -> Tensor:
    """Noise for so many images of 64 x 64 pixels; always the same."""
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def drawn(model: StableDiffusion, prompts: Sequence[str], noise: Tensor, scale: float) -> Tensor:
    """Images (N, 3, 64, 64) in [-1, 1] on the CPU, by STEPS steps of the folder's sampler."""
    device, pieces = profile().device, []
    for part in torch.arange(len(prompts)).split(PIECE):
        told: Prompts = [prompts[i] for i in part]
        with profile().autocast():
            *_, last = model.text_to_image(told, noise[part].to(device), steps=STEPS, scale=scale)
            pieces.append(model.decode(last.x_t.float()).float().cpu())
    return torch.cat(pieces)


def prompt_accuracy(
    model: StableDiffusion, judge: SceneClassifier, scenes: Scenes, scale: float
) -> dict[str, Tensor]:
    """(N,) bool for each thing that was asked, see Scenes.agreement."""
    prompts = scenes.captions(generator=None)
    images = drawn(model, prompts, first_latents(len(scenes)), scale)
    return read_in_pieces(judge, images).agreement(scenes)


def by_kind(right: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """Shares among the prompts of the seen kind and of the unseen."""
    kinds = {"seen": slice(None, SEEN), "unseen": slice(SEEN, None)}
    return {
        kind: {what: flags[part].double().mean().item() for what, flags in right.items()}
        for kind, part in kinds.items()
    }
