"""Submissions for tests: a chapter's release with the reference answers, or others, written into it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_utils.grading.grade import Job

REPOSITORY = Path(__file__).parents[2]


def release_of(chapter: str) -> bytes:
    """What students get."""
    return (REPOSITORY / "notebooks" / f"{chapter}.ipynb").read_bytes()


def solutions_of(chapter: str) -> dict[str, str]:
    """The course's answers, by grade_id."""
    notebook = json.loads((REPOSITORY / "solutions" / f"{chapter}.ipynb").read_bytes())
    cells = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("solution")]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def submission(chapter: str, answers: Mapping[str, str], added: Sequence[str] = ()) -> bytes:
    """The release with these answers, and with cells of the student's own after the first code cell."""
    notebook = json.loads(release_of(chapter))
    for cell in notebook["cells"]:
        if cell["id"] in answers:
            cell["source"] = answers[cell["id"]]
    first = next(i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code")
    own = [
        {"cell_type": "code", "id": f"own-{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate(added)
    ]
    notebook["cells"][first + 1 : first + 1] = own
    return json.dumps(notebook).encode()


def job_of(chapter: str, data: bytes | None, student: str = "ada", seed: str = "7") -> Job:
    """A job without a course around it."""
    return Job(chapter, student, release_of(chapter), data, seed)
