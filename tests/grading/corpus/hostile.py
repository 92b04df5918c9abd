"""A member of the corpus, what it should get, and all of them in the order in which they are graded."""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.authoring.chapters import Chapter

from .release import Release

GRADED, REPAIRED, NOT_GRADABLE = frozenset({"graded"}), frozenset({"repaired"}), frozenset({"not gradable"})
BREACH = "BREACH"  # in a result or in the yard: an attack reached what it should not reach
SECRET = "canary-6f1d2c"  # value of an environment variable and of files that nobody should be able to read


@dataclass(frozen=True)
class Expected:
    """What a submission should get.

    Args:
        scores: points by exercise id, every exercise of the chapter.
        status: those that are right.
        flagged: a flag is due (True), would be a false alarm (False), or is neither (None).
        says: words that the result's why, repairs and messages should hold.
    """

    scores: dict[str, float]
    status: frozenset[str] = GRADED
    flagged: bool | None = False
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hostile:
    """A submission.

    Args:
        name: the student's.
        kind: honest, damage, or what is attacked.
        files: by path inside the submission's folder.
        links: symbolic links in it, by path.
    """

    name: str
    kind: str
    files: dict[str, bytes]
    expected: Expected
    links: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Hand it in."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name, target in self.links.items():
            (folder / name).symlink_to(target)


@dataclass(frozen=True)
class Yard:
    """What attacks aim at, all of it the test's own.

    Args:
        folder: outside of the sandbox; must stay as it was.
        port: of a listener on this machine that nobody should reach.
        root: of this repository; only ever read.
    """

    folder: Path
    port: int
    root: Path


class Attacks:
    """Makes attacks: the first exercise answered honestly, the target attacked, the rest left as it is."""

    def __init__(self, release: Release, yard: Yard, kind: str):
        self.release, self.yard, self.kind = release, yard, kind
        self.expected = Expected(release.scores(**{release.first.cell: release.first.points}))

    @property
    def prelude(self) -> str:
        """Names that attacks use."""
        return PRELUDE.format(
            yard=str(self.yard.folder),
            port=self.yard.port,
            root=str(self.yard.root),
            breach=BREACH,
            secret=SECRET,
            id=self.release.target.id,
            name=self.release.target.cell,
            topic=self.release.chapter.topic,
        )

    def __call__(
        self,
        name: str,
        *,
        body: str = "",
        before: str = "",
        answer: str = "",
        cell: str = "",
        flagged: bool | None = None,
        status: Iterable[str] = ("graded", "repaired"),
        files: dict[str, bytes] | None = None,
    ) -> Hostile:
        """An attack.

        Args:
            body: of the target's function; may return a right answer by a forbidden way.
            before: runs as the answer cell runs.
            answer: instead of `body`; by default a wrong answer of the right shape.
            cell: a cell of the student's own, below the first exercise and above the target.
            files: beside the notebook.
        """
        function = f"def {self.release.target.cell}(*args, **kwargs):\n"
        body = function + textwrap.indent(textwrap.dedent(body).strip() + "\nreturn 'wrong'\n", "    ")
        source = answer or (body if len(body.splitlines()) > 2 else self.release.wrong)
        honest = {self.release.first.cell: self.release.right[self.release.first.cell]}
        before = textwrap.dedent(before).strip()
        attack = "\n\n".join(part for part in (self.prelude, before, source) if part)
        paper = self.release.paper({**honest, self.release.target.cell: attack})
        if cell:
            below = (
                paper.at(self.release.first.check) + 1
            )  # whoever breaks their own kernel loses what follows
            paper.add(self.prelude + "\n" + textwrap.dedent(cell).strip(), at=below)
        return self.of_bytes(name, paper.bytes(), flagged=flagged, status=status, files=files)

    def of_bytes(
        self,
        name: str,
        notebook: bytes,
        *,
        flagged: bool | None = None,
        status: Iterable[str] = ("graded", "repaired"),
        files: dict[str, bytes] | None = None,
    ) -> Hostile:
        """An attack by the notebook's own bytes."""
        return Hostile(
            name,
            self.kind,
            {**self.release.file(notebook), **(files or {})},
            Expected(self.expected.scores, frozenset(status), flagged),
        )


PRELUDE = """\
import os, sys
YARD, PORT, ROOT, ID, NAME, TOPIC = {yard!r}, {port}, {root!r}, {id!r}, {name!r}, {topic!r}
SECRET = {secret!r}

def breach(words):
    try:
        with open(os.path.join(YARD, "{breach}"), "a") as file:
            file.write(words + "\\n")
    except OSError:
        pass
    raise RuntimeError("{breach} " + words)

def unsafe():
    if os.path.isdir(YARD):
        breach("the grader's folders can be seen")
"""


def corpus(chapter: Chapter, yard: Yard) -> list[Hostile]:
    """Every member, with names that differ; those that belong together follow each other."""
    from . import damage, honest, on_judge, on_machine, on_neighbours, on_reference, on_tests

    release = Release(chapter)
    makers: list[Callable[[Release, Yard], Iterable[Hostile]]] = [
        *(honest.members, damage.members, on_tests.members, on_reference.members),
        *(on_judge.members, on_machine.members, on_neighbours.members),
    ]
    members = [member for make in makers for member in make(release, yard)]
    assert len({member.name for member in members}) == len(members)
    return members
