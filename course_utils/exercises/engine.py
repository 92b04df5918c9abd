"""What notebooks, graders and tests call: grade, check, catalogue, mine_or_reference.

id       "chapter.name", as in "autoencoders.train_step"
answer   what a student wrote: a function or a class, or anything else by mistake
seed     draws the cases; one seed, one verdict
"""

import difflib
import importlib
import os
import time
from typing import Any

from course_utils.exercises import display
from course_utils.exercises.draw import Draw, stable_hash
from course_utils.exercises.guard import one_thread
from course_utils.exercises.judge import judge, not_callable
from course_utils.exercises.observe import NOTEBOOK, Limits, observe_all
from course_utils.exercises.spec import Case, Exercise, Verdict

# Modules of this package, in the order of the course.
CHAPTERS = (
    *("autoencoders", "denoising", "vae", "gan", "dcgan", "forward_diffusion", "unet", "sampling"),
    "stable_diffusion",
)
SEED_VARIABLE = "COURSE_GRADE_SEED"
COURSE_VERSION = "Below, the course's own {name} is used until yours passes its check."


def grade(id: str, answer: Any, seed: int | str | None = None, limits: Limits = NOTEBOOK) -> Verdict:
    """Judge an answer on cases drawn anew.

    Args:
        seed: default: the environment variable COURSE_GRADE_SEED, else the time. Words become a number.
        limits: what the answer may use.

    Raises:
        ValueError: no exercise has this id.
    """
    exercise = find(id)
    number = seed_number(seed)
    if not callable(answer):
        return not_callable(exercise, answer, number)
    with one_thread():
        cases = draw_cases(exercise, number)
        # The reference runs first: an answer that replaces something in torch cannot change what is expected.
        expected = observe_all(exercise, exercise.load_reference(), cases)
        return judge(exercise, cases, observe_all(exercise, answer, cases, limits), number, expected)


def check(id: str, answer: Any) -> float:
    """Judge an answer, show the verdict, return the score: the last line of a graded cell.

    Raises:
        ValueError: no exercise has this id.
    """
    verdict = grade(id, answer)
    display.show(display.as_html(verdict), display.as_text(verdict))
    return verdict.score


def mine_or_reference(id: str, answer: Any) -> Any:
    """The answer if it passes, else the course's own version with a note: the demo below always runs."""
    if grade(id, answer).passed:
        return answer
    text = COURSE_VERSION.format(name=id.partition(".")[2])
    display.show(display.note(text), text)
    return find(id).load_reference()


def catalogue() -> tuple[Exercise, ...]:
    """Every exercise in the order of the course: id, title, points, criteria, misconceptions."""
    return tuple(exercise for chapter in CHAPTERS for exercise in _exercises(chapter))


def find(id: str) -> Exercise:
    """The exercise of this id; only its chapter is imported.

    Raises:
        ValueError: there is none; the message names those that are spelt alike.
    """
    chapter = id.partition(".")[0]
    for exercise in _exercises(chapter) if chapter in CHAPTERS else ():
        if exercise.id == id:
            return exercise
    ids = [exercise.id for exercise in catalogue()]
    close = difflib.get_close_matches(id, ids, cutoff=0.4) or ids
    raise ValueError(f"No exercise is called {id!r}. Perhaps you mean {' or '.join(close)}.")


def draw_cases(exercise: Exercise, seed: int) -> list[Case]:
    """The cases that a seed draws, the same in every process."""
    return exercise.cases(Draw(f"{exercise.id} {seed}"))


def seed_number(seed: int | str | None) -> int:
    """The seed as a number: given, from the environment, or from the clock."""
    if seed is None:
        seed = os.environ.get(SEED_VARIABLE) or time.time_ns() % 2**32
    try:
        return int(seed)
    except ValueError:
        return stable_hash(str(seed))


def _exercises(chapter: str) -> tuple[Exercise, ...]:
    exercises: tuple[Exercise, ...] = importlib.import_module(f"course_utils.exercises.{chapter}").EXERCISES
    return exercises
