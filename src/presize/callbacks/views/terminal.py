"""Shows a fit in a terminal."""

import sys

from presize.callbacks.views.curve import Curve
from presize.callbacks.views.plain import PlainView
from presize.core.bar import Bar
from presize.core.screen import SCREEN


class TerminalView(PlainView):
    """The lines of the table, with a bar under them while an epoch runs."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Bar | None = None
        self._curve = Bar("")

    def bar(self, bar: Bar) -> None:
        """Draw the bar."""
        self._bar = bar
        SCREEN.draw(bar)

    def curve(self, curve: Curve) -> None:
        """Draw the losses as a line of blocks above the bar."""
        self._curve.label = curve.as_blocks()
        if self._curve.label and _can_show(self._curve.label):
            SCREEN.draw(self._curve)

    def stop(self) -> None:
        """Remove the bar."""
        for bar in (self._curve, self._bar):
            if bar is not None:
                SCREEN.close(bar)
        self._bar = None


def _can_show(text: str) -> bool:
    """Say whether the output has these letters: some have no more than ASCII."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
