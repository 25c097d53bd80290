"""Items of a collection by position, whatever the collection: a list, an array or a DataFrame."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from torch import Tensor

from presize.core.collections import L


def as_items(items: Any) -> Any:
    """Return a collection that can be indexed: itself, or a list of what it yields."""
    if hasattr(items, "__getitem__") and hasattr(items, "__len__"):
        return items
    return L(items)


def row(items: Any, i: int) -> Any:
    """Return item `i`; of a DataFrame, its row `i`."""
    return items.iloc[i] if hasattr(items, "iloc") else items[i]


def rows(items: Any, indices: Sequence[int]) -> Any:
    """Return the items at `indices`, as the same kind of collection where it can be."""
    if hasattr(items, "iloc"):
        return items.iloc[list(indices)]
    if isinstance(items, Tensor | np.ndarray):
        return items[list(indices)]
    return L([items[i] for i in indices])


class Rows(Sequence[Any]):
    """A collection as a sequence of its items; a DataFrame as one of its rows."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> "Rows": ...
    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return Rows(rows(self.items, range(len(self.items))[i]))
        return row(self.items, i)

    def __iter__(self) -> Iterator[Any]:
        return (row(self.items, i) for i in range(len(self.items)))
