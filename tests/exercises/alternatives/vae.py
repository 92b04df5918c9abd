"""Chapter 3: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from course_utils import vae


def draw_with_addcmul(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return torch.addcmul(mu, logvar.mul(0.5).exp_(), eps)


def draw_with_a_root(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    std = torch.sqrt(torch.exp(logvar))
    return eps.mul(std).add_(mu)


def draw_by_an_affine_transform(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return AffineTransform(mu, (logvar / 2).exp())(eps)


def draw_row_by_row(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return torch.stack(
        [m + torch.diag(torch.exp(v / 2)) @ e for m, v, e in zip(mu, logvar, eps, strict=True)]
    )


def kl_as_printed_in_the_paper(mu: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=-1)


def kl_from_distributions(mu: Tensor, logvar: Tensor) -> Tensor:
    q = Normal(mu, (logvar / 2).exp())
    return kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)


def kl_of_multivariate_normals(mu: Tensor, logvar: Tensor) -> Tensor:
    d = mu.shape[1]
    prior = MultivariateNormal(mu.new_zeros(d), torch.eye(d, dtype=mu.dtype))
    return kl_divergence(MultivariateNormal(mu, scale_tril=torch.diag_embed((0.5 * logvar).exp())), prior)


def kl_in_numpy(mu: Tensor, logvar: Tensor) -> Tensor:
    m, v = mu.numpy(), logvar.numpy()
    return torch.from_numpy((np.einsum("bd,bd->b", m, m) + np.expm1(v).sum(1) - v.sum(1)) / 2)


def nll_by_torch(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3))


def nll_from_distributions(logits: Tensor, x: Tensor) -> Tensor:
    return -Independent(Bernoulli(logits=logits), 3).log_prob(x)


def nll_of_signed_logits(logits: Tensor, x: Tensor) -> Tensor:
    return -F.logsigmoid(torch.where(x == 1, logits, -logits)).flatten(1).sum(-1)


def nll_image_by_image(logits: Tensor, x: Tensor) -> Tensor:
    loss = nn.BCEWithLogitsLoss(reduction="sum")
    return torch.stack([loss(one, image) for one, image in zip(logits, x, strict=True)])


def nll_with_logaddexp(logits: Tensor, x: Tensor) -> Tensor:
    rows, white = logits.reshape(len(x), -1), x.reshape(len(x), -1)
    return torch.logaddexp(rows, torch.zeros_like(rows)).sum(1) - torch.einsum("bi,bi->b", rows, white)


def loss_from_sums_over_everything(
    logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float
) -> Tensor:
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (reconstruction + beta * divergence) / x.size(0)


def loss_from_distributions(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    likelihood = Independent(Bernoulli(logits=logits), 3).log_prob(x)
    divergence = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    return -(likelihood - beta * divergence).mean(0)


def loss_image_by_image(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    losses = [
        vae.bernoulli_nll(logits[i : i + 1], x[i : i + 1])[0]
        + vae.kl_standard_normal(mu[i : i + 1], logvar[i : i + 1])[0] * beta
        for i in range(len(x))
    ]
    return torch.stack(losses).mean()


def bound_with_the_largest_taken_out(log_w: Tensor) -> Tensor:
    largest = log_w.max(dim=0, keepdim=True).values
    return largest[0] + torch.log(torch.mean(torch.exp(log_w - largest), dim=0))


def bound_of_shifted_weights(log_w: Tensor) -> Tensor:
    return torch.logsumexp(log_w - math.log(log_w.size(0)), 0)


def bound_by_adding_in_pairs(log_w: Tensor) -> Tensor:
    total = log_w[0]
    for row in log_w[1:]:
        total = torch.logaddexp(total, row)
    return total - np.log(log_w.shape[0])


def bound_from_a_softmax(log_w: Tensor) -> Tensor:
    return (log_w - F.log_softmax(log_w, dim=0)).mean(dim=0) - log_w.new_tensor(len(log_w)).log()


def path_by_torch_lerp(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Slerp in the form that falls back to the line where the angle is small."""
    cosine = F.cosine_similarity(z0, z1, dim=0)
    codes = []
    for i in range(steps):
        t = i / (steps - 1)
        if mode == "linear" or cosine > 0.9995:
            codes.append(torch.lerp(z0, z1, t))
        else:
            omega = math.acos(cosine.item())
            codes.append((math.sin((1 - t) * omega) * z0 + math.sin(t * omega) * z1) / math.sin(omega))
    return torch.stack(codes)


def path_in_numpy(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    a, b = z0.numpy(), z1.numpy()
    t = np.linspace(0, 1, steps)[:, None]
    omega = np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))
    if mode == "spherical" and omega > 1e-3:
        path = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    else:
        path = (1 - t) * a + t * b
    return torch.from_numpy(path).to(z0.dtype)


def path_by_clamping_the_cosine(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """A cosine that never reaches 1 leaves an angle that is small, and harmless."""
    t = torch.arange(steps, dtype=z0.dtype).unsqueeze(1) / (steps - 1)
    if mode == "linear":
        return torch.einsum("sk,kd->sd", torch.cat([1 - t, t], dim=1), torch.stack([z0, z1]))
    cosine = torch.dot(F.normalize(z0, dim=0), F.normalize(z1, dim=0)).clamp(-1 + 1e-6, 1 - 1e-6)
    omega = cosine.acos()
    weights = torch.sin(torch.cat([1 - t, t], dim=1) * omega) / torch.sin(omega)
    return weights @ torch.stack([z0, z1])


class Output(NamedTuple):
    logits: Tensor
    mu: Tensor
    logvar: Tensor


class DecoderFirst(nn.Module):
    """Other names, registered in another order: the decoder first, the head of logvar before that of mu."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.up = nn.ModuleList([nn.Linear(a, b) for a, b in [(latent_dim, 200), (200, 200), (200, 784)]])
        self.log_variance = nn.Linear(200, latent_dim)
        self.mean = nn.Linear(200, latent_dim)
        self.second, self.first = nn.Linear(200, 200), nn.Linear(784, 200)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.second(F.relu(self.first(x.view(-1, 28 * 28)))))
        return self.mean(h), self.log_variance(h)

    def decode(self, z: Tensor) -> Tensor:
        for layer in self.up[:-1]:
            z = layer(z).relu()
        return self.up[-1](z).view(-1, 1, 28, 28)

    def forward(self, x: Tensor, eps: Tensor) -> Output:
        mu, logvar = self.encode(x)
        return Output(self.decode(mu + (logvar / 2).exp() * eps), mu, logvar)


class OneHead(nn.Module):
    """Both heads are one linear layer, cut in half."""

    def __init__(self, latent_dim: int = 32):
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(True), nn.Linear(200, 200), nn.ReLU(True)),
            nn.Linear(200, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(latent_dim, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 784)),
        )

    def encode(self, x: Tensor) -> list[Tensor]:
        return list(self.encoder(x).chunk(2, dim=1))

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).unflatten(1, (1, 28, 28))

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(torch.addcmul(mu, torch.exp(0.5 * logvar), eps)), mu, logvar


class OneHeadLogvarFirst(OneHead):
    """The first half is logvar."""

    def encode(self, x: Tensor) -> list[Tensor]:
        return list(self.encoder(x).chunk(2, dim=1))[::-1]


class LazyLayers(nn.Module):
    """Layers that take their input sizes from the first input; forward does without encode and decode."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.logvar, self.mu = nn.LazyLinear(latent_dim), nn.LazyLinear(latent_dim)
        self.decode = nn.Sequential(
            *(nn.LazyLinear(200), nn.ReLU(), nn.LazyLinear(200), nn.ReLU(), nn.LazyLinear(784)),
            nn.Unflatten(1, (1, 28, 28)),
        )
        self.body = nn.Sequential(
            *(nn.Flatten(), nn.LazyLinear(200), nn.ReLU(), nn.LazyLinear(200), nn.ReLU())
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(self.body(x)), self.logvar(self.body(x))

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decode(mu + logvar.exp().sqrt() * eps), mu, logvar


class LooseParameters(nn.Module):
    """No layers of torch: weights and biases by hand."""

    def __init__(self, latent_dim: int):
        super().__init__()
        sizes = [(200, 784), (200, 200), (latent_dim, 200), (latent_dim, 200)]
        sizes += [(200, latent_dim), (200, 200), (784, 200)]
        self.parameters_in_pairs = nn.ParameterList()
        for size in sizes:
            self.parameters_in_pairs += [nn.Parameter(torch.rand(size)), nn.Parameter(torch.zeros(size[0]))]

    def apply_layer(self, i: int, x: Tensor) -> Tensor:
        return F.linear(x, self.parameters_in_pairs[2 * i], self.parameters_in_pairs[2 * i + 1])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.apply_layer(1, self.apply_layer(0, x.flatten(1)).clamp(min=0)).clamp(min=0)
        return self.apply_layer(3, h), self.apply_layer(2, h)

    def decode(self, z: Tensor) -> Tensor:
        h = self.apply_layer(5, self.apply_layer(4, z).clamp(min=0)).clamp(min=0)
        return self.apply_layer(6, h).reshape(-1, 1, 28, 28)

    def forward(self, x: Tensor, eps: Tensor) -> list[Tensor]:
        mu, logvar = self.encode(x)
        return [self.decode(draw_with_addcmul(mu, logvar, eps)), mu, logvar]


class RightLayers(DecoderFirst):
    """The layers of the exercise, and no computation with them."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(x), self.mean.out_features), torch.zeros(len(x), self.mean.out_features)

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), 1, 28, 28)


class NoLayers(nn.Module):
    """Everything comes back as it is."""

    def __init__(self, latent_dim: int):
        super().__init__()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x

    def decode(self, z: Tensor) -> Tensor:
        return z

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x, eps, eps


RIGHT: dict[str, dict[str, Any]] = {
    "vae.reparameterize": {
        "addcmul": draw_with_addcmul,
        "root of the variance, in place on an intermediate": draw_with_a_root,
        "an affine transform": draw_by_an_affine_transform,
        "row by row": draw_row_by_row,
    },
    "vae.kl_standard_normal": {
        "as the paper prints it": kl_as_printed_in_the_paper,
        "torch.distributions": kl_from_distributions,
        "multivariate normals": kl_of_multivariate_normals,
        "numpy inside": kl_in_numpy,
    },
    "vae.bernoulli_nll": {
        "binary_cross_entropy_with_logits": nll_by_torch,
        "torch.distributions": nll_from_distributions,
        "logsigmoid of signed logits": nll_of_signed_logits,
        "image by image": nll_image_by_image,
        "logaddexp": nll_with_logaddexp,
    },
    "vae.negative_elbo": {
        "sums over everything, divided by B": loss_from_sums_over_everything,
        "torch.distributions": loss_from_distributions,
        "image by image": loss_image_by_image,
    },
    "vae.VAE": {
        "decoder and logvar first": DecoderFirst,
        "one head, cut in half": OneHead,
        "one head, logvar first": OneHeadLogvarFirst,
        "lazy layers": LazyLayers,
        "weights by hand": LooseParameters,
    },
    "vae.iwae_bound": {
        "the largest taken out": bound_with_the_largest_taken_out,
        "log K inside": bound_of_shifted_weights,
        "logaddexp": bound_by_adding_in_pairs,
        "log_softmax": bound_from_a_softmax,
    },
    "vae.interpolate": {
        "a loop with lerp": path_by_torch_lerp,
        "numpy inside": path_in_numpy,
        "a clamped cosine": path_by_clamping_the_cosine,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "vae.reparameterize": {
        "mu": lambda mu, logvar, eps: mu,
        "eps": lambda mu, logvar, eps: eps,
        "mu + eps": lambda mu, logvar, eps: mu + eps,
        "zeros": lambda mu, logvar, eps: torch.zeros_like(mu),
    },
    "vae.kl_standard_normal": {
        "zeros": lambda mu, logvar: 0 * mu.sum(1),
        "half the square of mu": lambda mu, logvar: mu.square().sum(1) / 2,
    },
    "vae.bernoulli_nll": {
        "zeros": lambda logits, x: torch.zeros(len(x), dtype=x.dtype),
        "log 2 for each pixel": lambda logits, x: torch.full((len(x),), math.log(2) * x[0].numel()),
        "squared error": lambda logits, x: (logits - x).square().flatten(1).sum(1),
    },
    "vae.negative_elbo": {
        "nothing times x": lambda logits, x, mu, logvar, beta: 0 * x.sum(),
        "reconstruction alone": lambda logits, x, mu, logvar, beta: vae.bernoulli_nll(logits, x).mean(),
        "KL alone": lambda logits, x, mu, logvar, beta: beta * vae.kl_standard_normal(mu, logvar).mean(),
    },
    "vae.VAE": {
        "right layers, constant outputs": RightLayers,
        "no layers": NoLayers,
        "identity": lambda latent_dim: nn.Identity(),
    },
    "vae.iwae_bound": {
        "first sample": lambda log_w: log_w[0],
        "zeros": lambda log_w: torch.zeros(log_w.shape[1], dtype=log_w.dtype),
        "median": lambda log_w: log_w.median(dim=0).values,
    },
    "vae.interpolate": {
        "z0 all the way": lambda z0, z1, steps, mode: z0.expand(steps, -1),
        "zeros": lambda z0, z1, steps, mode: torch.zeros(steps, len(z0), dtype=z0.dtype),
        "a jump half-way": lambda z0, z1, steps, mode: torch.stack(
            [z0 if 2 * i < steps else z1 for i in range(steps)]
        ),
    },
}
