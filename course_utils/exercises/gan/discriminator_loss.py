"""The loss of the discriminator.

real_logits, fake_logits   (B,) float, batches of different sizes; D is sometimes wrong
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.criteria import agree, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.gan.common import GRADIENTS, probe_loss
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

FAR = "logits far from 0"


def cases(draw: Draw) -> list[Case]:
    """More real images than fakes, then fewer; then a discriminator that is sure, and at times wrong."""

    def case(reals: int, fakes: int, kind: str = ORDINARY) -> Case:
        real, fake = 1.5 * draw.normal(reals) + 1, 1.5 * draw.normal(fakes) - 2
        if kind == FAR:
            real[:2] = torch.tensor([-draw.real(50, 60), draw.real(50, 60)])
            fake[:2] = torch.tensor([-draw.real(50, 60), draw.real(50, 60)])
        words = f"logits of {reals} real images and of {fakes} fakes" + (", some near ±50" * (kind == FAR))
        return Case(words, {"real_logits": draw.shuffled(real), "fake_logits": draw.shuffled(fake)}, kind)

    b = draw.integer(4, 6)
    return [case(b + 3, b), case(b, 2 * b), case(b, b + 1, FAR), case(b + 2, b, GRADIENTS)]


def labels_swapped(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your discriminator is rewarded for calling real images fake and fakes real: its labels are swapped.
    Real is 1 in this chapter, fake is 0. Look at which target goes with which batch."""
    return F.softplus(real_logits).mean() + F.softplus(-fake_logits).mean()


def minus_missing(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your loss is negative: it is the objective as papers print it, and the discriminator MAXIMISES that. An
    optimizer minimises, so yours would make the discriminator worse with every step. Look at the sign."""
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()


def sums_for_means(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your loss grows with the size of the batch: it adds up images. A mean over each batch is asked for, so
    that the learning rate need not follow the batch size. Look at the reduction."""
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()


def one_mean_over_both(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """You average over real images and fakes together. Then the larger batch counts for more, and the loss is
    about half of what it should be. The objective has two expectations: look at how many means you take."""
    return torch.cat([F.softplus(-real_logits), F.softplus(fake_logits)]).mean()


def halved(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your loss is half of what it should be. Some implementations average the two parts; the objective of
    this chapter adds them, so that logits of 0 give 2 log 2 = 1.386. Look for a division by 2."""
    return (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()) / 2


def sigmoid_twice(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """You take a sigmoid of the logits, and the loss takes another one: your discriminator could never say
    more than 73%. A loss "with logits" has the sigmoid in it. Look at what you hand to it."""
    return F.softplus(-real_logits.sigmoid()).mean() + F.softplus(fake_logits.sigmoid()).mean()


def logarithm_of_a_rounded_probability(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your loss is right for moderate logits, and infinite for a fake with a logit of 50: there the sigmoid
    rounds to 1, and you take the logarithm of 0. Logarithm and sigmoid have to be one function. Which of
    PyTorch's losses takes logits?"""
    return -real_logits.sigmoid().log().mean() - (1 - fake_logits.sigmoid()).log().mean()


def fakes_forgotten(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Your loss does not depend on fake_logits: a discriminator that calls everything real would be perfect.
    It has to answer for both batches. Look at the second expectation of the objective."""
    return F.softplus(-real_logits).mean() + 0 * fake_logits.sum()


DISCRIMINATOR_LOSS = Exercise(
    id="gan.discriminator_loss",
    title="The loss of the discriminator",
    signature="discriminator_loss(real_logits, fake_logits)",
    returns="a scalar tensor, nats: the mean cross-entropy of real images (label 1) plus that of fakes "
    "(label 0)",
    reference="course_utils.gan:discriminator_loss",
    cases=cases,
    criteria=ladder(
        1.5,
        edge(
            FAR,
            0.5,
            "Logits near 50 and -50 are here. A sigmoid rounds them to 1 or almost 0, and its logarithm "
            "is then infinite or cut off. Look for a loss that starts from logits.",
        ),
        agree(
            GRADIENTS,
            0.5,
            kind=GRADIENTS,
            outputs="gradient",
            advice="The loss is there to be differentiated, by the logits of both batches. Look for "
            "detach(), no_grad(), .item(), or a new tensor made from a number.",
        ),
        unchanged=0.5,
        advice="Try one logit each. real 0, fake 0 gives log 2 twice; a large real logit and a very negative "
        "fake one give almost 0. Which of them fails? With several images, each batch has its own mean.",
    ),
    misconceptions=misconceptions(
        labels_swapped,
        minus_missing,
        sums_for_means,
        one_mean_over_both,
        halved,
        sigmoid_twice,
        logarithm_of_a_rounded_probability,
        fakes_forgotten,
    ),
    probe=probe_loss,
)
