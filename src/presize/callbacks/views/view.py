"""What a place does that shows a fit."""

from typing import Protocol

from presize.callbacks.views.curve import Curve
from presize.core.bar import Bar


class View(Protocol):
    """A place where the table, the bar and the curve of a fit are shown."""

    def start(self, names: list[str]) -> None:
        """Show the head of the table."""

    def bar(self, bar: Bar) -> None:
        """Show how far the epoch is; the same bar each time, which has changed."""

    def row(self, cells: list[str]) -> None:
        """Add a line to the table."""

    def curve(self, curve: Curve) -> None:
        """Show the losses so far; only if they were asked for."""

    def stop(self) -> None:
        """Remove the bar, keep the table."""
