"""Conditioning on a class: classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598).

    labels         (B,) int64            classes, 0..K-1
    null_label     int                   stands for "no class"; K where the embedding has K + 1 rows
    noise_uncond   (B, C, H, W) float    a model's guess of the noise, told null_label
    noise_cond     like noise_uncond     its guess, told the class
    scale          float                 0 = unconditional, 1 = conditional without guidance, above 1 = guided
    u              (B,) float in [0, 1)  uniform, drawn by the caller

The paper's w is scale - 1.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.validation import describe, require_float_tensor, require_int, require_same_shape


def guided_noise(noise_uncond: Tensor, noise_cond: Tensor, scale: float) -> Tensor:
    """noise_uncond + scale (noise_cond - noise_uncond): from one guess through the other, and beyond.

    Args:
        noise_uncond, noise_cond: (B, ...) float, unbounded.
        scale: float.

    Returns:
        like noise_uncond.

    Raises:
        TypeError, ValueError: shapes differ, no floats, or the scale is no finite number.
    """
    require_float_tensor("guided_noise", noise_uncond=noise_uncond, noise_cond=noise_cond)
    require_same_shape("guided_noise", noise_uncond=noise_uncond, noise_cond=noise_cond)
    if not math.isfinite(scale):
        raise ValueError(f"guided_noise: scale must be a finite number, got {scale}.")
    return noise_uncond + scale * (noise_cond - noise_uncond)


def guided(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], labels: Tensor, scale: float, null_label: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """What samplers call, model(x_t, t), from a model that takes labels: one call on the joined batch.

    Args:
        model: model(x_t, t, labels) -> noise_pred.
        labels: (B,) int64, what each image is to show.
        scale: see guided_noise.
        null_label: see the module.

    Returns:
        (x_t, t) -> guided noise, like x_t; B must be that of the labels.
    """

    def guided_model(x_t: Tensor, t: Tensor) -> Tensor:
        told = torch.cat([torch.full_like(labels, null_label), labels])
        noise_uncond, noise_cond = model(torch.cat([x_t, x_t]), torch.cat([t, t]), told).chunk(2)
        return guided_noise(noise_uncond, noise_cond, scale)

    return guided_model


def drop_labels(labels: Tensor, drop_prob: float, u: Tensor, null_label: int) -> Tensor:
    """Labels of which some are hidden, so that one network learns to do with and without.

    Args:
        labels: (B,) int64; left as they are.
        drop_prob: 0..1, the share that is hidden on average.
        u: (B,) float, uniform in [0, 1). A label is hidden where u < drop_prob.
        null_label: what a hidden label becomes.

    Returns:
        (B,) int64.

    Raises:
        TypeError: labels are not int64, or u is no float.
        ValueError: shapes differ, or drop_prob is no probability.
    """
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(f"drop_labels: labels must be an int64 tensor of shape (B,), got {describe(labels)}.")
    require_float_tensor("drop_labels", u=u)
    require_same_shape("drop_labels", labels=labels, u=u)
    require_int("drop_labels", 0, null_label=null_label)
    if not 0 <= drop_prob <= 1:
        raise ValueError(f"drop_labels: drop_prob must lie in 0..1, got {drop_prob}. Is it a percentage?")
    return torch.where(u < drop_prob, null_label, labels)
