"""Training loops as streams of records, and checkpoints with their cards.

    step          int                 updates already applied
    loss          float               batch mean before that update, in the objective's unit
    checkpoint    "chapter/name"      weights (.safetensors) and card (.json) in checkpoints/<chapter>/

A loop yields after each update; whoever reads it decides how long, what to plot, when to stop.
"""

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from course_utils import autoencoders, classifier, dcgan, denoising, gan, vae
from course_utils.diffusion import unet
from course_utils.validation import require_float_tensor

FOLDER = Path(__file__).parent / "checkpoints"
TINY_SD = FOLDER / "tiny-sd"  # a folder in the ecosystem's layout, see course_utils.stable_diffusion.weights


class SampleSheet(nn.Module):
    """Images that models drew which are not released themselves; stored like the weights of a model.

    Args:
        rows: whose images they are.
        count: images a row.
        size: side in pixels; one channel.
    """

    images: Tensor  # (rows, count, 1, size, size) float in [0, 1]

    def __init__(self, rows: Sequence[str], count: int, size: int):
        super().__init__()
        self.rows = tuple(rows)
        self.register_buffer("images", torch.zeros(len(self.rows), count, 1, size, size))

    @classmethod
    def of(cls, images: Mapping[str, Tensor]) -> "SampleSheet":
        """A sheet from rows of images, (count, 1, size, size) float each.

        TypeError, ValueError: no floats, or other or unequal shapes.
        """
        require_float_tensor("SampleSheet.of", **images)
        shapes = {tuple(row.shape) for row in images.values()}
        if len(shapes) != 1 or not all(len(s) == 4 and s[1] == 1 and s[2] == s[3] for s in shapes):
            listed = ", ".join(f"{name} {tuple(row.shape)}" for name, row in images.items()) or "no row"
            raise ValueError(f"SampleSheet.of: every row must be (count, 1, size, size), got {listed}.")
        stacked = torch.stack(list(images.values()))
        sheet = cls(list(images), stacked.shape[1], stacked.shape[-1])
        sheet.images.copy_(stacked)
        return sheet

    def __getitem__(self, row: str) -> Tensor:
        """(count, 1, size, size). KeyError: there is no such row; the message lists those there are."""
        if row not in self.rows:
            raise KeyError(f"SampleSheet: no row {row!r}, only: {', '.join(self.rows)}.")
        return self.images[self.rows.index(row)]


ARCHITECTURES: dict[str, type[nn.Module]] = {
    one.__name__: one
    for one in (
        SampleSheet,
        autoencoders.ConvAE,
        classifier.DigitClassifier,
        classifier.SceneClassifier,
        dcgan.ConditionalGenerator,
        dcgan.RecordedGenerator,
        dcgan.Translators,
        denoising.DenseDenoiser,
        gan.PointSheet,
        gan.SmallGenerator,
        vae.NeighbourVAE,
        vae.VAE,
        unet.UNet,
    )
}


@dataclass(frozen=True)
class TrainStep:
    step: int
    loss: float


def train(update: Callable[[Tensor], float], batches: Iterable[Tensor], steps: int) -> Iterator[TrainStep]:
    """Apply `update` to one batch after another.

    Args:
        update: one optimisation step on a batch, returns its loss: lambda x: train_step(model, x, optimizer).
        batches: e.g. course_utils.data.batches(...); may be endless.
        steps: int, how many updates at the most.

    Yields:
        TrainStep after each update.
    """
    for step, batch in enumerate(itertools.islice(batches, steps), start=1):
        yield TrainStep(step, update(batch))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers draw first weights from torch's global stream: here it starts at `seed`, and is put back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 500) -> Tensor:
    """function(x) without gradients, in pieces that fit in memory: an encoder over a whole data set.

    Args:
        function: maps (B, ...) to a tensor of B rows, row by row (BatchNorm in eval mode).
        x: (N, ...), on the device that the function wants.

    Returns:
        (N, ...) on the CPU.
    """
    return torch.cat([function(piece).cpu() for piece in x.split(batch_size)])


@dataclass(frozen=True)
class Card:
    """What a released checkpoint is, where it came from and how good it is."""

    architecture: dict  # {"class": a key of ARCHITECTURES, ...constructor arguments}
    data: str
    objective: str
    steps: int
    batch_size: int
    seed: int
    device: str
    seconds: float  # wall-clock of the training loop
    quality: dict  # measured figures, each with its floor or peer beside it
    command: str  # retrains this checkpoint
    licence: str = "MIT; the training data's licence is in course_utils/data"


def save_checkpoint(name: str, model: nn.Module, card: Card, folder: Path = FOLDER) -> Path:
    """Write weights and card; an interrupted call leaves the previous ones whole. Errors: save_weights."""
    path = save_weights(name, model, folder)
    save_card(path.with_suffix(".json"), card)
    return path


def save_weights(name: str, model: nn.Module, folder: Path = FOLDER) -> Path:
    """Write the weights as float16.

    Raises:
        ValueError: a weight is NaN, infinite or too large for float16.
        OSError: the folder cannot be written.
    """
    weights = {key: value.detach().cpu().half().contiguous() for key, value in model.state_dict().items()}
    broken = [key for key, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(
            f"save_weights: {', '.join(broken)} hold values that float16 cannot. Training diverged."
        )
    path = folder / f"{name}.safetensors"
    write_atomically(path, safetensors.torch.save(weights))
    return path


def save_card(path: Path, card: Card) -> None:
    """Write a card alone: of models whose weights lie in another layout."""
    write_atomically(path, (json.dumps(asdict(card), indent=2) + "\n").encode())


def load_checkpoint(name: str, folder: Path = FOLDER) -> nn.Module:
    """A released model in evaluation mode, float32, on the CPU.

    Raises:
        FileNotFoundError: there is no such checkpoint; the message lists those there are.
        ValueError: the weights do not fit the architecture that the card names, or the file is damaged.
    """
    card = load_card(name, folder)
    path = folder / f"{name}.safetensors"
    arguments = dict(card.architecture)
    model = ARCHITECTURES[arguments.pop("class")](**arguments)
    try:
        model.load_state_dict(safetensors.torch.load(path.read_bytes()))
    except Exception as error:
        raise ValueError(
            f"load_checkpoint: {path.name} is damaged or not of this course. Retrain: {card.command}"
        ) from error
    return model.eval()


def load_card(name: str, folder: Path = FOLDER) -> Card:
    """The card of a checkpoint.

    Raises:
        FileNotFoundError: there is no such checkpoint; the message lists those there are.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        cards = [card for card in folder.rglob("*.json") if card.with_suffix(".safetensors").is_file()]
        known = sorted(str(card.relative_to(folder).with_suffix("")) for card in cards)
        raise FileNotFoundError(
            f"load_card: no checkpoint {name!r} in {folder}, only: {', '.join(known) or 'none'}."
        )
    return Card(**json.loads(path.read_text()))


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary name, then move it to `path`: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        try:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
        except BaseException:
            os.unlink(temporary.name)
            raise
    os.chmod(temporary.name, 0o644)
    os.replace(temporary.name, path)
