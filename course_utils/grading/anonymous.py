"""Names replaced by labels that stay the same from chapter to chapter, wherever the names occur.

key     bytes   kept beside the results: without it nobody can tell by trying names whose label one is
label   str     "student-" and a few letters
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from course_utils.grading.result import ExerciseResult, Flag, Result

KEY_FILE = ".labels-key"
LETTERS = 4  # of a label, more where two would be alike


def read_key(folder: Path) -> bytes:
    """The key kept in a folder, made on first use and readable by its owner only."""
    path = folder / KEY_FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def labels(students: Sequence[str], key: bytes) -> dict[str, str]:
    """A label for each student, which depends on nobody else unless two would be alike."""
    codes = {student: _code(student, key) for student in students}
    length = LETTERS
    while len({code[:length] for code in codes.values()}) < len(codes):
        length += 1
    return {student: f"student-{code[:length]}" for student, code in codes.items()}


def anonymised(results: Sequence[Result], key: bytes) -> list[Result]:
    """The results without names: in all that students wrote, too. Times keep their day only."""
    names = labels([result.student for result in results], key)
    hide = _hider(names)
    return [
        replace(
            result,
            student=names[result.student],
            why=hide(result.why),
            repairs=tuple(map(hide, result.repairs)),
            flags=tuple(Flag(flag.kind, hide(flag.cell), hide(flag.text)) for flag in result.flags),
            seed="",
            submission="",
            inputs="",
            submitted=result.submitted and result.submitted[:10],
            previous=result.previous and replace(result.previous, submission=""),
            exercises=tuple(_without_names(one, hide) for one in result.exercises),
        )
        for result in results
    ]


def _without_names(one: ExerciseResult, hide: Callable[[str], str]) -> ExerciseResult:
    return replace(one, message=hide(one.message), source=hide(one.source))


def _hider(names: dict[str, str]) -> Callable[[str], str]:
    """Replaces names as whole words, whatever their case; the longest first, for one may hold another."""
    if not names:
        return str
    by_lower = {name.lower(): label for name, label in names.items()}
    words = "|".join(re.escape(name) for name in sorted(by_lower, key=len, reverse=True))
    pattern = re.compile(rf"(?<![^\W_])({words})(?![^\W_])", re.IGNORECASE)

    def hide(text: str) -> str:
        return pattern.sub(lambda found: by_lower.get(found[0].lower(), "student"), text)

    return hide


def _code(student: str, key: bytes) -> str:
    digest = hmac.new(key, student.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()
