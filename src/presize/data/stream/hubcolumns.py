"""Columns of a Hugging Face data set: how values are read, and what they are for presize."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from presize.core.errors import DataError, did_you_mean
from presize.data.extras import extra_library
from presize.data.namedbytes import NamedBytes

Told = Callable[[Any, str], Any]
"""Makes of a stored value, and of the name of its row, what it is for presize."""

# Rows that are read at a time.
_PIECE = 1_000
_LABELS = ("label", "labels", "target", "class")
_PLAIN = ("bool", "int", "uint", "float", "double")


class Column:
    """A column, of which single values are asked for.

    Args:
        data: the data set.
        name: of the column.
    """

    def __init__(self, data: Any, name: str) -> None:
        feature = data.features[name]
        self.name, self.split = name, str(data.split or "row")
        self.feature, self.classes = feature, classes_of(feature)
        self.told = told_by(feature)
        # Of a view of one column nothing else is read, and of a picture only its bytes.
        self._view = undecoded(data.select_columns([name]).with_format(None), [name])
        self._all: Any = None

    def value(self, number: int) -> Any:
        """Return the value in a row."""
        return self.told(self._stored(number), f"{self.split}[{number}]")

    def _stored(self, number: int) -> Any:
        if not _is_plain(self.feature):
            return self._view[number][self.name]
        if self._all is None:
            # Numbers and classes: the whole column is small, and a look into it takes 0.3 us
            # where a row takes 9.
            self._all = self._whole()
        return self._all[number].as_py()

    def _whole(self) -> Any:
        """Return the column as one array of pyarrow."""
        arrow = extra_library("pyarrow", extra="huggingface", what="This data set")
        view = self._view.with_format("arrow")
        # Where rows are in another order, each is first a table of its own, of 300 bytes.
        starts = range(0, len(view), _PIECE)
        return arrow.concat_arrays(
            [view[i : i + _PIECE][self.name].combine_chunks() for i in starts]
        )


def columns_of(data: Any) -> dict[str, Column]:
    """Return the columns of a `datasets.Dataset`, with views on them that read nothing yet."""
    if data.format["type"] == "custom":
        warnings.warn(
            "The data set has a transform of its own (set_transform, with_transform), which is not "
            "applied: presize reads what is stored. Put it into the data block: item_tfms=..., or "
            "apply it to the data with map().",
            stacklevel=2,
        )
    return {name: Column(data, name) for name in data.features}


def checked_column(columns: Mapping[str, Column], name: str) -> Column:
    """Return a column.

    Raises:
        DataError: there is none of that name.
    """
    if name not in columns:
        raise no_column(columns, name)
    return columns[name]


def no_column(columns: Mapping[str, Any], name: str) -> DataError:
    """Return the error for a column that is not there."""
    return DataError(
        f"The data set has no column `{name}`.{did_you_mean(name, columns)} Its columns are: "
        f"{', '.join(columns)}."
    )


def picture_name(features: Mapping[str, Any]) -> str:
    """Return the name of the first column of pictures.

    Raises:
        DataError: there is none.
    """
    for name, feature in features.items():
        if _kind(feature) == "Image":
            return name
    raise DataError(
        f"The data set has no column of pictures: its columns are {_listed(features)}. Say where "
        'they are: get_x=ColReader("column"), for paths or the bytes of picture files.'
    )


def label_name(features: Mapping[str, Any]) -> str:
    """Return the name of the column of labels: the first of classes, or one with a usual name.

    Raises:
        DataError: there is none.
    """
    for name, feature in features.items():
        if classes_of(feature) is not None:
            return name
    for name in _LABELS:
        if name in features:
            return name
    raise DataError(
        f"The data set has no column of class labels: its columns are {_listed(features)}. Say "
        'where the labels are: get_y=ColReader("column").'
    )


def classes_of(feature: Any) -> list[str] | None:
    """Return the classes of a column of labels, or of lists of them; None for other columns."""
    inner = getattr(feature, "feature", feature)
    return list(inner.names) if _kind(inner) == "ClassLabel" else None


def undecoded(data: Any, names: Sequence[str]) -> Any:
    """Return a data set whose pictures among these columns are left as bytes and paths."""
    for name in names:
        if _kind(data.features[name]) == "Image":
            library = extra_library("datasets", extra="huggingface", what="This data set")
            data = data.cast_column(name, library.Image(decode=False))
    return data


def told_by(feature: Any) -> Told:
    """Return what makes of stored values of a column what they are for presize."""
    kind, classes = _kind(feature), classes_of(feature)
    if kind == "Image" or getattr(feature, "dtype", "") in ("binary", "large_binary"):
        return _picture
    if kind in ("Array2D", "Array3D"):
        return lambda value, where: np.asarray(value, dtype=feature.dtype)
    if classes is None:
        return lambda value, where: value
    if kind == "ClassLabel":
        return lambda value, where: _label(value, where, classes)
    return lambda value, where: [_label(one, where, classes) for one in value]


def _picture(value: Any, where: str) -> Any:
    """Return a picture as bytes or path."""
    if isinstance(value, bytes):
        return NamedBytes(value, where)
    if not isinstance(value, Mapping):
        if value is None:
            raise DataError(f"{where} has no picture: leave such rows out, `data.filter(...)`.")
        return value  # decoded by what made the rows
    data, path = value.get("bytes"), value.get("path")
    if data is not None:
        return NamedBytes(data, where + (f" {path}" if path else ""))
    if not path:
        raise DataError(f"{where} has a picture without bytes and without a path.")
    if "://" not in path:
        return Path(path)
    fsspec = extra_library("fsspec", extra="huggingface", what=f"The picture {path}")
    with fsspec.open(path, "rb") as file:
        return NamedBytes(file.read(), f"{where} {path}")


def _label(value: Any, where: str, classes: Sequence[str]) -> str | None:
    if isinstance(value, str) and value in classes:
        return value
    if value is None or value == -1:
        return None  # by the library's custom, of test sets whose labels are kept secret
    if not 0 <= value < len(classes):
        raise DataError(
            f"{where} has class {value}, but there are {len(classes)}, 0 to {len(classes) - 1}."
        )
    return classes[int(value)]


def _is_plain(feature: Any) -> bool:
    dtype = str(getattr(feature, "dtype", ""))
    return _kind(feature) in ("ClassLabel", "Value") and dtype.startswith(_PLAIN)


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _listed(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({_kind(getattr(f, 'feature', f))})" for name, f in features.items())
