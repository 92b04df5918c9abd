"""Near-identical answers: what is beneath names counts, and only where there is enough of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.grading.similarity import ALIKE, MIN_SIZE, form_of, near_identical

ANSWER = """
def q_sample(x0, t, alphas_cumprod, noise):
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    signal = a.sqrt().to(x0.dtype) * x0
    rest = (1 - a).sqrt().to(x0.dtype) * noise
    return signal + rest
"""
DISGUISED = '''
def q_sample(image, step, shares, eps):
    """Mine."""
    # all mine
    share = shares[step].view(-1, 1, 1, 1)
    one = (
        share.sqrt().to(image.dtype)
        * image
    )
    two = (2 - share).sqrt().to(image.dtype) * eps
    return one + two
'''
ANOTHER = """
def q_sample(x0, t, alphas_cumprod, noise):
    result = torch.empty_like(x0)
    for i, step in enumerate(t.tolist()):
        share = float(alphas_cumprod[step])
        result[i] = math.sqrt(share) * x0[i] + math.sqrt(1 - share) * noise[i]
    return result
"""
STUB = """
class ConvAE(nn.Module):
    def __init__(self, latent_dim=32):
        super().__init__()
        # your code here
        raise NotImplementedError

    def encode(self, x):
        \"\"\"(B, 1, 32, 32) -> (B, latent_dim).\"\"\"
        # your code here
        raise NotImplementedError
"""
SHORT = "def snr(alphas_cumprod):\n    return alphas_cumprod / (1 - alphas_cumprod)\n"
ID = "forward_diffusion.q_sample"


def groups(**sources):
    return near_identical(ID, sources)


def test_names_numbers_comments_and_layout_are_set_aside():
    assert form_of(ANSWER) == form_of(DISGUISED)
    (group,) = groups(ada=ANSWER, bob=DISGUISED, eve=ANOTHER)
    assert (group.exercise, group.students, group.alike) == (ID, ("ada", "bob"), 1.0)
    assert group.size == len(form_of(ANSWER)) >= MIN_SIZE
    assert not group.verbatim


def test_copies_letter_for_letter_are_told_apart_from_disguised_ones():
    (group,) = groups(ada=ANSWER, bob=ANSWER + "\n")
    assert group.verbatim


def test_one_line_more_is_still_almost_the_same():
    longer = (ANSWER + DISGUISED).replace("return signal", "print(signal.shape)\n    return signal", 1)
    (group,) = groups(ada=ANSWER + DISGUISED, bob=longer)
    assert ALIKE <= group.alike < 1


def test_what_is_asked_of_torch_makes_a_difference():
    assert form_of("x.sum(dim=1)") != form_of("x.mean(dim=1)")
    assert form_of("f(dim=1)") != form_of("f(keepdim=1)")
    assert form_of("a + b") != form_of("a - b")


@pytest.mark.parametrize(
    "source", [SHORT, STUB, "", "def broken(:"], ids=["short", "stub", "empty", "broken"]
)
def test_what_says_little_counts_for_nothing(source):
    assert groups(ada=source, bob=source, eve=source) == []


def test_what_many_have_written_is_common_and_no_evidence():
    many = {f"student-{i}": ANSWER for i in range(30)}
    few = {"ada": ANOTHER, "bob": ANOTHER}
    assert [group.students for group in near_identical(ID, many | few)] == [("ada", "bob")]


@given(st.permutations(["ada", "bob", "eve", "kim"]))
def test_the_order_of_students_changes_nothing(order):
    sources = {"ada": ANSWER, "bob": DISGUISED, "eve": ANOTHER, "kim": ANSWER + ANOTHER}
    assert near_identical(ID, {name: sources[name] for name in order}) == near_identical(ID, sources)


@pytest.mark.parametrize(
    "source",
    [
        *("-" * 200_000 + "1", "a" + ".a" * 100_000, "+".join(["1"] * 100_000), "[" * 5_000),
        *("x = 'a\0b'", "x = '\ud83d'", "x = 1\n" * 300_000, "1 if 1 else " * 20_000 + "1"),
    ],
    ids=["minus signs", "attributes", "sums", "brackets", "null", "half a letter", "long", "conditions"],
)
def test_hostile_sources_are_left_out(source):
    assert form_of(source) == ()


def test_warnings_about_students_code_stay_away():
    assert form_of("x = '\\d' is 3") == form_of("x = 'd' is 3") != ()


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text):
    assert isinstance(form_of(text), tuple)
