"""Bars for what takes its time: fetching a file, and reading through it."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class FetchBar:
    """The bar of one download."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress, self._task = progress, task

    def at(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` bytes are there; None where the total is not known."""
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def fetching(name: str, *, show: bool) -> Iterator[FetchBar]:
    """Give the bar for the download of `name`; it is not drawn unless `show`."""
    with _bar(show=show) as progress:
        yield FetchBar(progress, progress.add_task(name, total=None))


@contextmanager
def reading(path: Path, what: str, *, show: bool) -> Iterator[IO[bytes]]:
    """Open a file so that a bar shows how far it has been read; not drawn unless `show`."""
    with _bar(show=show) as progress, progress.open(path, "rb", description=what) as file:
        yield cast(IO[bytes], file)


def _bar(*, show: bool) -> "Progress":
    """Return a bar with bytes, rate and time left, on the error stream."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    # In a notebook rich draws with ipywidgets; without them it would warn at every step.
    drawable = not console.is_jupyter or importlib.util.find_spec("ipywidgets") is not None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not (show and drawable),
        transient=False,
    )
