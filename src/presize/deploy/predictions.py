"""`Predictions`: what a model says of many pictures, as a sequence, a table, a file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, overload

from presize.core.paths import Path
from presize.deploy.prediction import Failed, Prediction
from presize.deploy.prediction_table import cells, columns, table_writer

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10


class Predictions(Sequence[Prediction | Failed]):
    """What a model says of many pictures, in their order.

    Args:
        rows: one for each picture.
        vocab: the classes.
    """

    def __init__(self, rows: Iterable[Prediction | Failed], vocab: Sequence[str]) -> None:
        self._rows, self.vocab = list(rows), list(vocab)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, i: int) -> Prediction | Failed: ...
    @overload
    def __getitem__(self, i: slice) -> "Predictions": ...
    def __getitem__(self, i: int | slice) -> "Prediction | Failed | Predictions":
        return Predictions(self._rows[i], self.vocab) if isinstance(i, slice) else self._rows[i]

    @property
    def failed(self) -> list[Failed]:
        """Those that could not be read."""
        return [row for row in self._rows if isinstance(row, Failed)]

    def counts(self) -> dict[str, int]:
        """Return how often each class was told, the most frequent first; those never told are 0.

        Pictures that are none of the classes are not counted.
        """
        told = [row for row in self._rows if isinstance(row, Prediction) and not row.unknown]
        found = Counter(label for row in told for label in row.labels)
        return {name: found[name] for name in sorted(self.vocab, key=lambda name: -found[name])}

    def to_frame(self) -> "pd.DataFrame":
        """Return a table with a row for each picture.

        Its columns are file, labels (several are joined by `;`), confidence, unknown, error, and
        the probability of each class, `p: cat`; empty where there is nothing to say.
        """
        import pandas as pd

        rows = [cells(row, self.vocab) for row in self._rows]
        return pd.DataFrame(rows, columns=columns(self.vocab))

    def save(self, path: str | AnyPath) -> Path:
        """Write a table, as the ending of the name says: .csv, .parquet, .json or .jsonl.

        CSV and Parquet have the columns of `to_frame`, JSON what `Prediction.to_dict` tells.

        Raises:
            DataError: the ending is another one.
            ImportError: a Parquet file, and pyarrow is not installed.
        """
        file = Path(path)
        with table_writer(file, self.vocab) as writer:
            for row in self._rows:
                writer.write(row)
        return file

    def __repr__(self) -> str:
        lines = [f"{len(self)} predictions{_failures(len(self.failed))}"]
        lines += [f"  {row!r}" for row in self._rows[:_SHOWN]]
        more = len(self) - _SHOWN
        return "\n".join([*lines, *[f"  and {more} more"] * (more > 0)])

    def _repr_html_(self) -> str:
        head = f"<p>{len(self)} predictions{_failures(len(self.failed))}</p>"
        rows = "".join(map(_html_row, self._rows[:_SHOWN]))
        more = len(self) - _SHOWN
        return f"{head}<table>{rows}</table>{f'<p>and {more} more</p>' if more > 0 else ''}"


def _failures(n: int) -> str:
    return f", {n} of them of pictures that cannot be read" if n else ""


def _html_row(row: Prediction | Failed) -> str:
    if isinstance(row, Failed):
        said, share = row.error, ""
    else:
        said, share = ", ".join(row.labels) or "none", f"{row.confidence:.1%}"
        said = f"none of these (nearest: {said})" if row.unknown else said
    cells = (escape(row.file or ""), escape(said), share)
    return "<tr>" + "".join(f"<td style='text-align:left'>{c}</td>" for c in cells) + "</tr>"
