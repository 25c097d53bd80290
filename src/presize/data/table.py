"""Rows of a table for functions that want single cells of them, without making pandas rows."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np


class TableRow:
    """Row `i` of a table: a place, from which cells are taken out of the columns.

    To make a row with pandas and read a cell of it takes 25 us, this 1 us, for each item and each
    reader. A cell is of the type that its column has: pandas makes one type of a row of numbers,
    and 3 a 3.0 beside fractions.
    """

    __slots__ = ("i", "table")

    def __init__(self, table: "Table", i: int) -> None:
        self.table, self.i = table, i

    def __repr__(self) -> str:
        return repr(self.table.frame.iloc[self.i].to_dict())


class Table(Sequence[TableRow]):
    """A DataFrame as a sequence of places; a column is read when a cell of it is first wanted.

    Args:
        frame: the DataFrame. What is changed in it after that is not seen.
    """

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.names: list[Any] = list(frame.columns)
        self._columns: dict[int, Sequence[Any]] = {}

    def cells(self, place: int) -> Sequence[Any]:
        """Return the values of the column at a place, as rows of the table hold them."""
        found = self._columns.get(place)
        if found is None:
            column = self.frame.iloc[:, place]
            # Numbers stay an array, 8 bytes each; texts become objects once and not at each look.
            plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufO"
            found = self._columns[place] = column.to_numpy() if plain else list(column)
        return found

    def __len__(self) -> int:
        return len(self.frame)

    @overload
    def __getitem__(self, i: int) -> TableRow: ...
    @overload
    def __getitem__(self, i: slice) -> "Table": ...
    def __getitem__(self, i: int | slice) -> "TableRow | Table":
        if isinstance(i, slice):
            return Table(self.frame.iloc[i])
        return TableRow(self, range(len(self.frame))[i])

    def __iter__(self) -> Iterator[TableRow]:
        return (TableRow(self, i) for i in range(len(self.frame)))

    def __getstate__(self) -> dict[str, Any]:
        # The cells are in the table already: they need not travel to another process twice.
        return {**vars(self), "_columns": {}}
