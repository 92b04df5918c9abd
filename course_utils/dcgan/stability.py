"""What keeps adversarial training upright, and what shows that it fell (notation in course_utils.dcgan)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.validation import require_float_tensor, require_int


def spectral_norm(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    """The largest singular value of a layer's weight, by power iteration (Miyato et al. 2018, alg. 1).

    Each iteration sets v = W^T u / ||W^T u||, then u = W v / ||W v||; in the end sigma = u^T W v.

    Args:
        weight: (out, ...) float of rank >= 2; W is its reshape to (out, -1).
        u: (out,) float, the start; any length but 0.
        n_iter: int >= 1.

    Returns:
        scalar, never above the true value but for rounding. Gradients see u and v as constants.

    Raises:
        ValueError: weight has no second dimension, or u is not (out,).
    """
    require_float_tensor("spectral_norm", weight=weight, u=u)
    require_int("spectral_norm", 1, n_iter=n_iter)
    if weight.dim() < 2:
        raise ValueError(
            f"spectral_norm: weight must have 2 dimensions or more, got shape {tuple(weight.shape)}. "
            "A bias has no spectral norm."
        )
    if u.shape != weight.shape[:1]:
        raise ValueError(
            f"spectral_norm: u must be ({len(weight)},), a number for each output, got {tuple(u.shape)}."
        )
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(n_iter):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return u @ matrix @ v


def pairwise_diversity(x: Tensor) -> Tensor:
    """How different the images of a set are from each other: near 0 after a mode collapse.

    Args:
        x: (B, ...) float, B >= 2.

    Returns:
        scalar >= 0: the L2 distance over all pixels, averaged over the B (B - 1) / 2 distinct pairs.

    Raises:
        ValueError: there is no pair, or there are no pixels.
    """
    require_float_tensor("pairwise_diversity", x=x)
    if x.dim() < 2 or len(x) < 2:
        raise ValueError(
            f"pairwise_diversity: x must be (B, ...) with B >= 2, got {tuple(x.shape)}. "
            "A single image has nothing to differ from."
        )
    return F.pdist(x.flatten(1)).mean()
