"""The corpus in the sandbox: no point that was not earned, none lost, and the machine as it was.

Each of the chapters is graded one half of it; CORPUS=all grades all of it for both.
"""

import gc
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from course_utils.authoring.chapters import find_chapters
from course_utils.grading.result import Result

from .drive import Ground, Traces, disagreements, forget_peak, ground, memory, traces
from .hostile import BREACH, SECRET, Hostile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.usefixtures("needs_bubblewrap")]

REPOSITORY = Path(__file__).parents[3]
CHAPTERS = ("01_autoencoders", "06_forward_diffusion")
KINDS = ("honest", "damage", "tests", "reference", "judge", "machine", "neighbours")
MOST_MEMORY = 400_000_000  # bytes that the grader may need more than before, at its highest
KEPT_MEMORY = 150_000_000  # and afterwards
SHARE = 1 if os.environ.get("CORPUS") == "all" else len(CHAPTERS)
ALWAYS = ("honest-right", "honest-mistaken", "damage-html")  # tests below look at them


@dataclass(frozen=True)
class Graded:
    """A corpus after grading, and what was there before and after."""

    ground: Ground
    before: Traces
    after: Traces
    peak: int
    kept: int

    def pairs(self, kind: str = "") -> Iterator[tuple[Hostile, Result]]:
        for member in self.ground.members:
            if kind in ("", member.kind):
                yield member, self.ground.results[member.name]


def chosen(members: Sequence[Hostile], first: int) -> list[Hostile]:
    """Of each kind every SHARE-th from `first` on, and all neighbours: they count on each other."""
    places = {
        member.name: i for kind in KINDS for i, member in enumerate(m for m in members if m.kind == kind)
    }
    return [
        member
        for member in members
        if (places[member.name] - first) % SHARE == 0 or member.kind == "neighbours" or member.name in ALWAYS
    ]


@pytest.fixture(scope="module", params=CHAPTERS)
def graded(request, tmp_path_factory) -> Iterator[Graded]:
    """The chosen members, in one sandbox, in their order."""
    (chapter,) = find_chapters(REPOSITORY, [request.param])
    with ground(tmp_path_factory.mktemp("corpus"), chapter) as made:
        made.members = chosen(made.members, CHAPTERS.index(request.param))
        gc.collect()
        forget_peak()
        before, start = traces(made), memory("VmRSS")
        for _ in made.grade(made.members):
            pass
        gc.collect()
        after = traces(made, before.processes)
        yield Graded(made, before, after, memory("VmHWM") - start, memory("VmRSS") - start)


def test_the_corpus_is_large_and_has_every_kind(graded):
    members = graded.ground.members
    assert len(members) >= 60
    assert {member.kind for member in members} == set(KINDS)
    assert all(member.expected.scores.keys() == members[0].expected.scores.keys() for member in members)


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_gets_what_it_should(graded, kind):
    pairs = list(graded.pairs(kind))
    assert pairs
    wrong = [f"{member.name}: {words}" for member, result in pairs for words in disagreements(member, result)]
    assert not wrong, "\n".join(wrong)


def test_nobody_gains_a_point_that_was_not_earned(graded):
    """The same once more, without a look at anything but points."""
    for member, result in graded.pairs():
        for one in result.exercises:
            assert one.score <= member.expected.scores[one.id], (member.name, one.id, one.message)


def test_mistakes_are_recognised_by_name(graded):
    result = graded.ground.results["honest-mistaken"]
    assert sum(one.misconception is not None for one in result.exercises) >= len(result.exercises) - 2


def test_calls_of_the_reference_are_told(graded):
    assert any(one.calls_reference for _, result in graded.pairs("reference") for one in result.exercises)


def test_nothing_that_an_attack_reached_comes_out(graded):
    """Secrets lie in the grader's environment and in the yard; a breach is told where it happens."""
    assert not (graded.ground.yard.folder / BREACH).exists()
    for name, text in graded.ground.notebooks.items():
        outputs = [cell.get("outputs", []) for cell in json.loads(text)["cells"]]
        assert SECRET not in json.dumps(outputs), name
        assert BREACH not in json.dumps(outputs), name


class Active(HTMLParser):
    """What a browser would run of a page: scripts, handlers, links to code. Words about them are none."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        handlers = [name for name, _ in attributes if name.startswith("on")]
        code = [value for _, value in attributes if "javascript:" in (value or "").lower()]
        self.found += [*handlers, *code, *([tag] if tag in ("script", "iframe", "object", "embed") else [])]


def test_nothing_active_reaches_a_reader(graded):
    """In HTML that the feedback holds."""
    assert Active("<script>1</script><img src=x onerror=y><a href='javascript:z'>").found
    for name, text in graded.ground.notebooks.items():
        for cell in json.loads(text)["cells"]:
            for output in cell.get("outputs", []):
                assert Active("".join(output.get("data", {}).get("text/html", ""))).found == [], name


def test_the_machine_is_as_it_was(graded):
    assert graded.after.processes <= graded.before.processes  # a browser of other tests may end meanwhile
    assert graded.after.descriptors == graded.before.descriptors
    assert graded.after.files == graded.before.files
    assert graded.after.temporary == graded.before.temporary
    assert not graded.ground.reached()


def test_the_grader_needs_little_memory(graded):
    assert graded.peak < MOST_MEMORY
    assert graded.kept < KEPT_MEMORY


def test_a_submission_that_fails_leaves_no_older_score(graded):
    """Right first, then damaged: what counts is the second, and the first is only remembered."""
    right = next(m for m in graded.ground.members if m.name == "honest-right")
    broken = next(m for m in graded.ground.members if m.name == "damage-html")
    again = Hostile(right.name, broken.kind, broken.files, broken.expected)
    ((_, result),) = graded.ground.grade([again])
    assert disagreements(again, result) == []
    assert (result.score, result.status) == (0.0, "not gradable")
    assert result.previous is not None and result.previous.score == result.points
