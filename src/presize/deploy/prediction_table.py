"""Writes predictions line by line, so that a million of them take no more memory than one.

The ending of the file says how: .csv, .parquet, .json (one list) or .jsonl (an object a line).
Until all is written the file is called `name.part`, so that half a table is not taken for a whole.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

from presize.core.errors import DataError, did_you_mean
from presize.data.extras import extra_library
from presize.deploy.prediction import Failed, Prediction

Row: TypeAlias = Prediction | Failed

SEPARATOR = ";"
"""What stands between several labels in a table."""
CHANCE = "p: "
"""What stands in front of a class in the name of the column of its probabilities."""
ENDINGS = (".csv", ".parquet", ".json", ".jsonl")
_ROWS_IN_GROUP = 10_000  # of a Parquet file; they are held in memory: some MB


def columns(vocab: Sequence[str]) -> list[str]:
    """Return the columns of a table of predictions."""
    return ["file", "labels", "confidence", "unknown", "error", *(CHANCE + name for name in vocab)]


def cells(row: Row, vocab: Sequence[str]) -> list[Any]:
    """Return what stands in the columns of a table; None where there is nothing."""
    if isinstance(row, Failed):
        return [row.file, None, None, None, row.error, *[None] * len(vocab)]
    labels = SEPARATOR.join(row.labels)
    chances = (row.probabilities[name] for name in vocab)
    return [row.file, labels, row.confidence, row.unknown, None, *chances]


def as_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON; names of files that are no UTF-8 are escaped, and read back exactly.

    Args:
        value: what JSON can hold.
        indent: spaces of a level; None writes one line.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if _encodable(text) == text else json.dumps(value, indent=indent)


def _encodable(value: Any) -> Any:
    """Return a text with `?` for what UTF-8 cannot say; anything else as it is."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class Writer(Protocol):
    """Takes predictions one by one."""

    def write(self, row: Row) -> None:
        """Write one more."""


def ending_of(path: Path) -> str:
    """Return how a table is written to a file.

    Raises:
        DataError: its name does not say.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(
            f"A table of predictions is written as {', '.join(ENDINGS)}, as its name says, but "
            f"`{path}` ends in {ending or 'none of these'}.{did_you_mean(ending, ENDINGS)}"
        )
    return ending


@contextmanager
def table_writer(path: Path, vocab: Sequence[str]) -> Iterator[Writer]:
    """Give what writes predictions to a file, inside a `with` block.

    At its end the file takes the place of one of that name. Where the block is left by an error or
    an interrupt, what was written until then stays in `name.part`, complete as far as it goes.

    Args:
        path: the file; its ending says what is written.
        vocab: the classes.

    Raises:
        DataError: the ending is not known.
        ImportError: a Parquet file, and pyarrow is not installed.
    """
    make = _WRITERS[ending_of(path)]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with make(part, list(vocab)) as writer:
        yield writer
    part.replace(path)


class _Csv:
    def __init__(self, file: IO[str], vocab: list[str]) -> None:
        self._vocab, self._csv = vocab, csv.writer(file, lineterminator="\n")
        self._csv.writerow(columns(vocab))

    def write(self, row: Row) -> None:
        self._csv.writerow("" if cell is None else cell for cell in cells(row, self._vocab))


class _Lines:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(as_json(row.to_dict()) + "\n")


class _List:
    def __init__(self, file: IO[str]) -> None:
        self._file, self._before = file, "[\n"

    def write(self, row: Row) -> None:
        self._file.write(self._before + as_json(row.to_dict()))
        self._before = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._before == "[\n" else "\n]\n")


class _Parquet:
    def __init__(self, path: Path, vocab: list[str]) -> None:
        pa = extra_library("pyarrow", extra="parquet", what="A Parquet table")
        parquet = extra_library("pyarrow.parquet", extra="parquet", what="A Parquet table")
        kinds = [pa.string(), pa.string(), pa.float64(), pa.bool_(), pa.string()]
        names = columns(vocab)
        kinds += [pa.float64()] * (len(names) - len(kinds))
        self._schema = pa.schema(list(zip(names, kinds, strict=True)))
        self._pa, self._vocab, self._rows = pa, vocab, []  # type: tuple[Any, list[str], list[Any]]
        self._file = parquet.ParquetWriter(path, self._schema)

    def write(self, row: Row) -> None:
        self._rows.append([_encodable(cell) for cell in cells(row, self._vocab)])
        if len(self._rows) >= _ROWS_IN_GROUP:
            self._flush()

    def _flush(self) -> None:
        values = list(zip(*self._rows, strict=True)) or [()] * len(self._schema)
        arrays = [
            self._pa.array(column, kind)
            for column, kind in zip(values, self._schema.types, strict=True)
        ]
        self._file.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()


@contextmanager
def _csv(path: Path, vocab: list[str]) -> Iterator[Writer]:
    # The bytes of a name that is no UTF-8 stay as they are.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield _Csv(file, vocab)


@contextmanager
def _jsonl(path: Path, vocab: list[str]) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:
        yield _Lines(file)


@contextmanager
def _json(path: Path, vocab: list[str]) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:
        writer = _List(file)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def _parquet(path: Path, vocab: list[str]) -> Iterator[Writer]:
    writer = _Parquet(path, vocab)
    try:
        yield writer
    finally:
        writer.close()


_WRITERS: dict[str, Callable[[Path, list[str]], Any]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".jsonl": _jsonl,
}
