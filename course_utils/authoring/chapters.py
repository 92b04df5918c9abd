"""Where a chapter lies: its source and the three notebooks made from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHAPTER_NAME = re.compile(r"\d\d_\w+")


class AuthoringError(Exception):
    """What keeps a chapter from being built: one sentence on what is wrong and what to do, then details."""


@dataclass(frozen=True)
class Chapter:
    """One chapter under a course's root folder."""

    root: Path
    name: str  # NN_topic, e.g. "01_autoencoders"

    @property
    def topic(self) -> str:
        """What its exercise ids begin with, e.g. "autoencoders"."""
        return self.name.split("_", 1)[1]

    @property
    def source(self) -> Path:
        return self.root / "solutions" / f"{self.name}.py"

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / f"{self.name}.ipynb"

    @property
    def student(self) -> Path:
        return self.root / "notebooks" / f"{self.name}.ipynb"

    @property
    def assignment(self) -> Path:
        return self.root / "assessments" / "source" / self.name / f"{self.name}.ipynb"

    @property
    def nbgrader_config(self) -> Path:
        return self.root / "assessments" / "nbgrader_config.py"

    def relative(self, path: Path) -> str:
        """How messages name a file: from the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()


def find_chapters(root: Path, names: Sequence[str] = ()) -> list[Chapter]:
    """The chapters called `names`, or all of them, in the order of their numbers.

    Raises:
        AuthoringError: there is no chapter under root, or a name is not among them.
    """
    found = {
        path.stem: Chapter(root, path.stem)
        for path in sorted(root.glob("solutions/*.py"))
        if CHAPTER_NAME.fullmatch(path.stem)
    }
    if not found:
        raise AuthoringError(f"No solutions/NN_topic.py under {root}: run this in the course's root folder.")
    unknown = [name for name in names if name not in found]
    if unknown:
        raise AuthoringError(f"No chapter is called {unknown[0]!r}: there are {', '.join(found)}.")
    return [found[name] for name in sorted(names or found)]


def orphans(root: Path) -> list[Path]:
    """Generated notebooks whose source is gone."""
    sources = {chapter.name for chapter in find_chapters(root)}
    generated = [
        *root.glob("solutions/*.ipynb"),
        *root.glob("notebooks/*.ipynb"),
        *root.glob("assessments/source/*/*.ipynb"),
    ]
    return sorted(path for path in generated if path.stem not in sources)
