"""Memory for batches, used again once nobody holds the batch that was in it."""

import math
import weakref
from collections import deque
from typing import Any

import torch
from torch import Tensor

# Memory that lies ready beyond what is in use: as many batches as are commonly under way.
_MOST_FREE = 4


class _Lent(weakref.ref[Any]):
    """Memory that is lent for as long as an array on it is alive."""

    __slots__ = ("memory",)

    memory: Tensor


class SlotPool:
    """Hands out memory for batches.

    Fresh memory costs a fault for every 4 KB that is first written: 5 to 10 ms for a batch of 64
    pictures of 224 px. So it goes back to the pool when the last tensor on it is gone, and not
    before: a batch that somebody keeps stays as it is.
    """

    def __init__(self) -> None:
        self._free: dict[int, deque[_Lent]] = {}
        self._lent: list[_Lent] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "SlotPool":
        """Return an empty pool: memory is lent to batches of the loader that made them."""
        return SlotPool()

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, *, pin: bool = False) -> Tensor:
        """Return a tensor of this shape whose values are anything.

        Args:
            shape: the shape of the batch.
            dtype: its kind of numbers.
            pin: take page-locked memory, which a GPU copies from while it computes. PyTorch has a
                pool of its own for that.
        """
        if pin:
            return torch.empty(shape, dtype=dtype, pin_memory=True)
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return torch.empty(shape, dtype=dtype)
        free = self._free.setdefault(size, deque(maxlen=_MOST_FREE))
        try:
            memory = free.pop().memory
        except IndexError:
            memory = torch.empty(size, dtype=torch.uint8)
        # The tensor keeps this array alive, and whoever makes a view of the tensor keeps both.
        array = memory.numpy()[:]
        # No Python runs when it goes: an interrupt that came in there would be lost, as it was once
        # in twenty times with `weakref.finalize` in a loop over small batches.
        lent = _Lent(array, free.append)
        lent.memory = memory
        self._lent = [*(one for one in self._lent if one() is not None), lent]
        return torch.from_numpy(array).view(dtype).view(shape)
