"""Getting the label of an item: from its name, its folder, or a column of a table."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path as _Path
from pathlib import PurePath
from typing import Any

from presize.core.collections import L
from presize.core.errors import DataError, did_you_mean
from presize.core.sequences import listify
from presize.data.table import TableRow

_MISSING = object()


class NoMatchError(DataError):
    """A name that a regular expression does not match; `pattern` and `name` say which."""

    def __init__(self, message: str, *, pattern: str, name: str) -> None:
        super().__init__(message)
        self.pattern, self.name = pattern, name


class RegexLabeller:
    """The label is what the first group `( )` of a regular expression matches.

    Args:
        pat: the pattern, or a compiled one. Paths are matched with `/` on every system.
        match: the pattern has to match from the start of the name; else it is searched.

    Raises:
        ValueError: the pattern is no regular expression, or has no group.
        NoMatchError: (when called) the pattern does not match the item.
    """

    def __init__(self, pat: str | re.Pattern[str], match: bool = False) -> None:
        try:
            self.pattern = re.compile(pat)
        except re.error as error:
            raise ValueError(f"`{pat}` is not a regular expression: {error}.") from None
        if self.pattern.groups == 0:
            raise ValueError(
                f"The pattern `{self.pattern.pattern}` has no group: put round brackets around "
                r"the part that is the label, as in `(.+)_\d+\.jpg$`."
            )
        self.match = match

    def __call__(self, item: str | os.PathLike[str]) -> str:
        """Return the label of a name or path."""
        name = _as_text(item)
        label = self._find(name)
        if label is None:
            raise NoMatchError(self._explanation(name), pattern=self.pattern.pattern, name=name)
        return label

    def _find(self, name: str) -> str | None:
        found = (self.pattern.match if self.match else self.pattern.search)(name)
        return found.group(1) if found else None

    def _explanation(self, name: str) -> str:
        start = " from its start" if self.match else ""
        text = f"The pattern `{self.pattern.pattern}` does not match `{name}`{start}."
        if "/" in name and self._find(name.rsplit("/", 1)[1]) is not None:
            return (
                f"{text} It does match the file name alone: write "
                "`using_attr(RegexLabeller(...), 'name')`."
            )
        if self.match and self.pattern.search(name):
            return f"{text} It does match further on: write `RegexLabeller(..., match=False)`."
        return f"{text} Change the pattern, or leave such files out of the items."

    def __repr__(self) -> str:
        return f"RegexLabeller({self.pattern.pattern!r}, match={self.match})"


def explain_no_match(pattern: str, names: Sequence[Any], total: int | None = None) -> str:
    """Return the error text for a pattern that does not match `names`.

    Args:
        pattern: the regular expression.
        names: those that do not match; the first two are shown.
        total: how many names there are in all; None if they are those in `names`.
    """
    shown = " and ".join(f"`{_as_text(name)}`" for name in names[:2])
    if total is None or total == len(names):
        alone = (
            "; to match the file name alone, without its folders, write "
            "`using_attr(RegexLabeller(...), 'name')`"
        )
        return (
            f"The pattern `{pattern}` matches none of the {len(names)} names, which look like "
            f"{shown}. Change the pattern{alone if '/' in shown else ''}."
        )
    return (
        f"The pattern `{pattern}` does not match {len(names)} of the {total} names: {shown}"
        f"{', ...' if len(names) > 2 else ''}. Change the pattern, or leave such files out of "
        "the items."
    )


def parent_label(item: str | os.PathLike[str]) -> str:
    """Return the name of the folder that a file is in.

    Raises:
        DataError: the path has no folder to take the label from.
        TypeError: the item is not a path.
    """
    # A path is not taken apart anew: that costs 10 us, and there may be a million.
    path = item if isinstance(item, PurePath) else _Path(_as_text(item))
    name = path.parent.name
    if not name:
        raise DataError(
            f"`{_as_text(item)}` is not in a folder that could be its label. Give `parent_label` "
            "paths such as `train/cat/1.jpg`."
        )
    return name


def using_attr(f: Callable[[Any], Any], attr: str) -> Callable[[Any], Any]:
    """Return `f` of an attribute of the item: `using_attr(f, "name")` sees the file name only."""
    return partial(_of_attr, f=f, attr=attr)


def _of_attr(item: Any, *, f: Callable[[Any], Any], attr: str) -> Any:
    value = getattr(item, attr, _MISSING)
    if value is _MISSING:
        is_path_part = isinstance(item, str) and hasattr(PurePath, attr)
        cure = "Make the items paths: `Path(item)`." if is_path_part else ""
        raise DataError(
            f"`using_attr` looks for the attribute `{attr}`, but the item {item!r} "
            f"({type(item).__name__}) has none.{did_you_mean(attr, _public(item))} {cure}".rstrip()
        )
    return f(value)


class ColReader:
    """The value in one column of a table's row, or an L of those in several columns.

    Rows are those of a DataFrame (a Series or, from `itertuples`, a named tuple), dictionaries,
    or plain tuples and lists. In a DataBlock the columns of a DataFrame are read once.

    Args:
        cols: the name of the column or its number from 0, or a list of them.
        pref: put before the value; a Path is the folder that the value is in.
        suff: put after the value, such as ".jpg".
        label_delim: what separates several labels in one value: the result is then their list,
            empty for an empty or missing value.

    Raises:
        DataError: (when called) the row has no such column.
    """

    def __init__(
        self,
        cols: str | int | Iterable[str | int],
        pref: str | PurePath = "",
        suff: str = "",
        label_delim: str | None = None,
    ) -> None:
        self.cols: L[str | int] = L(cols)
        self.pref, self.suff, self.label_delim = pref, suff, label_delim

    def __call__(self, row: Any) -> Any:
        """Return the value of a row."""
        values = [self._finish(_cell(row, col)) for col in self.cols]
        return values[0] if len(values) == 1 else L(values)

    def _finish(self, value: Any) -> Any:
        if self.label_delim is not None:
            if value is None or value != value:  # NaN: what an empty cell of a file becomes
                return []
            if not isinstance(value, str):
                return listify(value)
            return [part.strip() for part in value.split(self.label_delim) if part.strip()]
        if isinstance(self.pref, PurePath):
            return str(self.pref / f"{value}{self.suff}")
        return f"{self.pref}{value}{self.suff}" if self.pref or self.suff else value

    def __repr__(self) -> str:
        return f"ColReader({list(self.cols)})"


def _cell(row: Any, col: str | int) -> Any:
    """Return the value of a row in one column."""
    fields = _columns(row)
    if fields is None:
        if isinstance(col, str):
            raise DataError(
                f"Column `{col}` is wanted, but the item is {row!r} ({type(row).__name__}), which "
                "has no named columns. Give the rows of a DataFrame, or the column's number."
            )
        return row[_numbered(col, len(row))]
    place = _place(col, fields)
    if isinstance(row, TableRow):
        return row.table.cells(place)[row.i]
    if hasattr(row, "iloc"):
        return row.iloc[place]
    return row[fields[place] if isinstance(row, Mapping) else _after_index(row, place)]


def _place(col: str | int, fields: list[Any]) -> int:
    """Return where a column stands among the names of all; a number may be a name, too."""
    if col in fields:
        return fields.index(col)
    if isinstance(col, str):
        raise DataError(
            f"There is no column `{col}`.{did_you_mean(col, fields)} The columns are: "
            f"{', '.join(map(str, fields))}."
        )
    return _numbered(col, len(fields))


def _numbered(col: int, count: int) -> int:
    """Return the number of a column from 0, where -1 is the last."""
    if not -count <= col < count:
        raise DataError(f"There is no column {col}: the row has {count} (0 to {count - 1}).")
    return range(count)[col]


def _columns(row: Any) -> list[Any] | None:
    """Return the names of a row's columns; None where they have only numbers."""
    if isinstance(row, TableRow):
        return row.table.names
    if isinstance(row, Mapping):
        return list(row)
    if hasattr(row, "iloc"):
        return list(row.index)
    names = getattr(row, "_fields", None)
    return None if names is None else [name for name in names if name != "Index"]


def _after_index(row: Any, place: int) -> int:
    # The first field of a DataFrame's named tuple is the row's index, not a column.
    return place + int(row._fields[0] == "Index")


def _as_text(item: Any) -> str:
    """Return a name or path as text, with `/` between its parts on every system."""
    if isinstance(item, PurePath):
        return item.as_posix()
    if isinstance(item, str):
        return item
    if isinstance(item, os.PathLike):
        return str(os.fspath(item))
    raise TypeError(
        f"A name or path is expected to take the label from, but got {item!r} "
        f"({type(item).__name__}). For a row of a table use `ColReader(column)`; for another kind "
        "of item write a function of your own as `get_y`."
    )


def _public(item: Any) -> list[str]:
    return [name for name in dir(item) if not name.startswith("_")]
