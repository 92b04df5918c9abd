"""Variances in equal steps.

timesteps              int, T
beta_start, beta_end   float, the ends, unlike the paper's
"""

import torch
from torch import Tensor

from course_utils.exercises.criteria import edge
from course_utils.exercises.draw import Draw
from course_utils.exercises.forward_diffusion.drawn import call_in_either_precision, on_schedules
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

CONSTANT = "equal ends"


def cases(draw: Draw) -> list[Case]:
    """Few steps, so that an end that is left out shows; then both ends equal."""

    def case(timesteps: int, start: float, end: float, kind: str = ORDINARY) -> Case:
        inputs = {"timesteps": timesteps, "beta_start": start, "beta_end": end}
        return Case(f"{timesteps} steps from {start:.4g} to {end:.4g}", inputs, kind)

    constant = draw.real(0.05, 0.2)
    return [
        case(draw.integer(5, 8), draw.real(0.01, 0.05), draw.real(0.2, 0.4)),
        case(draw.integer(11, 30), draw.real(0.001, 0.002), draw.real(0.05, 0.1)),
        case(draw.integer(180, 220), draw.real(0.0004, 0.0006), draw.real(0.08, 0.12)),
        case(draw.integer(5, 8), constant, constant, CONSTANT),
    ]


def fractions(timesteps: int) -> Tensor:
    """(T,) float64 from 0 to 1: the part of the way, for answers that are wrong elsewhere."""
    return torch.linspace(0, 1, timesteps, dtype=torch.float64)


def end_left_out(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your last variance is a step short of beta_end. T numbers that include both ends have T - 1 gaps
    between them. Look at what you divide by, or at whether your range includes its end."""
    return beta_start + (beta_end - beta_start) * torch.arange(timesteps) / timesteps


def start_left_out(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your first variance is a step beyond beta_start. The first of the T numbers is the start itself. Look
    at where your count begins, and at what you divide by."""
    return beta_start + (beta_end - beta_start) * torch.arange(1, timesteps + 1) / timesteps


def one_number_too_many(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your schedule has T + 1 variances, for T steps. T gaps have T + 1 ends, but here the numbers are
    counted, not the gaps. Look at the length that you ask for."""
    return beta_start + (beta_end - beta_start) * fractions(timesteps + 1)


def linear_in_the_square_root(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your schedule is linear in the square root of beta: Stable Diffusion's "scaled linear". Its ends are
    right, and what lies between them is too small. Here beta itself goes in equal steps."""
    return (beta_start**0.5 + (beta_end**0.5 - beta_start**0.5) * fractions(timesteps)) ** 2


def geometric(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your variances grow by equal factors, not by equal differences: they stay small for long and jump up at
    the end. Look at the name of the function that spaces them."""
    return beta_start * (beta_end / beta_start) ** fractions(timesteps)


def ends_of_the_paper(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your schedule runs from 0.0001 to 0.02, whatever the arguments say. Those ends belong to T = 1000;
    other lengths need others. Look for numbers where names should be."""
    return 1e-4 + (0.02 - 1e-4) * fractions(timesteps)


def scales_the_ends(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """You multiply the ends by 1000 / T. That is a good way to choose them for other lengths, and whoever
    calls this function has chosen already: here they are used as they come."""
    return (beta_start + (beta_end - beta_start) * fractions(timesteps)) * 1000 / timesteps


def returns_alphas(timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Your numbers are 1 - beta, close to 1 and falling: what each step keeps. What each step adds is asked
    for. Look at the last line."""
    return 1 - (beta_start + (beta_end - beta_start) * fractions(timesteps))


LINEAR_BETA_SCHEDULE = Exercise(
    id="forward_diffusion.linear_beta_schedule",
    title="A linear noise schedule",
    signature="linear_beta_schedule(timesteps, beta_start, beta_end)",
    returns="(T,) float32 or float64: variances in equal steps, both ends included",
    reference="course_utils.diffusion.schedules:linear_beta_schedule",
    cases=cases,
    criteria=on_schedules(
        1.5,
        edge(
            CONSTANT,
            0.5,
            "With equal ends every step adds the same variance: T equal numbers. Does your code divide by "
            "the difference of the ends, or step by it?",
        ),
        advice="Print the first number, the last one, and how many there are; then the differences between "
        "neighbours, which should all be equal.",
    ),
    misconceptions=misconceptions(
        end_left_out,
        start_left_out,
        one_number_too_many,
        linear_in_the_square_root,
        geometric,
        ends_of_the_paper,
        scales_the_ends,
        returns_alphas,
    ),
    probe=call_in_either_precision,
)
