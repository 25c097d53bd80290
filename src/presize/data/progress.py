"""Bars for what takes its time: fetching a file, and reading through it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from presize.core.progress import Work, working


class FetchBar:
    """The bar of one download."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def at(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` bytes are there; None where the total is not known."""
        self._work.at(done, total)


@contextmanager
def fetching(name: str, *, show: bool) -> Iterator[FetchBar]:
    """Give the bar for the download of `name`; a log gets a line if it takes some seconds."""
    with working(name, unit="bytes", show=show) as work:
        yield FetchBar(work)


@contextmanager
def reading(path: Path, what: str, *, show: bool) -> Iterator[IO[bytes]]:
    """Open a file so that a bar shows how far it has been read; nothing is shown unless `show`."""
    size = path.stat().st_size
    with (
        working(what, size, "bytes", show=show) as work,
        io.BufferedReader(_Watched(path, work), buffer_size=1 << 16) as file,
    ):
        yield cast(IO[bytes], file)


class _Watched(io.FileIO):
    """A file that tells a bar where it is being read."""

    def __init__(self, path: Path, work: Work) -> None:
        super().__init__(path, "rb")
        self._work = work

    def readinto(self, buffer: Any) -> int:
        n = super().readinto(buffer)
        self._work.at(self.tell())
        return n or 0
