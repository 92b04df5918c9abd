"""Codes on the way from one to another.

z0, z1   (D,) float, of unequal length
steps    int, both ends included
mode     "linear" or "spherical"
angle    between z0 and z1, radians
"""

import math

import torch
from torch import Tensor

from course_utils.exercises.criteria import FLOAT64, SAME_DTYPE, agree, edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

SPHERICAL = "the great circle"
PARALLEL = "parallel ends, spherical"
STRAIGHT_LINE = (
    "Write down t first: it begins with 0, ends with 1, and has as many numbers as there are steps. Row i "
    "mixes the two ends with weights that add up to 1."
)


def cases(draw: Draw) -> list[Case]:
    """An acute and an obtuse angle, and no angle at all. The ordinary cases are straight lines.

    Steps are such that t is no float32 exactly. Parallel ends have length 2^n, so that the cosine of their
    angle is exactly 1 however it is computed.
    """

    def case(angle: float, steps: int, mode: str, kind: str, dtype: torch.dtype = torch.float32) -> Case:
        z0, z1 = draw_ends(draw, angle, draw.integer(5, 8))
        words = f"{steps} steps, {mode}, ends {math.degrees(angle):.0f} degrees apart"
        return Case(words, {"z0": z0.to(dtype), "z1": z1.to(dtype), "steps": steps, "mode": mode}, kind)

    def parallel(stretch: float) -> Case:
        z0 = draw.shuffled(torch.tensor([1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0]))
        inputs = {"z0": z0, "z1": stretch * z0, "steps": draw.pick([4, 6, 7]), "mode": "spherical"}
        words = f"{inputs['steps']} steps, spherical, z1 = z0" + (f" * {stretch:g}" if stretch != 1 else "")
        return Case(words, inputs, PARALLEL)

    return [
        case(draw.real(1.9, 2.4), draw.pick([4, 6, 7]), "linear", ORDINARY),
        case(draw.real(0.8, 1.2), 2, "linear", ORDINARY),
        case(draw.real(1.9, 2.4), draw.pick([4, 6, 7]), "spherical", SPHERICAL),
        case(draw.real(0.8, 1.2), draw.pick([8, 10, 11]), "spherical", SPHERICAL),
        case(draw.real(0.8, 1.2), 2, "spherical", SPHERICAL),
        parallel(1.0),
        parallel(draw.pick([0.5, 2.0, 4.0])),
        case(draw.real(0.8, 1.2), draw.pick([4, 6, 7]), "linear", FLOAT64, torch.float64),
        case(draw.real(1.9, 2.4), draw.pick([4, 6, 7]), "spherical", FLOAT64, torch.float64),
    ]


def draw_ends(draw: Draw, angle: float, d: int) -> tuple[Tensor, Tensor]:
    """Two vectors of d numbers with this angle between them, of lengths around 3 and 4.5."""
    a, b = torch.linalg.qr(draw.normal(d, 2, dtype=torch.float64)).Q.T
    return draw.real(2.5, 3.5) * a, draw.real(4, 5) * (math.cos(angle) * a + math.sin(angle) * b)


def along(z0: Tensor, z1: Tensor, t: Tensor, mode: str) -> Tensor:
    """(steps, D), the path at t (steps, 1), for answers that are wrong elsewhere.

    It is NaN between parallel ends, which hardly anybody foresees in a first version.
    """
    if mode == "linear":
        return (1 - t) * z0 + t * z1
    angle = angle_between(z0, z1)
    return (((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1) / angle.sin()


def angle_between(z0: Tensor, z1: Tensor) -> Tensor:
    """In radians."""
    return (z0 @ z1 / (z0.norm() * z1.norm())).acos()


def from_0_to_1(steps: int, z: Tensor) -> Tensor:
    """t, (steps, 1), both ends included."""
    return torch.linspace(0, 1, steps, dtype=z.dtype)[:, None]


def last_end_left_out(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your path stops one step before z1: your t never reaches 1. From one end to the other there is one
    interval fewer than there are codes. Look at what you divide by."""
    return along(z0, z1, from_0_to_1(steps, z0) * (steps - 1) / steps, mode)


def ends_exchanged(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your path runs from z1 to z0. At t = 0 only z0 should be left: look at which end gets which weight."""
    return along(z1, z0, from_0_to_1(steps, z0), mode)


def mode_ignored(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your path is the straight line in both modes. On it the codes in the middle are shorter than those at
    the ends, and the decoder sees few such codes in training. Where does your code ask for the mode?"""
    return along(z0, z1, from_0_to_1(steps, z0), "linear")


def not_divided_by_the_sine(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your spherical path misses both ends: at t = 0 and t = 1 its codes are too short, by the sine of the
    angle. What has to happen to the weights so that the one of z0 is 1 at t = 0?"""
    t = from_0_to_1(steps, z0)
    if mode == "linear":
        return along(z0, z1, t, mode)
    angle = angle_between(z0, z1)
    return ((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1


def angle_from_the_bare_dot_product(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your spherical path is NaN: you take the arc cosine of the dot product of z0 and z1, which is a cosine
    only where both have length 1. Look at what is handed to acos."""
    path = along(z0, z1, from_0_to_1(steps, z0), mode)
    return path if mode == "linear" else path * (z0 @ z1).acos()


def ends_brought_to_length_one(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your spherical path consists of vectors of length 1. For the angle the lengths do not matter, but the
    path goes from z0 to z1 as they are: look at which vectors you mix in the end."""
    if mode == "spherical":
        z0, z1 = z0 / z0.norm(), z1 / z1.norm()
    return along(z0, z1, from_0_to_1(steps, z0), mode)


def line_pushed_outwards(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your spherical path is the straight line with its codes stretched to a mean length. It is faster in the
    middle than at the ends, so the steps are unequal angles. The weights themselves have to be sines."""
    t = from_0_to_1(steps, z0)
    path = along(z0, z1, t, "linear")
    if mode == "linear":
        return path
    return path / path.norm(dim=1, keepdim=True) * along(z0.norm(), z1.norm(), t, "linear")


def parallel_ends_not_foreseen(z0: Tensor, z1: Tensor, steps: int, mode: str) -> Tensor:
    """Your path is right unless z0 and z1 are parallel: then the angle is 0, and 0 / 0 is NaN; or the cosine
    is rounded to a little above 1, and has no angle. What does the great circle become when the angle
    shrinks to nothing?"""
    return along(z0, z1, from_0_to_1(steps, z0), mode)


INTERPOLATE = Exercise(
    id="vae.interpolate",
    title="Codes on the way from one to another",
    signature="interpolate(z0, z1, steps, mode)",
    returns='(steps, D) float, from z0 to z1, both included: on the straight line where mode is "linear", on '
    'the great circle where it is "spherical"',
    reference="course_utils.vae:interpolate",
    cases=cases,
    criteria=ladder(
        1,
        agree(
            SPHERICAL,
            1.5,
            kind=SPHERICAL,
            gate=True,
            advice="Check the parts one by one. The angle lies between 0 and pi, and does not change when z0 "
            "is doubled. The weights of z0 and z1 are 1 and 0 at t = 0, and 0 and 1 at t = 1. Codes keep "
            "their lengths: none is brought to length 1.",
        ),
        edge(
            PARALLEL,
            0.5,
            "Between parallel ends the angle is 0, or NaN where the cosine is rounded to above 1. A small "
            "constant under the fraction bar makes zeros of that. As the angle shrinks, which path does the "
            "great circle come ever closer to?",
        ),
        edge(FLOAT64, 0.5, f"{SAME_DTYPE} linspace makes float32 unless it is told otherwise."),
        unchanged=0.5,
        advice=STRAIGHT_LINE,
    ),
    misconceptions=misconceptions(
        last_end_left_out,
        ends_exchanged,
        mode_ignored,
        not_divided_by_the_sine,
        angle_from_the_bare_dot_product,
        ends_brought_to_length_one,
        line_pushed_outwards,
        parallel_ends_not_foreseen,
    ),
)
