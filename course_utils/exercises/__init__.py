"""Exercises: a reference, an answer, every known wrong answer are implementations of one call, judged alike.

`check` is what a notebook calls, `grade` what graders and tests call. A chapter is one package in here, with
a module for each exercise, and one line in `engine.CHAPTERS`.
"""

from course_utils.exercises.engine import catalogue, check, grade, mine_or_reference

__all__ = ["catalogue", "check", "grade", "mine_or_reference"]
