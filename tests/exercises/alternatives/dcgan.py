"""Chapter 5: answers that are right in another way, and answers that make no effort.

RIGHT   {exercise: {description: answer}}    each earns every point
LAZY    {exercise: {description: answer}}    each earns nothing
"""

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector


class GeneratorInParts(nn.Module):
    """Other names, another order of registration, activations as functions."""

    def __init__(self, nz: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(128)
        self.last = nn.ConvTranspose2d(128, 1, 4, 2, 1, bias=False)
        self.first = nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False)
        self.project = nn.Linear(nz, 12544)

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(z).reshape(-1, 256, 7, 7)
        return torch.tanh(self.last(F.relu(self.norm(self.first(h)))))


class GeneratorOfThePaper(nn.Module):
    """BatchNorm and ReLU after every layer but the last, first weights drawn in the constructor."""

    def __init__(self, nz: int = 100):
        super().__init__()
        self.start = nn.Linear(nz, 256 * 7 * 7)
        self.main = nn.Sequential(
            *(nn.BatchNorm2d(256), nn.ReLU(True)),
            *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(True)),
            *(nn.ConvTranspose2d(128, 1, 4, 2, 1, bias=False), nn.Tanh()),
        )
        self.apply(init_one_layer)

    def forward(self, z: Tensor) -> Tensor:
        return self.main(self.start(z).view(len(z), 256, 7, 7))


def generator_normalised_before_the_reshape(nz: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(nz, 12544), nn.BatchNorm1d(12544), nn.ReLU(), nn.Unflatten(1, (256, 7, 7))),
        *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.ConvTranspose2d(128, 1, 4, 2, 1, bias=False), nn.Tanh()),
    )


class LazyGenerator(nn.Module):
    """Layers that take their sizes from the first input, a ReLU after the linear one."""

    def __init__(self, nz: int):
        super().__init__()
        self.fc = nn.LazyLinear(12544)
        self.convs = nn.ModuleList([nn.LazyConvTranspose2d(n, 4, 2, 1, bias=False) for n in (128, 1)])
        self.bn = nn.LazyBatchNorm2d()

    def forward(self, z: Tensor) -> Tensor:
        h = self.convs[0](self.fc(z).relu().unflatten(1, (256, 7, 7)))
        return 2 * torch.sigmoid(2 * self.convs[1](self.bn(h).clamp(min=0))) - 1


class DiscriminatorInParts(nn.Module):
    """The head first, norms apart from convolutions, a LeakyReLU written out."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2304, 1, bias=False)
        self.norms = nn.ModuleDict({"b": nn.BatchNorm2d(256), "a": nn.BatchNorm2d(128)})
        sizes = itertools.pairwise((1, 64, 128, 256))
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 4, 2, bias=False) for a, b in sizes])

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, (nn.Identity(), self.norms["a"], self.norms["b"]), strict=True):
            x = norm(conv(F.pad(x, (1, 1, 1, 1))))
            x = torch.maximum(x, 0.2 * x)
        return self.head(x.reshape(len(x), 2304))


def strided(a: int, b: int, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), *more, nn.LeakyReLU(0.2, inplace=True))


class ConvolutionAtTheEnd(nn.Module):
    """The logit from a convolution over all 3 x 3 pixels."""

    def __init__(self) -> None:
        super().__init__()
        body = strided(1, 64), strided(64, 128, nn.BatchNorm2d(128)), strided(128, 256, nn.BatchNorm2d(256))
        self.main = nn.Sequential(*body, nn.Conv2d(256, 1, 3, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).view(-1, 1)


def all_convolutional() -> nn.Module:
    """Four convolutions of one kind: the last one meets padding in its first row and column."""
    body = strided(1, 64), strided(64, 128, nn.BatchNorm2d(128)), strided(128, 256, nn.BatchNorm2d(256))
    return nn.Sequential(*body, nn.Conv2d(256, 1, 4, 2, 1, bias=False), nn.Flatten())


class LazyDiscriminator(nn.Module):
    """Layers that take their sizes from the first input."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n in (64, 128, 256):
            layers.append(nn.LazyConv2d(n, 4, 2, 1, bias=False))
            layers += [nn.LazyBatchNorm2d()] if n > 64 else []
            layers.append(nn.LeakyReLU(negative_slope=0.2))
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def init_one_layer(module: nn.Module) -> None:
    """By the class's name, as in PyTorch's tutorial, with linear layers."""
    name = type(module).__name__
    if "Conv" in name or "Linear" in name:
        nn.init.normal_(module.weight.data, 0.0, 0.02)
    elif "BatchNorm" in name:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)


def init_a_network(module: nn.Module) -> nn.Module:
    """Loops, fills weights by hand, also sets biases to 0, gives the module back."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.weight.copy_(1 + 0.02 * torch.randn(layer.weight.shape))
                layer.bias.zero_()
            elif isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                layer.weight.copy_(torch.randn_like(layer.weight) * 0.02)
                if layer.bias is not None:
                    layer.bias.fill_(0.0)
    return module


def init_by_match(module: nn.Module) -> None:
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
            module.weight.data = torch.normal(0.0, 0.02, module.weight.shape)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            module.weight.data.normal_(1.0, 0.02)
            module.bias.data.mul_(0)


def init_by_apply(module: nn.Module) -> None:
    module.apply(init_one_layer)


def init_nearly_truncated(module: nn.Module) -> None:
    """trunc_normal_ cuts at -2 and 2: a hundred standard deviations away."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean=1, std=0.02)
            nn.init.zeros_(layer.bias)


def joined_by_hstack(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    return torch.hstack((z, embedding(labels)))


def joined_row_by_row(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    return torch.stack([torch.cat([one, embedding.weight[k]]) for one, k in zip(z, labels, strict=True)])


def joined_by_one_hot_product(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    chosen = F.one_hot(labels, embedding.num_embeddings).to(z.dtype) @ embedding.weight
    return torch.cat([z.T, chosen.T]).T


def joined_into_zeros(z: Tensor, labels: Tensor, embedding: nn.Embedding) -> Tensor:
    result = z.new_zeros(len(z), z.shape[1] + embedding.embedding_dim)
    result[:, : z.shape[1]] = z
    result[:, z.shape[1] :] = embedding(labels)
    return result


def penalty_as_published(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """The form that many repositories share."""
    mixed = (mix * real.data + (1 - mix) * fake.data).requires_grad_(True)
    scores = critic(mixed)
    gradients = torch.autograd.grad(
        outputs=scores,
        inputs=mixed,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def penalty_by_lerp_and_einsum(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    x = torch.lerp(fake, real, mix.expand_as(real)).detach()
    x.requires_grad = True
    g = torch.autograd.grad(sum(critic(x).flatten()), [x], create_graph=True)[0]
    squares = torch.einsum("bchw,bchw->b", g, g)
    return F.mse_loss(squares.sqrt(), torch.ones_like(squares))


def penalty_by_torch_func(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    def score(image: Tensor) -> Tensor:
        return critic(image[None])[0, 0]

    g = torch.func.vmap(torch.func.grad(score))(fake + mix * (real - fake))
    return (torch.linalg.vector_norm(g, dim=(1, 2, 3)) - 1).square().mean()


def penalty_in_a_loop(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    terms = []
    for r, f, m in zip(real, fake, mix, strict=True):
        x = (m * r + (1 - m) * f)[None].requires_grad_()
        (g,) = torch.autograd.grad(critic(x).squeeze(), x, create_graph=True)
        terms.append((g.pow(2).sum().sqrt() - 1) ** 2)
    return sum(terms) / len(terms)


def sigma_with_lengths(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    w = weight.reshape(weight.shape[0], -1)
    for _ in range(n_iter):
        v = w.t().mv(u)
        v = v / v.norm()
        u = w.mv(v)
        sigma = u.norm()
        u = u / sigma
    return sigma


def sigma_by_einsum(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    w = weight.flatten(start_dim=1)
    for _ in range(n_iter):
        v = torch.einsum("oi,o->i", w, u)
        v = F.normalize(v, dim=0, eps=1e-12)
        u = F.normalize(torch.einsum("oi,i->o", w, v), dim=0, eps=1e-12)
    return torch.einsum("o,oi,i->", u, w, v)


def sigma_as_a_float(weight: Tensor, u: Tensor, n_iter: int) -> float:
    w = weight.detach().double().numpy().reshape(len(weight), -1)
    a = u.double().numpy()
    for _ in range(n_iter):
        b = a @ w
        b = b / math.sqrt(b @ b)
        a = w @ b
        a = a / math.sqrt(a @ a)
    return float(a @ w @ b)


def sigma_of_columns(weight: Tensor, u: Tensor, n_iter: int) -> Tensor:
    w, column = weight.view(len(weight), -1), u.view(-1, 1)
    for _ in range(n_iter):
        row = F.normalize(w.mT @ column, dim=0)
        column = F.normalize(w @ row, dim=0)
    return (column.mT @ w @ row).squeeze()


def diversity_by_cdist(x: Tensor) -> Tensor:
    d = torch.cdist(x.flatten(1), x.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return d.sum() / (len(x) * (len(x) - 1))


def diversity_in_a_loop(x: Tensor) -> float:
    pairs = [(a - b).norm().item() for a, b in itertools.combinations(x, 2)]
    return sum(pairs) / len(pairs)


def diversity_of_the_triangle(x: Tensor) -> Tensor:
    difference = x[:, None] - x[None]
    d = difference.square().sum(dim=(2, 3, 4)).sqrt()
    i, j = torch.triu_indices(len(x), len(x), offset=1)
    return d[i, j].mean()


def field_with_jumps(layers: list[tuple[int, int]]) -> int:
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size


def field_by_product(layers: list[tuple[int, int]]) -> int:
    return 1 + sum((k - 1) * math.prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers))


def field_by_recursion(layers: list[tuple[int, int]]) -> int:
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (field_by_recursion(rest) - 1) * stride + kernel


def field_by_first_and_last_pixel(layers: list[tuple[int, int]]) -> int:
    """The last pixel that the output depends on, counted from the first one."""
    lowest = highest = 0
    for kernel, stride in reversed(layers):
        lowest, highest = lowest * stride, highest * stride + kernel - 1
    return highest - lowest + 1


class RightLayersConstantImages(nn.Module):
    """The generator's layers, and no computation with them."""

    def __init__(self, nz: int):
        super().__init__()
        self.inner = GeneratorInParts(nz)

    def forward(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), 1, 28, 28)


class RightLayersConstantLogits(nn.Module):
    """The discriminator's layers, and no computation with them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = DiscriminatorInParts()

    def forward(self, x: Tensor) -> Tensor:
        return 0 * parameters_to_vector(self.parameters()).sum() + torch.zeros(len(x), 1)


def zeros_everywhere(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def draws_and_drops(module: nn.Module) -> None:
    torch.normal(0.0, 0.02, (3,))


RIGHT: dict[str, dict[str, Any]] = {
    "dcgan.Generator": {
        "layers by name": GeneratorInParts,
        "BatchNorm after the reshape": GeneratorOfThePaper,
        "BatchNorm before the reshape": generator_normalised_before_the_reshape,
        "lazy layers, a ReLU after the linear one": LazyGenerator,
    },
    "dcgan.Discriminator": {
        "layers by name": DiscriminatorInParts,
        "a convolution at the end": ConvolutionAtTheEnd,
        "four convolutions": all_convolutional,
        "lazy layers": LazyDiscriminator,
    },
    "dcgan.init_weights": {
        "one layer, by name": init_one_layer,
        "a whole network": init_a_network,
        "match": init_by_match,
        "apply inside": init_by_apply,
        "trunc_normal_": init_nearly_truncated,
    },
    "dcgan.condition_latent": {
        "hstack": joined_by_hstack,
        "row by row": joined_row_by_row,
        "a product with one-hot vectors": joined_by_one_hot_product,
        "into zeros": joined_into_zeros,
    },
    "dcgan.gradient_penalty": {
        "as published": penalty_as_published,
        "lerp and einsum": penalty_by_lerp_and_einsum,
        "torch.func": penalty_by_torch_func,
        "loop": penalty_in_a_loop,
    },
    "dcgan.spectral_norm": {
        "lengths": sigma_with_lengths,
        "einsum": sigma_by_einsum,
        "numpy, and a float back": sigma_as_a_float,
        "columns": sigma_of_columns,
    },
    "dcgan.pairwise_diversity": {
        "cdist": diversity_by_cdist,
        "loop, and a float back": diversity_in_a_loop,
        "triangle": diversity_of_the_triangle,
    },
    "dcgan.patch_receptive_field": {
        "jumps": field_with_jumps,
        "products": field_by_product,
        "recursion": field_by_recursion,
        "first and last pixel": field_by_first_and_last_pixel,
    },
}

LAZY: dict[str, dict[str, Any]] = {
    "dcgan.Generator": {
        "right layers, constant images": RightLayersConstantImages,
        "identity": lambda nz: nn.Identity(),
        "one linear layer": lambda nz: nn.Sequential(nn.Linear(nz, 784), nn.Unflatten(1, (1, 28, 28))),
    },
    "dcgan.Discriminator": {
        "right layers, constant logits": RightLayersConstantLogits,
        "identity": nn.Identity,
        "one linear layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 1)),
    },
    "dcgan.init_weights": {
        "zeros": zeros_everywhere,
        "draws and drops": draws_and_drops,
        "gives it back": lambda module: module,
    },
    "dcgan.condition_latent": {
        "z": lambda z, labels, embedding: z,
        "the embedding": lambda z, labels, embedding: embedding(labels),
        "zeros": lambda z, labels, embedding: torch.zeros(len(z), z.shape[1] + embedding.embedding_dim),
    },
    "dcgan.gradient_penalty": {
        "zero": lambda critic, real, fake, mix: torch.tensor(0.0),
        "zero with a graph": lambda critic, real, fake, mix: 0 * critic(real).sum(),
        "the mean score": lambda critic, real, fake, mix: critic(mix * real + (1 - mix) * fake).mean(),
    },
    "dcgan.spectral_norm": {
        "one": lambda weight, u, n_iter: torch.tensor(1.0),
        "the largest weight": lambda weight, u, n_iter: weight.abs().max(),
        "the length of u": lambda weight, u, n_iter: u.norm(),
    },
    "dcgan.pairwise_diversity": {
        "zero": lambda x: torch.tensor(0.0),
        "the deviation of all": lambda x: x.std(),
        "0 * sum": lambda x: 0 * x.sum(),
    },
    "dcgan.patch_receptive_field": {
        "always 70": lambda layers: 70,
        "the largest kernel": lambda layers: max(kernel for kernel, _ in layers),
        "how many": lambda layers: len(layers),
    },
}
