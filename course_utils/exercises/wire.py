"""Cases and observations as bytes, without pickle: reading them runs no code.

    bytes = length of the header (8 bytes, little-endian) | header (JSON) | tensors (safetensors)

The header is the record with every tensor replaced by its number. Whole numbers, words and None stand for
themselves; everything else is a pair [tag, content].
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from course_utils.exercises.spec import Case, Fault, Foreign, Observation, ToyModel, ToyOptimizer

RECORDS = {kind.__name__: kind for kind in (Case, Observation, Fault, Foreign, ToyModel, ToyOptimizer)}
LENGTH = 8
Record = TypeVar("Record", Case, Observation)


def to_bytes(record: Case | Observation) -> bytes:
    """The record as bytes.

    Raises:
        TypeError: it holds something else than plain data.
    """
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_pack(record, tensors)).encode()
    return len(header).to_bytes(LENGTH, "little") + header + save(tensors)


def from_bytes(data: bytes, kind: type[Record]) -> Record:
    """The record of this kind that `to_bytes` wrote.

    Raises:
        ValueError: the bytes are damaged, or were never such a record.
    """
    end = LENGTH + int.from_bytes(data[:LENGTH], "little")
    try:
        record = _unpack(json.loads(data[LENGTH:end]), load(data[end:]))
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ValueError(
            f"from_bytes: not a record: {error}. The sender may have been stopped while writing."
        ) from error
    if not isinstance(record, kind):
        raise ValueError(f"from_bytes: expected {kind.__name__}, got {type(record).__name__}.")
    return record


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return ["float", value.hex()]
    if isinstance(value, Tensor):
        tensors[str(len(tensors))] = value.clone().contiguous()
        return ["tensor", str(len(tensors) - 1)]
    if type(value) in (list, tuple):
        return [type(value).__name__, [_pack(item, tensors) for item in value]]
    if type(value) is dict:
        return ["dict", [[_pack(key, tensors), _pack(item, tensors)] for key, item in value.items()]]
    if type(value) in RECORDS.values():
        return [type(value).__name__, _pack(vars(value), tensors)]
    raise TypeError(f"to_bytes: cases and observations hold plain data only, got a {type(value).__name__}.")


def _unpack(node: Any, tensors: dict[str, Tensor]) -> Any:
    if node is None or type(node) in (bool, int, str):
        return node
    if type(node) is not list or len(node) != 2:
        raise ValueError(f"neither plain nor a pair [tag, content]: {str(node)[:60]!r}")
    tag, content = list(node)
    if tag in RECORDS:
        return RECORDS[tag](**_unpack(content, tensors))
    readers: dict[str, Callable[[Any], Any]] = {
        "float": float.fromhex,
        "tensor": tensors.__getitem__,
        "list": lambda items: [_unpack(item, tensors) for item in items],
        "tuple": lambda items: tuple(_unpack(item, tensors) for item in items),
        "dict": lambda pairs: {_unpack(key, tensors): _unpack(item, tensors) for key, item in pairs},
    }
    return readers[tag](content)
