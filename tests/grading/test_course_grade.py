"""`course grade` on a course of chapter 1: real sandboxes, real workers, nbgrader's real gradebook."""

import contextlib
import csv
import json
import multiprocessing
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import LocalCluster
from nbgrader.api import Gradebook

from course_utils.grading import bubblewrap, command, pool
from course_utils.grading.course import Course, CourseError
from course_utils.grading.grade import Graded, grade_without_running
from course_utils.grading.result import Result

from .submissions import job_of, solutions_of, submission

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("needs_bubblewrap"),
]

CHAPTER = "01_autoencoders"
RIGHT = solutions_of(CHAPTER)
WRONG = {"conv_out_size": "def conv_out_size(size, kernel, stride, padding):\n    return size"}
DEADLY = {"conv_out_size": "import os; os._exit(0)"}
PAPERS = {
    "ada": submission(CHAPTER, RIGHT),
    "blaise": submission(CHAPTER, {**RIGHT, **WRONG}),
    "charles": b"{",
    "dorothy": submission(CHAPTER, {**RIGHT, **DEADLY}),
}
SCORES = {"ada": 28.0, "blaise": 26.0, "charles": 0.0, "dorothy": 26.0}


def hand_in(course, student: str, data: bytes, time: str = "2026-11-20 10:00:00 UTC") -> None:
    """What `nbgrader collect` would have put there."""
    folder = course.assessments / "submitted" / student / CHAPTER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{CHAPTER}.ipynb").write_bytes(data)
    (folder / "timestamp.txt").write_text(time)


def course_grade(course, *arguments: str) -> int:
    parser = ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([CHAPTER, "--root", str(course.root), *arguments]))


def result(course, student: str) -> Result:
    path = course.assessments / "results" / CHAPTER / f"{student}.json"
    return Result.from_json(path.read_text(encoding="utf-8"))


def files(course) -> dict[Path, int]:
    """All results and graded notebooks, and when they were written."""
    folders = [course.assessments / name for name in ("results", "autograded")]
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*.*")}


@contextlib.contextmanager
def gradebook(course) -> Iterator[Gradebook]:
    with Gradebook(f"sqlite:///{course.assessments / 'gradebook.db'}", "generative_vision") as book:
        yield book


def recorded(course) -> dict[str, float]:
    with gradebook(course) as book:
        return {one.student_id: one.score for one in book.assignment_submissions(CHAPTER)}


@pytest.fixture(scope="module")
def done(course):
    """Everybody was graded once, by two workers."""
    course.teach("generate_assignment", CHAPTER)
    for student, paper in PAPERS.items():
        hand_in(course, student, paper)
    assert course_grade(course, "--workers", "2") == 0
    return course


def test_everybody_has_a_grade_and_the_gradebook_has_it(done):
    assert {student: result(done, student).score for student in PAPERS} == SCORES == recorded(done)
    assert result(done, "charles").status == "not gradable"


def test_the_graded_notebooks_lie_where_formgrader_and_feedback_look(done):
    for student in PAPERS:
        folder = done.assessments / "autograded" / student / CHAPTER
        assert json.loads((folder / f"{CHAPTER}.ipynb").read_text(encoding="utf-8"))["cells"]
        assert (folder / "timestamp.txt").read_text().startswith("2026-11-20T10:00")
    done.teach("generate_feedback", CHAPTER)
    done.teach("export")
    with (done.assessments / "grades.csv").open(newline="") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == SCORES


def test_grading_again_changes_nothing(done, capsys):
    before, scores = files(done), recorded(done)
    assert course_grade(done) == 0
    assert "4 of 4 submissions are graded already" in capsys.readouterr().out
    assert (files(done), recorded(done)) == (before, scores)


def test_an_interrupted_run_goes_on_where_it_was(done, capsys):
    (done.assessments / "results" / CHAPTER / "blaise.json").unlink()
    (done.assessments / "results" / CHAPTER / "ada.json").write_text('{"version": 1, "assig')
    before = files(done)
    assert course_grade(done) == 0
    out = capsys.readouterr().out
    assert "2 of 4 submissions are graded already" in out and "2 graded in" in out
    assert recorded(done) == SCORES
    assert all(files(done)[path] == time for path, time in before.items() if "dorothy" in str(path))


def test_a_replay_comes_to_the_same(done, capsys):
    before = files(done)
    assert course_grade(done, "--replay", "blaise") == 0
    out = capsys.readouterr().out
    assert "autoencoders.conv_out_size: 0 of 2 (as recorded)" in out
    assert result(done, "blaise").exercises[0].message in out
    assert files(done) == before


def test_a_later_submission_replaces_score_and_feedback_and_keeps_what_a_person_gave(done):
    with gradebook(done) as book:
        for student, id in (("blaise", "conv_out_size-check"), ("ada", "conv_out_size-check")):
            book.find_grade(id, CHAPTER, CHAPTER, student).manual_score = 1.5
        book.db.commit()
    old = result(done, "blaise")
    page = done.assessments / "feedback" / "blaise" / CHAPTER
    page.mkdir(parents=True, exist_ok=True)
    hand_in(done, "blaise", PAPERS["ada"], "2026-11-21 10:00:00 UTC")
    assert course_grade(done) == 0
    new = result(done, "blaise")
    assert new.score == 28 and new.seed != old.seed
    assert new.previous and (new.previous.submission, new.previous.score) == (old.submission, old.score)
    assert not page.exists()
    with gradebook(done) as book:
        grades = {s: book.find_grade("conv_out_size-check", CHAPTER, CHAPTER, s) for s in ("ada", "blaise")}
        assert {s: (one.auto_score, one.manual_score) for s, one in grades.items()} == {
            "ada": (2.0, 1.5),
            "blaise": (2.0, 1.5),
        }
        assert grades["blaise"].needs_manual_grade


def test_what_is_missing_is_said_in_a_sentence(done, tmp_path, capsys):
    assert course_grade(done, "--replay", "nobody") == 1
    assert "nobody has no result" in capsys.readouterr().err
    with pytest.raises(CourseError, match=r"No nbgrader_config\.py"):
        Course.find(tmp_path)
    with pytest.raises(CourseError, match="run `nbgrader generate_assignment 09_none` first"):
        Course.find(done.root).release("09_none")


def test_files_that_are_no_notebooks_are_not_followed(done):
    folder = done.assessments / "submitted" / "eve" / CHAPTER
    folder.mkdir(parents=True)
    (folder / f"{CHAPTER}.ipynb").symlink_to(done.assessments / "gradebook.db")
    (folder / "timestamp.txt").write_text("tomorrow, perhaps")
    job = Course.find(done.root).job(CHAPTER, "eve", b"")
    assert job.submission is None
    assert [flag.kind for flag in job.flags] == ["timestamp"]
    shutil.rmtree(folder.parent)


def test_the_summary_names_those_to_look_at_and_not_everybody():
    def one(number: int, status: str) -> Result:
        job = job_of(CHAPTER, None, student=f"s{number:02d}")
        return replace(grade_without_running(job, "No notebook.").result, status=status)

    results = [one(i, "graded") for i in range(50)] + [one(50 + i, "repaired") for i in range(48)]
    lines = command.summary(results, 98, 49.0, 3)
    assert lines[0] == "98 graded in 49.0 s, 0.50 s each; 3 changed in the gradebook."
    assert [line.strip() for line in lines[1:3]] == [
        "graded: 50",
        "repaired: 48  s50, s51, s52, s53, s54 and 43 more",
    ]


def test_a_course_that_the_sandbox_would_show_is_refused(done, monkeypatch, capsys):
    monkeypatch.setattr(bubblewrap, "SYSTEM", (*bubblewrap.SYSTEM, str(done.root)))
    assert course_grade(done) == 1
    assert "students' code could read" in capsys.readouterr().err
    assert course_grade(done, "--sandbox", "none") == 0


@pytest.mark.parametrize("word", ["0", "-1", "many"])
def test_a_number_of_workers_that_is_none_is_refused(done, word, capsys):
    with pytest.raises(SystemExit):
        course_grade(done, "--workers", word)
    assert f"{word} is no number of processes" in capsys.readouterr().err


def scores_of(results: list) -> dict[str, float]:
    return {job.student: graded.result.score for job, graded in results if isinstance(graded, Graded)}


def test_a_killed_worker_loses_nothing():
    jobs = [job_of(CHAPTER, PAPERS["ada"], student=str(i)) for i in range(6)]
    running, results = pool.run_local(jobs, 2, "bwrap"), []
    for one in running:
        results.append(one)
        if len(results) == 1:
            multiprocessing.active_children()[0].kill()
    assert scores_of(results) == {str(i): 28.0 for i in range(6)}
    assert multiprocessing.active_children() == []


def test_a_submission_that_ends_its_worker_twice_is_given_up(monkeypatch):
    monkeypatch.setattr(pool, "SLOWEST", 0.0)
    (_, why), *others = pool.run_local([job_of(CHAPTER, PAPERS["ada"])], 1, "bwrap")
    assert (why, others) == (pool.ENDED, [])
    assert multiprocessing.active_children() == []


def test_a_cluster_gives_the_same_grades():
    jobs = [job_of(CHAPTER, PAPERS[student], student=student) for student in PAPERS]
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        results = list(pool.run_dask(jobs, cluster.scheduler_address, "bwrap"))
    assert scores_of(results) == SCORES
