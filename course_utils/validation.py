"""Argument checks that public functions share. Errors name function, rule, what came, and the likely cause.

function    str     name of the public function that was called, as the reader knows it
**named     tensors by the name of their parameter
"""

from torch import Tensor


def describe(value: object) -> str:
    """What came, in words: type, shape and dtype of a tensor, else type and value (shortened)."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def require_float_tensor(function: str, **named: object) -> None:
    """Raise TypeError unless every argument is a floating-point tensor."""
    for name, value in named.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise TypeError(
                f"{function}: {name} must be a floating-point tensor, got {describe(value)}. "
                "Convert images with course_utils.data.to_float, labels are not images."
            )


def require_same_shape(function: str, **named: Tensor) -> None:
    """Raise ValueError unless all arguments have one shape: broadcasting would hide a mistake."""
    shapes = {name: tuple(value.shape) for name, value in named.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"{function}: shapes must be equal, got {listed}. Broadcasting would mix examples silently."
        )


def require_dims(function: str, dims: int, meaning: str, **named: Tensor) -> None:
    """Raise ValueError unless every argument has `dims` dimensions; `meaning` spells them: "(B, C, H, W)"."""
    for name, value in named.items():
        if value.dim() != dims:
            raise ValueError(
                f"{function}: {name} must have {dims} dimensions {meaning}, got shape {tuple(value.shape)}."
                + (
                    " The batch dimension may be missing: x[None] adds one."
                    if value.dim() == dims - 1
                    else ""
                )
            )


def require_int(function: str, minimum: int, **named: object) -> None:
    """Raise TypeError unless every argument is an int (no bool), ValueError where one is below `minimum`."""
    for name, value in named.items():
        if type(value) is not int:
            raise TypeError(f"{function}: {name} must be an int, got {describe(value)}.")
        if value < minimum:
            raise ValueError(f"{function}: {name} must be at least {minimum}, got {value}.")
