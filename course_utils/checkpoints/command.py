"""`course train CHAPTER`: retrain the released models of a chapter, with progress, card and atomic writes."""

import argparse
import os
import sys
import time
from pathlib import Path

from course_utils.checkpoints.recipes import CHAPTERS, ranks, save_released, train_released
from course_utils.training import FOLDER, Card, TrainStep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", choices=sorted(CHAPTERS), help="whose models to train")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these models; default: all of the chapter")
    parser.add_argument("--steps", type=int, metavar="N", help="fewer or more updates than the recipe's")
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="where to write; default: inside the package"
    )


def run(args: argparse.Namespace) -> int:
    recipes = CHAPTERS[args.chapter]
    names = args.only or recipes.NAMES
    unknown = sorted(set(names) - set(recipes.NAMES))
    if unknown:
        return _refuse(
            f"no recipe {', '.join(unknown)} in chapter {args.chapter}, only: {', '.join(recipes.NAMES)}."
        )
    if args.steps is not None and args.steps < 1:
        return _refuse(f"--steps must be at least 1, got {args.steps}.")
    folder = args.out / args.chapter
    if not _writable(folder):
        return _refuse(f"{folder} cannot be written. Choose another folder with --out.")
    alone = {name: why for name, why in recipes.ALONE.items() if name in names}
    if alone and ranks.launched() > 1:
        reasons = ", ".join(f"{name} ({why})" for name, why in alone.items())
        return _refuse(f"several processes cannot share {reasons}. Train it without torchrun.")
    with ranks.joined():
        for name in names:
            model, card = train_released(args.chapter, name, Progress(), args.steps, args.out)
            if ranks.is_first():
                path = save_released(args.chapter, name, model, card, args.out)
                size = f"{path.stat().st_size / 1e6:.2f} MB"
                print(f"{path}  {size}  {_pace(card)}  {card.quality}", flush=True)
            ranks.wait()  # the next stage may read what this one wrote
    return 0


def _pace(card: Card) -> str:
    """How long it took; shared by several processes, also what each of them did."""
    if (count := ranks.launched()) == 1:
        return f"{card.seconds} s"
    each = card.steps * card.batch_size / count / max(card.seconds, 1)
    return f"{card.seconds} s  {count} processes of {each:.0f} images/s each"


class Progress:
    """A line on stderr every few seconds: what, how far, loss, rate, time left."""

    def __init__(self, every: float = 5.0):
        self.every = every
        self.label = ""
        self.start = self.shown = 0.0
        self.first = 1  # a resumed run begins later

    def __call__(self, label: str, record: TrainStep, steps: int) -> None:
        if not ranks.is_first():
            return
        now = time.perf_counter()
        if label != self.label:
            self.label, self.start, self.shown, self.first = label, now, now, record.step
        if now - self.shown < self.every and record.step < steps:
            return
        self.shown = now
        rate = (record.step - self.first) / max(now - self.start, 1e-9)
        left = (steps - record.step) / rate if rate else 0.0
        print(
            f"{label}  {record.step:,}/{steps:,}  loss {record.loss:.4f}  "
            f"{rate:.0f} steps/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )


def _refuse(reason: str) -> int:
    if ranks.is_first():
        print(f"course train: {reason}", file=sys.stderr)
    return 2


def _writable(folder: Path) -> bool:
    """Checked before an hour of training, not after: the nearest existing folder on the way decides."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
