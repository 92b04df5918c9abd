"""The two losses of the generator.

fake_logits   (B,) float, most of them below 0: the discriminator takes most fakes for fakes
kind          "non_saturating" or "minimax"
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, leaves_alone
from course_utils.exercises.draw import Draw
from course_utils.exercises.gan.common import GRADIENTS, probe_loss
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

MINIMAX = "minimax"
FAR = "logits far from 0"
KINDS = ("non_saturating", MINIMAX)


def cases(draw: Draw) -> list[Case]:
    """Both losses on moderate logits, -6 among them; then a discriminator that is very sure."""

    def case(loss: str, kind: str) -> Case:
        b = draw.integer(4, 7)
        logits = 1.5 * draw.normal(b) - 1.5
        logits[0] = -6
        if kind == FAR:
            logits[1:3] = torch.tensor([-draw.real(110, 120), draw.real(50, 60)])
        words = f"{loss}, {b} logits" + (", some near -115 and 55" * (kind == FAR))
        return Case(words, {"fake_logits": draw.shuffled(logits), "kind": loss}, kind)

    return [
        case("non_saturating", ORDINARY),
        case(MINIMAX, MINIMAX),
        *(case(loss, kind) for kind in (FAR, GRADIENTS) for loss in KINDS),
    ]


def non_saturating(fake_logits: Tensor) -> Tensor:
    """(B,), for answers that are wrong elsewhere."""
    return F.softplus(-fake_logits)


def minimax(fake_logits: Tensor) -> Tensor:
    """(B,), for answers that are wrong elsewhere."""
    return -F.softplus(fake_logits)


def of_kind(fake_logits: Tensor, kind: str) -> Tensor:
    """(B,), for answers that are wrong elsewhere."""
    return minimax(fake_logits) if kind == MINIMAX else non_saturating(fake_logits)


def minimax_sign_reversed(fake_logits: Tensor, kind: str) -> Tensor:
    """Your non-saturating loss is right. Your minimax loss has the wrong sign: minimised, it makes fakes
    easier to recognise. The discriminator maximises that term and the generator minimises it, so for the
    generator it stands as in the paper. Look at the minus sign."""
    return -minimax(fake_logits).mean() if kind == MINIMAX else non_saturating(fake_logits).mean()


def kinds_swapped(fake_logits: Tensor, kind: str) -> Tensor:
    """Your two losses are right, and each comes under the other's name. Minimax is the term that the
    discriminator has in its own objective; the non-saturating one rewards fakes that are called real. Look at
    the condition."""
    return of_kind(fake_logits, "non_saturating" if kind == MINIMAX else MINIMAX).mean()


def kind_ignored(fake_logits: Tensor, kind: str) -> Tensor:
    """Your loss is the non-saturating one for both kinds. The two are not equivalent: they share a fixed
    point, but at a logit of -6 one has a gradient of 0.9975 and the other one of 0.0025. Look for where kind
    enters."""
    return non_saturating(fake_logits).mean()


def non_saturating_sign_reversed(fake_logits: Tensor, kind: str) -> Tensor:
    """Your non-saturating loss is never positive: the minus sign is missing. The generator maximises log D of
    its fakes, and an optimizer minimises. Minimised, yours makes fakes easier to recognise."""
    return minimax(fake_logits).mean() if kind == MINIMAX else -non_saturating(fake_logits).mean()


def sums_for_means(fake_logits: Tensor, kind: str) -> Tensor:
    """Your loss grows with the size of the batch: it adds up fakes. The mean over the batch is asked for.
    Look at the reduction."""
    return of_kind(fake_logits, kind).sum()


def sigmoid_twice(fake_logits: Tensor, kind: str) -> Tensor:
    """You take a sigmoid of the logits, and the loss takes another one. The generator then hardly notices how
    sure the discriminator is. A loss "with logits" has the sigmoid in it. Look at what you hand to it."""
    return of_kind(fake_logits.sigmoid(), kind).mean()


def logarithm_of_a_rounded_probability(fake_logits: Tensor, kind: str) -> Tensor:
    """Your losses are right for moderate logits, and infinite where the discriminator is very sure: the
    sigmoid rounds to 0 or to 1, and you take the logarithm of 0. Logarithm and sigmoid have to be one
    function. Which of PyTorch's functions starts from logits?"""
    d = fake_logits.sigmoid()
    return (1 - d).log().mean() if kind == MINIMAX else -d.log().mean()


def loss_without_graph(fake_logits: Tensor, kind: str) -> Tensor:
    """Your numbers are right, but no gradient comes back to the logits: the generator would never learn. Look
    for detach(), no_grad(), .item(), or a new tensor made from a number."""
    return of_kind(fake_logits, kind).mean().detach()


GENERATOR_LOSS = Exercise(
    id="gan.generator_loss",
    title="The two losses of the generator",
    signature='generator_loss(fake_logits, kind), kind being "non_saturating" or "minimax"',
    returns="a scalar tensor to be minimised, nats: a mean over the batch",
    reference="course_utils.gan:generator_loss",
    cases=cases,
    criteria=(
        agree("type", 0, stages=TYPE, gate=True),
        agree("shape", 0, stages=STAGES[:2], gate=True),
        agree("dtype", 0, stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        agree(
            "non_saturating",
            1.5,
            gate=True,
            advice="A logit of 0 gives log 2. A fake that passes for real costs almost nothing, one that is "
            "recognised costs about as much as its logit is below 0. Which of these fails?",
        ),
        agree(
            MINIMAX,
            1,
            kind=MINIMAX,
            advice="A logit of 0 gives -log 2. A fake that is recognised gives almost 0, one that passes for "
            "real gives about minus its logit. Which of these fails?",
        ),
        agree(
            FAR,
            0.5,
            kind=FAR,
            advice="Logits near -115 and 55 are here. A sigmoid rounds them to 0 and 1, and its logarithm is "
            "then infinite or cut off. Look for a function that starts from logits.",
        ),
        agree(
            GRADIENTS,
            0.5,
            kind=GRADIENTS,
            outputs="gradient",
            advice="The loss is there to be differentiated by the logits. Look for detach(), no_grad(), "
            ".item(), or a new tensor made from a number.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        minimax_sign_reversed,
        kinds_swapped,
        kind_ignored,
        non_saturating_sign_reversed,
        sums_for_means,
        sigmoid_twice,
        logarithm_of_a_rounded_probability,
        loss_without_graph,
    ),
    probe=probe_loss,
)
