"""First weights, judged by their statistics.

conv, transposed, linear    thousands of weights each, to be N(0, 0.02^2)
scale, offset               (4096,) weights and biases of a BatchNorm, to be N(1, 0.02^2) and 0
rest                        an embedding's table and a GroupNorm's weights, to be left alone
seed                        of the global stream while the answer runs, so that one seed gives one verdict

The answer is called as in network.apply(answer): on each layer, then on what holds it, and on the whole. So a
function for one layer is right, and one for whole networks too. What becomes of the biases of other layers is
left open.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.criteria import agree
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Answer, Case, Exercise, misconceptions

STD = 0.02
FEATURES = 4096
KNOWN_STDS = (STD, 10 * STD, STD**0.5, STD**2)
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def cases(draw: Draw) -> list[Case]:
    """A network whose weights are far from where they should be."""

    def before(*shape: int) -> Tensor:
        return draw.real(0.5, 0.8) + 0.5 * draw.normal(*shape)

    weights = {
        "conv": before(64, 32, 4, 4),
        "transposed": before(64, 32, 4, 4),
        "linear": before(128, 256),
        "scale": before(FEATURES),
        "offset": before(FEATURES),
        "rest": [before(64, 10), before(8)],
    }
    return [Case("a network of six layers", {**weights, "seed": draw.integer(0, 10**6)})]


def network_of(inputs: dict[str, Any]) -> nn.Module:
    """The network with the case's weights."""
    conv = nn.Conv2d(32, 64, 4, bias=False)
    transposed = nn.ConvTranspose2d(64, 32, 4, bias=False)
    linear, norm = nn.Linear(256, 128), nn.BatchNorm2d(FEATURES)
    embedding, groups = nn.Embedding(64, 10), nn.GroupNorm(2, 8)
    layers: tuple[Any, ...] = (conv, transposed, linear, norm, embedding, groups)
    weights = (inputs[name] for name in ("conv", "transposed", "linear", "scale"))
    for layer, weight in zip(layers, (*weights, *inputs["rest"]), strict=True):
        layer.weight.data.copy_(weight)
    norm.bias.data.copy_(inputs["offset"])
    return nn.Sequential(conv, nn.ReLU(), nn.Sequential(transposed, norm), linear, embedding, groups)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """What the weights look like afterwards, in words.

    Raises:
        NotImplementedError: nothing was done.
    """
    results: list[Any] = []
    with torch.random.fork_rng(devices=[]):
        network = network_of(case.inputs)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        torch.manual_seed(case.inputs["seed"])
        state = torch.get_rng_state()
        given = list(network.modules())
        network.apply(lambda module: results.append(answer(module)))
        idle = torch.equal(state, torch.get_rng_state())
    after = network.state_dict()
    same = {name: torch.equal(before[name], tensor) for name, tensor in after.items()}
    if idle and all(same.values()) and all(result is None or result is Ellipsis for result in results):
        raise NotImplementedError
    for name, words in READ.items():
        yield words, "unchanged" if same[name] else in_words(after[name])
    others = [name for name in after if name not in READ and name != "3.bias"]
    touched = ", ".join(OTHERS[name] for name in others if not same[name])
    yield "other layers' state", f"changed: {touched}" if touched else "as before"
    new = any(isinstance(result, nn.Module) and all(result is not one for one in given) for result in results)
    yield "result", "another module" if new else "nothing new"


READ = {  # names in the network's state dict
    "0.weight": "convolution's weight tensor",
    "2.0.weight": "convolution's weight tensor (transposed)",
    "3.weight": "linear layer's weight tensor",
    "2.1.weight": "BatchNorm's weight tensor",
    "2.1.bias": "BatchNorm's bias tensor",
}
OTHERS = {
    "2.1.running_mean": "BatchNorm's running mean",
    "2.1.running_var": "BatchNorm's running variance",
    "2.1.num_batches_tracked": "BatchNorm's count",
    "4.weight": "Embedding",
    "5.weight": "GroupNorm's weights",
    "5.bias": "GroupNorm's biases",
}


def in_words(x: Tensor) -> str:
    """The distribution of many numbers, as coarse as chance demands: "normal, mean 0, deviation 0.02"."""
    std, mean = (float(value) for value in torch.std_mean(x))
    if std < 1e-9:
        return f"all {mean:.2g}"
    outside = float(((x - mean).abs() > 2 * std).float().mean())  # 4.6% of a normal distribution
    shape = "normal" if 0.025 < outside < 0.07 else "not normal"
    known_mean = first_near(mean, (0.0, 1.0), std / 10)
    known_std = next((one for one in KNOWN_STDS if abs(std - one) < one / 10), std)
    return f"{shape}, mean {known_mean:.2g}, deviation {known_std:.2g}"


def first_near(value: float, known: tuple[float, ...], distance: float) -> float:
    """The first known number that is near, else the value itself."""
    return next((one for one in known if abs(value - one) < distance), value)


def start(
    module: nn.Module, std: float = STD, centre: float = 1.0, offsets: float = 0.0, layers: Any = LAYERS
) -> None:
    """The right first weights, or some with another number, for answers that are wrong somewhere."""
    if isinstance(module, layers):
        nn.init.normal_(module.weight, 0.0, std)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, centre, std)
        nn.init.normal_(module.bias, 0.0, offsets)


def tenfold_deviation(module: nn.Module) -> None:
    """Your weights have standard deviation 0.2, ten times too much: at first every tanh would sit at its
    ends. Count the zeros after the point."""
    start(module, std=10 * STD)


def variance_for_deviation(module: nn.Module) -> None:
    """Your weights have standard deviation 0.14, the root of 0.02: you took 0.02 for the variance. It is the
    standard deviation. Look for a root."""
    start(module, std=STD**0.5)


def deviation_squared(module: nn.Module) -> None:
    """Your weights have standard deviation 0.0004, the square of 0.02. PyTorch's normal_ takes a standard
    deviation, not a variance. Look at what you hand to it."""
    start(module, std=STD**2)


def norms_around_zero(module: nn.Module) -> None:
    """Your BatchNorm weights are drawn around 0. They multiply what has been normalised: a factor of 0.02
    would shrink every signal to almost nothing, in each layer again. Look at the mean of that draw."""
    start(module, centre=0.0)


def norm_biases_drawn(module: nn.Module) -> None:
    """Your BatchNorm biases are random. Only its weights are drawn; a bias starts at 0. Look at what you do
    with the bias."""
    start(module, offsets=STD)


def every_parameter(module: nn.Module) -> None:
    """You draw every parameter from one distribution, those of norms and embeddings too. A norm's weights
    belong around 1, its biases at 0, and what the text does not name stays as it is. Look at how you choose
    what to draw."""
    for parameter in module.parameters(recurse=False):
        nn.init.normal_(parameter, 0.0, STD)


def linear_layers_forgotten(module: nn.Module) -> None:
    """Your convolutions and norms are right, and the linear layers still have the weights that they were
    built with. Look at which kinds of layer you ask for."""
    start(module, layers=(nn.Conv2d, nn.ConvTranspose2d))


def returns_a_new_module(module: nn.Module) -> nn.Module:
    """You give back a new module, and the one that you were given stays as it was. It is meant to be changed
    in place. Look for a copy at the beginning."""
    fresh = copy.deepcopy(module)
    for layer in fresh.modules():
        start(layer)
    return fresh


INIT_WEIGHTS = Exercise(
    id="dcgan.init_weights",
    title="First weights",
    signature="init_weights(module)",
    returns="None: weights are drawn in place, by network.apply(init_weights). Convolutions, transposed "
    "convolutions, linear layers: N(0, 0.02^2); BatchNorm: weights N(1, 0.02^2), biases 0",
    reference="course_utils.dcgan:init_weights",
    cases=cases,
    criteria=(
        agree(
            "convolutions",
            1,
            outputs="convolution",
            gate=True,
            advice="Print mean and standard deviation of a layer's weights before and after. Functions of "
            "nn.init that end in `_` write into the tensor that they are given. A layer may have no bias.",
        ),
        agree("linear layers", 0.5, outputs="linear", advice="They are drawn like convolutions."),
        agree(
            "BatchNorm",
            1,
            outputs="BatchNorm",
            advice="Its weights are factors and belong around 1; its biases start at 0.",
        ),
        agree(
            "leaves other layers alone",
            0.5,
            outputs="other",
            advice="Only the kinds of layer that the text names are changed. Look at how you choose them.",
        ),
    ),
    misconceptions=misconceptions(
        tenfold_deviation,
        variance_for_deviation,
        deviation_squared,
        norms_around_zero,
        norm_biases_drawn,
        every_parameter,
        linear_layers_forgotten,
        returns_a_new_module,
    ),
    probe=probe,
)
