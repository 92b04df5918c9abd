"""Submissions of people who did nothing wrong. Each point they earned is theirs, and nobody is suspected."""

import base64
import os
from collections.abc import Iterator

from course_utils.exercises.engine import find, grade

from .hostile import GRADED, Expected, Hostile, Yard
from .release import Paper, Release, new_cell

NOISE = """\
import os, sys, warnings
warnings.warn("from Python")
print("from Python", file=sys.stderr)
os.write(2, b"from a file descriptor\\n")
"""
PLOT = """\
import matplotlib.pyplot as plt
plt.plot([1, 2, 3])
plt.show()
display("seen")
"""


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All points, no flag, status "graded": unless said otherwise."""

    def honest(name: str, paper: Paper, expected: Expected | None = None) -> Hostile:
        return Hostile(
            f"honest-{name}",
            "honest",
            release.file(paper.bytes()),
            expected or Expected(release.full, GRADED, False),
        )

    first, target = release.first.cell, release.target.cell
    right = release.right
    yield honest("right", release.filled())
    yield honest("untouched", release.paper({}), Expected(release.scores()))
    yield honest("half", release.paper(_every_other(release)), Expected(_half_of(release)))
    yield honest("mistaken", *_mistaken(release))
    yield honest("noisy", release.paper({**right, first: NOISE + right[first]}))
    yield honest("own-helper", _with_helper(release))
    yield honest("set-up-edited", _with_edited_setup(release))
    yield honest("helper-in-a-demo", _with_helper_in_a_demo(release))
    yield honest("scratch-cell-raises", release.filled().add("1 / 0").add("def broken(:", at=6))
    yield honest("magics", _with_magics(release))
    yield honest("plots", release.filled().add(PLOT))
    yield honest("prints-much", release.paper({**right, target: "print('x' * 2_000_000)\n" + right[target]}))
    yield honest("without-demos", _without_demos(release))
    yield honest("with-outputs", _with_outputs(release))
    yield honest("seeds", release.filled().add("import random\ntorch.manual_seed(3); random.seed(3)"))
    yield honest("second-thoughts", release.paper({**right, target: release.wrong + "\n\n" + right[target]}))
    yield honest("names-used-again", _with_names_used_again(release))
    yield honest("alias", release.paper({**right, target: renamed(release, target)}))
    yield honest("asks-for-input", release.filled().add("name = input('Who are you? ')"))
    yield honest("windows-line-ends", release.paper({k: v.replace("\n", "\r\n") for k, v in right.items()}))
    yield honest(
        "letters", release.paper({**right, target: f"# ᾱ, Ελλάδα, 数字, \U0001f600\n{right[target]}"})
    )
    yield honest("prints-half-a-letter", release.filled().add("print(chr(0xD83D), chr(0), chr(0x202E))"))
    yield honest("asks-for-help", release.filled().add("torch.cumprod?").add(f"help({target})", at=6))


def _every_other(release: Release) -> dict[str, str]:
    return {one.cell: release.right[one.cell] for one in release.asked[::2]}


def _half_of(release: Release) -> dict[str, float]:
    return release.scores(**{one.cell: one.points for one in release.asked[::2]})


def _mistaken(release: Release) -> tuple[Paper, Expected]:
    """A known mistake wherever there is one: partial credit is what `grade` gives."""
    known = {one.cell: found for one in release.asked if (found := release.misconception(one))}
    answers = {cell: source for cell, (_, source) in known.items()}
    scores = release.scores()
    for one in release.asked:
        for mistake in find(one.id).misconceptions:
            if one.cell in known and mistake.name == known[one.cell][0]:
                scores[one.id] = grade(one.id, mistake.answer, seed=1).score
    return release.paper(answers), Expected(scores)


def _with_helper(release: Release) -> Paper:
    """The answer calls a function from a cell of the student's own."""
    name = release.target.cell
    helper = renamed(release, name).rpartition(f"\n{name} = ")[0]
    call = f"def {name}(*args, **kwargs):\n    return my_{name}(*args, **kwargs)"
    paper = release.paper({**release.right, name: call})
    return paper.add(helper, at=paper.at(name))


def _with_edited_setup(release: Release) -> Paper:
    """The answer needs what was added to the set-up cell."""
    name = release.target.cell
    call = f"def {name}(*args, **kwargs):\n    return itself(my_{name}(*args, **kwargs))"
    paper = release.paper({**release.right, name: f"{renamed(release, name)}\n\n{call}"})
    setup = next(cell for cell in paper.cells if cell["cell_type"] == "code")
    setup["source"] += "\n\ndef itself(x):\n    return x\n"
    return paper


def _with_helper_in_a_demo(release: Release) -> Paper:
    """A released cell that is no answer has got a function that an answer below calls."""
    name = release.asked[-1].cell
    call = f"def {name}(*args, **kwargs):\n    return my_{name}(*args, **kwargs)"
    paper = release.paper({**release.right, name: call})
    demos = (c for c in paper.cells[: paper.at(name)] if c["cell_type"] == "code" and not c["metadata"])
    demo = list(demos)[-1]
    demo["source"] = renamed(release, name).rpartition(f"\n{name} = ")[0] + "\n\n" + demo["source"]
    return paper


def renamed(release: Release, name: str) -> str:
    """The right answer under another name, and the asked one as an alias."""
    source = release.right[name].replace(f"def {name}(", f"def my_{name}(", 1)
    source = source.replace(f"class {name}(", f"class my_{name}(", 1)
    return f"{source.rstrip()}\n{name} = my_{name}"


def _with_magics(release: Release) -> Paper:
    name = release.target.cell
    paper = release.paper({**release.right, name: "%%time\n" + release.right[name]})
    return paper.add("%matplotlib inline\n%load_ext autoreload").add("!ls\nfiles = !pwd", at=6)


def _without_demos(release: Release) -> Paper:
    paper = release.filled()
    setup = next(cell for cell in paper.cells if cell["cell_type"] == "code")
    paper.cells = [cell for cell in paper.cells if "nbgrader" in cell["metadata"] or cell is setup]
    return paper


def _with_outputs(release: Release) -> Paper:
    """20 MB of pictures, as a notebook has that was run."""
    paper = release.filled()
    picture = base64.b64encode(os.urandom(5_000_000)).decode()
    for cell in [cell for cell in paper.cells if cell["cell_type"] == "code"][:3]:
        data = {"image/png": picture, "text/plain": ["<Figure>"]}
        cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    return paper


def _with_names_used_again(release: Release) -> Paper:
    """`snr = snr(shares)`: natural in a cell of one's own, below the check."""
    paper = release.filled()
    for one in release.asked:
        paper.cells.insert(paper.at(one.check) + 1, new_cell(f"{one.cell} = [{one.cell}]"))
    return paper
