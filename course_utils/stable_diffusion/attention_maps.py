"""Where each word of a prompt looks, in the notation of course_utils.stable_diffusion.

    weights    (B, heads, h' w', L)    of one layer and level: shares of the tokens, for each pixel; sum to 1
    maps       (B, L, h, w)            mean over heads, layers and levels: the share of a token, at each pixel

A map is evidence of where a word was read, not of what it did there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.stable_diffusion.text_encoder import Tokenizer
from course_utils.stable_diffusion.unet import Transformer2d


class WordMap(NamedTuple):
    """A word, as written in the prompt, and its map (h, w): the sum over its tokens."""

    text: str
    map: Tensor


class AttentionMaps:
    """Sums up what is recorded; of a joined batch only the last `batch` rows, which are told the prompt."""

    def __init__(self, batch: int, size: tuple[int, int]):
        self.batch, self.size = batch, size
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, weights: Tensor) -> None:
        """Weights of one layer, for a map of any size with the proportions of `size`."""
        h, w = self.size
        height = round((weights.shape[2] * h / w) ** 0.5)
        maps = weights[-self.batch :].mean(dim=1).transpose(1, 2).unflatten(2, (height, -1))
        maps = F.interpolate(maps.float(), size=self.size, mode="bilinear")
        self._sum = maps if self._sum is None else self._sum + maps
        self._count += 1

    @property
    def maps(self) -> Tensor:
        """(B, L, h, w). RuntimeError: nothing was recorded yet."""
        if self._sum is None:
            raise RuntimeError("AttentionMaps: nothing was recorded. Take all states of the sampler first.")
        return self._sum / self._count

    def words(self, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[list[WordMap]]:
        """For each prompt its words, in order, with their maps."""
        return [
            [WordMap(word.text, of_tokens[word.positions].sum(dim=0)) for word in tokenizer.words(prompt)]
            for prompt, of_tokens in zip(prompts, self.maps, strict=True)
        ]


@contextmanager
def record_attention(unet: nn.Module, batch: int, size: tuple[int, int]) -> Iterator[AttentionMaps]:
    """While it lasts, every attention of the U-Net to the text is recorded.

    Args:
        unet: holds Transformer2d layers.
        batch: B, how many images are sampled.
        size: (h, w) of the latents, and of the maps.
    """
    recorded = AttentionMaps(batch, size)
    layers = [layer.attend_text for layer in unet.modules() if isinstance(layer, Transformer2d)]
    hooks = [layer.register_forward_pre_hook(partial(_record, recorded)) for layer in layers]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _record(recorded: AttentionMaps, layer: Any, arguments: tuple[Tensor, Tensor]) -> None:
    recorded.add(layer.weights(*arguments))
