from pathlib import Path

import pytest

from course_utils.authoring.chapters import AuthoringError, Chapter, find_chapters, orphans


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_chapters_come_in_order_and_other_files_are_left_alone(tmp_path):
    touch(tmp_path, "solutions/02_b.py", "solutions/01_a.py", "solutions/helpers.py", "solutions/01_a.ipynb")
    assert [chapter.name for chapter in find_chapters(tmp_path)] == ["01_a", "02_b"]
    assert find_chapters(tmp_path, ["02_b"]) == [Chapter(tmp_path, "02_b")]


def test_an_unknown_chapter_is_named_beside_the_known_ones(tmp_path):
    touch(tmp_path, "solutions/01_a.py")
    with pytest.raises(AuthoringError, match="No chapter is called '1': there are 01_a"):
        find_chapters(tmp_path, ["1"])


def test_a_folder_without_chapters_is_refused(tmp_path):
    with pytest.raises(AuthoringError, match="run this in the course's root folder"):
        find_chapters(tmp_path)


def test_a_notebook_without_a_source_is_an_orphan(tmp_path):
    kept = ["solutions/01_a.py", "notebooks/01_a.ipynb", "assessments/source/01_a/01_a.ipynb"]
    stray = ["assessments/source/02_b/02_b.ipynb", "notebooks/02_b.ipynb", "solutions/02_b.ipynb"]
    touch(tmp_path, *kept, *stray)
    assert [path.relative_to(tmp_path).as_posix() for path in orphans(tmp_path)] == stray
