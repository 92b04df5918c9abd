"""Images of which only a part is known: inpainting, super-resolution, colourisation by one trained model.

    known          what is known of an image: an A with A(x0) = y, and a lift L with A(L(y)) = y, both linear
    y              (B, ...) float                   the known part
    x0, x_t        (B, C, H, W) float               x0 in [-1, 1]; x_t unbounded
    model          model(x_t, t) -> noise_pred      t as (B,) int64, see course_utils.diffusion.samplers

A diffusion model was never told about any of these tasks. At each step its guess of x_0 is replaced by the
nearest image that agrees with what is known: the range-null space decomposition of Wang et al. 2022 (DDNM,
arXiv:2212.00490, eq. 13), here as a model that wraps a model, so that every sampler can use it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import at_level, predict_x0
from course_utils.diffusion.samplers import Model
from course_utils.validation import describe, require_int, require_same_shape

Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Known:
    """A linear measurement of images, and a way back.

    Args:
        measure: A, (B, C, H, W) -> (B, ...).
        lift: L, the other way; measure(lift(y)) = y for every y that measure can give.
    """

    measure: Linear
    lift: Linear

    def consistent(self, x0: Tensor, y: Tensor) -> Tensor:
        """The image with measure(x0) = y that is closest to x0: x0 + L(y - A(x0)).

        ValueError: y has another shape than measure(x0).
        """
        measured = self.measure(x0)
        require_same_shape("consistent", y=y, measure_of_x0=measured)
        return x0 + self.lift(y - measured)


def visible(mask: Tensor) -> Known:
    """Inpainting: the pixels where mask (..., H, W) bool is True are known. y is the image, 0 elsewhere.

    The mask may lack B and C, or have 1 there. TypeError: it is no bool tensor. ValueError: it does not fit
    the images that are measured.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(f"visible: mask must be a bool tensor (..., H, W), got {describe(mask)}.")

    def keep(x: Tensor) -> Tensor:
        shape = (1,) * (x.dim() - mask.dim()) + tuple(mask.shape)
        one_or_equal = all(m in (1, n) for m, n in zip(shape, x.shape, strict=False))
        if len(shape) != x.dim() or shape[-2:] != x.shape[-2:] or not one_or_equal:
            raise ValueError(f"visible: mask {tuple(mask.shape)} does not fit images {tuple(x.shape)}.")
        return x * mask.to(x)

    return Known(keep, keep)


def coarse(factor: int) -> Known:
    """Super-resolution: known are the means of factor x factor pixels. y is (B, C, H / factor, W / factor).

    ValueError: factor is below 1; or, when called, does not divide the sides of the image.
    """
    require_int("coarse", 1, factor=factor)

    def shrink(x: Tensor) -> Tensor:
        if x.shape[-1] % factor or x.shape[-2] % factor:
            raise ValueError(f"coarse: {factor} must divide both sides of the images, got {tuple(x.shape)}.")
        return F.avg_pool2d(x, factor)

    def enlarge(y: Tensor) -> Tensor:
        return y.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)

    return Known(shrink, enlarge)


def grey() -> Known:
    """Colourisation: known is the mean of the channels. y is (B, 1, H, W)."""

    def mean(x: Tensor) -> Tensor:
        return x.mean(dim=1, keepdim=True)

    return Known(mean, lambda y: y)


def restoring(
    model: Model, known: Known, y: Tensor, alphas_cumprod: Tensor, *, clip_x0: bool = True
) -> Model:
    """A model whose guess of x_0 always agrees with y; hand it to a sampler in place of the model.

    Sample with eta above 0: fresh noise lets the unknown part come to terms with the known one. Leave the
    sampler's own clip_x0 at False.

    Args:
        model: trained without any knowledge of the task.
        known: visible(mask), coarse(factor), grey().
        y: known.measure(x0) of the images to restore.
        alphas_cumprod: (T,) float, those that the model was trained with.
        clip_x0: keep the model's guess in [-1, 1] before it is corrected.

    Returns:
        (x_t, t) -> the noise that goes with x_t and the corrected guess. ValueError: B is not that of y.
    """

    def restoring_model(x_t: Tensor, t: Tensor) -> Tensor:
        x0_hat = predict_x0(x_t, t, model(x_t, t).to(x_t), alphas_cumprod)
        x0_hat = known.consistent(x0_hat.clamp(-1, 1) if clip_x0 else x0_hat, y)
        abar = at_level("restoring", alphas_cumprod, t, x_t).to(x_t.device, torch.float64)
        return ((x_t - abar.sqrt() * x0_hat) / (1 - abar).sqrt()).to(x_t.dtype)

    return restoring_model
