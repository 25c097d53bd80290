"""The bottom of the terminal: the bars of all that is at work, drawn by rich.

There is one for the program, since two that do not know of each other would overwrite each other.
What a program prints meanwhile appears above the bars; what it has begun to print, without an end
of line, such as the question of `input`, stands as their first line.
"""

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from presize.core.bar import Bar
from presize.core.output import is_terminal
from presize.core.printing import Redirection, beneath

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_MOST_BAR, _LEAST_BAR = 40, 8
# Ctrl-C is echoed as ^C behind the bar, and must not begin a new line there.
_MARGIN = 4


class Screen:
    """Draws bars, in the order in which they were opened, the first one at the bottom."""

    def __init__(self) -> None:
        self._bars: list[Bar] = []
        self._live: Live | None = None
        self._redirection: Redirection | None = None
        self.lock = threading.RLock()
        self._hook = sys.excepthook

    def draw(self, bar: Bar) -> None:
        """Draw all bars anew, and this one with them from now on."""
        with self.lock:
            if all(bar is not other for other in self._bars):
                self._bars.append(bar)
            self._start().refresh()

    def close(self, bar: Bar) -> None:
        """Take a bar away, and with the last one all that was drawn."""
        with self.lock:
            self._bars = [other for other in self._bars if other is not bar]
            if self._live is not None:
                if self._bars:
                    self._live.refresh()
                else:
                    self.stop()

    def stop(self) -> None:
        """Take all bars away, and let printed text go where it went before."""
        with self.lock:
            live, self._live, self._bars = self._live, None, []
            redirection, self._redirection = self._redirection, None
            if sys.excepthook == self._uncaught:
                sys.excepthook = self._hook
            try:
                if live is not None:
                    with suppress(ValueError):  # the terminal's stream is closed by now
                        live.stop()
            finally:
                if redirection is not None:
                    redirection.undo()

    def forget(self) -> None:
        """Draw nothing more in a process that was forked: the bars are those of the other one."""
        self.lock = threading.RLock()  # the other may be held by a thread that is not here
        self._live = None
        if self._redirection is not None:
            self._redirection.forget()
        self.stop()

    def print(self, text: str) -> None:
        """Print lines above the bars, just as they are."""
        from rich.segment import Segment, Segments

        with self.lock:
            if self._live is not None:
                self._live.console.print(Segments([Segment(f"{text}\n")]), soft_wrap=True)

    def refresh(self) -> None:
        """Draw what has changed, if there is anything."""
        with self.lock:
            if self._live is not None:
                self._live.refresh()

    def _start(self) -> "Live":
        if self._live is not None:
            return self._live
        from rich.console import Console
        from rich.live import Live

        stream = sys.stdout if is_terminal(sys.stdout) else sys.stderr
        console = Console(file=beneath(stream), force_terminal=True, force_jupyter=False)
        # Without a thread: whoever moves a bar draws it, so that no process that is forked
        # meanwhile finds a lock that nobody will open.
        live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            get_renderable=self._drawn,
        )
        self._live, self._redirection = live, Redirection(self)
        self._hook, sys.excepthook = sys.excepthook, self._uncaught
        live.start()
        # A program that is killed takes no time to show the cursor again.
        console.show_cursor(True)
        return live

    def _uncaught(self, kind: Any, error: Any, traceback: Any) -> None:
        """Take the bars away before an error is told that nobody has caught."""
        self.stop()
        self._hook(kind, error, traceback)

    def _drawn(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        if self._live is None or self._redirection is None:
            return ""
        width = self._live.console.width
        begun = [
            Text.from_ansi(text, no_wrap=True, overflow="crop")
            for text in self._redirection.begun()
        ]
        return Group(*begun, *(line(bar, width) for bar in reversed(self._bars)))


def line(bar: Bar, width: int) -> "RenderableType":
    """Return a bar as one line for rich: where it is narrow, the least important goes first.

    Args:
        bar: what to draw.
        width: columns of the terminal.
    """
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    room = width - _MARGIN
    label, count, *figures = bar.label, bar.count, *bar.steady()
    if _taken(label, count) > room:
        return Text(f"{label}  {count}"[: max(room, 1)], no_wrap=True, overflow="crop")
    least = _LEAST_BAR + 2 if _taken(label, count) + _LEAST_BAR + 2 <= room else 0
    if bar.share is None:
        least = 0
    while figures and _taken(label, count, *figures) + least > room:
        figures.pop()
    cells: list[RenderableType] = [Text(text) for text in (label, count, *figures)]
    if least:
        drawn = min(_MOST_BAR, room - _taken(label, count, *figures) - 2)
        total = bar.total or 1.0
        done = bar.done if bar.total else 1.0
        style, finished = "cyan", "green"
        cells.insert(
            1,
            ProgressBar(total, done, drawn, complete_style=style, finished_style=finished),
        )
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in cells:
        grid.add_column(no_wrap=True)
    grid.add_row(*cells)
    return grid


def _taken(*texts: str) -> int:
    """Return the columns that texts take, with two between each."""
    from rich.cells import cell_len

    return sum(map(cell_len, texts)) + 2 * (len(texts) - 1)


SCREEN = Screen()
# On the way out of a program that was ended in the midst of it.
atexit.register(SCREEN.stop)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=SCREEN.forget)


class ScreenBar:
    """Draws a bar at the bottom of the terminal."""

    def draw(self, bar: Bar) -> None:
        """Show the bar as it is now."""
        SCREEN.draw(bar)

    def close(self, bar: Bar, *, finished: bool) -> None:
        """Take it away."""
        SCREEN.close(bar)
