"""The size after a convolution: all arguments in pixels, of one side."""

import math

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

INEXACT = "sizes that the stride does not fit exactly"


def cases(draw: Draw) -> list[Case]:
    """Exact fits, where size + 2 padding - kernel is a multiple of the stride, and others, with a
    remainder."""

    def case(stride: int, padding: int, remainder: int = 0, by_name: bool = False) -> Case:
        kernel = draw.integer(3, 6)
        size = stride * draw.integer(5, 20) + kernel - 2 * padding + remainder
        return in_words(INEXACT if remainder else ORDINARY, by_name, size, kernel, stride, padding)

    exact = [case(1, 0), case(2, 0), case(1, 1), case(2, 2), case(3, 1)]
    return [
        *exact,
        in_words(INEXACT, False, 32, 3, 2, 1),
        case(2, 1, 1),
        case(3, 2, 1),
        case(3, 0, 2, by_name=True),
    ]


def in_words(kind: str, by_name: bool, *sizes: int) -> Case:
    """A case that is called what it holds: "size 32, kernel 3, stride 2, padding 1"."""
    inputs = dict(zip(("size", "kernel", "stride", "padding", "output_padding"), sizes, strict=False))
    words = ", ".join(f"{name} {value}" for name, value in inputs.items())
    return Case(words + (", given by name" if by_name else ""), inputs, kind, by_name)


def forgets_plus_one(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size is one too small, whatever the input. The division counts the steps from the kernel's first
    position to its last one. Is that also the number of positions?"""
    return (size + 2 * padding - kernel) // stride


def plus_one_inside_the_division(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size is right for stride 1, and for larger strides only where they do not fit exactly. The
    kernel's first position is a whole position; in your formula it is divided by the stride."""
    return (size + 2 * padding - kernel + 1) // stride


def padding_counted_once(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size is what padding at one end of the row would give. Padding is put at both ends: look at how
    often it enters your formula."""
    return (size + padding - kernel) // stride + 1


def ignores_padding(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size is right without padding and too small with it. Look for where padding enters your
    formula."""
    return (size - kernel) // stride + 1


def rounds_up(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size is one too large where the stride does not fit exactly. A kernel that would hang over the
    edge is not placed at all: look at the rounding."""
    return math.ceil((size + 2 * padding - kernel) / stride) + 1


def float_division(size: int, kernel: int, stride: int, padding: int) -> float:
    """Your size is a float; pixels are counted in ints. In Python `/` makes a float even of 32 / 2: look for
    the division that keeps whole numbers whole."""
    return (size + 2 * padding - kernel) / stride + 1


def divides_by_the_stride_only(size: int, kernel: int, stride: int, padding: int) -> int:
    """Your size depends on size and stride alone. "Stride 2 halves the image" holds for a kernel with the
    padding that makes up for it; in general the kernel takes positions away at the edges, and padding gives
    some back."""
    return size // stride


CONV_OUT_SIZE = Exercise(
    id="autoencoders.conv_out_size",
    title="The size after a convolution",
    signature="conv_out_size(size, kernel, stride, padding)",
    returns="int: pixels along one side",
    reference="course_utils.autoencoders:conv_out_size",
    cases=cases,
    criteria=ladder(
        1,
        edge(
            INEXACT, 1, "A kernel that would hang over the edge is not placed: what is left over is dropped."
        ),
        tensors=False,
        advice="Draw a row of pixels with its padding, and count the positions at which the kernel can lie.",
    ),
    misconceptions=misconceptions(
        forgets_plus_one,
        plus_one_inside_the_division,
        padding_counted_once,
        ignores_padding,
        rounds_up,
        float_division,
        divides_by_the_stride_only,
    ),
)
