"""What goes between a loader and its worker processes: as bytes, through a pipe to each.

A worker process gets a copy of the loader without what makes batches of samples. It is sent again
where anything in it has changed since, such as the size of a `Resize`.
"""

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

_WAY_OUT = (
    "Functions and classes go to a worker process by name, and it imports them: define them with "
    "`def` or `class` at the top level of a module (a .py file) and import them from there, not in "
    "a notebook, in another function or as a lambda. Or leave out processes=True: threads need "
    "nothing of the kind."
)


@dataclass(frozen=True)
class Parcel:
    """A loader as bytes, and what tells it from others."""

    content: bytes
    digest: str


def packed(loader: "DataLoader") -> Parcel:
    """Return what worker processes need of a loader.

    Raises:
        DataError: something in it cannot be sent; says which transform it is, and the ways out.
    """
    needed = makes_samples(loader)
    try:
        content = as_bytes(needed)
    except Exception as error:  # classes may raise anything when they are asked for their state
        raise DataError(
            f"{_culprit(needed)} cannot be sent to a worker process: {error}\n{_WAY_OUT}"
        ) from error
    return Parcel(content, hashlib.blake2b(content, digest_size=16).hexdigest())


def makes_samples(loader: "DataLoader") -> "DataLoader":
    """Return a copy of a loader with only what makes samples, as worker processes have it."""
    made = copy.copy(loader)
    batches = ("before_iter", "after_iter", "before_batch", "after_batch", "collate")
    here = ("cache", "slot_pool", "flow", "pool", "_weighted", "_parent", "_types", "_under_way")
    vars(made).update(dict.fromkeys([*batches, *here]))
    vars(made).pop("_asking", None)
    made.quarantine = None if loader.quarantine is None else loader.quarantine.for_child()  # type: ignore[assignment]  # reads as the quarantine does
    made.processes, made.epoch, made._start, made._peeks = False, 0, 0, 0
    # It matters that there are some, not what they are.
    made.sampler = None if loader.sampler is None else ()
    made.weights = None if loader.weights is None else ()
    if "get_idxs" in vars(made):
        made.get_idxs = list  # type: ignore[method-assign]
    stage = made.after_item
    if isinstance(stage, MethodType) and stage.__self__ is loader:
        made.after_item = MethodType(stage.__func__, made)
    return made


def unpacked(content: bytes) -> "DataLoader":
    """Return the loader that `packed` was given.

    Raises:
        DataError: it uses a function or class that cannot be imported here.
    """
    try:
        loader: DataLoader = from_bytes(content)
    except Exception as error:
        raise DataError(
            f"A worker process cannot find what the loader is made of: {error}.\n{_WAY_OUT}"
        ) from error
    return loader


def as_bytes(value: Any) -> bytes:
    """Return anything as bytes."""
    return bytes(_Writer.dumps(value))


def from_bytes(content: bytes) -> Any:
    """Return what `as_bytes` was given; only for what came from our own process or its parent."""
    return _Writer.loads(content)


class _Writer(ForkingPickler):
    """Writes tensors as arrays.

    PyTorch's own way leaves them in shared memory, of which a container has 64 MB, and spends a
    file descriptor for each.
    """

    def reducer_override(self, value: Any) -> Any:
        """Say what a tensor is made of."""
        if not isinstance(value, Tensor) or isinstance(value, torch.nn.Parameter):
            return NotImplemented
        plain = value.detach().cpu().as_subclass(Tensor).contiguous()
        try:
            array = plain.numpy()
        except TypeError:  # NumPy has no bfloat16 and its kin
            array = plain.reshape(-1).view(torch.uint8).numpy()
        return _tensor, (type(value), array, plain.dtype, tuple(plain.shape))


def _tensor(kind: type[Tensor], array: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    made = torch.from_numpy(array)
    if made.dtype != dtype:
        made = made.view(dtype).reshape(shape)
    return made if kind is Tensor else made.as_subclass(kind)


def _culprit(loader: "DataLoader") -> str:
    """Name the part of a loader that cannot be sent."""
    for name, part in _parts(loader):
        try:
            as_bytes(part)
        except Exception:
            return name
    return f"This {type(loader).__name__}"


def _parts(loader: "DataLoader") -> Iterator[tuple[str, Any]]:
    yield from _steps(loader.after_item)
    dataset = loader.dataset
    tls = getattr(dataset, "tls", [dataset])
    for tl in tls:
        yield from _steps(getattr(tl, "tfms", None))
    items = getattr(dataset, "items", None)
    if items is not None:
        yield f"The items of the data set (a {type(items).__name__})", items
    yield f"The data set (a {type(dataset).__name__})", dataset
    yield f"The class {type(loader).__name__}", type(loader)


def _steps(stage: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(stage, Pipeline):
        yield from ((f"The transform `{f.name}`", f) for f in stage)
    elif stage is not None:
        yield f"The function `{getattr(stage, '__qualname__', stage)}`", stage
