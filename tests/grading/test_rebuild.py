"""Submissions rebuilt on the release: what survives, what is repaired, and that nothing stops it."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.grading.rebuild import Probe, Rebuilt, RunCell, rebuild
from course_utils.grading.release import Release, ReleaseError, read_release
from course_utils.grading.submission import MAX_CELLS, read_submission

REPOSITORY = Path(__file__).parents[2]
RELEASE = (REPOSITORY / "notebooks" / "01_autoencoders.ipynb").read_bytes()
ANSWER = "def conv_out_size(size, kernel, stride, padding):\n    return 1"
Notebook = dict[str, Any]


@pytest.fixture(scope="module")
def release() -> Release:
    return read_release("01_autoencoders", RELEASE)


def edited(change: Callable[[Notebook], object], answer: str = ANSWER) -> bytes:
    """The release with an answer to its first exercise, changed."""
    notebook = json.loads(RELEASE)
    cell(notebook, "conv_out_size")["source"] = answer
    change(notebook)
    return json.dumps(notebook).encode()


def cell(notebook: Notebook, id: str) -> Notebook:
    return next(one for one in notebook["cells"] if one["id"] == id)


def place(notebook: Notebook, id: str) -> int:
    return notebook["cells"].index(cell(notebook, id))


def code(source: str, **fields: Any) -> Notebook:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "source": source, **fields}


def ran(rebuilt: Rebuilt) -> list[str]:
    """Keys of the cells that run, and exercises, in order."""
    return [
        step.key if isinstance(step, RunCell) else step.question.exercise.partition(".")[2] + "?"
        for step in rebuilt.steps
    ]


def sources(rebuilt: Rebuilt) -> list[str]:
    return [step.source for step in rebuilt.steps if isinstance(step, RunCell)]


def answer_to_first(rebuilt: Rebuilt) -> str:
    return next(rebuilt.source(step.question) for step in rebuilt.steps if isinstance(step, Probe))


def test_an_untouched_release_needs_no_repair(release):
    rebuilt = rebuild(release, RELEASE)
    assert (rebuilt.status, rebuilt.why, rebuilt.repairs) == ("graded", "", ())
    assert [shown.cell["id"] for shown in rebuilt.shown] == [one.id for one in release.cells]


def test_only_setup_answers_and_probes_run(release):
    assert ran(rebuild(release, edited(lambda notebook: None)))[:5] == [
        *("cell-001", "conv_out_size", "conv_out_size?"),
        *("conv_transpose_out_size", "conv_transpose_out_size?"),
    ]


def test_outputs_metadata_and_demos_of_a_submission_do_not_survive(release):
    def change(notebook: Notebook) -> None:
        check = cell(notebook, "conv_out_size-check")
        check["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": "8765"}}]
        check["metadata"]["tags"] = ["skip-execution"]
        check["metadata"]["nbgrader"]["points"] = 8765
        cell(notebook, "cell-003")["source"] += "\nprint('edited')"
        notebook["metadata"]["kernelspec"] = {"name": "mine"}

    rebuilt = rebuild(release, edited(change))
    assert rebuilt.status == "graded"
    kept = json.dumps([shown.cell for shown in rebuilt.shown])
    assert "8765" not in kept and "skip-execution" not in kept and "edited" not in kept


@pytest.mark.parametrize(
    ("change", "repair"),
    [
        (lambda n: n["cells"].remove(cell(n, "conv_out_size-check")), "'conv_out_size-check' was deleted"),
        (lambda n: cell(n, "conv_out_size-check").update(source="2.0"), "'conv_out_size-check' was changed"),
        (
            lambda n: n["cells"].append(cell(n, "conv_out_size-check")),
            "'conv_out_size-check' was there twice",
        ),
        (lambda n: n["cells"].remove(cell(n, "train_step")), "'train_step' was deleted"),
        (lambda n: cell(n, "conv_out_size").update(cell_type="markdown"), "was no code cell any more"),
        (lambda n: n["cells"].insert(3, 7), "1 cell could not be read"),
    ],
)
def test_each_repair_is_a_sentence_and_keeps_the_answer(release, change, repair):
    rebuilt = rebuild(release, edited(change))
    assert rebuilt.status == "repaired"
    assert [one for one in rebuilt.repairs if repair in one] == list(rebuilt.repairs) == [rebuilt.why]
    assert answer_to_first(rebuilt) == ANSWER
    assert len([step for step in rebuilt.steps if isinstance(step, Probe)]) == len(release.questions)


def test_parts_of_a_split_answer_run_in_their_order(release):
    def split(notebook: Notebook) -> None:
        at = place(notebook, "conv_out_size")
        second = json.loads(json.dumps(notebook["cells"][at])) | {"id": "new", "source": ANSWER}
        notebook["cells"][at]["source"] = "HELP = 1"
        notebook["cells"].insert(at + 1, second)

    rebuilt = rebuild(release, edited(split))
    assert ran(rebuilt)[1:4] == ["conv_out_size", "conv_out_size part 2", "conv_out_size?"]
    assert answer_to_first(rebuilt) == f"HELP = 1\n\n{ANSWER}"


def test_a_copy_below_the_test_is_not_what_the_test_sees(release):
    def copy(notebook: Notebook) -> None:
        old = json.loads(json.dumps(cell(notebook, "conv_out_size"))) | {"id": "new", "source": "old = 1"}
        notebook["cells"].insert(place(notebook, "conv_out_size-check") + 1, old)

    rebuilt = rebuild(release, edited(copy))
    assert answer_to_first(rebuilt) == ANSWER
    assert ran(rebuilt)[1:4] == ["conv_out_size", "conv_out_size?", "added-001"]


def test_an_untouched_copy_of_the_stub_does_not_hide_the_answer(release):
    stub = next(one.source for one in release.cells if one.id == "conv_out_size")

    def copy(notebook: Notebook) -> None:
        old = json.loads(json.dumps(cell(notebook, "conv_out_size"))) | {"id": "new", "source": stub}
        notebook["cells"].insert(place(notebook, "conv_out_size-check"), old)

    assert answer_to_first(rebuild(release, edited(copy))) == ANSWER


def test_an_answer_without_labels_is_found_by_what_it_defines(release):
    def strip(notebook: Notebook) -> None:
        at = place(notebook, "conv_out_size")
        notebook["cells"][at] = code(ANSWER)

    rebuilt = rebuild(release, edited(strip))
    assert answer_to_first(rebuilt) == ANSWER
    assert "had lost its label" in rebuilt.why


def test_a_notebook_without_any_labels_keeps_its_answers_and_runs_no_demo(release):
    def strip(notebook: Notebook) -> None:
        for one in notebook["cells"]:
            one["metadata"] = {}
            del one["id"]

    rebuilt = rebuild(release, edited(strip))
    assert answer_to_first(rebuilt) == ANSWER
    assert not any("load_checkpoint(" in source for source in sources(rebuilt)[1:])


def test_added_cells_run_where_they_stand(release):
    def add(notebook: Notebook) -> None:
        notebook["cells"].insert(0, code("import numpy as np", id="top"))
        notebook["cells"].insert(place(notebook, "train_step"), code("def helper(): pass", id="helper"))

    order = ran(rebuild(release, edited(add)))
    assert order[:2] == ["cell-001", "added-001"]
    assert order.index("added-002") == order.index("train_step") - 1


def test_an_edited_first_cell_runs_after_the_released_one(release):
    rebuilt = rebuild(release, edited(lambda n: cell(n, "cell-001").update(source="import numpy as np")))
    assert ran(rebuilt)[:2] == ["cell-001", "cell-001 edited"]


def test_of_an_edited_demo_only_definitions_run(release):
    def change(notebook: Notebook) -> None:
        source = cell(notebook, "cell-003")["source"]
        text = source if isinstance(source, str) else "".join(source)
        cell(notebook, "cell-003")["source"] = f"{text}\nEPS = 1e-5\ndef helper(): pass\nslow()"

    rebuilt = rebuild(release, edited(change))
    assert sources(rebuilt)[1] == "EPS = 1e-05\ndef helper():\n    pass"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "No notebook was handed in"),
        (b"", "empty file"),
        (b"\x00\xff\xfe not a notebook", "no notebook"),
        (b"[1, 2]", "no notebook"),
        (b'{"cells": []}', "no cells"),
        (b'{"cells": 3}', "no notebook"),
        (b"[" * 100_000, "no notebook"),
        (b" " * 50_000_001, "50 MB are the most"),
        (b'{"cells": [' + b"[]," * 1_000_000 + b"[]]}", "more lists and objects"),
        (b'{"cells": [' + b'"",' * 2_000_000, "more lists and objects"),
        (('{"cells": [' + "{}," * 1_000_000 + "{}]}").encode("utf-16"), "more lists and objects"),
    ],
)
def test_what_cannot_be_read_is_not_gradable_and_says_why(release, data, why):
    rebuilt = rebuild(release, data)
    assert (rebuilt.status, rebuilt.steps) == ("not gradable", ())
    assert why in rebuilt.why


def test_a_bomb_is_not_read():
    bomb = b'{"cells": [' + b"[]," * 4_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        read_submission(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_of_many_cells_that_break_off_only_the_first_are_read():
    submission = read_submission(b'{"cells": [' + b"{}," * 600_000)
    assert submission.unreadable == "The notebook has no cells."
    whole = json.dumps({"cells": [code("1")] * (MAX_CELLS + 100)})
    submission = read_submission(whole[:-1].encode())
    assert len(submission.cells) == MAX_CELLS
    assert any("were left out" in one for one in submission.repairs)


def test_cells_beyond_what_is_read_in_all_are_left_out(release):
    def paste(notebook: Notebook) -> None:
        notebook["cells"] += [code(f"x{i} = '{'x' * 300_000}'", id=f"x{i}") for i in range(5)]

    rebuilt = rebuild(release, edited(paste))
    assert answer_to_first(rebuilt) == ANSWER
    assert "2 cells could not be read" in rebuilt.why
    assert sum("xxx" in source for source in sources(rebuilt)) == 3


def test_a_notebook_that_breaks_off_keeps_what_comes_before(release):
    whole = edited(lambda notebook: None)
    rebuilt = rebuild(release, whole[: whole.index(b"conv_transpose_out_size")])
    assert rebuilt.status == "repaired"
    assert answer_to_first(rebuilt) == ANSWER
    assert "file is damaged" in rebuilt.repairs[0]


def test_the_notebook_format_of_before_2015_is_read(release):
    cells = [{"cell_type": "code", "input": ANSWER, "language": "python"}]
    old = {"nbformat": 3, "worksheets": [{"cells": cells}]}
    assert answer_to_first(rebuild(release, json.dumps(old).encode())) == ANSWER


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["cells", "source", "id"]) | st.text(), inner)
    ),
    max_leaves=10,
)
CELLS = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown"]) | JSON, "source": st.text() | JSON},
    optional={"metadata": st.just({"nbgrader": {"grade_id": "train_step"}}) | JSON, "id": st.text() | JSON},
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_stop_it(data):
    assert rebuild(read_release("01_autoencoders", RELEASE), data).status in ("not gradable", "repaired")


@given(st.lists(CELLS | JSON, min_size=1, max_size=5))
def test_no_cells_stop_it(cells):
    rebuilt = rebuild(read_release("01_autoencoders", RELEASE), json.dumps({"cells": cells}).encode())
    assert all(shown.cell["cell_type"] in ("code", "markdown") for shown in rebuilt.shown)


def test_a_release_that_grades_something_else_is_refused():
    notebook = json.loads(RELEASE)
    cell(notebook, "train_step-check")["source"] = "assert train_step"
    with pytest.raises(ReleaseError, match="'train_step-check' is graded, but has no line `check"):
        read_release("01_autoencoders", json.dumps(notebook).encode())
    with pytest.raises(ReleaseError, match="no check to grade"):
        read_release("x", b'{"cells": []}')
    with pytest.raises(ReleaseError, match="is no notebook"):
        read_release("x", b"{")
