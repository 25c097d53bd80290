"""Pictures that could not be read: what is known of one, and the file that lists them."""

import csv
import io
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from presize.core.errors import ImageError
from presize.data.problems import WAY_OUT

Done = Literal["replaced", "left out"]

FILE_NAME = "quarantine.csv"
_COLUMNS = ("path", "reason", "split", "index", "done", "time")
# How the words of an error begin that are not its reason.
_NAME = re.compile(r"^(`[^`]*`|The picture in memory) (cannot be read: )?")
_SPLITS = {0: "train", 1: "valid"}


@dataclass(frozen=True, slots=True)
class BadPicture:
    """A picture that could not be read.

    Args:
        path: its file; None where it is not a file of its own.
        name: what it is called where it is part of a larger file, such as a shard; else None.
        reason: what is wrong with it.
        split: 0 in training, 1 in validation, None where nothing says so.
        index: that of its item in the data set; of data without positions, its number in the pass.
        epoch: the pass in which it was met first.
        done: whether its sample was made of another item, or left out.
    """

    path: Path | None
    name: str | None
    reason: str
    split: int | None
    index: int
    epoch: int
    done: Done

    @classmethod
    def of(
        cls,
        error: ImageError,
        *,
        name: str | None = None,
        split: int | None,
        index: int,
        epoch: int,
        done: Done,
    ) -> "BadPicture":
        """Return what an error says, without the name and the advice that are in it."""
        reason = _NAME.sub("", str(error).removesuffix(WAY_OUT)).rstrip(".")
        name = None if error.path is not None else name
        return cls(error.path, name, reason, split, index, epoch, done)

    @property
    def where(self) -> str:
        """Its file or name, or the number of its item."""
        if self.path is not None or self.name is not None:
            return f"`{self.path or self.name}`"
        return f"item {self.index}" + (f" ({self.part})" if self.part else "")

    @property
    def part(self) -> str:
        """The split in words: train, valid; "" where nothing says so."""
        return "" if self.split is None else _SPLITS.get(self.split, str(self.split))


class BadList:
    """A file of bad pictures that is complete at any time, also when the program is killed.

    It is made when there is something to write. What other runs wrote stays; a file that is listed
    for the same reason already is not listed again.

    Args:
        folder: where the file is to be.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder).absolute() / FILE_NAME
        self.problem: str | None = None
        """Why the list is not written; None if it is."""
        self._listed: set[tuple[str, str]] | None = None

    def append(self, bad: BadPicture) -> None:
        """Write a line; where that cannot be, `problem` says why, and nothing is raised."""
        if self.problem is not None:
            return
        try:
            self._append(bad)
        except (OSError, csv.Error) as error:
            self.problem = getattr(error, "strerror", None) or str(error)

    def _append(self, bad: BadPicture) -> None:
        start = ""
        if self._listed is None:
            self._listed, start = self._known()
        path = bad.name or "" if bad.path is None else str(Path(bad.path).absolute())
        key = (path, bad.reason)
        if path and key in self._listed:
            return
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        text = _line([path, bad.reason, bad.part, bad.index, bad.done, now])
        if not self.path.parent.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
        # One write for a whole line: also of several programs none cuts into that of another.
        with self.path.open("ab", buffering=0) as file:
            file.write((start + text).encode("utf-8", "surrogateescape"))
        self._listed.add(key)

    def _known(self) -> tuple[set[tuple[str, str]], str]:
        """Return (path, reason) of the lines that are there, and what comes before new ones."""
        if not self.path.exists():
            return set(), _line(_COLUMNS)
        text = self.path.read_bytes().decode("utf-8", "surrogateescape")
        rows = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            if not text:
                return set(), _line(_COLUMNS)
            raise csv.Error("there is a file of that name with other columns")
        listed = {(row["path"] or "", row["reason"] or "") for row in rows}
        return listed, "" if text.endswith("\n") else "\r\n"


def _line(cells: "tuple[object, ...] | list[object]") -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()
