"""The class report: its counts are those of the results, and nothing that students write can act in it."""

import argparse
import csv
import itertools
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.exercises.judge import NOTHING_BACK, STUB
from course_utils.grading import report_command
from course_utils.grading.anonymous import anonymised, labels, read_key
from course_utils.grading.report import (
    NOT_ATTEMPTED,
    OUTCOMES,
    PARTLY,
    RIGHT,
    WRONG,
    class_report,
    outcome,
)
from course_utils.grading.report_page import page
from course_utils.grading.report_tables import write_tables
from course_utils.grading.result import CriterionScore, ExerciseResult, Flag, Previous, Result
from course_utils.grading.wording import plain

CHAPTER = "06_forward_diffusion"
HINT = "Your ratio grows with t. Look at which of the two is on top."
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\ud83d\x00\"'</style></pre>"
LONG = "\n".join(f"    x{i} = torch.tanh(x{i} @ w[{i}]) + b[{i}]" for i in range(9))
KEY = bytes(range(32))


def exercise(name: str = "snr", kind: str = RIGHT, **fields: object) -> ExerciseResult:
    """An exercise of 2 points that went so."""
    marks = {RIGHT: (True, True), PARTLY: (True, False), WRONG: (False, None), NOT_ATTEMPTED: (None, None)}
    criteria = (CriterionScore("values", 1.5, marks[kind][0]), CriterionScore("edge", 0.5, marks[kind][1]))
    made = ExerciseResult(
        id=f"forward_diffusion.{name}",
        cell=name,
        check=f"{name}-check",
        points=2.0,
        score=sum(c.points for c in criteria if c.earned),
        passed=kind == RIGHT,
        misconception="inverted" if kind == WRONG else None,
        message=STUB
        if kind == NOT_ATTEMPTED
        else "Every criterion holds."
        if kind == RIGHT
        else "Look again.",
        hint=HINT if kind == WRONG else "",
        criteria=criteria,
        timed_out=False,
        calls_reference=False,
        source=f"def {name}(a):\n    return a",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def result(student: str, *exercises: ExerciseResult, **fields: object) -> Result:
    made = Result(
        assignment=CHAPTER,
        student=student,
        status="graded",
        why="",
        repairs=(),
        flags=(),
        seed=f"{student} 7",
        package="1",
        release="r",
        submission=f"sha of {student}",
        inputs="i",
        submitted="2026-11-20T18:00:00+00:00",
        seconds=1.0,
        previous=None,
        exercises=exercises or (exercise(), exercise("velocity")),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def a_class() -> list[Result]:
    """Five students, one of everything that a report tells."""
    stopped = exercise("velocity", PARTLY, timed_out=True)
    calls = exercise("velocity", WRONG, calls_reference=True, misconception=None, hint="")
    flag = Flag("imports the package", "velocity", "Imports course_utils.diffusion.")
    before = Previous("s", 1.5, {"forward_diffusion.snr": 1.5, "forward_diffusion.velocity": 0.0})
    empty = [
        exercise(name, NOT_ATTEMPTED, source="", message="An empty file.") for name in ("snr", "velocity")
    ]
    copied = f"def velocity(x0, w, b):\n{LONG}\n    return x0"
    return [
        result("ada", exercise(), exercise("velocity", source=copied), previous=before),
        result("bob", exercise("snr", WRONG), exercise("velocity", source=copied)),
        result(
            "carla", exercise("snr", WRONG), stopped, status="repaired", repairs=("A cell was restored.",)
        ),
        result("dan", exercise("snr", NOT_ATTEMPTED), calls, flags=(flag,)),
        result("eve", *empty, status="not gradable", why="An empty file."),
    ]


def hostile() -> list[Result]:
    """Everything that a student can choose is an attack."""
    bad = exercise("velocity", WRONG, message=ATTACK, source=f"def velocity(x):\n{LONG}\n    '''{ATTACK}'''")
    flag = Flag("imports the package", ATTACK, ATTACK)
    fields = {"flags": (flag,), "repairs": (ATTACK,), "why": ATTACK, "status": "repaired"}
    return [result(f"{ATTACK}{i}", exercise(), bad, **fields) for i in range(2)]


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def report():
    return class_report(CHAPTER, a_class())


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with results."""
    folder = tmp_path / "assessments" / "results" / CHAPTER
    folder.mkdir(parents=True)
    (tmp_path / "assessments" / "nbgrader_config.py").touch()
    for one in a_class():
        (folder / f"{one.student}.json").write_text(one.to_json(), encoding="utf-8")
    return tmp_path


def run(root: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    return report_command.run(parser.parse_args([CHAPTER, "--root", str(root), *arguments]))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_an_exercise_is_told_in_the_words_of_its_verdict():
    assert [outcome(exercise(kind=kind)) for kind in OUTCOMES] == list(OUTCOMES)
    assert outcome(exercise(kind=NOT_ATTEMPTED, message=NOTHING_BACK)) == NOT_ATTEMPTED
    crashed = exercise(kind=NOT_ATTEMPTED, message="Your answer was not judged. It crashed Python.")
    assert outcome(crashed) == WRONG


def test_students_come_best_first_and_equal_ones_by_name(report):
    assert [(one.student, one.score) for one in report.results] == [
        *(("ada", 4.0), ("bob", 2.0), ("carla", 1.5), ("dan", 0.0), ("eve", 0.0)),
    ]


def test_counts_are_those_of_the_results(report):
    assert report.statuses == {"graded": 3, "repaired": 1, "not gradable": 1}
    assert (report.median, report.mean, report.points) == (1.5, 1.5, 4.0)
    snr, velocity = report.exercises
    assert snr.outcomes == {RIGHT: 1, PARTLY: 0, WRONG: 2, NOT_ATTEMPTED: 2}
    assert velocity.outcomes == {RIGHT: 2, PARTLY: 1, WRONG: 1, NOT_ATTEMPTED: 1}
    assert [(c.name, c.held, c.failed, c.not_reached) for c in velocity.criteria] == [
        *(("values", 3, 1, 1), ("edge", 2, 1, 2)),
    ]


def test_misconceptions_are_named_counted_and_come_with_their_hint(report):
    (one,) = report.misconceptions
    assert (one.name, one.exercise, one.hint) == ("inverted", "forward_diffusion.snr", HINT)
    assert one.students == ("bob", "carla")


def test_what_a_person_should_look_at(report):
    assert report.timed_out() == [("carla", "forward_diffusion.velocity")]
    assert report.calling_the_reference() == [("dan", "forward_diffusion.velocity")]
    (group,) = report.groups
    assert (group.students, group.verbatim) == (("ada", "bob"), True)


def test_pairs_who_are_alike_more_than_once_come_first():
    sources = [f"def {name}(x0, w, b):\n{LONG}\n    return x0" for name in ("snr", "velocity")]
    copied = [exercise("snr", source=sources[0]), exercise("velocity", source=sources[1])]
    text = Reader(page(class_report(CHAPTER, [result("ada", *copied), result("bob", *copied)]))).text
    assert "Pairs alike in several exercises" in text and "ada and bob" in text
    assert "Pairs alike" not in Reader(page(class_report(CHAPTER, a_class()))).text


def test_changes_since_the_last_submission(report):
    (one,) = report.changes
    assert (one.student, one.before, one.now) == ("ada", 1.5, 4.0)
    assert one.exercises == {"forward_diffusion.snr": 0.5, "forward_diffusion.velocity": 2.0}


@given(
    st.lists(st.floats(0, 2).map(lambda x: round(x, 2)), min_size=1, max_size=20),
    st.integers(1, 200),
)
def test_every_score_is_in_one_bar(scores, exercises):
    one = exercise()
    results = [result(f"s{i}", *[replace(one, score=score)] * exercises) for i, score in enumerate(scores)]
    bars = class_report(CHAPTER, results).bars
    assert sum(bar.count for bar in bars) == len(scores)
    assert (bars[0].low, bars[-1].high) == (0, 2 * exercises)
    assert all(one.high == other.low for one, other in itertools.pairwise(bars))
    assert all(bar.count == sum(bar.low <= r.score < bar.high for r in results) for bar in bars[:-1])


def test_the_page_says_all_of_it(report):
    text = " ".join(Reader(page(report)).text.split())
    for words in (
        *(HINT, "inverted", "A cell was restored.", "Imports course_utils.diffusion.", "An empty file."),
        *("ada, bob", "letter for letter", "1.5 → 4", "+2.5", "Time-outs", "carla", "median score"),
    ):
        assert words in text


@pytest.mark.parametrize("made", [a_class, hostile, list], ids=["a class", "hostile", "nobody"])
def test_nothing_in_the_page_runs_or_loads(made):
    written = page(class_report(CHAPTER, made()), [ATTACK])
    written.encode("utf-8")  # no half letters
    reader = Reader(written)
    assert reader.open == []
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "img", "iframe", "object", "form", "link"})
    assert [tag for tag, _ in reader.tags].count("style") == 1
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") or name == "src" for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    assert plain(ATTACK) in reader.text or made is not hostile


def test_text_of_students_cannot_hide_or_turn_round():
    assert plain("a\u202eb\x00c\ud83dd\x1b[31m") == "a□b□c□d□[31m"
    assert plain("one\r\ntwo\tthree") == "one\ntwo\tthree"


def test_tables_hold_the_same_numbers(report, tmp_path):
    write_tables(report, tmp_path)
    students = table(tmp_path / "students.csv")
    assert [row["student"] for row in students] == ["ada", "bob", "carla", "dan", "eve"]
    assert [float(row["score"]) for row in students] == report.scores
    assert [float(row["forward_diffusion.velocity"]) for row in students] == [2.0, 2.0, 1.5, 0.0, 0.0]
    assert [row["change"] for row in students] == ["2.5", "", "", "", ""]
    assert [row["near_identical"] for row in students][:3] == ["forward_diffusion.velocity"] * 2 + [""]
    first, second, *_ = table(tmp_path / "exercises.csv")
    assert (first["right"], first["criterion"], second["criterion"], second["held"]) == (
        "1",
        "",
        "values",
        "1",
    )
    assert table(tmp_path / "misconceptions.csv")[0]["who"] == "bob carla"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_no_cell_of_a_table_is_a_formula(sign, tmp_path):
    write_tables(class_report(CHAPTER, [result(f"{sign}HYPERLINK(1)")]), tmp_path)
    assert table(tmp_path / "students.csv")[0]["student"] == f"'{sign}HYPERLINK(1)"


@pytest.mark.parametrize("place", [".", "assessments"])
def test_the_command_writes_a_page_and_tables(course, capsys, place):
    assert run(course / place) == 0
    out = course / "assessments" / "reports" / CHAPTER
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "students.csv", "exercises.csv", "misconceptions.csv"),
    }
    assert "5 submissions, median 1.5 of 4 points." in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "damaged", "no course"])
def test_the_command_says_what_is_wrong(course, capsys, damage):
    folder = course / "assessments" / "results" / CHAPTER
    if damage == "no course":
        (course / "assessments" / "nbgrader_config.py").unlink()
    elif damage == "missing":
        shutil.rmtree(folder)
    else:
        (folder / "ada.json").write_text("{}")
    assert run(course) == 1
    words = {
        "missing": f"Run `course grade {CHAPTER}` first.",
        "damaged": "Delete it and grade again.",
        "no course": "No nbgrader_config.py",
    }
    assert words[damage] in capsys.readouterr().err


def test_anonymous_reports_hold_no_names_anywhere(course):
    folder = course / "assessments" / "results" / CHAPTER
    named = replace(a_class()[1], repairs=("Ada and bob.",))
    bob = replace(named.exercises[0], message="KeyError: 'Carla'", source="# with eve\nx = 'dan_dan'")
    (folder / "bob.json").write_text(replace(named, exercises=(bob, named.exercises[1])).to_json())
    assert run(course, "--anonymous") == 0
    out = course / "assessments" / "reports" / f"{CHAPTER}-anonymous"
    for path in out.iterdir():
        words = set(path.read_text(encoding="utf-8").lower().replace("_", " ").split())
        letters = "".join(c if c.isalnum() else " " for c in path.read_text(encoding="utf-8").lower()).split()
        assert (words | set(letters)).isdisjoint({"ada", "bob", "carla", "dan", "eve"})


def test_labels_stay_the_same_and_need_the_key():
    everybody = [f"student{i}" for i in range(200)]
    made = labels(everybody, KEY)
    assert len(set(made.values())) == 200
    alone = {student: labels([student], KEY)[student] for student in everybody}
    assert all(made[student].startswith(alone[student]) for student in everybody)
    assert labels(["student1"], KEY[::-1])["student1"] != labels(["student1"], KEY)["student1"]


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path):
    key = read_key(tmp_path)
    assert len(key) == 32 and read_key(tmp_path) == key
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_anonymous_results_keep_every_number():
    before, after = class_report(CHAPTER, a_class()), class_report(CHAPTER, anonymised(a_class(), KEY))
    assert sorted(before.scores) == sorted(after.scores)
    assert [one.outcomes for one in before.exercises] == [one.outcomes for one in after.exercises]
    assert not any(one.seed or one.submission or one.inputs for one in after.results)


def test_results_of_an_older_release_are_told():
    older = [*a_class(), result("fay", release="another")]
    assert "earlier release" in page(class_report(CHAPTER, older))
    assert "earlier release" not in page(class_report(CHAPTER, a_class()))


@pytest.mark.browser
@pytest.mark.parametrize("made", [a_class, hostile], ids=["a class", "hostile"])
def test_the_page_fits_a_phone_and_stays_quiet(chromium, made, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(class_report(CHAPTER, made())), encoding="utf-8")
    view = chromium.new_page(viewport={"width": 400, "height": 800})
    said: list[str] = []
    view.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    view.on("console", lambda message: said.append(message.text))
    view.on("request", lambda request: said.append(request.url) if request.url != path.as_uri() else None)
    view.goto(path.as_uri())
    view.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert view.evaluate("document.documentElement.scrollWidth") <= 400
    assert said == []
    view.close()
