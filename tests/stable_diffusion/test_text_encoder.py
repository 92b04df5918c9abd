"""Prompts to states, against transformers, on words learned from a few captions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.text_encoder import END, START, Tokenizer, quick_gelu

from . import peers
from .peers import CAPTIONS, TOKENIZER, VOCABULARY

PROMPTS = [
    "A Red  seven, left of\tthe eight.",
    "",
    "x" * 200,
    "naïve Café 漢字 don't 3 42 🙂",
    f"{END} in the middle {START}",
    "cafe\u0301 e\u0301",
]


def theirs(tokenizer, prompts):
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    return tokenizer(prompts, max_length=tokenizer.model_max_length, **options).input_ids


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.json and merges.txt"])
def pair(request, tmp_path_factory):
    """transformers' tokenizer and ours, from the same files."""
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZER.save(folder)
    for name in {"tokenizer.json", "vocab.json", "merges.txt"} - set(request.param.split(" and ")):
        (folder / name).unlink()
    return peers.CLIPTokenizer.from_pretrained(folder), Tokenizer.load(folder)


@pytest.mark.parametrize("prompt", [*PROMPTS, *CAPTIONS])
def test_ids_are_those_of_transformers(pair, prompt: str) -> None:
    peer, ours = pair
    assert torch.equal(ours([prompt]), theirs(peer, [prompt]))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_ids_of_any_text_are_those_of_transformers(pair, prompts) -> None:
    peer, ours = pair
    assert torch.equal(ours(prompts), theirs(peer, prompts))


def test_a_prompt_is_framed_padded_and_cut() -> None:
    start, end = (TOKENIZER.core.token_to_id(token) for token in (START, END))
    assert (start, end) == (VOCABULARY - 2, VOCABULARY - 1)
    empty, long = TOKENIZER(["", "seven " * 100])
    assert empty.tolist() == [start] + [end] * 76
    assert long[0] == start and long[-1] == end and end not in long[:-1]
    assert TOKENIZER(["A"]).dtype == torch.int64


def test_padding_and_length_are_the_folders(tmp_path) -> None:
    Tokenizer(Tokenizer.learn(CAPTIONS, 20, 9).core, 9, padding="!</w>").save(tmp_path)
    ours, peer = Tokenizer.load(tmp_path), peers.CLIPTokenizer.from_pretrained(tmp_path)
    assert ours.length == 9
    assert torch.equal(ours([*CAPTIONS, ""]), theirs(peer, [*CAPTIONS, ""]))
    assert ours([""])[0, 2] == ours.core.token_to_id("!</w>")


def test_merges_are_learned_from_captions() -> None:
    few, many = Tokenizer.learn(CAPTIONS, 0, 9), Tokenizer.learn(CAPTIONS, 1000, 9)
    assert few.core.get_vocab_size() == 514
    assert [word.positions for word in many.words("a red seven")] == [[1], [2], [3]]
    assert [word.positions for word in few.words("a red")] == [[1], [2, 3, 4]]


def test_words_know_their_tokens() -> None:
    prompt = "A Red  seven, over there"
    words = TOKENIZER.words(prompt)
    assert [word.text for word in words] == prompt.split()
    positions = [position for word in words for position in word.positions]
    ids = TOKENIZER([prompt])[0]
    assert positions == list(range(1, len(positions) + 1))
    assert ids[len(positions) + 1] == VOCABULARY - 1
    assert TOKENIZER.words("") == []


def test_words_that_were_cut_off_have_no_tokens() -> None:
    words = TOKENIZER.words("seven " * 90)
    assert len(words) == 90
    assert words[74].positions == [75] and words[75].positions == []


def test_tokenizer_refuses() -> None:
    with pytest.raises(TypeError, match="prompts must be a list of strings, got the string 'a red'"):
        TOKENIZER("a red")
    with pytest.raises(ValueError, match="the padding 'zebra' is not in the vocabulary"):
        Tokenizer(TOKENIZER.core, 77, padding="zebra")


OPTIONS = {
    "stable diffusion 1": {},
    "gelu": {"hidden_act": "gelu"},
    "one head, other norms": {"num_attention_heads": 1, "layer_norm_eps": 1e-3},
    "short": {"max_position_embeddings": 11},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_states_are_those_of_transformers(options, dtype, tolerance: float, tmp_path) -> None:
    peer = peers.text_encoder(**options)
    peer.save_pretrained(tmp_path)
    ours = weights.load_network(tmp_path, weights.TEXT_ENCODER, dtype=dtype)
    ids = TOKENIZER(PROMPTS)[:, : options.get("max_position_embeddings", 77)]
    with torch.no_grad():
        expected = peer.to(dtype)(ids).last_hidden_state
        torch.testing.assert_close(ours(ids), expected, rtol=tolerance, atol=tolerance)


def test_a_state_knows_the_past_only(ours) -> None:
    ids = TOKENIZER(["a red seven on a blue background"])
    other = ids.clone()
    other[0, 5] = 7
    with torch.no_grad():
        before, after = ours.text_encoder(ids), ours.text_encoder(other)
    assert torch.equal(before[:, :5], after[:, :5])
    assert ((before[:, 5:] - after[:, 5:]).abs().amax(dim=2) > 1e-3).all()


def test_quick_gelu_is_near_gelu() -> None:
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    assert 0.01 < (quick_gelu(x) - torch.nn.functional.gelu(x)).abs().max() < 0.03


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(2, 78, dtype=torch.int64), r"ids must be \(B, L\), L up to 77, got \(2, 78\)"),
        (torch.zeros(77, dtype=torch.int64), r"ids must be \(B, L\)"),
        (torch.full((1, 3), VOCABULARY), f"ids must be below {VOCABULARY}"),
    ],
)
def test_text_encoder_refuses(ours, ids, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours.text_encoder(ids)


def test_gradients_reach_every_weight(ours) -> None:
    encoder = type(ours.text_encoder)(ours.text_encoder.config)
    encoder(TOKENIZER(CAPTIONS)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
