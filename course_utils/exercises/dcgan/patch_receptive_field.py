"""The patch of the input that one output of a stack of convolutions sees.

layers    [(kernel, stride), ...] ints, from the input on
"""

import math

from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

Layers = list[tuple[int, int]]

SPECIAL = "a single layer, and kernels of one pixel"


def cases(draw: Draw) -> list[Case]:
    """Stacks that differ from their reverse, without strides, of one layer, and with pixels that no kernel of
    a layer touches."""

    def case(layers: Layers, kind: str = ORDINARY) -> Case:
        return Case(f"layers {layers}", {"layers": layers}, kind)

    k, s = draw.integer(5, 7), draw.integer(3, 4)
    return [
        case([(3, 2), (k, s), (4, 1)]),
        case([(k, 1), (3, s), (5, 2), (2, 2)]),
        case([(draw.integer(3, 5), 1), (draw.integer(3, 5), 1), (2, 1)]),
        case([(k, s)], SPECIAL),
        case([(1, 2), (k, 3), (1, 1)], SPECIAL),
    ]


def strides_ignored(layers: Layers) -> int:
    """Your size is right where every stride is 1. After a layer of stride 2, a step of one pixel is a step of
    two pixels of the image, and so later kernels reach further. Look for where strides enter."""
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def own_stride_counted(layers: Layers) -> int:
    """Your size is too large: each kernel is stretched by the strides of the layers before it, and yours by
    its own stride too. That one only moves it. Look at the order of the two lines of your loop."""
    size = jump = 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


def order_reversed(layers: Layers) -> int:
    """Your size is that of the same layers in the opposite order. Look at the end from which your loop
    begins: going back from the output, the last layer comes first."""
    size = 1
    for kernel, stride in layers:
        size = (size - 1) * stride + kernel
    return size


def off_by_one(layers: Layers) -> int:
    """Your size is one pixel short. A kernel of k reaches k - 1 pixels beyond the first, and the first counts
    too. Look at what you start from."""
    return right(layers) - 1


def steps_for_pixels(layers: Layers) -> int:
    """You multiply the size itself by the stride. Of n outputs side by side, the first and the last are
    n - 1 steps apart: count the steps, not the outputs. Look at what the stride multiplies."""
    size = 1
    for kernel, stride in reversed(layers):
        size = size * stride + kernel - 1
    return size


def only_the_previous_stride(layers: Layers) -> int:
    """You stretch each kernel by the stride of the layer just before it. Strides multiply: after two layers
    of stride 2, a step is four pixels. Look at what you keep from one layer to the next."""
    before = [1, *(stride for _, stride in layers)]
    return 1 + sum((kernel - 1) * step for (kernel, _), step in zip(layers, before, strict=False))


def product_of_strides(layers: Layers) -> int:
    """You multiply the strides. That is how far apart the patches of two neighbouring outputs lie, not how
    large a patch is. Look for where kernels enter."""
    return math.prod(stride for _, stride in layers)


def sum_of_kernels(layers: Layers) -> int:
    """You add up the kernels. Two kernels of 3 on top of each other see 5 pixels, not 6, and a stride
    stretches everything that comes after it. Draw two layers on squared paper."""
    return sum(kernel for kernel, _ in layers)


def right(layers: Layers) -> int:
    """The right size, for answers that spoil it."""
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


PATCH_RECEPTIVE_FIELD = Exercise(
    id="dcgan.patch_receptive_field",
    title="What one output sees",
    signature="patch_receptive_field(layers)",
    returns="int: pixels along one side",
    reference="course_utils.dcgan:patch_receptive_field",
    cases=cases,
    criteria=ladder(
        2,
        edge(
            SPECIAL,
            0.5,
            "One output of one layer sees as many pixels as its kernel has, at any stride. A kernel of 1 "
            "with stride 2 skips pixels: the patch runs from the first one to the last.",
        ),
        unchanged=0.5,
        tensors=False,
        advice="Go back from one output: how many numbers of the layer before does it see? And those, of the "
        "layer before that? Draw it for two layers with kernel 3 and stride 2.",
    ),
    misconceptions=misconceptions(
        strides_ignored,
        own_stride_counted,
        order_reversed,
        off_by_one,
        steps_for_pixels,
        only_the_previous_stride,
        product_of_strides,
        sum_of_kernels,
    ),
)
