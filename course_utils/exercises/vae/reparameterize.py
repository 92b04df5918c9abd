"""A draw from q(z|x) through which gradients flow.

    mu, logvar, eps   (B, D) float; B and D differ; logvar lies around 3 and around -3

There a standard deviation (4.5 and 0.22), a variance (20 and 0.05) and a logvar are far apart.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions

GRADIENTS = "gradients reach mu and logvar"


def cases(draw: Draw) -> list[Case]:
    """Wide and narrow latents side by side."""

    def case(b: int, d: int, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        mu, eps, upstream = (draw.normal(b, d, dtype=dtype) for _ in range(3))
        inputs = {"mu": mu, "logvar": draw_logvar(draw, b, d, dtype), "eps": eps}
        more = {"upstream": upstream} if kind == GRADIENTS else {}
        return Case(f"{b} codes of {d} numbers", {**inputs, **more}, kind)

    b, d = draw.integer(6, 8), draw.integer(3, 5)
    return [
        case(b, d),
        case(2, b + d),
        case(b, d, GRADIENTS),
        case(d, b, FLOAT64, torch.float64),
    ]


def draw_logvar(draw: Draw, b: int, d: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(b, d), around 3 and -3 by turns, so that each row and each column has both."""
    sign = 1 - 2 * (torch.arange(b).view(-1, 1) + torch.arange(d)).remainder(2)
    return 3 * sign + 0.3 * draw.normal(b, d, dtype=dtype)


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Call it; where gradients are asked for, follow them back to mu and logvar."""
    inputs = dict(case.inputs)
    upstream = inputs.pop("upstream", None)
    if upstream is None:
        yield "result", answer(*inputs.values())
        return
    mu, logvar = (inputs[name].clone().requires_grad_() for name in ("mu", "logvar"))
    z = answer(mu, logvar, inputs["eps"])
    yield "result", z
    if z.requires_grad:
        (z * upstream).sum().backward()
    for name, leaf in {"mu": mu, "logvar": logvar}.items():
        yield f"gradient at {name}", torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def variance_for_deviation(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your noise is scaled by the variance: exp(logvar). A draw is the mean plus the standard deviation times
    the noise, and the standard deviation is the root of the variance. What does a root do to a logarithm?"""
    return mu + logvar.exp() * eps


def logvar_for_deviation(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your noise is scaled by logvar itself. That is a logarithm: it may be negative, a standard deviation
    may not. Turn it into a standard deviation first."""
    return mu + logvar * eps


def half_the_logvar_for_deviation(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your noise is scaled by half the logvar, which is the logarithm of the standard deviation, not the
    standard deviation. One step is missing."""
    return mu + 0.5 * logvar * eps


def mean_forgotten(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your draws are centred at 0, whatever mu says: the noise has the right size, but it is added to
    nothing. The decoder would never learn where an image lies."""
    return torch.exp(0.5 * logvar) * eps


def mean_scaled_too(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """You add the mean before you scale, so the mean is scaled as well. Only the noise has to change its
    width. Look at the order of the two operations."""
    return (mu + eps) * torch.exp(0.5 * logvar)


def fresh_noise(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your draws do not depend on eps: you draw noise of your own. The noise is an argument, so that one eps
    gives one z, and a run can be repeated. Look at where your noise comes from."""
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def graph_is_cut(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your numbers are right, but no gradient arrives at mu and logvar: the encoder would never learn. That
    gradients pass through the draw is the whole point of writing it this way. Look for detach(), .data,
    no_grad(), or a sampler that cuts the graph."""
    return (mu + torch.exp(0.5 * logvar) * eps).detach()


def changes_its_input(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Your draws are right, but the noise is overwritten by its scaled version: whoever uses eps again gets
    something else. Look for an assignment in place."""
    eps *= torch.exp(0.5 * logvar)
    return mu + eps


REPARAMETERIZE = Exercise(
    id="vae.reparameterize",
    title="A draw from q(z|x) through which gradients flow",
    signature="reparameterize(mu, logvar, eps)",
    returns="a float tensor like mu: the draw from N(mu, exp(logvar)) that the standard normal eps chooses",
    reference="course_utils.vae:reparameterize",
    cases=cases,
    criteria=ladder(
        2,
        agree(
            GRADIENTS,
            1,
            kind=GRADIENTS,
            advice="Where a gradient is 0, something cuts the graph: detach(), .data, no_grad(), numpy. An "
            "assignment in place is refused where mu and logvar require a gradient.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="eps is all the chance there is. Try numbers: with logvar = 0 and eps = 1 a draw lies 1 above "
        "mu. With a variance of 4 it lies 2 above. Which logvar has a variance of 4?",
    ),
    misconceptions=misconceptions(
        variance_for_deviation,
        logvar_for_deviation,
        half_the_logvar_for_deviation,
        mean_forgotten,
        mean_scaled_too,
        fresh_noise,
        graph_is_cut,
        changes_its_input,
    ),
    probe=probe,
)
