"""From prompts to text states: CLIP's tokenizer and text encoder (Radford et al. 2021, arXiv:2103.00020).

    prompts    B strings                   any text; case is ignored
    ids        (B, L) int64                start, tokens, end, padding; L = 77 in Stable Diffusion
    states     (B, L, D) float             one for each token, after the last norm: the U-Net's context
    span       (first, end)                characters of a prompt

A state knows the tokens before it (the attention is causal), so the end's knows them all. Padding is attended
to like any other token, as in the training of Stable Diffusion.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Core
from torch import Tensor, nn

from course_utils.stable_diffusion.blocks import Attention

START, END, END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # what merges never reach across


class Word(NamedTuple):
    """A word of a prompt, as written there, and the positions of its tokens among the ids."""

    text: str
    positions: list[int]


class Tokenizer:
    """tokenizer(prompts) -> ids: lower case, byte pairs, cut or padded to one length.

    Args:
        core: as the library `tokenizers` has it; its post-processor puts start and end around a prompt.
        length: L, start and end included.
        padding: the token that fills up: END in Stable Diffusion 1.x.
    """

    def __init__(self, core: Core, length: int, padding: str = END):
        if core.token_to_id(padding) is None:
            raise ValueError(f"Tokenizer: the padding {padding!r} is not in the vocabulary.")
        self.core, self.length, self.padding = core, length, padding
        core.enable_truncation(length)
        core.enable_padding(length=length, pad_id=core.token_to_id(padding), pad_token=padding)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """(B, L) int64."""
        if isinstance(prompts, str):
            raise TypeError(f"Tokenizer: prompts must be a list of strings, got the string {prompts!r}.")
        return torch.tensor([encoding.ids for encoding in self.core.encode_batch(list(prompts))])

    def words(self, prompt: str) -> list[Word]:
        """What stands between spaces, in order, with its tokens; none for words that were cut off."""
        encoding = self.core.encode(prompt)
        spans = [(i, *span) for i, span in enumerate(encoding.offsets) if not encoding.special_tokens_mask[i]]
        return [
            Word(word[0], [i for i, first, end in spans if first < word.end() and end > word.start()])
            for word in re.finditer(r"\S+", prompt)
        ]

    @classmethod
    def learn(cls, captions: Iterable[str], merges: int, length: int) -> "Tokenizer":
        """CLIP's kind of vocabulary: every byte, inside and at the end of a word, then merges of them.

        The pair that is most frequent in the captions is merged first, and so on, at most `merges` times.
        START and END come last.
        """
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        core = _byte_pairs(models.BPE(end_of_word_suffix=END_OF_WORD))
        trainer = trainers.BpeTrainer(
            vocab_size=2 * len(alphabet) + merges, end_of_word_suffix=END_OF_WORD, show_progress=False
        )
        core.train_from_iterator(captions, trainer)
        learnt = [(first, second) for first, second in json.loads(core.to_str())["model"]["merges"]][:merges]
        tokens = [*alphabet, *(byte + END_OF_WORD for byte in alphabet), *map("".join, learnt), START, END]
        vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        return cls(_with_ends(_byte_pairs(_bpe(vocabulary, learnt))), length)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """From tokenizer.json, or else from vocab.json and merges.txt; length and padding as configured."""
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        if (folder / "tokenizer.json").is_file():
            core = Core.from_file(str(folder / "tokenizer.json"))
        else:
            files = models.BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
            core = _with_ends(_byte_pairs(_bpe(*files)))
        padding = settings.get("pad_token") or END
        return cls(
            core, settings["model_max_length"], padding if isinstance(padding, str) else padding["content"]
        )

    def save(self, folder: Path) -> None:
        """Both forms that load reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.core.model.save(str(folder))
        plain = Core.from_str(self.core.to_str())
        plain.no_padding()
        plain.no_truncation()
        plain.save(str(folder / "tokenizer.json"))
        tokens = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": self.padding}
        settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": self.length, **tokens}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        (folder / "special_tokens_map.json").write_text(json.dumps(tokens, indent=2) + "\n", encoding="utf-8")


def _bpe(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> models.BPE:
    return models.BPE(vocabulary, merges, unk_token=END, end_of_word_suffix=END_OF_WORD)


def _byte_pairs(bpe: models.BPE) -> Core:
    """CLIP's rules: composed characters, single spaces, lower case; then pieces, then bytes."""
    core = Core(bpe)
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    core.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    pieces = pre_tokenizers.Split(Regex(PIECES), "removed", invert=True)
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.pre_tokenizer = pre_tokenizers.Sequence([pieces, to_bytes])
    return core


def _with_ends(core: Core) -> Core:
    """Start and end are single tokens, put around every prompt."""
    core.add_special_tokens([AddedToken(token, special=True) for token in (START, END)])
    ends = [(token, core.token_to_id(token)) for token in (START, END)]
    core.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    return core


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x): the approximation of GELU that CLIP was trained with."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": F.gelu}


@dataclass(frozen=True)
class TextConfig:
    """Sizes, under the names of text_encoder/config.json."""

    vocab_size: int = 49408
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    bos_token_id: int = 49406  # START and END: written for other libraries, not used here
    eos_token_id: int = 49407

    CLASS: ClassVar[str] = "CLIPTextModel"
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        *("attention_dropout", "dropout", "dtype", "torch_dtype", "transformers_version"),
        *("initializer_factor", "initializer_range", "projection_dim", "pad_token_id"),
    )

    def __post_init__(self) -> None:
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(
                f"TextConfig: hidden_act must be one of {', '.join(ACTIVATIONS)}, got {self.hidden_act!r}."
            )

    def fixed(self) -> dict[str, Any]:
        """What the file may say, in one way only, beside the sizes."""
        return {"architectures": (self.CLASS,), "model_type": "clip_text_model"}


class TextEncoder(nn.Module):
    """encoder(ids) -> states: CLIP's text transformer."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList(TextLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) int64 -> (B, L, D). ValueError: L exceeds the positions, or a token the vocabulary."""
        longest, vocabulary = self.positions.num_embeddings, self.tokens.num_embeddings
        if ids.dim() != 2 or ids.shape[1] > longest:
            raise ValueError(f"TextEncoder: ids must be (B, L), L up to {longest}, got {tuple(ids.shape)}.")
        if ids.numel() and ids.max() >= vocabulary:
            raise ValueError(
                f"TextEncoder: ids must be below {vocabulary}, got {ids.max()}. Is it another's tokenizer?"
            )
        states = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for layer in self.layers:
            states = layer(states)
        return self.norm(states)


class TextLayer(nn.Module):
    """Attention to the tokens before, then a perceptron for each: (B, L, D) -> the same."""

    def __init__(self, config: TextConfig):
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attend = Attention(width, width, config.num_attention_heads, bias=True)
        self.grow = nn.Linear(width, config.intermediate_size)
        self.shrink = nn.Linear(config.intermediate_size, width)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        looking = self.norm1(states)
        states = states + self.attend(looking, looking, causal=True)
        return states + self.shrink(self.activation(self.grow(self.norm2(states))))
