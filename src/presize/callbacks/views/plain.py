"""Shows a fit as plain lines."""

from presize.callbacks.views.curve import Curve
from presize.core.bar import Bar

_COLUMN, _NARROW = 9, 5


class PlainView:
    """One line an epoch: for logs, files and pipes."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def start(self, names: list[str]) -> None:
        """Print the names of the columns."""
        narrow = ("epoch", "time")
        self._widths = [max(len(n), _NARROW if n in narrow else _COLUMN) for n in names]
        self._print(names)

    def bar(self, bar: Bar) -> None:
        """Show nothing: a log has no bar."""

    def row(self, cells: list[str]) -> None:
        """Print one epoch."""
        self._print(cells)

    def curve(self, curve: Curve) -> None:
        """Show nothing: a log has no drawing."""

    def stop(self) -> None:
        """Nothing is left to remove."""

    def _print(self, cells: list[str]) -> None:
        print(table_line(cells, self._widths), flush=True)


def table_line(cells: list[str], widths: list[int]) -> str:
    """Return cells as one line, each at the right of its column.

    Args:
        cells: of one row.
        widths: of the columns; cells beyond them take what they need.
    """
    missing = [_COLUMN] * (len(cells) - len(widths))
    return "  ".join(c.rjust(w) for c, w in zip(cells, [*widths, *missing], strict=False))
