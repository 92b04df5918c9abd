"""What both players want, and the best that either can do (notation in course_utils.gan)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.validation import describe, require_float_tensor, require_int, require_same_shape

TOLERANCE = 1e-3  # how far from 1 the sum of probabilities may be: float32, many of them

Kind = Literal["non_saturating", "minimax"]


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss: -E[log D(x)] - E[log(1 - D(G(z)))].

    Args:
        real_logits, fake_logits: float, one number for each image; the batches may differ in size.

    Returns:
        scalar, nats: each expectation is the mean over its own batch. 2 log 2 = 1.386 for logits of 0.

    Raises:
        ValueError: a batch is empty.
    """
    _require_logits("discriminator_loss", real_logits=real_logits, fake_logits=fake_logits)
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()


def generator_loss(fake_logits: Tensor, kind: Kind) -> Tensor:
    """The generator's loss. Both kinds push the logits of fakes up; they differ in which fakes they push.

    Args:
        fake_logits: float, one number for each fake.
        kind: "non_saturating", -E[log D(G(z))]: its gradient by a logit is D - 1, largest where D is right;
            "minimax", E[log(1 - D(G(z)))]: its gradient is -D, which vanishes there.

    Returns:
        scalar, nats. The minimax one is never positive.

    Raises:
        ValueError: the batch is empty, or there is no such kind.
    """
    _require_logits("generator_loss", fake_logits=fake_logits)
    if kind == "non_saturating":
        return -F.logsigmoid(fake_logits).mean()
    if kind == "minimax":
        return F.logsigmoid(-fake_logits).mean()
    raise ValueError(f"generator_loss: kind must be 'non_saturating' or 'minimax', got {kind!r}.")


def optimal_discriminator(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """The best answer to a fixed generator: D*(x) = p_data(x) / (p_data(x) + p_generator(x)) (prop. 1).

    Args:
        p_data, p_generator: same shape, float >= 0.

    Returns:
        like p_data, in [0, 1]; 1/2 where both are 0, where no sample ever asks.

    Raises:
        ValueError: shapes differ, or a density is negative.
    """
    _require_densities("optimal_discriminator", p_data=p_data, p_generator=p_generator)
    total = p_data + p_generator
    nowhere = (total == 0).to(total.dtype)
    return (p_data + nowhere / 2) / (total + nowhere)


def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence: JS(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2.

    Args:
        p, q: same shape, float: probabilities of the same outcomes.

    Returns:
        scalar, nats, from 0 (p = q) to log 2 (p and q never meet).

    Raises:
        ValueError: shapes differ, a probability is negative, or a sum is not 1.
    """
    _require_densities("js_divergence", p=p, q=q)
    for name, value in {"p": p, "q": q}.items():
        if not abs(value.sum().item() - 1) <= TOLERANCE:
            raise ValueError(
                f"js_divergence: {name} must sum to 1, got {value.sum():.4g}. Divide counts by their sum; "
                "multiply a density by the width of its cells."
            )
    return (_kl_to_mixture(p, q) + _kl_to_mixture(q, p)) / 2


def _kl_to_mixture(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || m), with p / m = 2 D*; an outcome of probability 0 adds nothing."""
    return torch.xlogy(p, 2 * optimal_discriminator(p, q)).sum()


def effective_modes(labels: Tensor, n_classes: int) -> float:
    """How many equally likely classes would be as varied: exp(entropy of the label histogram).

    Args:
        labels: (N,) int64, 0..n_classes-1; N >= 1.
        n_classes: int >= 1.

    Returns:
        from 1 (all samples in one class) to n_classes (all classes equally often).

    Raises:
        TypeError: labels are no int64.
        ValueError: there are no labels, or one is outside 0..n_classes-1.
    """
    require_int("effective_modes", 1, n_classes=n_classes)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(f"effective_modes: labels must be an int64 tensor, got {describe(labels)}.")
    if labels.dim() != 1 or not len(labels):
        raise ValueError(f"effective_modes: labels must be (N,) with N >= 1, got {tuple(labels.shape)}.")
    if not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"effective_modes: labels must lie in 0..{n_classes - 1}, got {labels.min()}..{labels.max()}. "
            "Classes count from 0."
        )
    shares = torch.bincount(labels, minlength=n_classes).double() / len(labels)
    return math.exp(torch.special.entr(shares).sum().item())


def _require_logits(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    for name, logits in named.items():
        if not logits.numel():
            raise ValueError(
                f"{function}: {name} must not be empty, got shape {tuple(logits.shape)}. "
                "An empty batch has no mean."
            )


def _require_densities(function: str, **named: Tensor) -> None:
    require_float_tensor(function, **named)
    require_same_shape(function, **named)
    for name, density in named.items():
        if not (density >= 0).all():
            raise ValueError(
                f"{function}: {name} must not be negative or NaN, got a minimum of {density.min():.4g}. "
                "Are these logarithms?"
            )
