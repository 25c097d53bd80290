"""A ranked list of labels that are probably wrong: to read, to save, to look at."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, overload

from torch import Tensor

from presize.core.errors import DataError
from presize.core.paths import Path

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from presize.show.grids import Grid

_SHOWN = 10
_SIDE = 56  # pixels, of a picture in a notebook's table
COLUMNS = ("index", "file", "given", "likely", "score")


@dataclass(frozen=True, slots=True)
class LabelError:
    """One label that is probably wrong.

    Args:
        index: the place of the item in its data set.
        file: its file; "number 7 of valid" for one that is in no file.
        given: what it is labelled as; of several labels all, joined by ";".
        likely: what it probably is.
        score: how surely the label is wrong, 0..1, 1 for surely. It ranks; it is no probability.
    """

    index: int
    file: str
    given: str
    likely: str
    score: float


class LabelErrors(Sequence[LabelError]):
    """The labels that are probably wrong, most suspicious first; empty where none is.

    Args:
        scores: how surely the label of each item is wrong, 0..1: float32 [n].
        suspected: the items that are listed: bool [n].
        indices: the place of each item in its data set: int64 [n].
        files: of each item.
        given: the label of each item.
        likely: what each item is if not that.
        picture_of: reads the picture of a row again; None where there are no pictures.
    """

    def __init__(
        self,
        *,
        scores: Tensor,
        suspected: Tensor,
        indices: Tensor,
        files: Sequence[str],
        given: Sequence[str],
        likely: Sequence[str],
        picture_of: "Callable[[int], Image] | None" = None,
    ) -> None:
        self.scores, self.indices = scores, indices
        self.files = list(files)
        self._picture_of = picture_of
        rows = suspected.nonzero().flatten()
        # Stable: equals stay in the order of the data, whatever the machine.
        self._rows = rows[scores[rows].argsort(descending=True, stable=True)].tolist()
        self._errors = [
            LabelError(int(indices[i]), files[i], given[i], likely[i], float(scores[i]))
            for i in self._rows
        ]

    def __len__(self) -> int:
        return len(self._errors)

    @overload
    def __getitem__(self, i: int) -> LabelError: ...
    @overload
    def __getitem__(self, i: slice) -> list[LabelError]: ...
    def __getitem__(self, i: int | slice) -> LabelError | list[LabelError]:
        return self._errors[i]

    def to_frame(self) -> "pd.DataFrame":
        """Return a table with the columns index, file, given, likely, score."""
        import pandas as pd

        rows = [[getattr(error, name) for name in COLUMNS] for error in self]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def picture(self, i: int) -> "Image":
        """Read the picture of number `i` of the list again, as it is shown.

        Raises:
            DataError: the item is no picture.
            ImageError: the file is gone or broken.
        """
        if self._picture_of is None:
            raise DataError("These items have no pictures: the labels of arrays were judged.")
        return self._picture_of(self._rows[i])

    def plot(
        self,
        k: int = 9,
        *,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Grid":
        """Draw the first `k` of the list, above each its label, what it may be, score and file.

        Args:
            k: how many.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: (width, height) in inches.

        Returns:
            The axes.

        Raises:
            DataError: the list is empty, or the items are no pictures.
        """
        from presize.interpret.gallery import plot_predictions

        if not len(self):
            raise DataError(f"There is nothing to draw: {self._heading().lower()}.")
        shown = self[:k]
        captions = [
            (f"{e.given} → {e.likely}", f"{e.score:.3f}", AnyPath(e.file).name) for e in shown
        ]
        pictures = [self.picture(i) for i in range(len(shown))]
        return plot_predictions(
            pictures,
            captions,
            heading="Label → what it may be / Score",
            nrows=nrows,
            ncols=ncols,
            figsize=figsize,
        )

    def save(self, path: str | AnyPath) -> Path:
        """Write the list as CSV, in UTF-8, with a head; return the path."""
        import csv

        path = Path(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(COLUMNS)
            for e in self:
                out.writerow([e.index, e.file, e.given, e.likely, f"{e.score:.6f}"])
        return path

    def __repr__(self) -> str:
        lines = [self._heading()]
        shown = self[:_SHOWN]
        cells = [["score", "given", "likely", "file"]]
        cells += [[f"{e.score:.3f}", e.given, e.likely, e.file] for e in shown]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        if shown:
            lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        return "\n".join([*lines, *self._more()])

    def _heading(self) -> str:
        n, found = len(self.scores), len(self)
        if not found:
            return f"No label of the {n:,} items looks wrong"
        labels = "1 label" if found == 1 else f"{found:,} labels"
        return f"{labels} of the {n:,} items ({found / n:.1%}) may be wrong"

    def _more(self) -> list[str]:
        rest = len(self) - _SHOWN
        return [f"and {rest:,} more"] if rest > 0 else []

    def _repr_html_(self) -> str:
        if not len(self):
            return f"<p>{html.escape(self._heading())}</p>"
        names = ("", "score", "given", "likely", "file")
        head = "".join(f"<th style='text-align: left'>{name}</th>" for name in names)
        rows = "".join(map(self._row, range(min(len(self), _SHOWN))))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        more = "".join(f"<p>{line}</p>" for line in self._more())
        return f"<p>{html.escape(self._heading())}</p>{table}{more}"

    def _row(self, i: int) -> str:
        e = self[i]
        texts = (f"{e.score:.3f}", e.given, e.likely, e.file)
        style = "text-align: left; white-space: normal; overflow-wrap: anywhere"
        cells = "".join(f'<td style="{style}">{html.escape(text)}</td>' for text in texts)
        return f"<tr><td>{self._image(i)}</td>{cells}</tr>"

    def _image(self, i: int) -> str:
        """Return a small picture as HTML; nothing where it cannot be read."""
        from presize.interpret.page.thumbnails import thumbnail

        try:
            source = thumbnail(self.picture(i), _SIDE * 2)  # twice, for sharp screens
        except (DataError, OSError):
            return ""
        return f'<img src="{source}" alt="" style="max-height: {_SIDE}px; max-width: {_SIDE}px">'
