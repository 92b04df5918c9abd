"""Chapter 9's small Stable Diffusion, stage by stage; each builds on what the earlier ones wrote.

    judge            SceneClassifier: reads images of scenes, and measures all the others
    autoencoder      KL autoencoder, 3 x 64 x 64 to 4 x 8 x 8; its scaling factor is 1 / std of its codes
    text-to-image    text encoder and U-Net, trained together; with tokenizer and scheduler the whole pipeline
    edges            ControlNet for edges

All lies in one folder, in the ecosystem's layout, with the card of each stage beside it. A run that was
killed goes on where it last wrote its state, at most a minute before: start it again.

A stage is a module with STEPS, BATCH_SIZE, OBJECTIVE, and
    start(steps, file, folder)    what trains it, see Resumable
    released(trained, folder)     what is made of what was trained
    measure(model, folder)        the figures of its card
    write(model, folder)          returns the file of the weights
"""

from pathlib import Path
from typing import Any

from course_utils.checkpoints.recipes.common import Report, rounded
from course_utils.checkpoints.recipes.resumable import state_file
from course_utils.checkpoints.recipes.tiny_sd import autoencoder, edges, judge, text_to_image
from course_utils.checkpoints.recipes.tiny_sd.parts import FAMILY
from course_utils.runtime import profile
from course_utils.training import Card, save_card

STAGES = {"judge": judge, "autoencoder": autoencoder, "text-to-image": text_to_image, "edges": edges}
NAMES = tuple(STAGES)
ALONE = {"judge": "it has BatchNorm, which looks at a whole batch"}


def make(name: str, report: Report, steps: int | None, folder: Path) -> tuple[Any, Card]:
    """Train one of NAMES and measure it, see train_released; folder/tiny-sd holds the earlier stages.

    Raises:
        FileNotFoundError: an earlier stage is not there.
    """
    stage = STAGES[name]
    steps = steps or stage.STEPS
    run = stage.start(steps, state_file(FAMILY, name, steps), folder)
    for record in run.records():
        report(name, record, steps)
    model = stage.released(run.trained(), folder)
    card = Card(
        architecture={"class": type(model).__name__},
        data="scenes of MNIST's training digits, 3 x 64 x 64, [-1, 1], see course_utils.data.scenes",
        objective=stage.OBJECTIVE,
        steps=steps,
        batch_size=stage.BATCH_SIZE,
        seed=0,
        device=str(profile()),
        seconds=round(run.seconds),
        quality=rounded(stage.measure(model, folder)),
        command=f"course train {FAMILY} --only {name}",
    )
    run.forget()
    return model, card


def write(name: str, model: Any, card: Card, folder: Path) -> Path:
    """Weights and card of a stage; returns the file of the weights."""
    path = STAGES[name].write(model, folder)
    save_card(folder / FAMILY / f"{name}.json", card)
    return path
