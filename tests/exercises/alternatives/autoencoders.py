"""Chapter 1: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.optim import Optimizer


def size_by_counting(size: int, kernel: int, stride: int, padding: int) -> int:
    return len(range(-padding, size + padding - kernel + 1, stride))


def size_by_running(size: int, kernel: int, stride: int, padding: int) -> int:
    return F.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel), stride=stride, padding=padding).shape[
        -1
    ]


def size_by_rounding_down(size: int, kernel: int, stride: int, padding: int) -> int:
    return math.floor((size + 2 * padding - kernel) / stride + 1)


def transposed_size_by_running(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, output_padding).requires_grad_(False)
    return layer(torch.zeros(1, 1, size)).size(2)


def transposed_size_with_dilation(
    size: int, kernel: int, stride: int, padding: int, output_padding: int
) -> int:
    dilation = 1
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def transposed_size_by_stamping(
    size: int, kernel: int, stride: int, padding: int, output_padding: int
) -> int:
    touched = {i * stride + j for i in range(size) for j in range(kernel)}
    return max(touched) + 1 + output_padding - padding * 2


class SeparateLayers(nn.Module):
    """No nn.Sequential, other names, the decoder registered first, activations as functions."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.wide = nn.Linear(latent_dim, 2048)
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in [(128, 64), (64, 32), (32, 1)]]
        )
        self.narrow = nn.Linear(2048, latent_dim)
        self.down = nn.ModuleDict(
            {str(b): nn.Conv2d(a, b, 3, 2, 1) for a, b in [(64, 128), (32, 64), (1, 32)]}
        )

    def encode(self, x: Tensor) -> Tensor:
        for name in ("32", "64", "128"):
            x = F.relu(self.down[name](x))
        return self.narrow(x.reshape(len(x), -1))

    def decode(self, z: Tensor) -> Tensor:
        h = self.wide(z).view(-1, 128, 4, 4)
        h = self.up[1](self.up[0](h).relu()).relu()
        return 1 / (1 + torch.exp(-self.up[2](h)))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class ReluAfterLinear(nn.Module):
    """The decoder's linear layer is followed by an activation, which the chapter leaves open."""

    def __init__(self, latent_dim: int = 16):
        super().__init__()
        self.backbone = nn.Sequential(self.conv(1, 32), self.conv(32, 64), self.conv(64, 128), nn.Flatten())
        self.head = nn.Linear(2048, latent_dim)
        self.decoder = nn.Sequential(
            *(nn.Linear(latent_dim, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4))),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(True)),
            *(
                nn.ConvTranspose2d(64, 32, 4, 2, 1),
                nn.ReLU(True),
                nn.ConvTranspose2d(32, 1, 4, 2, 1),
                nn.Sigmoid(),
            ),
        )

    @staticmethod
    def conv(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU())

    def encode(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


class LazyLayers(nn.Module):
    """Layers that take their input sizes from the first input."""

    def __init__(self, latent_dim: int):
        super().__init__()
        convolutions = (m for n in (32, 64, 128) for m in (nn.LazyConv2d(n, 3, 2, 1), nn.ReLU()))
        transposed = (m for n in (64, 32) for m in (nn.LazyConvTranspose2d(n, 4, 2, 1), nn.ReLU()))
        self.encode = nn.Sequential(*convolutions, nn.Flatten(), nn.LazyLinear(latent_dim))
        self.decode = nn.Sequential(
            *(nn.LazyLinear(2048), nn.Unflatten(1, (128, 4, 4)), *transposed),
            *(nn.LazyConvTranspose2d(1, 4, 2, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def conv_ae_from_a_function(latent_dim: int) -> nn.Module:
    """A factory instead of a class."""
    return ReluAfterLinear(latent_dim=latent_dim)


def step_with_autograd(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    parameters = list(model.parameters())
    loss = ((model(x) - x) ** 2).sum() / x.numel()
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return float(loss)


def step_clearing_before_and_after(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    model.train()
    for parameter in model.parameters():
        parameter.grad = None
    loss = nn.MSELoss()(model(x), x)
    value = loss.item()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return value


def step_clearing_afterwards(model: nn.Module, x: Tensor, optimizer: Optimizer) -> float:
    loss = (model(x) - x).pow(2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)


def error_with_einsum(x_hat: Tensor, x: Tensor) -> Tensor:
    d = x_hat - x
    return torch.einsum("bchw,bchw->b", d, d) / d[0].numel()


def error_in_a_loop(x_hat: Tensor, x: Tensor) -> Tensor:
    return torch.stack([F.mse_loss(a, b) for a, b in zip(x_hat, x, strict=True)])


def error_in_numpy(x_hat: Tensor, x: Tensor) -> Tensor:
    return torch.from_numpy(np.mean((x_hat.numpy() - x.numpy()) ** 2, axis=(1, 2, 3)))


def threshold_by_trying(normal_scores: Tensor, false_alarm_rate: float) -> float:
    for score in sorted(normal_scores.tolist()):
        if sum(other > score for other in normal_scores.tolist()) / len(normal_scores) <= false_alarm_rate:
            return score
    raise AssertionError("the largest score always fits")


def threshold_by_broadcasting(normal_scores: Tensor, false_alarm_rate: float) -> float:
    share = (normal_scores[None] > normal_scores[:, None]).double().mean(dim=1)
    return normal_scores[share <= false_alarm_rate].min().item()


def threshold_in_numpy(normal_scores: Tensor, false_alarm_rate: float) -> Any:
    scores = np.sort(normal_scores.numpy().astype(np.float64))
    above = len(scores) - np.searchsorted(scores, scores, side="right")
    return scores[above / len(scores) <= false_alarm_rate][0]


def pca_by_svd(x: Tensor, k: int) -> Tensor:
    mean = x.mean(0, keepdim=True)
    u, s, vh = torch.linalg.svd(x - mean, full_matrices=False)
    return (u[:, :k] * s[:k]) @ vh[:k] + mean


def pca_by_eigh(x: Tensor, k: int) -> Tensor:
    mean = x.mean(dim=0)
    axes = torch.linalg.eigh(torch.cov(x.T)).eigenvectors[:, -k:]
    return torch.einsum("nd,dk,ek->ne", x - mean, axes, axes) + mean


def pca_by_sklearn(x: Tensor, k: int) -> Tensor:
    pca = PCA(n_components=k, svd_solver="full")
    return torch.from_numpy(pca.inverse_transform(pca.fit_transform(x.numpy()))).to(x.dtype)


class RightLayers(nn.Module):
    """The layers of the exercise, and no computation with them."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.layers = SeparateLayers(latent_dim)
        self.latent_dim = latent_dim

    def encode(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), self.latent_dim)

    def decode(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 1, 32, 32), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x


class NoLayers(nn.Module):
    """Everything comes back as it is."""

    def __init__(self, latent_dim: int):
        super().__init__()

    def encode(self, x: Tensor) -> Tensor:
        return x

    decode = forward = encode


RIGHT: dict[str, dict[str, Any]] = {
    "autoencoders.conv_out_size": {
        "counts positions": size_by_counting,
        "runs a convolution": size_by_running,
        "rounds a float down": size_by_rounding_down,
    },
    "autoencoders.conv_transpose_out_size": {
        "runs a layer": transposed_size_by_running,
        "PyTorch's formula": transposed_size_with_dilation,
        "marks pixels": transposed_size_by_stamping,
    },
    "autoencoders.ConvAE": {
        "separate layers": SeparateLayers,
        "an activation after the linear layer": ReluAfterLinear,
        "a function that builds it": conv_ae_from_a_function,
        "lazy layers": LazyLayers,
    },
    "autoencoders.train_step": {
        "autograd.grad": step_with_autograd,
        "clears gradients before and after": step_clearing_before_and_after,
        "clears gradients afterwards": step_clearing_afterwards,
    },
    "autoencoders.reconstruction_error": {
        "einsum": error_with_einsum,
        "loop": error_in_a_loop,
        "numpy inside": error_in_numpy,
    },
    "autoencoders.anomaly_threshold": {
        "tries every score": threshold_by_trying,
        "compares all pairs": threshold_by_broadcasting,
        "numpy, and a numpy.float64 back": threshold_in_numpy,
    },
    "autoencoders.pca_reconstruct": {
        "svd": pca_by_svd,
        "eigh of the covariance": pca_by_eigh,
        "scikit-learn": pca_by_sklearn,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "autoencoders.conv_out_size": {
        "half": lambda size, kernel, stride, padding: size // 2,
        "always 16": lambda size, kernel, stride, padding: 16,
    },
    "autoencoders.conv_transpose_out_size": {
        "double": lambda size, kernel, stride, padding, output_padding: 2 * size,
        "always 8": lambda size, kernel, stride, padding, output_padding: 8,
    },
    "autoencoders.ConvAE": {
        "right layers, constant outputs": RightLayers,
        "no layers": NoLayers,
        "identity": lambda latent_dim: nn.Identity(),
    },
    "autoencoders.train_step": {
        "the loss, no update": lambda model, x, optimizer: F.mse_loss(model(x), x).item(),
        "zero": lambda model, x, optimizer: 0.0,
    },
    "autoencoders.reconstruction_error": {
        "zeros": lambda x_hat, x: torch.zeros(len(x)),
        "ones": lambda x_hat, x: torch.ones(len(x)),
        "mean of x": lambda x_hat, x: x.flatten(1).mean(1),
    },
    "autoencoders.anomaly_threshold": {
        "largest score": lambda normal_scores, false_alarm_rate: normal_scores.max().item(),
        "smallest score": lambda normal_scores, false_alarm_rate: normal_scores.min().item(),
        "first score": lambda normal_scores, false_alarm_rate: normal_scores[0].item(),
        "the rate": lambda normal_scores, false_alarm_rate: false_alarm_rate,
    },
    "autoencoders.pca_reconstruct": {
        "x itself": lambda x, k: x,
        "the mean": lambda x, k: x.mean(0).expand_as(x),
        "first columns only": lambda x, k: x * (torch.arange(x.shape[1]) < k),
    },
}
