"""`Decisions`: what was decided about suspect pictures, in a CSV file that a spreadsheet opens too.

    file,decision,label,given,reason,time
    train/pug/3.jpg,relabel,boxer,pug,label error,2026-11-21T18:40:02+00:00
    train/pug/9.jpg,drop,,pug,duplicate,2026-11-21T18:40:05+00:00

The files are named relative to the folder of the data where they lie below it. The originals are
never touched: a `DataBlock(decisions="decisions.csv")` leaves out what is dropped and gives the
new labels; `presize.data.applying` moves the files where that is wanted.
"""

import os
import pathlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from presize.core.errors import DataError
from presize.data.decisionrows import Choice, Decision, decided_now, from_text, to_text
from presize.data.filenames import AnyPath, below, is_whole, slashed, whole
from presize.data.rewriting import one_at_a_time, rewrite


class DecisionsNotFoundError(DataError, FileNotFoundError):
    """The CSV file of decisions does not exist."""


class Decisions(Mapping[str, Decision]):
    """The decisions of one CSV file, by the file that each is about.

    Each change is on the disk when the call returns: the CSV is there whole, or as it was before.
    A change that somebody else made to the CSV in between is read first, and stays.

    Args:
        path: the CSV file; where there is none yet, the first decision writes it.
        root: the folder of the data. Files below it are named relative to it.

    Raises:
        DataError: the file is there and is no table of decisions; it says the line and the column.
    """

    def __init__(self, path: AnyPath, root: AnyPath | None = None) -> None:
        self.path = pathlib.Path(path)
        self.root = None if root is None else pathlib.Path(whole(root))
        self._lock = threading.RLock()
        self._rows: dict[str, Decision] = {}
        self._seen: tuple[int, ...] | None = None
        self.refresh()

    @classmethod
    def read(cls, path: AnyPath, root: AnyPath | None = None) -> "Decisions":
        """Return the decisions of a file that has to be there.

        Raises:
            DecisionsNotFoundError: it is not.
            DataError: it is no table of decisions.
        """
        if not pathlib.Path(path).is_file():
            raise DecisionsNotFoundError(
                f"There are no decisions `{path}`. `learn.clean(out=...)` or `presize clean DATA "
                "--out ...` writes such a file; without one leave out `decisions=`."
            )
        return cls(path, root)

    def key(self, file: AnyPath) -> str:
        """Return how a file is named in the CSV: relative to `root` if it lies below it.

        Args:
            file: its whole path, or one relative to the current folder or to `root`.
        """
        text = os.fspath(file)
        if self.root is None or slashed(text) in self._rows:
            return slashed(text)
        if not is_whole(text) and os.path.lexists(whole(text, self.root)):
            return self._named(text)  # also where the current folder is below the root
        return below(whole(text), self.root) or self._named(text)

    def _named(self, name: str) -> str:
        """Return a name of the CSV, which is whole or relative to `root`, in its usual form."""
        if self.root is None or not name:
            return slashed(name)
        return below(name, self.root) or slashed(name)

    def decide(
        self,
        file: AnyPath,
        decision: Choice,
        *,
        label: str = "",
        given: str = "",
        reason: str = "",
    ) -> Decision:
        """Decide about a file, in place of what was decided before, and write the CSV.

        Args:
            file: the picture.
            decision: "keep", "relabel" or "drop".
            label: the new label of "relabel"; several for one picture with `;` between them.
            given: the label that the picture has.
            reason: why it was looked at.

        Raises:
            DataError: another word, or "relabel" without a label.
            OSError: the CSV cannot be written; nothing has changed.
        """
        made = decided_now(self.key(file), decision, label, given, reason)
        self.put([made])
        return made

    def forget(self, *files: AnyPath) -> None:
        """Take back what was decided about files, and write the CSV."""
        self.put([], files)

    def put(self, rows: Iterable[Decision], forgotten: Iterable[AnyPath] = ()) -> None:
        """Write decisions as they are, in place of earlier ones about the same files.

        Args:
            rows: the decisions.
            forgotten: files about which nothing is decided any more.
        """
        with self._lock, one_at_a_time(self.path):
            self.refresh()
            gone = {self.key(file) for file in forgotten}
            left = {file: row for file, row in self._rows.items() if file not in gone}
            named = (replace(row, file=self._named(row.file)) for row in rows)
            self._write(left | {row.file: row for row in named})

    def of(self, file: AnyPath) -> Decision | None:
        """Return what was decided about a file, or None."""
        return self._rows.get(self.key(file))

    def counts(self) -> dict[str, int]:
        """Return how many files are to be kept, relabelled and dropped."""
        found = Counter(row.decision for row in list(self._rows.values()))
        return {choice: found[choice] for choice in ("keep", "relabel", "drop")}

    def to_frame(self) -> Any:
        """Return a DataFrame with the columns of the CSV."""
        from presize.core.lazy import pd
        from presize.data.decisionrows import COLUMNS

        rows = [[getattr(row, name) for name in COLUMNS] for row in list(self._rows.values())]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def refresh(self) -> None:
        """Read the CSV again if somebody else has changed it; changes made here do so first.

        Raises:
            DataError: it is no table of decisions any more.
        """
        with self._lock:
            stamp = _stamp(self.path)
            if stamp == self._seen:
                return
            if self.path.is_dir():
                raise DataError(f"`{self.path}` is a folder: name the CSV file of decisions.")
            rows = [] if stamp is None else from_text(self.path.read_bytes(), str(self.path))
            self._rows = {self._named(row.file): row for row in rows}
            self._seen = stamp

    def __getitem__(self, file: str) -> Decision:
        return self._rows[self.key(file)]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {choice}" for choice, n in self.counts().items() if n)
        return f"Decisions({str(self.path)!r}: {counts or 'none yet'})"

    def _write(self, rows: dict[str, Decision]) -> None:
        rewrite(self.path, to_text(rows.values()))
        self._rows, self._seen = rows, _stamp(self.path)


def _stamp(path: pathlib.Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
