"""Toy models and optimizers that cases name, and the fresh inputs that an answer is run on.

name       str                   of the registry
weights    {parameter: Tensor}   what the model computes with; its own initialisation is overwritten
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch._dynamo  # the first optimizer loads it: seconds that would fall on a check
from torch import Tensor, nn

from course_utils.exercises.spec import Case, Input, ToyModel, ToyOptimizer


class TinyAutoencoder(nn.Module):
    """(B, 1, height, width) -> the same, in (0, 1): linear layers, so that no gradient vanishes by chance."""

    def __init__(self, height: int, width: int, latent_dim: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(height * width, latent_dim),
            nn.Linear(latent_dim, height * width),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, height, width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x."""
        return self.layers(x)


MODELS: dict[str, Callable[..., nn.Module]] = {"tiny_autoencoder": TinyAutoencoder}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
}


def build_model(toy: ToyModel) -> nn.Module:
    """The named model with the case's weights, and the gradients that something earlier left on it."""
    with torch.random.fork_rng(devices=[]):
        model = MODELS[toy.name](**toy.config)
    model.to(next(iter(toy.weights.values())).dtype).load_state_dict(toy.weights)
    for name, gradient in toy.gradients.items():
        model.get_parameter(name).grad = gradient.clone()
    return model


def toy_shapes(name: str, config: Mapping[str, int]) -> dict[str, torch.Size]:
    """The shapes of the weights that a case must bring for the named model."""
    with torch.device("meta"):
        model = MODELS[name](**config)
    return {key: parameter.shape for key, parameter in model.state_dict().items()}


def materialise(case: Case) -> Case:
    """The case with inputs of its own: tensors copied, models and optimizers built."""
    fresh = {name: _fresh(value) for name, value in case.inputs.items()}
    for name, value in fresh.items():
        if isinstance(value, ToyOptimizer):
            fresh[name] = OPTIMIZERS[value.name](fresh[value.model].parameters(), lr=value.lr)
    return replace(case, inputs=fresh)


def _fresh(value: Input) -> Any:
    if isinstance(value, ToyModel):
        return build_model(value)
    if isinstance(value, list | tuple):
        return type(value)(_fresh(item) for item in value)
    return value.clone() if isinstance(value, Tensor) else value
