"""Chapter 1: autoencoders.

    x, x_hat      (B, 1, 32, 32) float in [0, 1]   images and their reconstructions
    z             (B, D) float                     codes, one point of the latent space each; D = latent_dim
    size          int, pixels                      side of a square image or feature map
    scores        (N,) float                       reconstruction errors: mean squared error of each image

Reconstruction errors are means over pixels, so that image sizes can be compared.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.validation import require_dims, require_float_tensor, require_int, require_same_shape

IMAGE_SHAPE = (1, 32, 32)


def conv_out_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Side of what a convolution returns: floor((size + 2 padding - kernel) / stride) + 1 (dilation 1).

    Args:
        size, kernel, stride: int >= 1, pixels.
        padding: int >= 0, pixels on each side.

    Raises:
        ValueError: the kernel is larger than the padded image.
    """
    require_int("conv_out_size", 1, size=size, kernel=kernel, stride=stride)
    require_int("conv_out_size", 0, padding=padding)
    if kernel > size + 2 * padding:
        raise ValueError(
            f"conv_out_size: the kernel must fit into the padded image, got kernel {kernel} "
            f"on {size} + 2*{padding} pixels."
        )
    return (size + 2 * padding - kernel) // stride + 1


def conv_transpose_out_size(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Side of what a transposed convolution returns: (size - 1) stride - 2 padding + kernel + output_padding.

    Args:
        size, kernel, stride: int >= 1, pixels.
        padding: int >= 0, pixels cut off on each side.
        output_padding: int >= 0, pixels added on one side; smaller than the stride.

    Raises:
        ValueError: output_padding >= stride, or nothing is left after cutting.
    """
    require_int("conv_transpose_out_size", 1, size=size, kernel=kernel, stride=stride)
    require_int("conv_transpose_out_size", 0, padding=padding, output_padding=output_padding)
    if output_padding >= stride:
        raise ValueError(
            f"conv_transpose_out_size: output_padding must be smaller than the stride, "
            f"got {output_padding} >= {stride}. "
            "It only chooses among the sizes that the stride makes ambiguous."
        )
    out = (size - 1) * stride - 2 * padding + kernel + output_padding
    if out < 1:
        raise ValueError(
            f"conv_transpose_out_size: padding {padding} cuts everything away, the size would be {out}."
        )
    return out


class ConvAE(nn.Module):
    """Convolutional autoencoder: 32 -> 16 -> 8 -> 4 pixels, a code of latent_dim numbers, and the way back.

    Args:
        latent_dim: int >= 1, numbers in a code (D).
    """

    def __init__(self, latent_dim: int = 32):
        super().__init__()
        require_int("ConvAE", 1, latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * 4 * 4, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 128 * 4 * 4),  # no ReLU here: with one, training ends at a black image
            nn.Unflatten(1, (128, 4, 4)),
            nn.ConvTranspose2d(128, 64, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> Tensor:
        """(B, 1, 32, 32) in [0, 1] -> (B, D), unbounded."""
        require_float_tensor("ConvAE.encode", x=x)
        if x.shape[1:] != IMAGE_SHAPE:
            raise ValueError(
                f"ConvAE.encode: x must be (B, 1, 32, 32), got {tuple(x.shape)}. "
                'MNIST in that size is load("mnist", size=32).'
            )
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, 1, 32, 32) in (0, 1)."""
        require_float_tensor("ConvAE.decode", z=z)
        if z.dim() != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"ConvAE.decode: z must be (B, {self.latent_dim}), got {tuple(z.shape)}.")
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction x_hat of x."""
        return self.decode(self.encode(x))


class LinearAE(nn.Module):
    """An autoencoder without any non-linearity: at its best it spans the PCA subspace (Baldi & Hornik 1989).

    Args:
        pixels: int, numbers in an image.
        latent_dim: int, numbers in a code.
    """

    def __init__(self, pixels: int, latent_dim: int):
        super().__init__()
        require_int("LinearAE", 1, pixels=pixels, latent_dim=latent_dim)
        self.encoder = nn.Linear(pixels, latent_dim)
        self.decoder = nn.Linear(latent_dim, pixels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, pixels) -> (B, pixels), unbounded."""
        return self.decoder(self.encoder(x))


def he_init(model: nn.Module) -> nn.Module:
    """First weights of variance 2 / fan_in, biases 0, in place: signals keep their strength through ReLUs.

    PyTorch's defaults shrink a signal from layer to layer; at first all codes then decode to one grey image
    (He et al. 2015, arXiv:1502.01852, eq. 10). Draws from torch's global stream: see training.seeded.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


def train_step(model: nn.Module, x: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """One update towards x_hat = x by mean squared error.

    Args:
        model: maps x to x_hat, like x.
        x: (B, ...) float.
        optimizer: over the model's parameters.

    Returns:
        the mean squared error over all images and pixels BEFORE the update.
    """
    return _update(F.mse_loss(_reconstruct("train_step", model, x), x), optimizer)


def train_step_bce(model: nn.Module, x: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """`train_step` with binary cross-entropy, nats per pixel: it punishes confident mistakes without limit.

    Args:
        x: (B, ...) float in [0, 1]; the model's outputs in (0, 1).
    """
    return _update(F.binary_cross_entropy(_reconstruct("train_step_bce", model, x), x), optimizer)


def _reconstruct(function: str, model: nn.Module, x: Tensor) -> Tensor:
    require_float_tensor(function, x=x)
    x_hat = model(x)
    require_same_shape(function, x_hat=x_hat, x=x)
    return x_hat


def _update(loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def reconstruction_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of each image, over its channels and pixels.

    Args:
        x_hat, x: (B, ...) float, one shape.

    Returns:
        (B,) float >= 0, in squared units of the value range.
    """
    require_float_tensor("reconstruction_error", x_hat=x_hat, x=x)
    require_same_shape("reconstruction_error", x_hat=x_hat, x=x)
    if x.dim() < 2:
        raise ValueError(
            f"reconstruction_error: x needs a batch dimension and pixels, got shape {tuple(x.shape)}."
        )
    return (x_hat - x).square().flatten(1).mean(dim=1)


def anomaly_threshold(normal_scores: Tensor, false_alarm_rate: float) -> float:
    """The smallest of the given scores such that at most that share of them lies strictly above it.

    Args:
        normal_scores: (N,) float, N >= 1: scores of data known to be normal.
        false_alarm_rate: 0..1, the tolerated share of normal data above the threshold.

    Returns:
        one of the scores. At rate 0 the largest, at rate 1 the smallest.
    """
    require_float_tensor("anomaly_threshold", normal_scores=normal_scores)
    require_dims("anomaly_threshold", 1, "(N,)", normal_scores=normal_scores)
    if not len(normal_scores) or normal_scores.isnan().any():
        raise ValueError("anomaly_threshold: normal_scores must hold at least one number, and no NaN.")
    if not 0 <= false_alarm_rate <= 1:
        raise ValueError(
            f"anomaly_threshold: false_alarm_rate is a share from 0 to 1, got {false_alarm_rate}."
        )
    values, counts = normal_scores.unique(return_counts=True)  # ascending
    share_above = (len(normal_scores) - counts.cumsum(0)).double() / len(normal_scores)
    return values[share_above <= false_alarm_rate][0].item()


def pca_reconstruct(x: Tensor, k: int) -> Tensor:
    """The best linear reconstruction of rank k: centre, keep k principal components, add the mean back.

    Args:
        x: (N, D) float, one example a row.
        k: int, 0..min(N, D) components; at 0 every row becomes the mean.

    Returns:
        like x.
    """
    require_float_tensor("pca_reconstruct", x=x)
    require_dims("pca_reconstruct", 2, "(N, D)", x=x)
    require_int("pca_reconstruct", 0, k=k)
    if k > min(x.shape):
        raise ValueError(f"pca_reconstruct: k must be at most min(N, D) = {min(x.shape)}, got {k}.")
    mean, axes = principal_axes(x, k)
    return (x - mean) @ axes.T @ axes + mean


def principal_axes(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Mean (D,) and the k directions of largest variance (k, D), orthonormal rows, largest first.

    Few dimensions: eigenvectors of the (D, D) scatter matrix. Few examples: singular vectors.
    """
    mean = x.mean(dim=0)
    centred = x - mean
    if len(x) < x.shape[1]:
        return mean, torch.linalg.svd(centred, full_matrices=False).Vh[:k]
    scatter = centred.double().T @ centred.double()
    return mean, torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, :k].T.to(x.dtype)


def latent_grid(extent: tuple[float, float, float, float], side: int) -> Tensor:
    """A square grid of 2-D codes over (z1 low, z1 high, z2 low, z2 high): z2 grows by rows, z1 by columns.

    Returns:
        (side * side, 2) float32, row by row.
    """
    left, right, bottom, top = extent
    z2, z1 = torch.meshgrid(
        torch.linspace(bottom, top, side), torch.linspace(left, right, side), indexing="ij"
    )
    return torch.stack([z1, z2], dim=-1).flatten(0, 1)


def nearest_code_distance(z: Tensor, codes: Tensor) -> Tensor:
    """Euclidean distance from each point to the nearest code of an encoded data set: large in a hole.

    Args:
        z: (B, D) float, points of the latent space.
        codes: (N, D) float, N >= 1.

    Returns:
        (B,) float >= 0, in latent units.
    """
    require_float_tensor("nearest_code_distance", z=z, codes=codes)
    require_dims("nearest_code_distance", 2, "(N, D)", z=z, codes=codes)
    return torch.cdist(z, codes).amin(dim=1)
