"""Toy models and optimizers that cases name, and the fresh inputs that an answer is run on.

name       str                   of the registry
weights    {parameter: Tensor}   what the model computes with; its own initialisation is overwritten
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch._dynamo  # the first optimizer loads it: seconds that would fall on a check
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.exercises.spec import Case, Input, ToyModel, ToyOptimizer
from course_utils.validation import describe


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


class TinyNoisePredictor(nn.Module):
    """(B, channels, height, width), t (B,) int64 -> like x: a linear map of the image plus a term for t."""

    def __init__(self, channels: int, height: int, width: int, timesteps: int):
        super().__init__()
        pixels = channels * height * width
        self.image = nn.Linear(pixels, pixels)
        self.time = nn.Embedding(timesteps, pixels)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The guess of the noise in x.

        Raises:
            TypeError: t is no tensor of int64.
            ValueError: t has not one level for each image, or one that does not exist.
        """
        if not isinstance(t, Tensor) or t.dtype != torch.int64:
            raise TypeError(
                f"model(x, t): t must be an int64 tensor with a level for each image, got {describe(t)}."
            )
        if t.shape != x.shape[:1]:
            raise ValueError(
                f"model(x, t): t must have shape ({len(x)},), a level for each image, got {tuple(t.shape)}."
            )
        if not ((t >= 0) & (t < self.time.num_embeddings)).all():
            raise ValueError(f"model(x, t): levels are 0..{self.time.num_embeddings - 1}, got {t.tolist()}.")
        return (self.image(x.flatten(1)) + self.time(t)).view_as(x)


class LenientNoisePredictor(nn.Module):
    """model(x_t, t) with t (B,) of any dtype, or model(x_t): what a call leaves out shows in its result."""

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        pixels = channels * height * width
        self.image, self.time = nn.Linear(pixels, pixels), nn.Linear(2, pixels, bias=False)

    def forward(self, x_t: Tensor, t: Tensor | None = None) -> Tensor:
        """Like x_t: a linear map of the image, plus one of sin t and cos t."""
        guess = self.image(x_t.flatten(1))
        if t is not None:
            angles = t.to(guess.dtype).reshape(-1, 1)
            guess = guess + self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        return guess.view_as(x_t)


class TinyTextUNet(nn.Module):
    """unet(latents, t, context) -> like latents: a sum over the three, in which the text's part is bounded.

    A mixture of two texts is answered by something else than the mixture of their answers. The contexts of
    its calls are kept, in order, as `contexts`.
    """

    def __init__(self, channels: int, height: int, width: int, timesteps: int, words: int, states: int):
        super().__init__()
        pixels = channels * height * width
        self.image, self.text = nn.Linear(pixels, pixels), nn.Linear(words * states, pixels, bias=False)
        self.time = nn.Embedding(timesteps, pixels)
        self.contexts: list[Tensor] = []

    def forward(self, latents: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The guess of the noise in latents.

        Raises:
            TypeError: t is no tensor of int64.
            ValueError: latents, t and context are not equally many.
        """
        if not isinstance(t, Tensor) or t.dtype != torch.int64:
            raise TypeError(
                "unet(latents, t, context): t must be an int64 tensor with a level for each of the latents, "
                f"got {describe(t)}."
            )
        if t.dim() != 1 or not len(latents) == len(t) == len(context):
            raise ValueError(
                "unet(latents, t, context): each of the latents needs a level and a text, got "
                f"{len(latents)} latents, t of shape {tuple(t.shape)} and {len(context)} texts."
            )
        self.contexts.append(context.detach().clone())
        guess = self.image(latents.flatten(1)) + self.time(t) + self.text(context.flatten(1)).tanh()
        return guess.view_as(latents)


class TinyBlock(nn.Module):
    """A block of a U-Net that takes 1 to `channels` channels: block(x, temb), or block(x) without any time.

    Args:
        resample: -1 halves the resolution first, 1 doubles it at the end, 0 keeps it.
    """

    def __init__(self, channels: int, out_channels: int, time_dim: int, resample: int):
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(out_channels, channels))
        self.time = nn.Parameter(torch.zeros(out_channels, time_dim))
        self.resample = resample

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H', W') in (-1, 1)."""
        x = F.avg_pool2d(x, 2) if self.resample < 0 else x
        h = torch.einsum("oc,bchw->bohw", self.mix[:, : x.shape[1]], x)
        h = h if temb is None else h + (temb @ self.time.T)[:, :, None, None]
        return F.interpolate(h.tanh(), scale_factor=2.0) if self.resample > 0 else h.tanh()


class TinyTracker(nn.Module):
    """(B, inputs) -> (B, outputs), normalised by buffers; counter = 1 adds one that holds a whole number."""

    def __init__(self, inputs: int, outputs: int, counter: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), nn.Linear(outputs, outputs, bias=False))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("std", torch.ones(outputs))
        if counter:
            self.register_buffer("count", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs less their mean, in units of their standard deviation."""
        return (self.layers(x) - self.mean) / self.std


class TinyGenerator(nn.Module):
    """z (B, latent_dim) -> (B, 1, height, width) in (-1, 1).

    In training mode half of the batch's mean is taken from hidden units: a BatchNorm without buffers. The
    whole of it would leave a discriminator's mean logit nothing to depend on.
    """

    def __init__(self, latent_dim: int, hidden: int, height: int, width: int):
        super().__init__()
        self.first, self.last = nn.Linear(latent_dim, hidden), nn.Linear(hidden, height * width)
        self.shape = (1, height, width)

    def forward(self, z: Tensor) -> Tensor:
        """The fakes."""
        return self.last(_shifted(self.first(z).tanh(), self.training)).tanh().unflatten(1, self.shape)


class TinyDiscriminator(nn.Module):
    """(B, 1, height, width) -> logits (B,); its hidden units are those of TinyGenerator."""

    def __init__(self, hidden: int, height: int, width: int):
        super().__init__()
        self.first, self.last = nn.Linear(height * width, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.last(_shifted(self.first(x.flatten(1)).tanh(), self.training)).squeeze(1)


def _shifted(h: Tensor, training: bool) -> Tensor:
    return h - h.mean(dim=0) / 2 if training else h


class TinyCritic(nn.Module):
    """(B, channels, height, width) -> scores (B, 1), unbounded; its gradient differs from image to image."""

    def __init__(self, channels: int, height: int, width: int, hidden: int):
        super().__init__()
        self.hidden = nn.Linear(channels * height * width, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The score of each image."""
        scores: Tensor = self.score(self.hidden(x.flatten(1)).tanh())
        return scores


MODELS: dict[str, Callable[..., nn.Module]] = {
    "tiny_autoencoder": TinyAutoencoder,
    "tiny_noise_predictor": TinyNoisePredictor,
    "lenient_noise_predictor": LenientNoisePredictor,
    "tiny_text_unet": TinyTextUNet,
    "tiny_block": TinyBlock,
    "tiny_tracker": TinyTracker,
    "tiny_critic": TinyCritic,
    "tiny_generator": TinyGenerator,
    "tiny_discriminator": TinyDiscriminator,
}
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
