"""The network of a VAE.

    x        (B, 1, 28, 28) float in [0, 1]
    z, eps   (B, D) float; D = latent_dim
    layers   the weights that the answer is run with, see exercises/layers.py
    parts    which of encode, decode and forward a case runs
    seat     where a layer's weights sit in the answer's module: a slot, or half the rows of one

Shapes do not tell the two heads from each other, nor the two layers from 200 to 200. What a layer feeds does:
the head of mu is the one that the first result of encode depends on; the encoder's layer is the one that
encode depends on at all. So every order of registration is right, and so is one linear layer for both heads,
cut in half. Where forward takes the other head for the mean, its logits show it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import (
    Layer,
    Slot,
    build,
    draw_layer,
    gradients,
    has_layers,
    part,
    place,
    require_layers,
    slots,
    wake,
)
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

LATENT = 20
HIDDEN, PIXELS = 200, 784
ENCODER, DECODER = "the encoder's second linear layer", "the decoder's second linear layer"
MU, LOGVAR, HEADS = "the head of mu", "the head of logvar", "the head of mu and logvar"
ONE_IMAGE = "a batch of one image"
OTHER_LATENT = "another latent size"
GRADIENTS = "gradients reach every layer"
ALL_PARTS = ("encode", "decode", "forward")


def cases(draw: Draw) -> list[Case]:
    """The parts one by one, so that each is judged even where another one fails, then edge cases."""
    other = draw.integer(3, 12)
    layers = {d: draw_layers(draw, d) for d in (LATENT, other)}

    def case(words: str, *parts: str, b: int = 3, d: int = LATENT, kind: str = ORDINARY) -> Case:
        codes = {"z": draw.normal(b, d), "eps": draw.normal(b, d)}
        inputs = {"latent_dim": d, "layers": layers[d], "parts": list(parts), "x": draw.uniform(b, 1, 28, 28)}
        more = {"upstream": draw.normal(b, PIXELS + 2 * d)} if kind == GRADIENTS else {}
        return Case(words, {**inputs, **codes, **more}, kind)

    return [
        case("encode 3 images", "encode"),
        case(f"decode 4 codes of {LATENT} numbers", "decode", b=4),
        case("3 images through the whole, eps given", "forward"),
        case("a single image, and a single code", *ALL_PARTS, b=1, kind=ONE_IMAGE),
        case(f"VAE(latent_dim={other}) on 3 images, and on 3 codes", *ALL_PARTS, d=other, kind=OTHER_LATENT),
        case("backward() from 3 images", kind=GRADIENTS),
    ]


def draw_layers(draw: Draw, latent_dim: int) -> list[Layer]:
    """The seven layers of the VAE."""
    sizes = {
        "the encoder's first linear layer": (HIDDEN, PIXELS),
        ENCODER: (HIDDEN, HIDDEN),
        MU: (latent_dim, HIDDEN),
        LOGVAR: (latent_dim, HIDDEN),
        "the decoder's first linear layer": (HIDDEN, latent_dim),
        DECODER: (HIDDEN, HIDDEN),
        "the decoder's third linear layer": (PIXELS, HIDDEN),
    }
    return [draw_layer(draw, role, "Linear", *shape, fan_in=shape[1]) for role, shape in sizes.items()]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Build the module, put the case's weights in, run its parts."""
    x, z, eps = (case.inputs[name] for name in ("x", "z", "eps"))
    model: Any = build(answer, case.inputs["latent_dim"])
    require_layers(model, lambda: model.encode(x))
    wake(model, x, eps)
    placed, missing, extra = place(layout(case.inputs["layers"], model), model)
    yield "layers", [missing, extra]
    if missing or extra:
        return
    model.eval()
    seats = seats_of(placed)
    if case.inputs["parts"] == ["decode"]:
        settle(seats, DECODER, ENCODER, lambda: model.decode(z))
    else:
        settle(seats, ENCODER, DECODER, lambda: model.encode(x))
        settle(seats, MU, LOGVAR, lambda: model.encode(x))
    if "upstream" in case.inputs:
        yield from gradients_by_role(model.train()(x, eps), case.inputs["upstream"], seats)
    runs: dict[str, tuple[str, Callable[[], Any]]] = {
        "encode": ("encode(x)", lambda: model.encode(x)),
        "decode": ("decode(z)", lambda: model.decode(z)),
        "forward": ("forward(x, eps)", lambda: model(x, eps)),
    }
    for call, run in (runs[name] for name in case.inputs["parts"]):
        yield call, plain(run())


def plain(result: Any) -> Any:
    """A named tuple is a tuple."""
    return tuple(result) if isinstance(result, tuple) else result


class Seat(NamedTuple):
    """Some rows of a layer of the answer's module."""

    slot: Slot
    rows: slice = slice(None)

    def contents(self) -> list[Tensor]:
        """Views of weight and bias."""
        parameters = (self.slot.weight, self.slot.bias)
        return [parameter.data[self.rows] for parameter in parameters if parameter is not None]


def layout(layers: list[Layer], model: nn.Module) -> list[Layer]:
    """The layers; with one for both heads, mu's rows first, where the module has one of that shape."""
    heads = {role: layer for layer in layers if (role := layer[0]) in (MU, LOGVAR)}
    both = [torch.cat([heads[MU][i], heads[LOGVAR][i]]) for i in (2, 3)]
    if all(slot.weight.shape != both[0].shape for slot in slots(model)):
        return layers
    return [*(layer for layer in layers if layer[0] not in heads), [HEADS, "Linear", *both]]


def seats_of(placed: dict[str, Slot]) -> dict[str, Seat]:
    """A seat for every role."""
    seats = {role: Seat(slot) for role, slot in placed.items()}
    both = seats.pop(HEADS, None)
    if both:
        half = len(both.slot.weight) // 2
        seats |= {MU: Seat(both.slot, slice(half)), LOGVAR: Seat(both.slot, slice(half, None))}
    return seats


def settle(seats: dict[str, Seat], one: str, other: str, run: Callable[[], Any]) -> None:
    """Exchange the seats of two layers of one shape if run() depends on the other one's alone."""
    if feeds(seats[other], run) and not feeds(seats[one], run):
        for a, b in zip(seats[one].contents(), seats[other].contents(), strict=True):
            kept = a.clone()
            a.copy_(b)
            b.copy_(kept)
        seats[one], seats[other] = seats[other], seats[one]


def feeds(seat: Seat, run: Callable[[], Any]) -> bool:
    """Whether the first result of run() changes when the bias does, by much and in both directions."""
    bias = seat.contents()[-1]
    kept = bias.clone()
    results = []
    for shift in (-5, 0, 5):
        bias.copy_(kept + shift)
        results.append(leading(run()))
    bias.copy_(kept)
    return any(not torch.equal(result, results[1]) for result in results)


def leading(result: Any) -> Tensor:
    """The first tensor of a result; none counts as an empty one."""
    first = result[0] if isinstance(result, list | tuple) and result else result
    return first.detach() if isinstance(first, Tensor) else torch.empty(0)


def gradients_by_role(
    result: tuple[Tensor, Tensor, Tensor], upstream: Tensor, seats: dict[str, Seat]
) -> Iterator[tuple[str, Tensor]]:
    """The gradients of all three results of forward, weighted by `upstream`."""
    output = torch.cat([one.flatten(1) for one in result], dim=1)
    found = gradients(output, upstream, {role: seat.slot for role, seat in seats.items()})
    for (name, gradient), seat in zip(found, seats.values(), strict=True):
        yield name, gradient[seat.rows]


def altered(alter: Answer) -> Answer:
    """The reference with something changed, looked up when called: an answer's process does without it."""

    def construct(latent_dim: int) -> nn.Module:
        model: nn.Module = VAE_MODULE.load_reference()(latent_dim)
        alter(model)
        return model

    return construct


def through(model: Any, draw: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """A forward that takes its code from draw(mu, logvar, eps)."""

    def forward(x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = model.encode(x)
        return model.decode(draw(mu, logvar, eps)), mu, logvar

    return forward


def sigmoid_on_the_output(model: Any) -> None:
    """Your decoder ends in a sigmoid: its numbers lie in (0, 1). Logits are asked for, the numbers before the
    sigmoid, because the loss can be computed from them without rounding. Look at the last step of decode."""
    model.decoder.append(nn.Sigmoid())


def relu_on_the_mean(model: Any) -> None:
    """Your mu is never negative: an activation follows the head. The prior is centred at 0, and half of its
    codes would never be used. The heads are linear, and nothing follows them."""
    model.to_mu = nn.Sequential(model.to_mu, nn.ReLU())


def no_activations(model: Any) -> None:
    """Your layers are right, but nothing happens between them. Without activations they collapse into one
    linear map. Look at what follows each hidden layer."""
    for name in ("encoder", "decoder"):
        kept = (module for module in getattr(model, name) if not isinstance(module, nn.ReLU))
        setattr(model, name, nn.Sequential(*kept))


def deviation_for_logvar(model: Any) -> None:
    """Your encode gives the standard deviation where logvar is asked for: never negative. The KL takes the
    logarithm of the variance, and a linear layer can give any number, so nothing has to follow the head."""
    encode = model.encode

    def with_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = encode(x)
        return mu, torch.exp(0.5 * logvar)

    model.encode = with_deviation
    model.forward = through(model, lambda mu, deviation, eps: mu + deviation * eps)


def heads_exchanged(model: Any) -> None:
    """Your parts disagree about which head is which: encode gives two results, and forward takes the second
    one for the mean and the first one for logvar. Compare the order in which encode returns them with the
    order in which forward uses them."""
    encode = model.encode
    model.encode = lambda x: encode(x)[::-1]

    def forward(x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = encode(x)
        return model.decode(mu + torch.exp(0.5 * logvar) * eps), mu, logvar

    model.forward = forward


def eps_ignored(model: Any) -> None:
    """Your forward decodes mu itself: eps changes nothing. That is a plain autoencoder with a KL that nobody
    answers to. Which z do you hand to decode?"""
    model.forward = through(model, lambda mu, logvar, eps: mu)


def variance_for_deviation(model: Any) -> None:
    """Your forward scales the noise by the variance, exp(logvar). Its standard deviation is the root of that:
    look at the line that makes z, or call your reparameterize."""
    model.forward = through(model, lambda mu, logvar, eps: mu + logvar.exp() * eps)


def fresh_noise(model: Any) -> None:
    """Your forward draws noise of its own: what comes out does not depend on eps. The noise is an argument,
    so that a run can be repeated. Look for randn in your class."""
    model.forward = through(
        model, lambda mu, logvar, eps: mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    )


VAE_MODULE = Exercise(
    id="vae.VAE",
    title="The network of a VAE",
    signature="VAE(latent_dim)",
    returns="an nn.Module: encode (B,1,28,28) -> mu, logvar, (B,D) each; decode (B,D) -> logits (B,1,28,28); "
    "forward(x, eps) -> logits, mu, logvar",
    reference="course_utils.vae:VAE",
    cases=cases,
    criteria=(
        has_layers("784 is 28 * 28. Both heads start from the same 200 numbers."),
        part(
            "encode",
            1.5,
            outputs="encode",
            advice="The layers fit: look at what happens in and between them. A ReLU follows each of the two "
            "hidden layers, and nothing follows the heads; the result is the pair mu, logvar.",
        ),
        part(
            "decode",
            1,
            outputs="decode",
            advice="The layers fit: look at what happens in and between them. A ReLU follows each of the two "
            "hidden layers, nothing follows the last one, and the result has the shape of images.",
        ),
        part(
            "forward",
            1.5,
            outputs="forward",
            advice="forward gives three things: what decode makes of a draw from q(z|x), mu, and logvar. The "
            "draw is made of mu, logvar and eps, as in reparameterize.",
        ),
        part(
            ONE_IMAGE,
            0.5,
            kind=ONE_IMAGE,
            advice="A batch of one keeps its batch dimension. Look for squeeze(), or a fixed batch size.",
        ),
        part(OTHER_LATENT, 0.5, kind=OTHER_LATENT, advice="Look for a number that should be latent_dim."),
        part(
            GRADIENTS,
            1,
            kind=GRADIENTS,
            outputs="gradient",
            advice="Where a gradient is 0, something cuts the graph that backward() follows: detach(), "
            ".data, no_grad(), numpy. Where it is another one, training mode changes something: dropout?",
        ),
    ),
    misconceptions=misconceptions(
        sigmoid_on_the_output,
        relu_on_the_mean,
        no_activations,
        deviation_for_logvar,
        heads_exchanged,
        eps_ignored,
        variance_for_deviation,
        fresh_noise,
        build=altered,
    ),
    probe=probe,
)
