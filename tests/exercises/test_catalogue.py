"""Tests of the exercises: right answers pass, wrong ones fail under their names, lazy ones earn nothing.

Every exercise of the catalogue is tested; a new chapter adds tests/exercises/alternatives/<chapter>.py.
"""

import importlib
import os
from functools import cache
from typing import Any

import pytest
import torch

from course_utils.exercises import catalogue
from course_utils.exercises.engine import draw_cases
from course_utils.exercises.guard import one_thread
from course_utils.exercises.judge import judge
from course_utils.exercises.observe import NOTEBOOK, observe_all
from course_utils.exercises.spec import Case, Exercise, Misconception, Observation, Verdict
from course_utils.exercises.wire import to_bytes

from . import alternatives

SEEDS = range(int(os.environ.get("CATALOGUE_SEEDS", "20")))  # `make quick` takes fewer
EXERCISES = {exercise.id: exercise for exercise in catalogue()}


def answers(table: str) -> list[Any]:
    """(exercise, answer) for every row of a table in the modules of `alternatives`."""
    chapters = dict.fromkeys(id.partition(".")[0] for id in EXERCISES)
    tables = (
        getattr(importlib.import_module(f"{alternatives.__name__}.{chapter}"), table) for chapter in chapters
    )
    return [
        pytest.param(EXERCISES[id], answer, id=f"{id}-{name}")
        for rows in tables
        for id, named in rows.items()
        for name, answer in named.items()
    ]


MISCONCEPTIONS = [pytest.param(e, m, id=f"{e.id}-{m.name}") for e in catalogue() for m in e.misconceptions]


@cache
def expectations(exercise_id: str, seed: int) -> tuple[list[Case], list[Observation]]:
    """The cases, and what the reference does with them."""
    exercise = EXERCISES[exercise_id]
    cases = draw_cases(exercise, seed)
    return cases, observe_all(exercise, exercise.load_reference(), cases)


def verdict_on(exercise: Exercise, answer: Any, seed: int) -> Verdict:
    """As grade(), with what the reference does computed once a seed."""
    with one_thread():
        cases, expected = expectations(exercise.id, seed)
        return judge(exercise, cases, observe_all(exercise, answer, cases, NOTEBOOK), seed, expected)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_every_exercise_has_two_other_right_answers_and_lazy_ones(exercise: Exercise) -> None:
    """Otherwise the tests below would be empty for it."""
    chapter = importlib.import_module(f"{alternatives.__name__}.{exercise.id.partition('.')[0]}")
    assert len(chapter.RIGHT[exercise.id]) >= 2
    assert len(chapter.LAZY[exercise.id]) >= 2
    assert 3 <= len(exercise.misconceptions) <= 8


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_reference_earns_every_point(exercise: Exercise) -> None:
    for seed in SEEDS:
        verdict = verdict_on(exercise, exercise.load_reference(), seed)
        assert (verdict.score, verdict.passed, verdict.misconception) == (exercise.points, True, None), (
            verdict
        )


@pytest.mark.parametrize(("exercise", "answer"), answers("RIGHT"))
def test_other_right_answers_earn_every_point(exercise: Exercise, answer: Any) -> None:
    for seed in SEEDS:
        verdict = verdict_on(exercise, answer, seed)
        assert (verdict.score, verdict.passed) == (exercise.points, True), verdict.message


@pytest.mark.parametrize(("exercise", "misconception"), MISCONCEPTIONS)
def test_misconceptions_lose_points_under_their_own_name(
    exercise: Exercise, misconception: Misconception
) -> None:
    for seed in SEEDS:
        verdict = verdict_on(exercise, misconception.answer, seed)
        assert verdict.misconception == misconception.name, verdict.message
        assert 0 <= verdict.score < exercise.points
        assert not verdict.passed
        assert verdict.message.startswith(misconception.hint)


@pytest.mark.parametrize(("exercise", "answer"), answers("LAZY"))
def test_lazy_answers_earn_nothing(exercise: Exercise, answer: Any) -> None:
    for seed in SEEDS:
        assert verdict_on(exercise, answer, seed).score == 0


def raises_not_implemented(*arguments: Any, **named: Any) -> None:
    raise NotImplementedError


class RaisesInTheConstructor(torch.nn.Module):
    def __init__(self, *arguments: Any, **named: Any):
        super().__init__()
        raise NotImplementedError


class RaisesInItsMethods(torch.nn.Module):
    def __init__(self, *arguments: Any, **named: Any):
        super().__init__()

    def encode(self, *arguments: Any) -> None:
        raise NotImplementedError

    decode = forward = encode


class PassesEverywhere(torch.nn.Module):
    def __init__(self, *arguments: Any, **named: Any): ...

    def encode(self, *arguments: Any) -> None: ...

    decode = forward = encode


STUBS = {
    "raise NotImplementedError": raises_not_implemented,
    "class that raises": RaisesInTheConstructor,
    "pass": lambda *arguments, **named: None,
    "...": lambda *arguments, **named: ...,
}
CLASS_STUBS = {"methods that raise": RaisesInItsMethods, "pass everywhere": PassesEverywhere}


@pytest.mark.parametrize("stub", STUBS.values(), ids=STUBS)
@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_stubs_earn_nothing_and_hear_one_constant_line(exercise: Exercise, stub: Any) -> None:
    verdicts = [verdict_on(exercise, stub, seed) for seed in (0, 1)]
    assert verdicts[0].message == verdicts[1].message
    assert verdicts[0].message.startswith("Not attempted yet")
    assert "\n" not in verdicts[0].message
    assert (verdicts[0].score, verdicts[0].attempted, verdicts[0].passed) == (0, False, False)


@pytest.mark.parametrize("exercise", [e for e in EXERCISES.values() if isinstance(e.load_reference(), type)])
@pytest.mark.parametrize("stub", CLASS_STUBS.values(), ids=CLASS_STUBS)
def test_stubs_of_a_class_are_not_attempts(exercise: Exercise, stub: Any) -> None:
    verdict = verdict_on(exercise, stub, 0)
    assert (verdict.score, verdict.attempted) == (0, False)


def test_points_of_a_chapter_are_20_to_30() -> None:
    chapters = {exercise.id.partition(".")[0] for exercise in catalogue()}
    for chapter in chapters:
        points = sum(e.points for e in catalogue() if e.id.startswith(f"{chapter}."))
        assert 20 <= points <= 30 and points == int(points), chapter


def test_ids_names_and_references_are_consistent() -> None:
    ids = [exercise.id for exercise in catalogue()]
    assert len(set(ids)) == len(ids)
    for exercise in catalogue():
        name = exercise.id.partition(".")[2]
        assert exercise.signature.startswith(f"{name}(")
        assert exercise.load_reference().__name__ == name
        names = [misconception.name for misconception in exercise.misconceptions]
        assert len(set(names)) == len(names)
        criteria = [criterion.name for criterion in exercise.criteria]
        assert len(set(criteria)) == len(criteria)


def test_one_seed_draws_one_set_of_cases_and_another_seed_another() -> None:
    for exercise in catalogue():
        first, again, other = ([to_bytes(case) for case in draw_cases(exercise, seed)] for seed in (3, 3, 4))
        assert first == again
        assert first != other
