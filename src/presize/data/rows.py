"""Items of a collection by position, whatever the collection: a list, an array or a DataFrame."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.data.labels import ColReader
from presize.data.stream.itemstream import ItemStream, stream_of
from presize.data.table import Table


def as_items(items: Any) -> Any:
    """Return a collection that can be indexed: itself, or a list of what it yields."""
    if type(items).__module__.partition(".")[0] == "datasets":
        from presize.data.stream.huggingface import table_items  # which few need

        return table_items(items)
    if hasattr(items, "__getitem__") and hasattr(items, "__len__"):
        return items
    return L(items)


def row(items: Any, i: int) -> Any:
    """Return item `i`; of a DataFrame, its row `i`."""
    # The type is asked: to ask Datasets searches all transforms, 0.02 ms for each sample (n=7).
    return items.iloc[i] if hasattr(type(items), "iloc") else items[i]


def rows(items: Any, indices: Sequence[int]) -> Any:
    """Return the items at `indices`, as the same kind of collection where it can be."""
    if hasattr(items, "selected"):
        return items.selected(indices)
    if hasattr(items, "iloc"):
        return items.iloc[list(indices)]
    if isinstance(items, Tensor | np.ndarray):
        return items[list(indices)]
    # A list is asked for its items by C alone: 3 ms for 80,000, in place of 14.
    get = list(items).__getitem__ if type(items) in (L, list) else items.__getitem__
    return L(list(map(get, indices)))


def walk(items: Iterable[Any]) -> Iterator[Any]:
    """Walk through items that have no positions.

    Raises:
        DataError: a generator that has been used up, and would be an epoch without data.
    """
    rest = iter(items)
    for item in rest:
        yield item
        break
    else:
        if rest is items:
            raise DataError(
                f"The {type(items).__name__} has no items left: it can be walked through only "
                "once. Make a list of it, `DataLoader(list(items))`, or give an object whose "
                "`__iter__` starts anew."
            )
    yield from rest


def can_be_indexed(dataset: Any, n: int | None) -> bool:
    """Return whether items can be asked for by position, of `n` where there is no length."""
    if isinstance(dataset, Mapping | IterableDataset) or not hasattr(dataset, "__getitem__"):
        return False
    if stream_of(dataset) is not None:
        return False
    return hasattr(dataset, "__len__") or n is not None


def count(dataset: Any, n: int | None, *, indexed: bool) -> int | None:
    """Return how many items a pass takes; None if that is not known."""
    try:
        length = len(dataset)
    except TypeError:
        return n
    return length if n is None else n if not indexed else min(n, length)


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


def rows_for(items: Any, tfms: Pipeline) -> Any:
    """Return the items as a sequence that `tfms` reads: of a table for `ColReader` just places."""
    if isinstance(items, ItemStream):
        return items  # walked through as it is; a sample out of it is its own index
    first = tfms.fs[0].function if len(tfms) and hasattr(items, "iloc") else None
    if isinstance(first, ColReader) and type(first).__call__ is ColReader.__call__:
        return Table(items)
    if len(tfms) and hasattr(items, "iloc") and getattr(tfms.fs[0], "by_columns", False):
        return Table(items)
    return Rows(items)
