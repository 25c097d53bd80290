"""The small names that notebooks take for granted: `tensor`, `array`, `to_np`, `first`, `Inf`."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy import array
from torch import Tensor, exp, log

from presize.core.sequences import is_array, is_listy, listify

__all__ = [
    "Inf",
    "array",
    "exp",
    "first",
    "flatten_check",
    "is_array",
    "is_listy",
    "listify",
    "log",
    "noop",
    "tensor",
    "to_np",
]

T = TypeVar("T")

# torch keeps the wide unsigned types for storage only: they cannot be added or averaged.
_SIGNED = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def noop(value: Any = None, *_args: Any, **_kwargs: Any) -> Any:
    """Return the first argument, whatever else is given."""
    return value


def tensor(
    *values: Any,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers, nested lists, arrays, pictures, data frames or tensors as a tensor.

    A tensor is returned as it is and an array shares its memory where torch can; everything else
    is copied. Fractions become float32 (torch's default), 16-bit pictures int32. A list of arrays
    or of pictures of one size is stacked.

    Args:
        values: one thing, or several numbers or lists: `tensor(1, 2, 3)`.
        dtype: type of the elements; kept if None.
        device: where the tensor goes; kept if None.
        requires_grad: record operations on it for `backward`.

    Raises TypeError for texts and other things that are not numbers, ValueError for lists of
    unequal lengths.
    """
    value = values[0] if len(values) == 1 else values
    made = value if isinstance(value, Tensor) else _to_tensor(value, dtype)
    if dtype is not None or device is not None:
        made = made.to(device=device, dtype=dtype)
    return made.requires_grad_() if requires_grad else made


def _to_tensor(value: Any, dtype: torch.dtype | None) -> Tensor:
    """Return anything but a tensor as a tensor; `dtype` spares a detour over float32."""
    if isinstance(value, list | tuple | range) or not hasattr(value, "__array__"):
        value = list(value) if hasattr(value, "__iter__") else value
    if isinstance(value, list) and any(isinstance(o, Tensor) for o in value):
        return torch.stack([tensor(o) for o in value])
    try:
        made = np.asarray(value)
    except ValueError as fault:
        raise ValueError(f"The parts have unequal lengths or sizes: {fault}") from None
    if made.dtype.kind not in "biufc":
        raise TypeError(
            f"A tensor holds numbers; got {type(value).__name__} with elements like "
            f"{made.reshape(-1)[0]!r}. Texts become numbers through a vocabulary (`CategoryBlock`)."
        )
    return torch.as_tensor(_fit_for_torch(made, keep_double=dtype == torch.float64))


def _fit_for_torch(made: "np.ndarray[Any, Any]", *, keep_double: bool) -> "np.ndarray[Any, Any]":
    """Return the array with an element type, byte order and memory that torch accepts."""
    if made.dtype.name in _SIGNED:
        made = made.astype(_SIGNED[made.dtype.name])
    elif made.dtype == np.float64 and not keep_double:
        made = made.astype(np.float32)
    elif not made.dtype.isnative:
        made = made.astype(made.dtype.newbyteorder("="))
    # torch neither reads backwards (`a[::-1]`) nor keeps memory read-only, which pictures are.
    backwards = any(step < 0 for step in made.strides)
    return made if made.flags.writeable and not backwards else made.copy()


@overload
def to_np(value: Tensor) -> "np.ndarray[Any, Any]": ...
@overload
def to_np(value: T) -> T: ...
def to_np(value: Any) -> Any:
    """Return tensors as NumPy arrays, inside lists, tuples and dictionaries too.

    Gradients are dropped, the data comes to the CPU, and bfloat16, which NumPy lacks, becomes
    float32. Everything that is no tensor is returned as it is.
    """
    if isinstance(value, Tensor):
        held = value.detach().cpu()
        return (held.float() if held.dtype == torch.bfloat16 else held).numpy()
    if isinstance(value, dict):
        return {key: to_np(o) for key, o in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(to_np(o) for o in value))
    if isinstance(value, list | tuple):
        return type(value)([to_np(o) for o in value])
    return value


def first(
    items: Iterable[T], f: Callable[[T], object] | None = None, *, negate: bool = False
) -> T | None:
    """Return the first of `items`, or None if there is none.

    Args:
        items: anything to walk through; a loader is closed again, an iterator can be gone on with.
        f: take the first item for which it is true.
        negate: take the first item for which `f` is false instead.
    """
    walk = iter(items)
    try:
        for item in walk:
            if f is None or bool(f(item)) != negate:
                return item
        return None
    finally:
        close = getattr(walk, "close", None)
        if walk is not items and close is not None:
            close()  # a loader's threads end now, not when the garbage is collected


def flatten_check(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return both tensors with one dimension; ValueError unless they have as many elements."""
    if a.numel() != b.numel():
        raise ValueError(
            f"Predictions and targets must have as many elements as each other; got "
            f"{a.numel()} (shape {tuple(a.shape)}) and {b.numel()} (shape {tuple(b.shape)})."
        )
    return a.contiguous().view(-1), b.contiguous().view(-1)


class _Infinite:
    """Iterators that never end; each use of an attribute starts a new one."""

    @property
    def count(self) -> Iterator[int]:
        """Return 0, 1, 2, ..."""
        return itertools.count()

    @property
    def zeros(self) -> Iterator[int]:
        """Return 0, 0, 0, ..."""
        return itertools.repeat(0)

    @property
    def ones(self) -> Iterator[int]:
        """Return 1, 1, 1, ..."""
        return itertools.repeat(1)

    @property
    def nones(self) -> Iterator[None]:
        """Return None, None, None, ..."""
        return itertools.repeat(None)

    def __repr__(self) -> str:
        return "Inf(count, zeros, ones, nones)"


Inf = _Infinite()
