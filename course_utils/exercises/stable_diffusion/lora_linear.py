"""A linear layer with a small addition that learns.

sizes        in_features, out_features, rank: all different
layer        [role, kind, weight, bias] of the linear layer that the answer is given
matrices     down (rank, in) and up (out, rank), which are put into the answer by their shapes
x            (B, N, in_features) float
upstream     (B, N, out_features) float: what the gradient of the result is multiplied by
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises.criteria import agree
from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import build, draw_layer, has_layers, require_layers
from course_utils.exercises.spec import Answer, Case, Exercise, misconceptions

ONLY_ADDED = "only what was added learns"
LEARNS = "it can learn from the start"


def cases(draw: Draw) -> list[Case]:
    """Fewer outputs than inputs, and more; alpha above the rank, and below."""

    def case(sizes: tuple[int, int, int], alpha: float) -> Case:
        n_in, n_out, rank = sizes
        x = draw.normal(draw.integer(2, 3), draw.integer(4, 5), n_in)
        inputs = {
            "sizes": list(sizes),
            "layer": draw_layer(draw, "the layer", "Linear", n_out, n_in, fan_in=n_in),
            "matrices": [draw.normal(rank, n_in), draw.normal(n_out, rank)],
            "alpha": alpha,
            "x": x,
            "upstream": draw.normal(*x.shape[:2], n_out),
        }
        return Case(f"LoRALinear(nn.Linear({n_in}, {n_out}), {rank}, {alpha:.3g})", inputs)

    return [
        case((draw.integer(9, 10), draw.integer(6, 7), 2), draw.real(3, 6)),
        case((draw.integer(6, 7), draw.integer(9, 10), 4), draw.real(1, 2)),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module on a layer; run it; put the case's matrices in; run it again."""
    inputs = case.inputs
    n_in, n_out, rank = inputs["sizes"]
    _, _, weight, bias = inputs["layer"]
    with torch.random.fork_rng(devices=[]):
        linear = nn.Linear(n_in, n_out)
    linear.weight.data, linear.bias.data = weight, bias
    model: Any = build(answer, linear, rank, inputs["alpha"])
    x = inputs["x"]
    require_layers(model, lambda: model.forward(x))
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    slots, missing = places(list(model.parameters()), n_in, n_out, rank)
    yield "layers", [missing, []]
    if missing:
        return
    x = x.clone().requires_grad_()
    at_first = model(x)
    yield "module(x) == linear(x) at first", torch.allclose(at_first, linear(x), rtol=1e-4, atol=1e-5)
    if at_first.requires_grad:
        (at_first * inputs["upstream"]).sum().backward()
    yield "a gradient reaches what was added", any(map(has_gradient, slots))
    yield "a gradient reaches x", has_gradient(x)
    for slot, matrix in zip(slots, inputs["matrices"], strict=True):
        slot.data.copy_(matrix if slot.shape == matrix.shape else matrix.T)
    yield "module(x)", model(x)
    yield "numbers that learn", sum(parameter.numel() for parameter in learning)


def places(
    parameters: list[nn.Parameter], n_in: int, n_out: int, rank: int
) -> tuple[list[nn.Parameter], list[str]]:
    """The answer's matrices, down and up, either way round; and those that are missing, in words."""
    wanted = {"down": {n_in, rank}, "up": {n_out, rank}}
    found = {
        name: next((one for one in parameters if one.dim() == 2 and set(one.shape) == sizes), None)
        for name, sizes in wanted.items()
    }
    missing = [
        f"a matrix of {rank} and {max(wanted[name] - {rank})}" for name in wanted if found[name] is None
    ]
    return [one for one in found.values() if one is not None], missing


def has_gradient(x: Tensor) -> bool:
    """Whether any of it is not 0."""
    return x.grad is not None and bool(x.grad.any())


def altered(change: Callable[[Any], object]) -> Answer:
    """The reference, changed after it is built; looked up when called: an answer's process does without
    it."""

    def construct(linear: nn.Linear, rank: int, alpha: float) -> nn.Module:
        module: nn.Module = LORA_LINEAR.load_reference()(linear, rank, alpha)
        change(module)
        return module

    return construct


def layer_not_frozen(module: Any) -> None:
    """Your layer itself goes on learning: an optimizer over the module's parameters changes all of its
    weights, and nothing is saved. Look at requires_grad of the layer's parameters."""
    module.linear.requires_grad_(True)


def alpha_alone(module: Any) -> None:
    """Your addition is multiplied by alpha. With a higher rank it then grows, because more terms are added
    up. Look at the second number that the factor depends on."""
    module.scale = module.scale * module.down.out_features


def cut_off(module: Any) -> None:
    """You run the frozen layer under no_grad(), or detach its result: what comes before it in the network
    gets no gradient through it. A frozen layer hands gradients on; it takes none for itself. Look at how you
    freeze it."""
    module.forward = lambda x: module.linear(x).detach() + module.scale * module.up(module.down(x))


def no_factor(module: Any) -> None:
    """Your addition has no factor: alpha is without effect. Look for the argument that you do not use."""
    module.scale = 1.0


def layer_replaced(module: Any) -> None:
    """Your result lacks the layer's own: what was added stands alone, and what the layer had learned is gone.
    Look at what you return."""
    module.forward = lambda x: module.scale * module.up(module.down(x))


def both_at_zero(module: Any) -> None:
    """Both of your matrices start at 0. The product is 0, as it should be, and so are both gradients: the
    gradient of each is a multiple of the other. One of them has to be random. Look at which you set to 0."""
    nn.init.zeros_(module.down.weight)


def starts_at_random(module: Any) -> None:
    """Your module differs from the layer before it has learned anything: both matrices start at random, and
    spoil what the network can do. Their product has to be 0. Look at how the second one starts."""
    nn.init.ones_(module.up.weight)
    nn.init.ones_(module.down.weight)


def biases_added(module: Any) -> None:
    """Your two layers have biases. They are no part of LoRA, which adds a product of two matrices to the
    layer's weight. Look at how you make the two."""
    module.up.bias = nn.Parameter(torch.zeros(module.up.out_features))
    module.down.bias = nn.Parameter(torch.zeros(module.down.out_features))


LORA_LINEAR = Exercise(
    id="stable_diffusion.LoRALinear",
    title="A layer that learns a little",
    signature="LoRALinear(linear, rank, alpha)",
    returns="an nn.Module: (..., in) -> (..., out), linear(x) + alpha / rank * up(down(x)); the layer is "
    "frozen, rank * (in + out) numbers learn, and it starts equal to the layer",
    reference="course_utils.stable_diffusion.adapters:LoRALinear",
    cases=cases,
    criteria=(
        has_layers("Two matrices are added: from in_features to rank, and from rank to out_features."),
        agree(
            "values",
            1.5,
            outputs="module(x)",
            gate=True,
            advice="Compute it by hand: the layer's own result, plus alpha / rank times what two matrices "
            "make of x, one after the other. Right after the start the second part is 0.",
        ),
        agree(
            ONLY_ADDED,
            1,
            outputs="numbers",
            advice="Print name, shape and requires_grad of every parameter of your module.",
        ),
        agree(
            LEARNS,
            1.5,
            outputs="a gradient",
            advice="Which of the two matrices has a gradient right after the start, and what does it depend "
            "on? Look for detach() and no_grad(), too.",
        ),
    ),
    misconceptions=misconceptions(
        layer_not_frozen,
        alpha_alone,
        cut_off,
        no_factor,
        layer_replaced,
        both_at_zero,
        starts_at_random,
        biases_added,
        build=altered,
    ),
    probe=probe,
)
