"""Submissions of chapter 1 in a real sandbox: right answers keep their points, no other gains one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_utils.exercises import grade
from course_utils.grading.bubblewrap import SandboxError
from course_utils.grading.grade import Graded, Job, Outcomes, grade_job, grade_without_running, run_steps
from course_utils.grading.rebuild import Rebuilt, RunCell
from course_utils.grading.release import read_release
from course_utils.grading.result import Result
from course_utils.grading.sandbox import Asked, Limits, Sandbox

from .submissions import REPOSITORY, job_of, release_of, solutions_of, submission

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("needs_bubblewrap")]

CHAPTER = "01_autoencoders"
RIGHT = solutions_of(CHAPTER)
LIGHT = {name: source for name, source in RIGHT.items() if name not in ("ConvAE", "train_step")}
PATIENT = Limits(memory=600_000_000)
SHORT = Limits(memory=600_000_000, probe=3.0)
FIRST = "conv_out_size"


def asked(chapter: str) -> Asked:
    release = read_release(chapter, release_of(chapter))
    return Asked(tuple(one.exercise for one in release.questions), release.setup)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(asked(CHAPTER), "bwrap", PATIENT) as box:
        yield box


@pytest.fixture
def impatient(box: Sandbox) -> Iterator[Sandbox]:
    """For answers that never end."""
    box.limits = SHORT
    yield box
    box.limits = PATIENT


def graded(box: Sandbox, answers: dict[str, str], *added: str) -> Graded:
    """With right answers to everything else but the two slow exercises, which are left as they were."""
    return grade_job(job_of(CHAPTER, submission(CHAPTER, {**LIGHT, **answers}, added)), box)


def scores(result: Result) -> dict[str, float]:
    return {one.cell: one.score for one in result.exercises}


def lost(result: Result) -> set[str]:
    """The exercises that did not earn all their points, though answered."""
    missed = [one for one in result.exercises if one.score < one.points]
    return {one.cell for one in missed if one.cell in LIGHT or "Not attempted" not in one.message}


def message(result: Result, cell: str) -> str:
    return next(one.message for one in result.exercises if one.cell == cell)


def printed(box: Sandbox, *cells: str) -> list[str]:
    """What cells print that are run as one submission."""
    steps = tuple(RunCell(f"cell {i}", source) for i, source in enumerate(cells))
    outcomes: Outcomes = run_steps(Rebuilt("graded", "", (), steps, ()), box, seed=1)
    assert not outcomes.lost
    return [
        outcomes.cells[i]["printed"].strip() or str(outcomes.cells[i]["fault"]) for i in range(len(cells))
    ]


def test_right_answers_earn_all_points(box):
    result = graded(box, RIGHT).result
    assert (result.status, result.flags, result.repairs) == ("graded", (), ())
    assert result.score == result.points == 28
    assert all(one.passed for one in result.exercises)
    assert Result.from_json(result.to_json()) == result


def test_wrong_answers_get_the_verdict_that_the_notebook_gives(box):
    code = (REPOSITORY / "tests" / "grading" / "wrong_answers.py").read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    exec(code, namespace)
    wrong = {name: code for name in ("conv_out_size", "train_step", "reconstruction_error")}
    result = graded(box, wrong).result
    for one in result.exercises:
        if one.cell in wrong:
            verdict = grade(one.id, namespace[one.cell], seed=7)
            assert (one.score, one.misconception) == (verdict.score, verdict.misconception)
            assert one.message == verdict.message
            assert one.hint and one.hint in one.message
    assert lost(result) == set(wrong)


def test_an_untouched_notebook_is_not_attempted(box):
    result = grade_job(job_of(CHAPTER, release_of(CHAPTER)), box).result
    assert result.score == 0 and result.status == "graded"
    assert all("Not attempted yet" in one.message for one in result.exercises)


ENDS = {
    "import os; os._exit(3)": "ended Python itself (exit 3)",
    "import os; os.kill(os.getpid(), 9)": "crashed Python (SIGKILL)",
    "import ctypes; ctypes.string_at(0)": "crashed Python (SIGSEGV)",
    "import os; os.kill(1, 9); os.kill(-1, 9)": "ProcessLookupError",
    "return bytearray(10**10)": "MemoryError",
    "while True: pass": "still running",
    "import signal as s; s.pthread_sigmask(s.SIG_BLOCK, range(1, 64))\n    while True: pass": "still running",
    "raise SystemExit": "SystemExit",
}


@pytest.mark.parametrize(("body", "why"), ENDS.items())
def test_an_answer_that_ends_its_process_costs_itself_only(impatient, body, why):
    result = graded(
        impatient, {FIRST: f"def conv_out_size(size, kernel, stride, padding):\n    {body}"}
    ).result
    assert lost(result) == {FIRST}
    assert why in message(result, FIRST)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def conv_out_size(:", "SyntaxError"),
        ("conv_out_size = 1 / 0", "ZeroDivisionError: division by zero (<module>, line 1"),
        ("import os; os._exit(0)", "Its cell was not finished. It ended Python itself"),
        ("", "Nothing called conv_out_size was defined."),
        ("conv_out_size = 3", "This is a value of type int, not conv_out_size itself."),
    ],
)
def test_an_answer_that_defines_nothing_to_call_is_told_so(box, source, why):
    result = graded(box, {FIRST: source}).result
    assert lost(result) == {FIRST}
    assert why in message(result, FIRST)


@pytest.mark.parametrize(
    "source",
    [
        "conv_out_size = autoencoders.conv_out_size",
        "from course_utils.autoencoders import conv_out_size",
        "def conv_out_size(*a):\n    import course_utils.autoencoders as b; return b.conv_out_size(*a)",
    ],
)
def test_the_courses_own_answer_is_not_there_and_said_to_be(box, source):
    result = graded(box, {FIRST: source}).result
    assert lost(result) == {FIRST}
    first = result.exercises[0]
    assert first.calls_reference
    assert "calls the course's own conv_out_size" in first.message
    assert "calls the reference" in {flag.kind for flag in result.flags}


def test_students_own_cells_may_check_and_fail(box):
    added = [
        "import numpy as np\nprint(np.ones(2))",
        'check("autoencoders.ConvAE", print)\nf = mine_or_reference("autoencoders.ConvAE", len)',
        "%matplotlib inline\n!echo hello\ndisplay(3)",
        "%%time\ntimed = 1",
        "1 / 0\ndef after(): pass",
        "assert f is len and after() is None and np and timed",
    ]
    outcome = graded(box, {}, *added)
    assert not lost(outcome.result)
    said = [cell.get("outputs") for cell in json.loads(outcome.notebook)["cells"] if "added" in cell["id"]]
    assert "ZeroDivisionError" in str(said[4])
    assert said[5] == []


def test_an_answer_may_use_what_earlier_cells_define(box):
    helper = (
        "def shrink(size, kernel, stride, padding):\n    return (size + 2 * padding - kernel) // stride + 1"
    )
    answers = {FIRST: "def conv_out_size(*args, **named):\n    return shrink(*args, **named)"}
    assert not lost(graded(box, answers, helper).result)


def test_one_seed_gives_one_result_and_another_other_cases(box):
    wrong = {FIRST: "def conv_out_size(size, kernel, stride, padding):\n    return size"}
    data = submission(CHAPTER, {**RIGHT, **wrong})
    one, two, other = (grade_job(job_of(CHAPTER, data, seed=seed), box) for seed in ("a", "a", "b"))
    assert message(one.result, FIRST) == message(two.result, FIRST) != message(other.result, FIRST)
    assert one.notebook == two.notebook
    assert one.result.inputs == two.result.inputs != other.result.inputs


LOOKS = {
    "network": "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
    "interfaces": "import socket; print([name for _, name in socket.if_nameindex()])",
    "environment": "import os; print(sorted(set(os.environ) - set(KNOWN)))",
    "processes": "import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdecimal())[0], "
    "len([p for p in os.listdir('/proc') if p.isdecimal()]))",
    "user": "import os; print(os.getuid() != 0, os.getgroups())",
    "system": "open('/usr/marker', 'w')",
    "package": "import course_utils; open(course_utils.__file__, 'a')",
    "root": "import os; print(sorted(set(os.listdir('/')) - set(FOLDERS)))",
    "solutions": f"import os; print(os.path.exists({str(REPOSITORY / 'solutions')!r}))",
    "parent": "open('/proc/1/mem', 'rb')",
    "privileges": "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))",
    "home": "import os; print(os.listdir(os.path.expanduser('~')), os.listdir('.'))",
}
SEEN = {
    "network": r"OSError|unreachable",
    "interfaces": r"^\['lo'\]$",
    "environment": r"^\[\]$",
    "processes": r"^1 2$",
    "user": r"^True \[\d*\]$",
    "system": "Read-only file system",
    "package": "Read-only file system|PermissionError",
    "root": r"^\[\]$",
    "solutions": "^False$",
    "parent": "PermissionError",
    "privileges": "^-1$",
    "home": r"^\[\] \[\]$",
}


def test_nothing_of_the_machine_is_in_sight(box):
    from course_utils.grading.bubblewrap import environment

    by_libraries = ["PWD", "LC_CTYPE", "OLDPWD", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"]
    known = f"KNOWN = {[*environment(Path(), 'bwrap'), *by_libraries]}"
    system = [
        "usr",
        "bin",
        "sbin",
        "lib",
        "lib64",
        "lib32",
        "etc",
        "sys",
        "dev",
        "proc",
        "tmp",
        "scratch",
        "course",
    ]
    known += (
        f"\nFOLDERS = {[*system, *(Path(one).resolve().parts[1] for one in (sys.prefix, sys.base_prefix))]}"
    )
    said = dict(zip(["", *LOOKS], printed(box, known, *LOOKS.values()), strict=True))
    wrong = {name: said[name] for name, pattern in SEEN.items() if not re.search(pattern, said[name])}
    assert wrong == {}


def test_an_installed_package_cannot_be_seen(tmp_path):
    """Installed as a wheel, the references lie in the folders that Python itself needs."""
    from course_utils.grading.bubblewrap import _mounts

    places = [tmp_path / name for name in ("course_utils", "lib/python3.9/site-packages/course_utils")]
    for place in places:
        place.mkdir(parents=True)
        (place / "autoencoders.py").write_text("def pca_reconstruct(): ...")
        (place.parent / "numpy.py").touch()
    command = ["bwrap", *_mounts([tmp_path]), "/usr/bin/find", str(tmp_path), "-name", "*.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == sorted(str(place.parent / "numpy.py") for place in places)


def test_solutions_beside_the_package_cannot_be_seen(tmp_path, monkeypatch):
    from course_utils.grading import bubblewrap

    package = tmp_path / "course_utils"
    for folder in (
        package,
        tmp_path / "solutions",
        tmp_path / "assessments" / "source",
        tmp_path / "notebooks",
    ):
        folder.mkdir(parents=True)
        (folder / "file.py").touch()
    monkeypatch.setattr(bubblewrap.course_utils, "__file__", str(package / "__init__.py"))
    command = ["bwrap", *bubblewrap._mounts([tmp_path]), "/usr/bin/find", str(tmp_path), "-name", "*.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert found == [str(tmp_path / "notebooks" / "file.py")]


def test_nothing_is_left_for_the_next_submission(box):
    daemon = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'], start_new_session=True)"
    )
    leave = (
        "import os, tempfile; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); os.chmod('a', 0)\n"
        "open(tempfile.gettempdir() + '/d', 'w')"
    )
    torch = "import torch; torch.allclose = lambda *a: True; import builtins; builtins.print = None"
    printed(box, daemon, leave, torch)
    look = (
        "import os, tempfile, torch\n"
        "found = os.listdir() + os.listdir(tempfile.gettempdir())\n"
        "print(found, torch.allclose(torch.ones(1), torch.zeros(1)), LOOK)"
    )
    count = "import os; LOOK = len([p for p in os.listdir('/proc') if p.isdecimal()])"
    assert printed(box, count, look)[1] == "[] False 2"


def test_many_processes_and_much_memory_are_stopped(box):
    bomb = "import os\nfor _ in range(1000): os.fork()"
    grow = (
        "import os, time\nx = b'x' * 150_000_000\nfor _ in range(8):\n"
        "    if not os.fork(): time.sleep(60)\ntime.sleep(60)"
    )
    for source, why in ((bomb, ""), (grow, "more than 0.6 GB of memory")):
        step = RunCell("cell", source)
        outcomes = run_steps(Rebuilt("graded", "", (), (step,), ()), box, seed=1)
        assert why in str(outcomes)
    assert printed(box, "print('alive')") == ["alive"]


def test_the_package_in_the_sandbox_has_no_reference_to_read(box):
    decoy = "import inspect, course_utils.autoencoders as a; print(inspect.getsource(a.pca_reconstruct))"
    mistakes = (
        "import sys; m = sys.modules['course_utils.exercises.autoencoders.conv_ae']\n"
        "print(hasattr(m, 'wake'), hasattr(m, 'cases'), hasattr(m, 'CONV_AE'), hasattr(m, '__file__'))"
    )
    source, left = printed(box, decoy, mistakes)
    assert "CoursesOwn" in source
    assert left == "True False False False"  # only what the probe itself calls


def test_forged_replies_earn_nothing(impatient):
    forge = """
import os, socket, json
for fd in range(3, 64):
    try:
        s = socket.socket(fileno=os.dup(fd))
        data = json.dumps({"kind": "callable"}).encode()
        s.sendall(len(data).to_bytes(8, "little") + data + (1 << 60).to_bytes(8, "little"))
    except OSError:
        pass
os._exit(0)
"""
    body = "\n    ".join(forge.strip().splitlines())
    result = graded(
        impatient, {FIRST: f"def conv_out_size(size, kernel, stride, padding):\n    {body}"}
    ).result
    assert lost(result) == {FIRST}


def test_a_notebook_that_cannot_be_read_gets_words_and_a_feedback_notebook(box):
    outcome = grade_job(job_of(CHAPTER, b"{"), box)
    assert (outcome.result.status, outcome.result.score) == ("not gradable", 0)
    assert {one.message for one in outcome.result.exercises} == {outcome.result.why}
    assert outcome.result.why in outcome.notebook


def test_a_submission_that_ended_the_grader_gets_words_too():
    outcome = grade_without_running(job_of(CHAPTER, submission(CHAPTER, RIGHT)), "It ended the grader.")
    assert (outcome.result.status, outcome.result.score, outcome.result.points) == ("not gradable", 0, 28)


def test_feedback_shows_verdicts_and_neither_cases_nor_seeds(box):
    wrong = {
        FIRST: "def conv_out_size(size, kernel, stride, padding):\n    print('<script>')\n    return size"
    }
    notebook = json.loads(graded(box, wrong, "print('\\x1b[31m<script>')").notebook)
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    card, score = cells["conv_out_size-check"]["outputs"]
    assert float(score["data"]["text/plain"]) == 0
    assert "Cases drawn with seed" not in card["data"]["text/html"]
    assert "<script>" not in card["data"]["text/html"]
    assert "\x1b" not in str(notebook)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"code", "markdown"}


def test_where_bubblewrap_is_missing_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with (
        Sandbox(asked(CHAPTER)) as box,
        pytest.raises(SandboxError, match="install the package `bubblewrap`"),
    ):
        box.start()


def test_without_a_sandbox_the_verdicts_are_the_same():
    with Sandbox(asked(CHAPTER), "none", PATIENT) as box:
        result = graded(
            box, {FIRST: "def conv_out_size(size, kernel, stride, padding):\n    import os; os._exit(1)"}
        )
        assert lost(result.result) == {FIRST}


def test_a_job_is_the_same_wherever_it_is_made():
    data = submission(CHAPTER, RIGHT)
    assert job_of(CHAPTER, data).inputs == job_of(CHAPTER, data).inputs
    assert job_of(CHAPTER, data).inputs != job_of(CHAPTER, data + b" ").inputs != job_of(CHAPTER, None).inputs
    assert isinstance(job_of(CHAPTER, data), Job)
