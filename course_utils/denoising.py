"""Chapter 2: denoising.

    x, x_clean     (B, C, H, W) float in [0, 1]   images without noise
    noise          like x                         standard normal
    sigma          float >= 0                     standard deviation of the noise, in grey values
    x_hat          like x                         what a denoiser makes of a noisy image
    points         (B, D) float                   places in a plane of toy data, unbounded

The score of a density p is the gradient of log p: it points where the density grows fastest.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.validation import (
    describe,
    require_dims,
    require_float_tensor,
    require_int,
    require_same_shape,
)


def add_noise(x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """Gaussian corruption of images: x + sigma noise, clamped to the range of images.

    Args:
        x: any shape, float in [0, 1].
        sigma: float >= 0, in grey values.
        noise: like x, standard normal.

    Returns:
        like x, in [0, 1].

    Raises:
        ValueError: shapes differ, or sigma is negative.
    """
    require_float_tensor("add_noise", x=x, noise=noise)
    require_same_shape("add_noise", x=x, noise=noise)
    _require_sigma("add_noise", sigma)
    return (x + sigma * noise).clamp(0, 1)


def restoration_step(model: nn.Module, corrupted: Tensor, clean: Tensor, optimizer: Optimizer) -> float:
    """One update that brings model(corrupted) closer to the clean images, whatever corrupted them.

    Args:
        model: maps `corrupted` to the shape of `clean`.
        corrupted, clean: (B, ...) float.

    Returns:
        mean squared error to `clean`, as it was before the update.

    Raises:
        ValueError: the model returns another shape than that of `clean`.
    """
    x_hat = model(corrupted)
    require_same_shape("restoration_step", x_hat=x_hat, clean=clean)
    loss = F.mse_loss(x_hat, clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def denoise_step(
    model: nn.Module, x_clean: Tensor, sigma: float, noise: Tensor, optimizer: Optimizer
) -> float:
    """One update of a denoiser: noisy images in, clean images as the target.

    Args:
        model: maps images to images of the same shape.
        x_clean: (B, C, H, W) float in [0, 1].
        sigma, noise: see add_noise.

    Returns:
        mean squared error to the clean images, as it was before the update.
    """
    return restoration_step(model, add_noise(x_clean, sigma, noise), x_clean, optimizer)


@torch.no_grad()
def iterate_denoiser(model: nn.Module, x: Tensor, n: int) -> Tensor:
    """Apply a denoiser to its own output, n times.

    Args:
        model: maps (B, ...) to the same shape.
        x: (B, ...) float, the start.
        n: int >= 0.

    Returns:
        (n + 1, B, ...): x, model(x), model(model(x)), ...
    """
    require_float_tensor("iterate_denoiser", x=x)
    require_int("iterate_denoiser", 0, n=n)
    states = [x]
    for _ in range(n):
        states.append(model(states[-1]))
    return torch.stack(states)


def psnr(x_hat: Tensor, x: Tensor, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio of each image: 10 log10(data_range^2 / MSE).

    Args:
        x_hat, x: (B, ...) float.
        data_range: float > 0, the distance from black to white: 1 for [0, 1], 2 for [-1, 1].

    Returns:
        (B,) float, dB; infinite where the images are equal. 20 dB more: a tenth of the typical error.

    Raises:
        ValueError: shapes differ, or data_range is not positive.
    """
    require_float_tensor("psnr", x_hat=x_hat, x=x)
    require_same_shape("psnr", x_hat=x_hat, x=x)
    if not data_range > 0:
        raise ValueError(
            f"psnr: data_range must be positive, got {data_range}. It is 1 for images in [0, 1]."
        )
    if x.dim() < 2:
        raise ValueError(f"psnr: x needs a batch dimension and pixels, got shape {tuple(x.shape)}.")
    error = (x_hat - x).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(data_range**2 / error)


def score_from_denoiser(denoised: Tensor, noisy: Tensor, sigma: float) -> Tensor:
    """The score of noisy data, from the best denoiser: (E[x | noisy] - noisy) / sigma^2 (Tweedie's formula).

    It holds for Gaussian noise that nothing clamps, and for the denoiser that minimises the squared error
    (Vincent 2011); a trained network comes close to that one where it has seen data.

    Args:
        denoised, noisy: same shape, float.
        sigma: float > 0.

    Returns:
        like noisy: the gradient of log p_sigma, p_sigma being the density of the noisy data.

    Raises:
        ValueError: shapes differ, or sigma is not positive.
    """
    require_float_tensor("score_from_denoiser", denoised=denoised, noisy=noisy)
    require_same_shape("score_from_denoiser", denoised=denoised, noisy=noisy)
    _require_sigma("score_from_denoiser", sigma)
    if not sigma:
        raise ValueError(
            "score_from_denoiser: sigma must be positive: without noise there is nothing to divide."
        )
    return (denoised - noisy) / sigma**2


class DenseDenoiser(nn.Module):
    """Fully connected denoiser of (B, 1, 28, 28) images in [0, 1]: 784 -> hidden -> 784, sigmoid at the end.

    Args:
        hidden: int >= 1, units of the hidden layer.
    """

    def __init__(self, hidden: int = 400):
        super().__init__()
        require_int("DenseDenoiser", 1, hidden=hidden)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The denoised images, in (0, 1)."""
        denoised: Tensor = self.layers(x)
        return denoised


class PointDenoiser(nn.Module):
    """Denoiser of points in a plane, for one noise level: (B, 2) -> (B, 2), unbounded.

    The layers say how far to go from the noisy point, which at little noise is easier to learn.

    Args:
        hidden: int >= 1, units of each of its two hidden layers.
    """

    def __init__(self, hidden: int = 64):
        super().__init__()
        require_int("PointDenoiser", 1, hidden=hidden)
        self.layers = nn.Sequential(
            *(nn.Linear(2, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2))
        )

    def forward(self, points: Tensor) -> Tensor:
        """The denoised points."""
        denoised: Tensor = points + self.layers(points)
        return denoised


def cover_squares(x: Tensor, corners: Tensor, side: int) -> Tensor:
    """Masking corruption: a square of each image turns black.

    Args:
        x: (B, C, H, W) float.
        corners: (B, 2) int64, row and column of each square's upper left pixel.
        side: int >= 1, pixels; the part of a square that leaves the image covers nothing.

    Returns:
        like x.
    """
    require_dims("cover_squares", 4, "(B, C, H, W)", x=x)
    require_int("cover_squares", 1, side=side)
    if corners.shape != (len(x), 2):
        raise ValueError(
            f"cover_squares: corners must be (B, 2) with B = {len(x)}, got {describe(corners)}. "
            "Each image has a square of its own."
        )
    inside = [
        (positions >= start[:, None]) & (positions < start[:, None] + side)
        for positions, start in zip(map(torch.arange, x.shape[2:]), corners.cpu().T, strict=True)
    ]
    covered = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(covered.to(x.device), 0.0)


class GaussianMixture:
    """Toy data whose every noisy density is known: equally likely round Gaussians of one width.

    With noise of standard deviation sigma, the mixture stays a mixture; only its width grows, to
    s^2 = std^2 + sigma^2 (a convolution of Gaussians). Score and best denoiser then have closed forms.

    Args:
        means: (M, D) float, the centres.
        std: float > 0, of each Gaussian before noise.
    """

    def __init__(self, means: Tensor, std: float):
        require_float_tensor("GaussianMixture", means=means)
        require_dims("GaussianMixture", 2, "(M, D)", means=means)
        if not std > 0:
            raise ValueError(f"GaussianMixture: std must be positive, got {std}.")
        self.means, self.std = means, std

    def sample(self, noise: Tensor, chosen: Tensor) -> Tensor:
        """Points of the mixture.

        Args:
            noise: (B, D) float, standard normal.
            chosen: (B,) int64, 0..M-1: from which Gaussian each point comes.
        """
        centres = self.means[chosen]
        require_same_shape("GaussianMixture.sample", noise=noise, centres=centres)
        return centres + self.std * noise

    def log_density(self, points: Tensor, sigma: float) -> Tensor:
        """(B,) nats: log p_sigma at points (B, D)."""
        _require_sigma("GaussianMixture.log_density", sigma)
        variance = self.std**2 + sigma**2
        modes, dims = self.means.shape
        constant = 0.5 * dims * math.log(2 * math.pi * variance) + math.log(modes)
        return torch.logsumexp(self._exponents(points, variance), dim=1) - constant

    def score(self, points: Tensor, sigma: float) -> Tensor:
        """(B, D): the gradient of log p_sigma at points (B, D)."""
        _require_sigma("GaussianMixture.score", sigma)
        variance = self.std**2 + sigma**2
        shares = self._exponents(points, variance).softmax(dim=1)  # of each Gaussian, given the point
        return (shares @ self.means - points) / variance

    def denoise(self, points: Tensor, sigma: float) -> Tensor:
        """(B, D): E[x | noisy point], which no denoiser can beat in squared error.

        Each Gaussian pulls the point towards its centre by the share of the noise in the variance.
        """
        _require_sigma("GaussianMixture.denoise", sigma)
        variance = self.std**2 + sigma**2
        shares = self._exponents(points, variance).softmax(dim=1)
        return (sigma**2 * (shares @ self.means) + self.std**2 * points) / variance

    def _exponents(self, points: Tensor, variance: float) -> Tensor:
        """(B, M): the exponent of each Gaussian at each point."""
        require_float_tensor("GaussianMixture", points=points)
        require_dims("GaussianMixture", 2, "(B, D)", points=points)
        if points.shape[1] != self.means.shape[1]:
            raise ValueError(
                f"GaussianMixture: points must be (B, {self.means.shape[1]}) like the means, "
                f"got {tuple(points.shape)}."
            )
        return -(points[:, None] - self.means).square().sum(dim=2) / (2 * variance)


def _require_sigma(function: str, sigma: float) -> None:
    if not sigma >= 0:
        raise ValueError(f"{function}: sigma must not be negative, got {sigma}. It is a standard deviation.")
