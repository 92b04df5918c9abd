"""Attention of one row of tokens to another.

q        (B, Nq, C) float
k, v     (B, Nk, C) float, Nk != Nq
heads    int, a divisor of C
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

SINGLE = "one example, one query"
LARGE = "large scores, in float64"


def cases(draw: Draw) -> list[Case]:
    """Two heads and three; then a single query of a single example; then scores of thousands."""

    def case(
        b: int,
        nq: int,
        heads: int,
        kind: str = ORDINARY,
        sharpness: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        channels, nk = heads * draw.integer(4, 5), nq + draw.integer(2, 3)
        inputs = {
            "q": sharpness * draw.normal(b, nq, channels, dtype=dtype),
            "k": draw.normal(b, nk, channels, dtype=dtype),
            "v": draw.normal(b, nk, channels, dtype=dtype),
            "heads": heads,
        }
        words = f"{b} examples, {nq} queries, {nk} keys, {channels} channels, {heads} heads"
        return Case(words, inputs, kind)

    return [
        case(2, draw.integer(4, 5), 2),
        case(4, draw.integer(5, 6), 3),
        case(1, 1, 2, SINGLE),
        case(2, 4, 2, LARGE, sharpness=1000.0, dtype=torch.float64),
    ]


def split(x: Tensor, heads: int) -> Tensor:
    """The right heads, (B, heads, N, C / heads), for answers that are wrong elsewhere."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """The right end, for answers that are wrong elsewhere."""
    return x.transpose(1, 2).flatten(2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The right middle, for answers that are wrong elsewhere."""
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def no_scale(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your scores are not divided by anything. A sum over a head's channels grows with their number, and the
    softmax becomes a hard choice whose gradient vanishes. Look at what the softmax is given."""
    q, k, v = (split(x, heads) for x in (q, k, v))
    return joined((q @ k.transpose(-1, -2)).softmax(dim=-1) @ v)


def scale_by_all_channels(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your scores are divided by the root of the number of all channels. Each score is a sum over the
    channels of one head. Look at the scale."""
    return joined(attend(split(q, heads) / heads**0.5, split(k, heads), split(v, heads)))


def softmax_over_queries(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your softmax runs over the queries: the weights with which a query looks at the keys do not add up to
    1. It should run over the keys. Look at its dimension."""
    q, k, v = (split(x, heads) for x in (q, k, v))
    return joined((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-2) @ v)


def heads_mixed_up(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your heads get a jumble of tokens and channels: a reshape keeps the order in memory, where tokens come
    before channels, and renames what it finds. First split the channels, then swap dimensions. Look at how q,
    k and v get their heads."""
    q, k, v = (x.reshape(len(x), heads, x.shape[1], -1) for x in (q, k, v))
    return joined(attend(q, k, v))


def heads_not_put_back(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your attention is right, and then its result is put into the wrong places: it still has heads before
    tokens when you reshape it to (B, Nq, C). Look at the order of its dimensions there."""
    return attend(split(q, heads), split(k, heads), split(v, heads)).reshape(q.shape)


def one_head_only(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your attention has one head, whatever heads says: every pixel can look in one way only. Look for where
    heads enters."""
    return attend(q, k, v)


def keys_for_values(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your result is a mixture of keys. A key says what a token can be found by, its value what it has to
    say. Look for the argument that you do not use."""
    return joined(attend(split(q, heads), split(k, heads), split(k, heads)))


def interleaved_heads(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Your heads take every heads-th channel. Here, as in the weights that the chapter loads, a head has
    consecutive channels. Look at the order in which you split C."""
    q, k, v = (x.reshape(*x.shape[:2], -1, heads).permute(0, 3, 1, 2) for x in (q, k, v))
    return attend(q, k, v).permute(0, 2, 3, 1).flatten(2)


CROSS_ATTENTION = Exercise(
    id="stable_diffusion.cross_attention",
    title="Attention to another row of tokens",
    signature="cross_attention(q, k, v, heads)",
    returns="(B, Nq, C): in each head, values mixed by the softmax of the scores; heads side by side",
    reference="course_utils.stable_diffusion.blocks:cross_attention",
    cases=cases,
    criteria=ladder(
        2.5,
        edge(SINGLE, 0.5, "One example and one query keep their dimensions. Look for squeeze()."),
        edge(
            LARGE,
            0.5,
            "Some scores are above 1,000 here, and exp(1000) is infinite; softmax() subtracts the largest "
            "score first. The numbers are float64: look for a conversion too.",
        ),
        unchanged=0.5,
        advice="Print shapes: q is (B, heads, Nq, C / heads), k and v are (B, heads, Nk, C / heads), scores "
        "are (B, heads, Nq, Nk), and each row of the softmax adds up to 1. A head has consecutive channels.",
    ),
    misconceptions=misconceptions(
        no_scale,
        scale_by_all_channels,
        softmax_over_queries,
        heads_mixed_up,
        heads_not_put_back,
        one_head_only,
        keys_for_values,
        interleaved_heads,
    ),
)
