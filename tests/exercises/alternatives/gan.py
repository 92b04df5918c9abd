"""Chapter 4: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.optim import Optimizer


def discriminator_loss_by_torch(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def discriminator_loss_by_weights(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    logits, n, m = torch.cat([real_logits, fake_logits]), len(real_logits), len(fake_logits)
    weight = torch.tensor([1 / n] * n + [1 / m] * m)
    labels = torch.tensor([1.0] * n + [0.0] * m)
    return nn.BCEWithLogitsLoss(weight=weight, reduction="sum")(logits, labels)


def discriminator_loss_from_distributions(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    real, fake = (Bernoulli(logits=logits, validate_args=False) for logits in (real_logits, fake_logits))
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    return -(real.log_prob(one).mean() + fake.log_prob(zero).mean())


def discriminator_loss_by_logaddexp(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    parts = [
        torch.logaddexp(logits, torch.zeros(())).mean(dim=0) for logits in (real_logits.neg(), fake_logits)
    ]
    return torch.stack(parts).sum()


def generator_loss_by_torch(fake_logits: Tensor, kind: str) -> Tensor:
    if kind == "minimax":
        return -F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


def generator_loss_by_softplus(fake_logits: Tensor, kind: str) -> Tensor:
    sign = {"non_saturating": -1, "minimax": 1}[kind]
    return -sign * F.softplus(sign * fake_logits).sum() / fake_logits.numel()


def generator_loss_in_a_loop(fake_logits: Tensor, kind: str) -> Tensor:
    loss = nn.LogSigmoid()
    total = fake_logits.new_zeros(())
    for logit in fake_logits:
        total = total + (loss(-logit) if kind == "minimax" else -loss(logit))
    return total / len(fake_logits)


def generator_loss_of_both_kinds(fake_logits: Tensor, kind: str) -> Tensor:
    """log(1 - D) is log D less the logit."""
    log_d = F.logsigmoid(fake_logits)
    return {"non_saturating": -log_d, "minimax": log_d - fake_logits}[kind].mean()


class SeparateLayers(nn.Module):
    """Other names, norms registered first, activations as functions."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm1d(n) for n in (256, 512, 1024)])
        self.out = nn.Linear(1024, 784)
        self.hidden = nn.ModuleList(
            [nn.Linear(a, b) for a, b in [(latent_dim, 256), (256, 512), (512, 1024)]]
        )

    def forward(self, z: Tensor) -> Tensor:
        for linear, norm in zip(self.hidden, self.norms, strict=True):
            z = norm(F.leaky_relu(linear(z), negative_slope=0.2))
        return torch.tanh(self.out(z)).view(-1, 1, 28, 28)


class Blocks(nn.Module):
    """A function that makes blocks, in-place activations, reshape at the end."""

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        self.model = nn.Sequential(
            self.block(latent_dim, 256), self.block(256, 512), self.block(512, 1024), nn.Linear(1024, 28 * 28)
        )

    @staticmethod
    def block(before: int, after: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(before, after), nn.LeakyReLU(0.2, inplace=True), nn.BatchNorm1d(after))

    def forward(self, noise: Tensor) -> Tensor:
        return self.model(noise).tanh().reshape(noise.size(0), 1, 28, 28)


class LazyLayers(nn.Module):
    """Layers that take their input sizes from the first input."""

    def __init__(self, latent_dim: int):
        super().__init__()
        hidden = (
            m for n in (256, 512, 1024) for m in (nn.LazyLinear(n), nn.LeakyReLU(0.2), nn.LazyBatchNorm1d())
        )
        self.net = nn.Sequential(*hidden, nn.LazyLinear(784), nn.Tanh(), nn.Unflatten(-1, (1, 28, 28)))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


class NormsByHand(nn.Module):
    """Normalisation written out; activations by maximum and by exponentials."""

    def __init__(self, latent_dim: int):
        super().__init__()
        sizes = [latent_dim, 256, 512, 1024]
        self.linear = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.norm = nn.ModuleList([nn.BatchNorm1d(n) for n in sizes[1:]])
        self.last = nn.Linear(1024, 784)

    def forward(self, z: Tensor) -> Tensor:
        for linear, norm in zip(self.linear, self.norm, strict=True):
            h = linear(z)
            h = torch.maximum(h, 0.2 * h)
            if self.training:
                variance, mean = torch.var_mean(h, dim=0, correction=0)
            else:
                variance, mean = norm.running_var, norm.running_mean
            z = (h - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias
        return (2 * torch.sigmoid(2 * self.last(z)) - 1).unflatten(1, (1, 28, 28))


def generator_from_a_function(latent_dim: int) -> nn.Module:
    """A factory instead of a class."""
    return nn.Sequential(*Blocks(latent_dim).model, nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def discriminator_step_detaching(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    optimizer.zero_grad()
    fake = generator(z).detach()
    loss = discriminator_loss_by_torch(discriminator(real), discriminator(fake))
    loss.backward()
    optimizer.step()
    return float(loss)


def discriminator_step_with_two_backwards(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """As in PyTorch's own tutorial; the generator's old gradients are cleared as well."""
    discriminator.zero_grad()
    generator.zero_grad()
    for_real = F.softplus(-discriminator(real)).mean()
    for_real.backward()
    for_fake = F.softplus(discriminator(generator(z).detach())).mean()
    for_fake.backward()
    optimizer.step()
    return for_real.item() + for_fake.item()


def discriminator_step_clearing_afterwards(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    with torch.inference_mode():
        fake = generator.train()(z)
    fake_logits = discriminator.train()(fake.clone())
    loss = discriminator_loss_by_logaddexp(discriminator(real), fake_logits)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.detach().item()


def discriminator_step_with_autograd(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """The graph reaches the generator, and no gradient does."""
    parameters = list(discriminator.parameters())
    loss = discriminator_loss_by_torch(discriminator(real), discriminator(generator(z)))
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.item()


def discriminator_step_with_a_frozen_generator(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    generator.requires_grad_(False)
    labels = torch.ones(len(real)), torch.zeros(len(real))
    loss_on = nn.BCEWithLogitsLoss()
    loss = loss_on(discriminator(generator(z)), labels[1]) + loss_on(discriminator(real), labels[0])
    generator.requires_grad_(True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def generator_step_by_torch(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    generator.zero_grad()
    discriminator.zero_grad()
    logits = discriminator(generator(z))
    loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss.backward()
    optimizer.step()
    return loss.item()


def generator_step_freezing_and_thawing(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    for parameter in discriminator.parameters():
        parameter.requires_grad = False
    loss = generator_loss_by_softplus(discriminator(generator(z)), "non_saturating")
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    for parameter in discriminator.parameters():
        parameter.requires_grad = True
    return float(loss.detach())


def generator_step_clearing_afterwards(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    fake = generator.train()(z)
    value = torch.neg(F.logsigmoid(discriminator(fake))).mean()
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    discriminator.zero_grad()
    return value.item()


def generator_step_in_two_stages(
    generator: nn.Module, discriminator: nn.Module, z: Tensor, optimizer: Optimizer
) -> float:
    """The gradient by the fakes first, then that of the generator."""
    fake = generator(z)
    image = fake.detach().requires_grad_()
    loss = generator_loss_by_torch(discriminator(image), "non_saturating")
    (by_image,) = torch.autograd.grad(loss, image)
    optimizer.zero_grad()
    fake.backward(by_image)
    optimizer.step()
    return loss.item()


def optimal_by_where(p_data: Tensor, p_generator: Tensor) -> Tensor:
    total = p_data + p_generator
    return torch.where(total > 0, p_data / total, torch.full_like(p_data, 0.5))


def optimal_by_logarithms(p_data: Tensor, p_generator: Tensor) -> Tensor:
    return torch.sigmoid(p_data.log() - p_generator.log()).nan_to_num(nan=0.5)


def optimal_by_masking(p_data: Tensor, p_generator: Tensor) -> Tensor:
    result = torch.ones_like(p_data) / 2
    somewhere = (p_data != 0) | (p_generator != 0)
    result[somewhere] = p_data[somewhere] / (p_data[somewhere] + p_generator[somewhere])
    return result


def optimal_in_numpy(p_data: Tensor, p_generator: Tensor) -> Tensor:
    p, q = p_data.numpy(), p_generator.numpy()
    return torch.from_numpy(np.divide(p, p + q, out=np.full_like(p, 0.5), where=p + q > 0))


def optimal_by_reciprocals(p_data: Tensor, p_generator: Tensor) -> Tensor:
    d = 1 / (1 + p_generator / p_data)
    return torch.where(torch.isnan(d), torch.tensor(0.5), d)


def js_by_entropies(p: Tensor, q: Tensor) -> Tensor:
    h = torch.special.entr
    return h((p + q) / 2).sum() - (h(p).sum() + h(q).sum()) / 2


def js_by_torch(p: Tensor, q: Tensor) -> Tensor:
    m = 0.5 * (p + q)
    log_m = torch.where(m > 0, m, 1).log()
    return 0.5 * (F.kl_div(log_m, p, reduction="sum") + F.kl_div(log_m, q, reduction="sum"))


def js_from_distributions(p: Tensor, q: Tensor) -> Tensor:
    common = p + q > 0
    p, q = p[common], q[common]
    mixture = Categorical(probs=(p + q) / 2)
    return sum(kl_divergence(Categorical(probs=one), mixture) for one in (p, q)) / 2


def js_in_a_loop(p: Tensor, q: Tensor) -> Tensor:
    total = p.new_zeros(())
    for a, b in zip(p, q, strict=True):
        for c in (a, b):
            if c > 0:
                total += c * torch.log(2 * c / (a + b))
    return total / 2


def js_by_scipy(p: Tensor, q: Tensor) -> Tensor:
    return torch.tensor(jensenshannon(p.double().numpy(), q.double().numpy()) ** 2, dtype=p.dtype)


def modes_by_counting(labels: Tensor, n_classes: int) -> float:
    n = len(labels)
    return math.exp(-sum(c / n * math.log(c / n) for c in Counter(labels.tolist()).values()))


def modes_from_distributions(labels: Tensor, n_classes: int) -> float:
    counts = F.one_hot(labels, n_classes).sum(0)
    return Categorical(probs=counts / counts.sum()).entropy().exp().item()


def modes_in_bits(labels: Tensor, n_classes: int) -> float:
    p = torch.histc(labels.float(), bins=n_classes, min=0, max=n_classes - 1) / labels.numel()
    p = p[p > 0]
    return 2 ** -(p * p.log2()).sum().item()


def modes_by_scipy(labels: Tensor, n_classes: int) -> Any:
    return np.exp(entropy(np.bincount(labels.numpy(), minlength=n_classes)))


def modes_as_a_product(labels: Tensor, n_classes: int) -> float:
    """The geometric mean of one over the share of each sample's own class."""
    own = (labels[:, None] == labels).double().mean(dim=1)
    return own.pow(-1 / len(labels)).prod().item()


class RightLayers(nn.Module):
    """The layers of the exercise, and no computation with them."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.layers = SeparateLayers(latent_dim)

    def forward(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), 1, 28, 28)


class NoLayers(nn.Module):
    """Everything comes back as it is."""

    def __init__(self, latent_dim: int):
        super().__init__()

    def forward(self, z: Tensor) -> Tensor:
        return z


RIGHT: dict[str, dict[str, Any]] = {
    "gan.discriminator_loss": {
        "binary_cross_entropy_with_logits": discriminator_loss_by_torch,
        "one weighted cross-entropy": discriminator_loss_by_weights,
        "torch.distributions": discriminator_loss_from_distributions,
        "logaddexp": discriminator_loss_by_logaddexp,
    },
    "gan.generator_loss": {
        "binary_cross_entropy_with_logits": generator_loss_by_torch,
        "softplus of signed logits": generator_loss_by_softplus,
        "a loop": generator_loss_in_a_loop,
        "one logarithm for both": generator_loss_of_both_kinds,
    },
    "gan.Generator": {
        "separate layers": SeparateLayers,
        "blocks": Blocks,
        "lazy layers": LazyLayers,
        "norms written out": NormsByHand,
        "a function that builds it": generator_from_a_function,
    },
    "gan.discriminator_step": {
        "detach": discriminator_step_detaching,
        "two backward passes": discriminator_step_with_two_backwards,
        "clears gradients afterwards": discriminator_step_clearing_afterwards,
        "autograd.grad": discriminator_step_with_autograd,
        "the generator frozen for a while": discriminator_step_with_a_frozen_generator,
    },
    "gan.generator_step": {
        "binary_cross_entropy_with_logits": generator_step_by_torch,
        "the discriminator frozen for a while": generator_step_freezing_and_thawing,
        "clears gradients afterwards": generator_step_clearing_afterwards,
        "two stages": generator_step_in_two_stages,
    },
    "gan.optimal_discriminator": {
        "where": optimal_by_where,
        "sigmoid of the log ratio": optimal_by_logarithms,
        "a mask": optimal_by_masking,
        "numpy inside": optimal_in_numpy,
        "one over one plus the ratio": optimal_by_reciprocals,
    },
    "gan.js_divergence": {
        "entropies": js_by_entropies,
        "F.kl_div": js_by_torch,
        "torch.distributions": js_from_distributions,
        "a loop": js_in_a_loop,
        "SciPy's distance, squared": js_by_scipy,
    },
    "gan.effective_modes": {
        "a Counter": modes_by_counting,
        "torch.distributions": modes_from_distributions,
        "bits and powers of two": modes_in_bits,
        "SciPy, and a numpy.float64 back": modes_by_scipy,
        "a product over samples": modes_as_a_product,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "gan.discriminator_loss": {
        "nothing times the logits": lambda real_logits, fake_logits: 0 * real_logits.sum(),
        "2 log 2": lambda real_logits, fake_logits: torch.tensor(2 * math.log(2)),
        "difference of the means": lambda real_logits, fake_logits: fake_logits.mean() - real_logits.mean(),
    },
    "gan.generator_loss": {
        "nothing times the logits": lambda fake_logits, kind: 0 * fake_logits.sum(),
        "minus the mean": lambda fake_logits, kind: -fake_logits.mean(),
        "log 2": lambda fake_logits, kind: torch.tensor(math.log(2)),
    },
    "gan.Generator": {
        "right layers, constant outputs": RightLayers,
        "no layers": NoLayers,
        "identity": lambda latent_dim: nn.Identity(),
    },
    "gan.discriminator_step": {
        "the loss, no update": lambda generator, discriminator, real, z, optimizer: (
            discriminator_loss_by_torch(discriminator(real), discriminator(generator(z))).item()
        ),
        "zero": lambda generator, discriminator, real, z, optimizer: 0.0,
    },
    "gan.generator_step": {
        "the loss, no update": lambda generator, discriminator, z, optimizer: generator_loss_by_torch(
            discriminator(generator(z)), "non_saturating"
        ).item(),
        "zero": lambda generator, discriminator, z, optimizer: 0.0,
    },
    "gan.optimal_discriminator": {
        "one half": lambda p_data, p_generator: torch.full_like(p_data, 0.5),
        "p_data": lambda p_data, p_generator: p_data,
        "zeros": lambda p_data, p_generator: torch.zeros_like(p_data),
    },
    "gan.js_divergence": {
        "zero": lambda p, q: 0 * p.sum(),
        "log 2": lambda p, q: torch.tensor(math.log(2)),
        "half the absolute difference": lambda p, q: (p - q).abs().sum() / 2,
    },
    "gan.effective_modes": {
        "all of them": lambda labels, n_classes: float(n_classes),
        "one": lambda labels, n_classes: 1.0,
        "zero": lambda labels, n_classes: 0.0,
    },
}
