"""Checksums of items, at little cost: whether a run goes on with the data that it began with."""

import datetime
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Names are all looked at, of other items this many, and of their pixels and numbers these bytes.
_MOST_ITEMS = 1000
_ROOM = 4 << 20
_POINTS = 1024
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it are nowhere regular: not all in one column of pictures
# Where data sets of these, and of classes made of them, hold what they are made of.
_KNOWN = ("torch.utils.data.dataset", "torchvision.datasets", "presize.data.stream")
_EMPTY = ("Dataset", "IterableDataset", "VisionDataset")
_PARTS = (
    *("tensors", "samples", "data", "targets", "indices"),
    *("dataset", "datasets", "shards", "name"),
)


def fingerprint(dataset: Any) -> int:
    """Return a checksum of the items of a data set and of their order.

    Files are known by their names and folders, since the data may have moved; of tables all cells
    count, of tensors, arrays and pictures in memory some of the bytes. Nothing is asked for an
    item: a data set of a class of one's own, without `items`, is known by its class alone.
    """
    items = getattr(dataset, "items", None)
    return zlib.crc32(_told(dataset if items is None or callable(items) else items, _ROOM))


def _told(value: Any, room: int) -> bytes:
    """Return bytes that tell a value from others; of arrays about `room` of them are read."""
    name = _name(value)
    if name is not None:
        return name.encode("utf-8", "surrogateescape")
    if isinstance(value, list | tuple):
        return b"%d(%b)" % (len(value), b"\0".join(_each(value, room)))
    if isinstance(value, Tensor):
        return _tensor(value, room)
    if isinstance(value, np.ndarray):
        return _array(value, room)
    if isinstance(value, bytes):
        return b"%d %d" % (len(value), zlib.crc32(value[:room]))
    if isinstance(value, Image.Image):
        return _picture(value)
    if isinstance(value, dict):
        return b"{%b %b}" % (_told(list(value), room), _told(list(value.values()), room))
    if hasattr(type(value), "iloc"):
        return _table(value, room)
    return _object(value, room)


def _name(value: Any) -> str | None:
    """Return what is told of a file or of a plain value; None for anything else."""
    if isinstance(value, PurePath):
        return "/".join(value.parts[-2:])
    if isinstance(value, str):
        return "/".join(value.split("/")[-2:]) if "/" in value else value
    if value is None or isinstance(value, int | float | range | datetime.date):
        return f"{value}"
    return f"{value.item()}" if isinstance(value, np.generic) else None


def _each(values: Sequence[Any], room: int) -> Iterator[bytes]:
    if not values or _name(values[0]) is not None:
        names = [_name(value) for value in values]
        if None not in names:
            yield "\0".join(map(str, names)).encode("utf-8", "surrogateescape")
            return
    n = min(len(values), _MOST_ITEMS)
    for i in range(n):
        yield _told(values[i * (len(values) - 1) // max(n - 1, 1)], room // n)


def _object(value: Any, room: int) -> bytes:
    kinds = [base for base in type(value).__mro__ if base.__name__ not in _EMPTY]
    parts = []
    if any(kind.__module__.startswith(_KNOWN) for kind in kinds):
        parts = [vars(value)[name] for name in _PARTS if name in vars(value)]
    return type(value).__qualname__.encode() + _told(parts, room)


def _tensor(value: Tensor, room: int) -> bytes:
    head = f"{tuple(value.shape)} {value.dtype} ".encode()
    if value.layout != torch.strided or value.is_meta or value.is_quantized:
        return head
    plain = value.detach().as_subclass(Tensor)
    if plain.nbytes > room:
        plain = plain[tuple(map(torch.from_numpy, _some(plain.shape)))]
    return head + plain.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _array(value: np.ndarray[Any, Any], room: int) -> bytes:
    head = f"{value.shape} {value.dtype} ".encode()
    if value.dtype.hasobject:
        return head + _told(value.tolist(), room)
    return head + (value[_some(value.shape)] if value.nbytes > room else value).tobytes()


def _some(shape: Sequence[int]) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the places of some elements, spread over all of an array."""
    total = int(np.prod(shape))
    places = (np.arange(1, 1 + min(total, _POINTS)) * _GOLDEN) % 1.0 * total
    return tuple(np.unravel_index(places.astype(np.int64), tuple(shape)))


def _picture(value: Image.Image) -> bytes:
    # A large one may be a file that is not decoded yet.
    small = value.width * value.height <= _POINTS
    return f"{value.size} {value.mode} ".encode() + (value.tobytes() if small else b"")


def _table(value: Any, room: int) -> bytes:
    names = [str(name) for name in getattr(value, "columns", ())]
    columns = [value.iloc[:, i] for i in range(len(names))] if names else [value]
    return _told(names, room) + b"".join(_column(one, room // len(columns)) for one in columns)


def _column(column: Any, room: int) -> bytes:
    numbers = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufmM"
    return _told(column.to_numpy() if numbers else list(column), room)
