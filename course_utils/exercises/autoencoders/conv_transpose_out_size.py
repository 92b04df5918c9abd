"""The size after a transposed convolution: all arguments in pixels, of one side."""

from course_utils.exercises.autoencoders.conv_out_size import in_words
from course_utils.exercises.criteria import edge, ladder
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import ORDINARY, Case, Exercise, misconceptions

OUTPUT_PADDING = "with output padding"


def cases(draw: Draw) -> list[Case]:
    """Without output padding, and with some; it is always smaller than the stride."""

    def case(stride: int, padding: int, output_padding: int = 0, by_name: bool = False) -> Case:
        kind = OUTPUT_PADDING if output_padding else ORDINARY
        return in_words(
            kind, by_name, draw.integer(5, 20), draw.integer(3, 6), stride, padding, output_padding
        )

    plain = [in_words(ORDINARY, False, 4, 4, 2, 1, 0), case(1, 0), case(2, 0), case(2, 2), case(3, 1)]
    return [*plain, case(2, 1, 1), case(3, 0, 1), case(3, 2, 2, by_name=True)]


def forgets_output_padding(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your size is right without output padding and too small with it. A convolution with stride maps several
    sizes to one; output_padding says which of them to go back to. Look for where it enters your formula."""
    return (size - 1) * stride - 2 * padding + kernel


def output_padding_counted_twice(
    size: int, kernel: int, stride: int, padding: int, output_padding: int
) -> int:
    """Your size grows by two for each pixel of output padding. Unlike padding, it is put at one end only."""
    return (size - 1) * stride - 2 * padding + kernel + 2 * output_padding


def padding_counted_once(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your size is what cutting at one end would leave. Padding is cut off at both ends: look at how often it
    enters your formula."""
    return (size - 1) * stride - padding + kernel + output_padding


def padding_added(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your size grows with padding. A transposed convolution undoes what padding did in the convolution, so
    here it makes the result smaller. Look at its sign."""
    return (size - 1) * stride + 2 * padding + kernel + output_padding


def one_stride_too_many(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your size is one stride too large. From the first to the last of n pixels there are fewer than n
    steps: look at what you multiply by the stride."""
    return size * stride - 2 * padding + kernel + output_padding


def kernel_one_too_small(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your size is one too small, whatever the input. PyTorch's formula with dilation has kernel - 1 in it,
    and something else at its end that belongs to it."""
    return (size - 1) * stride - 2 * padding + (kernel - 1) + output_padding


def formula_of_the_convolution(size: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Your sizes shrink where they should grow: this is the formula of the ordinary convolution. Here you
    know what came out of one, and look for what went in."""
    return (size + 2 * padding - kernel) // stride + 1 + output_padding


def multiplies_by_the_stride_only(
    size: int, kernel: int, stride: int, padding: int, output_padding: int
) -> int:
    """Your size does not depend on kernel and padding. "Stride 2 doubles the image" holds for kernel 4 with
    padding 1 and for few others; in general both change the size at the edges."""
    return size * stride + output_padding


CONV_TRANSPOSE_OUT_SIZE = Exercise(
    id="autoencoders.conv_transpose_out_size",
    title="The size after a transposed convolution",
    signature="conv_transpose_out_size(size, kernel, stride, padding, output_padding)",
    returns="int: pixels along one side",
    reference="course_utils.autoencoders:conv_transpose_out_size",
    cases=cases,
    criteria=ladder(
        1,
        edge(OUTPUT_PADDING, 1, "Output padding adds that many pixels at one end of the result."),
        tensors=False,
        advice="Each input pixel stamps a kernel onto the output, the next stamp lies one stride further, "
        "and padding cuts off both ends. Where does the last stamp begin, and where does it end?",
    ),
    misconceptions=misconceptions(
        forgets_output_padding,
        output_padding_counted_twice,
        padding_counted_once,
        padding_added,
        one_stride_too_many,
        kernel_one_too_small,
        formula_of_the_convolution,
        multiplies_by_the_stride_only,
    ),
)
