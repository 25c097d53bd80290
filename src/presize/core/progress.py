"""Bars for all that takes its time: `track` a loop, or tell of `working`.

In a terminal they are lines at the bottom, which go when the work is done; in a notebook a line of
HTML. Where output is neither, nothing is shown, unless one asks: then a line is printed when the
work has taken some seconds, and another one at its end. The same is done where the variable
PRESIZE_PLAIN is set.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import length_hint
from time import perf_counter
from typing import Protocol, TypeVar

from presize.core.bar import Bar, pace_figures
from presize.core.errors import DataError
from presize.core.output import clock, in_notebook, output_place
from presize.core.pace import Pace
from presize.core.ranks import is_main

T = TypeVar("T")

# Ten a second look alive, and cost a hundredth of the time.
REFRESH_SECONDS = 0.1
# What is done in a moment needs no bar, which would only flash.
DELAY_SECONDS = 0.5
# A log is told of what takes longer.
PLAIN_SECONDS = 5.0


class BarView(Protocol):
    """A place where a bar is drawn."""

    def draw(self, bar: Bar) -> None:
        """Show the bar as it is now."""

    def close(self, bar: Bar, *, finished: bool) -> None:
        """Take the bar away; `finished` is False on the way out of an error."""


class Work:
    """Work under way, whose bar moves.

    Args:
        bar: what is shown.
        view: where; None shows nothing.
        delay: seconds until the bar is first drawn.
    """

    def __init__(self, bar: Bar, view: BarView | None, delay: float = 0.0) -> None:
        self.bar = bar
        self._view = view
        now = perf_counter()
        self._next = now + delay
        self._pace = Pace(now)
        self._told: tuple[str, ...] = ()
        self._drawn = False
        if delay <= 0:
            self._draw(now)

    def advance(self, n: float = 1) -> None:
        """Say that `n` more are done."""
        self.bar.done += n
        self._look()

    def at(self, done: float, total: float | None = None) -> None:
        """Say that `done` are done, of `total` if that has become known by now."""
        self.bar.done = done
        if total is not None:
            self.bar.total = total
        self._look()

    def tell(self, *figures: str) -> None:
        """Show these figures in front of the time left, until others are told."""
        self._told = figures
        self._look()

    def rename(self, label: str) -> None:
        """Show another name: the work has come to another part."""
        self.bar.label = label
        if self._drawn:
            self._draw(perf_counter())  # the first step of that part may be far
        else:
            self._look()

    def close(self, *, finished: bool = True) -> None:
        """Take the bar away; `working` does so by itself."""
        if self._view is not None:
            self._view.close(self.bar, finished=finished)
            self._view = None

    def _look(self) -> None:
        if self._view is not None and (now := perf_counter()) >= self._next:
            self._draw(now)

    def _draw(self, now: float) -> None:
        if self._view is None:
            return
        self._next, self._drawn = now + REFRESH_SECONDS, True
        self._pace.look(now, self.bar.done)
        pace = pace_figures(self._pace.rate, self._pace.left(self.bar.total), self.bar.unit)
        self.bar.figures = (*self._told, *pace)
        self._view.draw(self.bar)


@contextmanager
def working(
    description: str,
    total: float | None = None,
    unit: str = "",
    *,
    show: bool | None = None,
    delay: float | None = None,
) -> Iterator[Work]:
    """Give a bar to work in a `with` block, whose steps are told: `work.advance()`.

    Args:
        description: what is being done, such as "predicting".
        total: how many steps there are; None if that is not known.
        unit: what is counted, for the rate, such as "img"; "bytes" are shown as MB and the like.
        show: None shows a bar where there is a terminal or a notebook for it; True prints lines
            elsewhere, too; False shows nothing.
        delay: seconds until the bar is first drawn, so that short work shows none; by default half
            a second.
    """
    wait = DELAY_SECONDS if delay is None else delay
    work = Work(Bar(description, total, unit), choose_bar(show), wait)
    try:
        yield work
    except BaseException:
        work.close(finished=False)
        raise
    work.close()


def track(
    iterable: Iterable[T],
    description: str,
    *,
    total: float | None = None,
    unit: str = "",
    show: bool | None = None,
    delay: float | None = None,
) -> Iterator[T]:
    """Yield what is in an iterable, and show in a bar how far that is.

    Where the loop may end by an error that is caught, `working` in a `with` block is better: it
    takes the bar away at once.

    Args:
        iterable: what is looped over.
        description: what is being done, such as "drawing pictures".
        total: how many there are; by default the length of the iterable, if it has one.
        unit: see `working`.
        show: see `working`.
        delay: see `working`.
    """
    if total is None:
        total = length_hint(iterable) or None
    with working(description, total, unit, show=show, delay=delay) as work:
        for item in iterable:
            yield item
            work.advance()


def choose_bar(show: bool | None) -> BarView | None:
    """Return what draws a bar here; None where nothing is shown."""
    if show is False or not _is_main():
        return None
    place = output_place(sys.stdout, sys.stderr)
    if place == "notebook":
        from presize.core.notebook import NotebookBar

        return NotebookBar()
    if place == "terminal":
        from presize.core.screen import ScreenBar

        return ScreenBar()
    return PlainBar() if show or os.environ.get("PRESIZE_PLAIN") else None


class PlainBar:
    """Two lines on the error stream: of work that takes some seconds, and of its end."""

    def __init__(self) -> None:
        self._start, self._told = perf_counter(), False

    def draw(self, bar: Bar) -> None:
        """Print that the work is under way, once."""
        if not self._told and perf_counter() - self._start >= PLAIN_SECONDS:
            self._told = True
            self._print(f"{bar.label}: {bar.count.strip()} after")

    def close(self, bar: Bar, *, finished: bool) -> None:
        """Print how long it took, if it was told that it is under way."""
        if self._told:
            stopped = "" if finished else "stopped at "
            self._print(f"{bar.label}: {stopped}{bar.count.strip()} in")

    def _print(self, text: str) -> None:
        # The error stream of a notebook is red, and this is no error.
        stream = sys.stdout if in_notebook() else sys.stderr
        print(text, clock(perf_counter() - self._start), file=stream, flush=True)


def _is_main() -> bool:
    try:
        return is_main()
    except DataError:  # variables that contradict each other, which matter where one trains
        return True
