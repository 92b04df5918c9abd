"""Chapter 1, wrong in every answer: each docstring names the misconception. Handed in as source, once."""

import torch
from torch import nn


def conv_out_size(size, kernel, stride, padding):
    """forgets-plus-one"""
    return (size + 2 * padding - kernel) // stride


def conv_transpose_out_size(size, kernel, stride, padding, output_padding):
    """forgets-output-padding"""
    return (size - 1) * stride - 2 * padding + kernel


class ConvAE(nn.Module):
    """no-sigmoid"""

    def __init__(self, latent_dim):
        super().__init__()
        self.down = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(2048, latent_dim)),
        )
        self.up = nn.Sequential(
            *(nn.Linear(latent_dim, 2048), nn.Unflatten(1, (128, 4, 4))),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU()),
            nn.ConvTranspose2d(32, 1, 4, 2, 1),
        )

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)

    def forward(self, x):
        return self.decode(self.encode(x))


def train_step(model, x, optimizer):
    """no-zero-grad"""
    loss = (model(x) - x).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def reconstruction_error(x_hat, x):
    """mean-over-everything"""
    return (x_hat - x).square().mean()


def anomaly_threshold(normal_scores, false_alarm_rate):
    """lower-tail"""
    n = len(normal_scores)
    return normal_scores.sort().values[min(int(false_alarm_rate * n), n - 1)].item()


def pca_reconstruct(x, k):
    """not-centred"""
    axes = torch.linalg.svd(x, full_matrices=False).Vh[:k]
    return x @ axes.T @ axes
