"""Latents joined with an embedding of the class.

z            (B, nz) float
labels       (B,) int64, 0..K-1, with repetitions; B, nz, K all different
embedding    (K, E) float: the table of an nn.Embedding, which the probe builds and hands over
upstream     (B, nz + E): what the gradient of the result is multiplied by

In one case E = nz, so that adding what should be joined is possible.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.exercises.criteria import agree, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

ONE = "a batch of one"
LEARNS = "gradients reach the embedding"


def cases(draw: Draw) -> list[Case]:
    """As many numbers for the class as for the latent, fewer, more; then a single one; then the way back."""

    def case(b: int, nz: int, e: int, kind: str = ORDINARY) -> Case:
        k = draw.integer(10, 12)
        inputs = {
            "z": draw.normal(b, nz),
            "labels": draw_labels(draw, b, k),
            "embedding": draw.normal(k, e),
        }
        if kind == LEARNS:
            inputs["upstream"] = draw.normal(b, nz + e)
        words = f"{b} latent{'s' if b > 1 else ''} of {nz} numbers, labels {inputs['labels'].tolist()}"
        return Case(f"{words}, nn.Embedding({k}, {e})", inputs, kind)

    return [
        case(5, 4, 4),
        case(4, draw.integer(6, 8), 3),
        case(5, 3, draw.integer(6, 8)),
        case(1, 6, 3, ONE),
        case(5, 6, 3, LEARNS),
    ]


def draw_labels(draw: Draw, b: int, k: int) -> Tensor:
    """(B,) int64: two equal, the others different from these, and none of them 0 or 1."""
    low, high = draw.integer(2, 4), draw.integer(5, k - 1)
    rest = [draw.pick([low, high]) for _ in range(b - 2)]
    return draw.shuffled(torch.tensor([low, high, *rest])[:b])


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The joined latents; then, where the case asks for them, the gradients of the embedding."""
    z, labels, table, *upstream = case.inputs.values()
    embedding = nn.Embedding.from_pretrained(table, freeze=False)
    result = answer(z, labels, embedding)
    yield "result", result
    if upstream and isinstance(result, Tensor):
        if result.requires_grad and result.shape == upstream[0].shape:
            (result * upstream[0]).sum().backward()
        gradient = embedding.weight.grad
        yield "gradient of the embedding", torch.zeros_like(table) if gradient is None else gradient


def embedding_first(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """Your result has the class first and the latent after it. A network of its own would not mind, but
    whoever takes a latent apart again counts on z first. Look at the order of what you join."""
    return torch.cat([embedding(labels), z], dim=1)


def added(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You add the embedding to z. That works only where both have one length, and the network can no longer
    tell class from noise. They are joined, side by side. Look for a `+`."""
    return z + embedding(labels)


def multiplied(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You multiply z by the embedding. Some of the first conditional GANs did so, with both of one length.
    Here they are joined, side by side. Look for a `*`."""
    return z * embedding(labels)


def one_hot_labels(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You join z with one-hot vectors: K numbers, of which one is 1. The embedding is a table with a learned
    row for each class. Look for where it enters."""
    return torch.cat([z, F.one_hot(labels, len(embedding.weight)).to(z.dtype)], dim=1)


def labels_as_numbers(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You join z with the labels themselves. As a number, class 9 would be nine times class 1, and 4 would
    lie between 3 and 5; classes have no such order. Look for where the embedding enters."""
    return torch.cat([z, labels[:, None].to(z.dtype)], dim=1)


def below_each_other(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You put the embeddings below the latents, as if they were further examples. They belong side by side,
    row by row. Look at the dimension along which you join."""
    return torch.cat([z, embedding(labels)], dim=0)


def rows_in_order(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """You take the first rows of the embedding's table, whatever the labels are. Each label names a row. Look
    at what the table is indexed with."""
    return torch.cat([z, embedding.weight[: len(z)]], dim=1)


def embedding_detached(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    """Your numbers are right, but no gradient reaches the embedding: it would keep the rows that it was born
    with. Look for detach(), .data or no_grad()."""
    return torch.cat([z, embedding(labels).detach()], dim=1)


CONDITION_LATENT = Exercise(
    id="dcgan.condition_latent",
    title="A latent that names its class",
    signature="condition_latent(z, labels, embedding)",
    returns="(B, nz + E): z, then the embedding of its label",
    reference="course_utils.dcgan:condition_latent",
    cases=cases,
    criteria=ladder(
        1,
        edge(ONE, 0.5, "A batch of one keeps its batch dimension. Look for squeeze()."),
        agree(
            LEARNS,
            0.5,
            kind=LEARNS,
            outputs="gradient",
            advice="The embedding is learned with the generator. Look for what cuts the graph: detach(), "
            ".data, no_grad(), a new tensor made from numbers.",
        ),
        advice="embedding(labels) has shape (B, E). Print it beside z: a row of the result is a row of z, "
        "then a row of this.",
    ),
    misconceptions=misconceptions(
        embedding_first,
        added,
        multiplied,
        one_hot_labels,
        labels_as_numbers,
        below_each_other,
        rows_in_order,
        embedding_detached,
    ),
    probe=probe,
)
