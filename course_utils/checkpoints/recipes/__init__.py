"""One module a chapter: NAMES of its released models, and train_released(name, ...) -> (model, Card)."""

from types import ModuleType

from course_utils.checkpoints.recipes import autoencoders, classifier, denoising, diffusion, vae

CHAPTERS: dict[str, ModuleType] = {
    "classifier": classifier,
    "autoencoders": autoencoders,
    "denoising": denoising,
    "vae": vae,
    "diffusion": diffusion,
}
