"""Nested state as named tensors and JSON, and back, exactly: what a checkpoint is made of."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from presize.core.errors import ModelFileError

_KIND = "$"  # the key that marks what JSON has no word for
# A list of numbers as long as this is kept as a tensor: the losses of a million steps as text
# would take the header of the file past what the format allows.
_LONG = 64


def pack(value: Any, where: str) -> tuple[Any, dict[str, Tensor]]:
    """Return JSON and tensors that hold `value`, for `save_state`.

    Args:
        value: None, booleans, numbers, text, tensors, NumPy arrays and numbers, slices, and
            lists, tuples and dicts of them.
        where: what it is called: the names of the tensors begin with it.

    Raises:
        TypeError: there is something else in it; it says where.
    """
    tensors: dict[str, Tensor] = {}
    return _packed(value, where, tensors), tensors


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return what `pack` was given, equal to the bit; tensors are where they were put since.

    Raises:
        ModelFileError: a tensor is missing, or the JSON is not from `pack`.
    """
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if _KIND not in packed:
        return {key: unpack(item, tensors) for key, item in packed.items()}
    kind, inner = packed[_KIND], packed["of"]
    if kind in ("tensor", "list of numbers", "array"):
        if inner not in tensors:
            raise ModelFileError(f"The checkpoint has lost `{inner}`: it was changed or cut short.")
        held = tensors[inner]
        if kind == "tensor":
            return held
        return held.numpy() if kind == "array" else held.tolist()
    if kind == "tuple":
        return tuple(unpack(inner, tensors))
    if kind == "slice":
        return slice(*unpack(inner, tensors))
    if kind == "dict":
        return {unpack(key, tensors): unpack(item, tensors) for key, item in inner}
    raise ModelFileError(
        f"The checkpoint holds a `{kind}`, which this presize does not know: a newer one wrote it."
    )


def to_bytes(value: Any) -> Tensor:
    """Return what `pack` takes as bytes, uint8 [n], to send to another process."""
    packed, tensors = pack(value, "value")
    plain = {
        name: t.cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
    }
    text = json.dumps(packed).encode()
    plain["json"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return torch.frombuffer(bytearray(safetensors.torch.save(plain)), dtype=torch.uint8)


def from_bytes(sent: Tensor) -> Any:
    """Return what `to_bytes` was given."""
    tensors = safetensors.torch.load(sent.cpu().numpy().tobytes())
    return unpack(json.loads(tensors["json"].numpy().tobytes()), tensors)


def _packed(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        tensors[where] = value.detach()
        return {_KIND: "tensor", "of": where}
    if isinstance(value, np.ndarray):
        return _packed_array(value, where, tensors)
    if isinstance(value, np.generic):
        return _packed(value.item(), where, tensors)
    if isinstance(value, slice):
        ends = [value.start, value.stop, value.step]
        return {_KIND: "slice", "of": _packed(ends, where, tensors)}
    if isinstance(value, dict):
        return _packed_dict(value, where, tensors)
    if isinstance(value, list | tuple):
        if type(value) is list and len(value) >= _LONG and (numbers := _numbers(value)) is not None:
            tensors[where] = numbers
            return {_KIND: "list of numbers", "of": where}
        items = [_packed(item, f"{where}.{i}", tensors) for i, item in enumerate(value)]
        return {_KIND: "tuple", "of": items} if isinstance(value, tuple) else items
    if isinstance(value, bool | int | float | str):  # a subclass: an enumeration, a path-like text
        plain = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
        return plain(value)
    raise TypeError(
        f"`{where}` is a {type(value).__name__}, which a checkpoint cannot hold: it takes numbers, "
        "text, tensors, arrays, slices, and lists, tuples and dicts of them."
    )


def _packed_array(value: np.ndarray[Any, Any], where: str, tensors: dict[str, Tensor]) -> Any:
    if value.dtype.kind not in "biuf":
        raise TypeError(
            f"`{where}` is an array of {value.dtype}, which a checkpoint cannot hold; make it a "
            "list, `.tolist()`."
        )
    tensors[where] = torch.from_numpy(np.array(value, copy=True))
    return {_KIND: "array", "of": where}


def _packed_dict(value: dict[Any, Any], where: str, tensors: dict[str, Tensor]) -> Any:
    if all(type(key) is str for key in value) and _KIND not in value:
        return {key: _packed(item, f"{where}.{key}", tensors) for key, item in value.items()}
    return {
        _KIND: "dict",
        "of": [
            [_packed(key, where, tensors), _packed(item, f"{where}.{i}", tensors)]
            for i, (key, item) in enumerate(value.items())
        ],
    }


def _numbers(values: list[Any]) -> Tensor | None:
    """Return a list as a tensor if that keeps every number as it is."""
    if all(type(v) is float for v in values):
        return torch.tensor(values, dtype=torch.float64)
    if all(type(v) is int and -(2**63) <= v < 2**63 for v in values):
        return torch.tensor(values, dtype=torch.int64)
    return None
