"""Writes the table of epochs to a CSV file, also across a run that is killed and resumed."""

import csv
import io
import time
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.core.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

    from presize.learner import Learner


class CSVLogger(Callback):
    """Writes a line to a CSV file after every epoch: its number, the table's figures, seconds.

    A fit that is killed and resumed leaves the file that it would have left without. Later fits of
    the same object go on in the file.

    Args:
        fname: the file; a relative name is taken from `learn.path`.
        append: keep what the file holds already; otherwise it begins empty with the first epoch.
    """

    order = 80

    def __init__(self, fname: str | AnyPath = "history.csv", *, append: bool = False) -> None:
        self.fname, self.append = AnyPath(fname), append
        self.path: AnyPath | None = None
        self._columns: list[str] = []
        self._lines: list[str] = []  # all that this object has written
        self._start: int | None = None  # where in the file they begin; None before the first
        self._whole = True  # whether the file holds them all, and no more
        self._resting = False
        self._clock = 0.0

    def before_fit(self, learn: "Learner") -> None:
        """See which columns there are; nothing is written yet.

        Raises:
            TrainingError: the file has other columns.
        """
        self._resting = looks_for_rate(learn)
        if self._resting or not learn.ranks.is_main:
            return
        self.path = learn.path / self.fname
        self._columns = [name for name in learn.recorder.metric_names if name != "time"]
        self._columns.append("seconds")
        held = self._held_columns()
        if held and held != self._columns:
            raise TrainingError(
                f"CSVLogger is to go on in {self.path}, whose columns are {', '.join(held)}; this "
                f"fit has {', '.join(self._columns)}. Give it another file: CSVLogger('…')."
            )

    def before_epoch(self, learn: "Learner") -> None:
        """Start the clock."""
        if not self._resting:
            self._clock = time.perf_counter()

    def after_epoch(self, learn: "Learner") -> None:
        """Write the epoch's line."""
        if self._resting or not learn.ranks.is_main or not learn.recorder.values:
            return
        seconds = round(time.perf_counter() - self._clock, 3)
        figures = list(learn.recorder.values[-1])
        width = len(self._columns) - 2  # those between the epoch and the seconds
        figures += [None] * (width - len(figures))  # an epoch that was cancelled has fewer
        self._write([learn.epoch, *figures[:width], seconds])

    def after_fit(self, learn: "Learner") -> None:
        """Go on after a search for a rate in the middle of a fit."""
        self._resting = False

    def read_log(self) -> "pd.DataFrame":
        """Return the file as a table.

        Raises:
            TrainingError: nothing was written yet.
        """
        if self.path is None or not self.path.exists():
            raise TrainingError(
                f"There is no {self.fname} yet: CSVLogger writes it after an epoch. Call fit."
            )
        import pandas as pd

        return pd.read_csv(self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return what was written, where in the file, and how long the epoch has taken."""
        seconds = time.perf_counter() - self._clock
        return {"lines": list(self._lines), "start": self._start, "seconds": seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind these lines; what a killed run wrote after them is written again."""
        self._lines, self._start = list(state["lines"]), state["start"]
        self._whole = False
        self._clock = time.perf_counter() - state["seconds"]

    def _held_columns(self) -> list[str]:
        """Return the columns of a file that is gone on with; nothing if it is begun anew."""
        assert self.path is not None
        if (self._start is None and not self.append) or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])

    def _write(self, row: list[Any]) -> None:
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size, known = (self.path.stat().st_size if self.path.exists() else 0), len(self._lines)
        if self._start is None:
            self._start = size if self.append else 0
            self._whole = self._start == size
        if not known and not self._start:
            self._lines.append(_line(self._columns))
        elif not known and not self.path.read_bytes().endswith(b"\n"):
            self._lines.append("\n")  # a program that was killed has left half a line
        self._lines.append(_line(row))
        if self._whole and (size or not known):
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.writelines(self._lines[known:])
            return
        with self.path.open("r+b" if size else "wb") as binary:
            binary.seek(min(self._start, size))
            binary.truncate()
            binary.write("".join(self._lines).encode())
        self._whole = True

    def __repr__(self) -> str:
        return f"CSVLogger({str(self.fname)!r}{', append=True' if self.append else ''})"


def _line(row: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if cell is None else cell for cell in row])
    return text.getvalue()
