"""The best answer to a fixed generator.

p_data, p_generator   (H, W) or (N,) float >= 0: densities, some of them above 1, not normalised
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Case, Exercise, misconceptions

NOWHERE = "densities that are 0 or tiny"


def cases(draw: Draw) -> list[Case]:
    """On a grid and on a line, with places that only one of the two reaches; then where neither does, and
    where both almost do not.
    """

    def case(*shape: int) -> Case:
        p, q = 0.05 + 2 * draw.uniform(*shape), 0.05 + 2 * draw.uniform(*shape)
        p.view(-1)[0] = q.view(-1)[-1] = 0
        return Case(f"densities of shape {shape}", {"p_data": p, "p_generator": q})

    h, w = draw.integer(3, 4), draw.integer(5, 6)
    empty, tails = case(h + w), case(w)
    for density in empty.inputs.values():
        density[2:4] = 0
    scale = 10.0 ** -draw.integer(18, 22)
    tiny = {name: scale * density for name, density in tails.inputs.items()}
    return [
        case(h, w),
        case(w + h),
        Case(f"{h + w} densities, both 0 in two places", empty.inputs, NOWHERE),
        Case(f"{w} densities of about {scale:.0e}", tiny, NOWHERE),
    ]


def where_both_vanish(ratio: Tensor) -> Tensor:
    """Right there, for answers that are wrong elsewhere."""
    return torch.where(ratio.isnan(), 0.5, ratio)


def generator_on_top(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """Your discriminator gives the probability that x is fake: it is 0 where only data are. D(x) is the
    probability that x is real. Look at the numerator."""
    return where_both_vanish(p_generator / (p_data + p_generator))


def nan_where_both_are_zero(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """Your values are right, and NaN where both densities are 0: you divide 0 by 0. Any answer would do
    there, and 1/2 is agreed on, but one NaN in a curve spoils every mean over it."""
    return p_data / (p_data + p_generator)


def constant_in_the_denominator(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """You keep the denominator from 0 by a small constant. In the tails both densities are smaller than that,
    and the constant decides: the curve falls to 0 where it should not, and gives 0, not 1/2, where both
    are. Look for a way to treat only the places where both are 0."""
    return p_data / (p_data + p_generator + 1e-8)


def zero_where_both_are_zero(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """Your values are right, but 0 where both densities are 0: your discriminator is sure of a fake where it
    can know nothing. 1/2 is asked for there. Look at what you put in place of NaN."""
    return (p_data / (p_data + p_generator)).nan_to_num(0.0)


def ratio_of_densities(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """Your result is the ratio of the densities, anything from 0 to infinity. D(x) is a probability: data and
    generator share the place, and D is the data's share. Look at the denominator."""
    return where_both_vanish(p_data / p_generator)


def sigmoid_of_the_difference(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """You take the sigmoid of the difference of the densities. It has the right sign, and the wrong size: the
    best logit is the difference of the LOGARITHMS. Differentiate the objective at one place and set it to
    0."""
    return torch.sigmoid(p_data - p_generator)


def hard_decision(p_data: Tensor, p_generator: Tensor) -> Tensor:
    """Your discriminator says 1 wherever data are more likely, else 0. That makes the fewest mistakes, but
    the cross-entropy asks for a probability, and punishes certainty where both occur."""
    return torch.where(p_data == p_generator, 0.5, (p_data > p_generator).to(p_data.dtype))


OPTIMAL_DISCRIMINATOR = Exercise(
    id="gan.optimal_discriminator",
    title="The best answer to a fixed generator",
    signature="optimal_discriminator(p_data, p_generator)",
    returns="like p_data, in [0, 1]: D* at each place, 1/2 where both densities are 0",
    reference="course_utils.gan:optimal_discriminator",
    cases=cases,
    criteria=ladder(
        1,
        edge(
            NOWHERE,
            0.5,
            "Where both densities are 0, 1/2 is asked for; where they are only tiny, their ratio still "
            "counts. Look for a constant that is added, or for a comparison with one.",
        ),
        unchanged=0.5,
        advice="At one place, with densities a and b, D maximises a log D + b log(1 - D). Three checks: a = "
        "b gives 1/2, a = 0 gives 0, b = 0 gives 1. Which of them fails?",
    ),
    misconceptions=misconceptions(
        generator_on_top,
        nan_where_both_are_zero,
        constant_in_the_denominator,
        zero_where_both_are_zero,
        ratio_of_densities,
        sigmoid_of_the_difference,
        hard_decision,
    ),
)
