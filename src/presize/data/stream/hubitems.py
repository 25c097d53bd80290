"""Rows of data sets of the library `datasets`, which stay on the disk until one is asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from presize.data.stream.hubcolumns import (
    Column,
    checked_column,
    classes_of,
    columns_of,
    label_name,
    no_column,
    picture_name,
)


class HubItems:
    """Rows of one or several data sets of the same columns, read when they are asked for.

    Args:
        parts: `datasets.Dataset`, one after the other.
        names: what the parts are called, if they are splits.
        image: the column of the picture, where no block says it; by default the first of pictures.
        label: the column of the label; by default the first of class labels, or `label`.
        indices: which rows; None takes all.
    """

    def __init__(
        self,
        parts: Sequence[Any],
        names: Sequence[str] = (),
        *,
        image: str | None = None,
        label: str | None = None,
        indices: Sequence[int] | None = None,
    ) -> None:
        self.parts, self.names = parts, names
        self.image, self.label = image, label
        self._ends = list(accumulate(len(part) for part in parts))
        self._columns = [columns_of(part) for part in parts]
        self.indices = range(self._ends[-1]) if indices is None else indices

    def own_splits(self) -> Sequence[Sequence[int]] | None:
        """Return the rows of each split; None if there is one data set."""
        if not self.names:
            return None
        return [range(end - len(p), end) for p, end in zip(self.parts, self._ends, strict=True)]

    def own_getter(self, i: int, n_inp: int) -> Callable[[Any], Any]:
        """Return what takes the picture, or the label, out of a row."""
        return hub_getter(self.parts[0].features, i, n_inp, self.image, self.label)

    def selected(self, indices: Sequence[int]) -> "HubItems":
        """Return the items at some positions; nothing is read."""
        chosen: Sequence[int] = indices
        if self.indices != range(self._ends[-1]):
            chosen = [self.indices[i] for i in indices]
        other = HubItems.__new__(HubItems)
        vars(other).update(vars(self), indices=chosen)
        return other

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> "HubRow":
        number = self.indices[i]
        part = bisect_right(self._ends, number)
        start = self._ends[part - 1] if part else 0
        return HubRow(self._columns[part], number - start)

    def __iter__(self) -> Iterator["HubRow"]:
        return (self[i] for i in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        # The views of the columns are made anew in another process.
        return {k: v for k, v in vars(self).items() if k != "_columns"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _columns=[columns_of(part) for part in state["parts"]])

    def __repr__(self) -> str:
        names = f", splits {', '.join(self.names)}" if self.names else ""
        return f"data set of {len(self)} rows, columns {', '.join(self._columns[0])}{names}"


class HubRow(Mapping[str, Any]):
    """A row, whose columns are read one by one: a label does not cost the picture beside it.

    Pictures are bytes that know where they come from, or paths; class labels are their names.
    """

    __slots__ = ("_columns", "_number")

    def __init__(self, columns: Mapping[str, Column], number: int) -> None:
        self._columns, self._number = columns, number

    def __getitem__(self, name: str) -> Any:
        return checked_column(self._columns, name).value(self._number)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a column, or `default` where there is no such column."""
        return self[name] if name in self._columns else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HubRow):
            return NotImplemented
        return self._columns is other._columns and self._number == other._number

    def __hash__(self) -> int:
        return hash((id(self._columns), self._number))

    def __repr__(self) -> str:
        return f"row {self._number} ({', '.join(self._columns)})"


class HubColumn:
    """Takes the value of one column out of a row.

    Args:
        name: of the column.
        classes: the classes of its labels, in their order, where the data set tells them.
    """

    def __init__(self, name: str, classes: Sequence[str] | None = None) -> None:
        self.name, self.classes = name, classes

    def __call__(self, row: Mapping[str, Any]) -> Any:
        """Return the value.

        Raises:
            DataError: the row has no such column.
        """
        if self.name not in row:
            raise no_column(row, self.name)
        return row[self.name]

    def __repr__(self) -> str:
        return f"HubColumn({self.name!r})"


def hub_getter(
    features: Mapping[str, Any], i: int, n_inp: int, image: str | None, label: str | None
) -> HubColumn:
    """Return what takes the value of block `i` out of a row.

    Args:
        features: the columns, and what they hold.
        i: the number of the block.
        n_inp: how many blocks are inputs.
        image: the column of the picture; by default the first of pictures.
        label: the column of the label; by default the first of class labels, or `label`.

    Raises:
        DataError: there is no such column.
    """
    name = (image or picture_name(features)) if i < n_inp else (label or label_name(features))
    if name not in features:
        raise no_column(features, name)
    return HubColumn(name, None if i < n_inp else classes_of(features[name]))
