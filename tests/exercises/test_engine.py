"""The calls that notebooks and graders make: grade, check, catalogue, mine_or_reference."""

import importlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from torch import Tensor

from course_utils.exercises import catalogue, check, engine, grade, mine_or_reference
from course_utils.exercises.display import COLOURS, as_html, as_text
from course_utils.exercises.judge import RIGHT, judge
from course_utils.exercises.observe import Limits
from course_utils.exercises.spec import Misconception, Verdict

ERROR = "autoencoders.reconstruction_error"


def right(x_hat: Tensor, x: Tensor) -> Tensor:
    return (x_hat - x).square().flatten(1).mean(1)


def doubled(x_hat: Tensor, x: Tensor) -> Tensor:
    return 2 * right(x_hat, x)


def squeezed(x_hat: Tensor, x: Tensor) -> Tensor:
    return right(x_hat, x).squeeze()


def stub(x_hat: Tensor, x: Tensor) -> Tensor:
    raise NotImplementedError


def scripted(x_hat: Tensor, x: Tensor) -> Tensor:
    raise ValueError("<script>alert('&')</script>")


def test_one_seed_gives_one_verdict_and_seeds_differ() -> None:
    assert grade(ERROR, doubled, seed=3) == grade(ERROR, doubled, seed=3)
    assert len({grade(ERROR, doubled, seed=seed).message for seed in range(5)}) == 5


@pytest.mark.parametrize(("given", "seed"), [("12", 12), ("-3", -3), (12, 12)])
def test_seeds_are_numbers(given: int | str, seed: int) -> None:
    assert grade(ERROR, right, seed=given).seed == seed


def test_the_environment_sets_the_seed_and_otherwise_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_GRADE_SEED", "77")
    assert grade(ERROR, right).seed == 77
    assert grade(ERROR, right, seed=5).seed == 5
    monkeypatch.delenv("COURSE_GRADE_SEED")
    assert grade(ERROR, right).seed != grade(ERROR, right).seed


@pytest.mark.parametrize("id", ["autoencoders.recon_error", "reconstruction_error", "nothing.at_all", ""])
def test_an_unknown_exercise_is_answered_with_those_spelt_alike(id: str) -> None:
    with pytest.raises(ValueError, match=r"Perhaps you mean \w+\.\w+"):
        grade(id, right)
    with pytest.raises(ValueError, match="No exercise is called"):
        check(id, right)


def test_the_catalogue_lists_the_course_in_order() -> None:
    entries = catalogue()
    assert [entry.id.partition(".")[0] for entry in entries] == sorted(
        (entry.id.partition(".")[0] for entry in entries), key=engine.CHAPTERS.index
    )
    for entry in entries:
        assert entry.title and entry.points > 0
        assert entry.points == sum(criterion.points for criterion in entry.criteria)
        assert all(isinstance(m, Misconception) and m.name and m.hint for m in entry.misconceptions)


def test_the_score_is_the_sum_of_the_criteria_that_hold() -> None:
    verdict = grade(ERROR, squeezed)
    assert verdict.score == sum(result.earned for result in verdict.criteria) == 2.5
    assert [result.name for result in verdict.criteria if result.held is False] == ["a batch of one image"]
    assert not verdict.passed and verdict.status == "partly right"


def test_nothing_after_a_failed_gate_is_reached() -> None:
    held = [result.held for result in grade(ERROR, doubled).criteria]
    assert held == [True, True, True, False, None, None, None]


def test_judge_wants_an_observation_of_each_case() -> None:
    exercise = engine.find(ERROR)
    with pytest.raises(ValueError, match="as many observations"):
        judge(exercise, engine.draw_cases(exercise, 1), [], 1)


def test_what_was_printed_is_told_where_the_answer_is_not_right() -> None:
    def chatty(x_hat: Tensor, x: Tensor) -> Tensor:
        print("shape of x:", len(x.shape))
        return doubled(x_hat, x)

    assert "Your code also printed" in grade(ERROR, chatty).message
    assert "shape of x: 4" in grade(ERROR, chatty).message


def test_an_error_names_the_line_of_the_student() -> None:
    def helper(x: Any) -> Tensor:
        return x.no_such_method()

    def answer(x_hat: Tensor, x: Tensor) -> Tensor:
        return helper(x_hat - x)

    assert "It happened in helper, line " in grade(ERROR, answer).message
    assert ": `return x.no_such_method()`." in grade(ERROR, answer).message


def test_addresses_do_not_get_into_messages() -> None:
    def answer(x_hat: Tensor, x: Tensor) -> Tensor:
        raise ValueError(object())

    assert "<object object at 0x…>" in grade(ERROR, answer).message


@pytest.mark.parametrize("answer", [right, stub], ids=["right", "stub"])
def test_what_notebooks_store_is_constant(answer: Any) -> None:
    shown = {
        (as_text(verdict), as_html(verdict)) for verdict in (grade(ERROR, answer, seed=i) for i in range(3))
    }
    assert len(shown) == 1


@pytest.mark.parametrize(
    "answer",
    [right, squeezed, doubled, stub, scripted, None],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_the_card_says_what_the_text_says(answer: Any) -> None:
    verdict = grade(ERROR, answer, seed=1)
    html, text = as_html(verdict), as_text(verdict)
    assert text.endswith(verdict.message)
    assert "<script" not in html and "\n" not in html
    assert COLOURS[verdict.status] in html
    assert verdict.status in html and verdict.status in text
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in html or answer is not scripted
    assert html.count("<tr>") == len(verdict.criteria)


def test_a_known_mistake_is_named() -> None:
    verdict = grade(ERROR, doubled, seed=1)
    named = replace(verdict, misconception="twice-as-much")
    assert as_text(named).splitlines()[1] == "Known mistake: twice-as-much."
    assert ">Known mistake: twice-as-much.<" in as_html(named)
    nameless = replace(verdict, misconception=None)
    assert "Known mistake" not in as_text(nameless) + as_html(nameless)


@pytest.fixture
def shell() -> Any:
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_check_displays_the_card_with_its_text(shell: InteractiveShell) -> None:
    with capture_output() as captured:
        score = check(ERROR, squeezed)
    (output,) = captured.outputs
    assert score == 2.5
    assert set(output.data) == {"text/html", "text/plain"}
    assert output.data["text/plain"].startswith(f"{ERROR}: partly right, 2.5 of 3 points\n")
    assert (captured.stdout, captured.stderr) == ("", "")


def test_mine_or_reference_shows_a_note_only_for_the_reference(shell: InteractiveShell) -> None:
    with capture_output() as captured:
        assert mine_or_reference(ERROR, right) is right
    assert captured.outputs == []
    with capture_output() as captured:
        used = mine_or_reference(ERROR, stub)
    assert used is importlib.import_module("course_utils.autoencoders").reconstruction_error
    (note,) = captured.outputs
    assert note.data["text/plain"] == (
        "Below, the course's own reconstruction_error is used until yours passes its check."
    )


def test_without_ipython_the_text_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(ERROR, right)
    assert capsys.readouterr() == (f"{ERROR}: right, 3 of 3 points\n{RIGHT}\n", "")
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    check(ERROR, right)
    assert capsys.readouterr().out.endswith(f"{RIGHT}\n")


def test_limits_are_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(x_hat: Tensor, x: Tensor) -> Tensor:
        while True:
            pass

    assert "still running" in grade(ERROR, slow, limits=Limits(seconds=0.05)).message


def test_another_process_makes_the_same_number_of_words_and_needs_neither_references_nor_ipython() -> None:
    code = f"""
import sys
from course_utils.exercises import grade
print(grade({ERROR!r}, None, seed="ada/01").seed)
print([name for name in sys.modules if name == "course_utils.autoencoders" or name.startswith("IPython")])
"""
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    seeds = [grade(ERROR, None, seed=words).seed for words in ("ada/01", "bob/01")]
    assert other.stdout.splitlines() == [str(seeds[0]), "[]"]
    assert seeds[0] != seeds[1]


def test_an_answer_that_another_implementation_explains_gets_that_ones_score() -> None:
    """The chapter leaves an activation open; a mistake elsewhere is judged against the nearer of both
    versions."""
    exercise = engine.find("autoencoders.ConvAE")
    (accepted,) = exercise.accepts

    def answer(latent_dim: int) -> torch.nn.Module:
        model = accepted(latent_dim)
        model.forward = lambda x: model.decode(model.encode(x)[:1])
        return model

    verdict = grade(exercise.id, answer)
    assert isinstance(verdict, Verdict)
    assert {result.name for result in verdict.criteria if result.held} >= {"encode", "decode"}


def test_a_wrong_formula_is_named_whether_it_converts_or_not() -> None:
    """The known wrong answers of beginners do not convert a float64 schedule; careful ones do."""

    def without_roots(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
        share = alphas_cumprod[t].view(-1, 1, 1, 1).to(x0.dtype)
        return share * x0 + (1 - share) * noise

    for seed in range(5):
        assert grade("forward_diffusion.q_sample", without_roots, seed=seed).misconception == "without-roots"


def test_a_wrong_conversion_keeps_its_own_name() -> None:
    def in_float64(x0: Tensor, t: Tensor, alphas_cumprod: Tensor, noise: Tensor) -> Tensor:
        share = alphas_cumprod[t].view(-1, 1, 1, 1)
        return share.sqrt() * x0 + (1 - share).sqrt() * noise

    for seed in range(5):
        verdict = grade("forward_diffusion.q_sample", in_float64, seed=seed)
        assert verdict.misconception == "result-in-float64"
