"""Shows a fit in a notebook."""

import html

from presize.callbacks.views.curve import Curve
from presize.callbacks.views.curve_svg import curve_svg
from presize.callbacks.views.plain import table_line
from presize.core.bar import Bar
from presize.core.notebook import Output, bar_html

_CELL = "text-align:right;padding:.25em .9em;font-variant-numeric:tabular-nums"


class NotebookView:
    """A table in the cell's output that grows by a row an epoch, and a bar under it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: list[list[str]] = []
        self._bar = self._drawing = ""
        self._output = Output()

    def start(self, names: list[str]) -> None:
        """Show the empty table."""
        self._names = names
        self._show()

    def bar(self, bar: Bar) -> None:
        """Redraw with the bar."""
        self._bar = bar_html(bar)
        self._show()

    def row(self, cells: list[str]) -> None:
        """Add a row."""
        self._rows.append(cells)
        self._show()

    def curve(self, curve: Curve) -> None:
        """Redraw with the losses beside the bar."""
        self._drawing = curve_svg(curve)
        self._show()

    def stop(self) -> None:
        """Redraw without the bar."""
        self._bar = ""
        self._show()

    def _show(self) -> None:
        self._output.show(
            f"{table_html(self._names, self._rows)}{self._drawing}{self._bar}",
            "\n".join(table_line(row, [9] * len(row)) for row in (self._names, *self._rows)),
        )


def table_html(names: list[str], rows: list[list[str]]) -> str:
    """Return the table of epochs in the colours of the notebook, whether light or dark."""
    head = "".join(f"<th scope='col' style='{_CELL}'>{html.escape(name)}</th>" for name in names)
    lines = (
        "".join(f"<td style='{_CELL}'>{html.escape(cell)}</td>" for cell in row) for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        "<table style='border-collapse:collapse;margin:.3em 0'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
