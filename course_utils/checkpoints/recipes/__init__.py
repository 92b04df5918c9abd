"""One module a chapter: NAMES of its released models, and train(name, ...) -> (model, Card)."""

from types import ModuleType

from course_utils.checkpoints.recipes import autoencoders

CHAPTERS: dict[str, ModuleType] = {"autoencoders": autoencoders}
