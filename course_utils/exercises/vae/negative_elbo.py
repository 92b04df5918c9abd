"""The loss of a VAE, in nats an image.

logits, x    (B, 1, H, W) float, H and W differ; x is 0 or 1
mu, logvar   (B, D) float; D is another number than B, and much smaller than H * W
beta         float, never 1, so that it shows where it stands
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Answer, Case, Exercise, misconceptions
from course_utils.exercises.vae import bernoulli_nll as nll
from course_utils.exercises.vae import kl_standard_normal as kl
from course_utils.exercises.vae.reparameterize import draw_logvar

GRADIENTS = "gradients reach logits, mu and logvar"
DIFFERENTIABLE = ("logits", "mu", "logvar")


def cases(draw: Draw) -> list[Case]:
    """A beta above 1 and one below; then what makes a loss useless for training."""

    def case(beta: float, kind: str = ORDINARY, dtype: torch.dtype = torch.float32) -> Case:
        b, d, h, w = draw.integer(5, 7), draw.integer(2, 4), draw.integer(8, 10), draw.integer(11, 13)
        pixels = (
            nll.draw_sure(draw, b, h, w)
            if kind == nll.SURE
            else nll.draw_pixels(draw, b, 1, h, w, dtype=dtype)
        )
        code = {"mu": 2 * draw.normal(b, d, dtype=dtype), "logvar": draw_logvar(draw, b, d, dtype)}
        words = f"{b} images of shape {(1, h, w)}, {d} latents, beta = {beta:.2f}"
        return Case(words, {**pixels, **code, "beta": beta}, kind)

    return [
        case(draw.real(2, 4)),
        case(draw.real(0.3, 0.6)),
        case(draw.real(2, 4), GRADIENTS),
        case(draw.real(2, 4), nll.SURE),
        case(draw.real(0.3, 0.6), FLOAT64, torch.float64),
    ]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """Call it; where gradients are asked for, follow them back."""
    if case.kind != GRADIENTS:
        yield "result", answer(*case.inputs.values())
        return
    leaves = {name: case.inputs[name].clone().requires_grad_() for name in DIFFERENTIABLE}
    loss = answer(*{**case.inputs, **leaves}.values())
    yield "result", loss
    if loss.requires_grad:
        loss.backward()
    for name, leaf in leaves.items():
        yield f"gradient at {name}", torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def parts(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) reconstruction and (B,) KL, for answers that put them together in a wrong way."""
    return nll.of_each_pixel(logits, x).flatten(1).sum(dim=1), kl.of_each_latent(mu, logvar).sum(dim=1)


def mean_over_pixels_and_latents(
    logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float
) -> Tensor:
    """You average the reconstruction over pixels and the KL over latents. The two are divided by different
    numbers, so the KL weighs pixels / latents times more than beta says: 157 times with 784 pixels and 5
    latents. Both are sums; only the batch is averaged."""
    return nll.of_each_pixel(logits, x).mean() + beta * kl.of_each_latent(mu, logvar).mean()


def mean_over_pixels(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """Your KL is a sum over latents, but your reconstruction is a mean over pixels, the default of torch's
    losses. Beside it the KL weighs as many times too much as an image has pixels, and all codes end up at the
    prior. Look at the `reduction`."""
    return nll.of_each_pixel(logits, x).mean() + beta * parts(logits, x, mu, logvar)[1].mean()


def sum_over_the_batch(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """Your loss is summed over the batch: it grows with the batch size, and so do the steps of training. Look
    at the last reduction."""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return (reconstruction + beta * divergence).sum()


def divergence_summed_over_the_batch(
    logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float
) -> Tensor:
    """Your reconstruction is averaged over the batch, your KL is summed over it: the larger the batch, the
    more the KL weighs. Both need the same average."""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return reconstruction.mean() + beta * divergence.sum()


def beta_on_the_reconstruction(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """Your beta weighs the reconstruction. A large beta is meant to pull the codes to the prior, at the price
    of blur: which of the two terms does that?"""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return (beta * reconstruction + divergence).mean()


def divergence_subtracted(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """You subtract the KL. In the ELBO it has a minus; the loss is the ELBO's negative. As it is, training
    would drive the codes away from the prior without end."""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return (reconstruction - beta * divergence).mean()


def beta_ignored(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """Your loss does not change with beta: it is the one for beta = 1. Where does the weight of the KL go?"""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return (reconstruction + divergence).mean()


def the_elbo_itself(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> Tensor:
    """Your result is the ELBO, which is to be maximised. An optimizer minimises: look at the sign of the
    whole."""
    reconstruction, divergence = parts(logits, x, mu, logvar)
    return -(reconstruction + beta * divergence).mean()


NEGATIVE_ELBO = Exercise(
    id="vae.negative_elbo",
    title="The loss of a VAE",
    signature="negative_elbo(logits, x, mu, logvar, beta)",
    returns="a tensor with one number and no dimensions: reconstruction + beta * KL in nats an image, "
    "averaged over the batch",
    reference="course_utils.vae:negative_elbo",
    cases=cases,
    criteria=ladder(
        1.5,
        agree(
            GRADIENTS,
            1,
            kind=GRADIENTS,
            advice="Where a gradient is 0, something cuts the graph: detach(), .item(), no_grad(), numpy.",
        ),
        edge(
            nll.SURE,
            0.5,
            "The reconstruction has to stay finite and exact for sure logits: work from the logits, not from "
            "their sigmoid.",
        ),
        edge(FLOAT64, 0.5, SAME_DTYPE),
        unchanged=0.5,
        advice="Print both terms for one image: the reconstruction is a sum over pixels, the KL a sum over "
        "latents. Then beta, then the mean over the batch.",
    ),
    misconceptions=misconceptions(
        mean_over_pixels_and_latents,
        mean_over_pixels,
        sum_over_the_batch,
        divergence_summed_over_the_batch,
        beta_on_the_reconstruction,
        divergence_subtracted,
        beta_ignored,
        the_elbo_itself,
    ),
    probe=probe,
)
