"""Shows the course of training, in a way that fits the output.

In a terminal a bar under the table, in a notebook a live table, else plain lines.
"""

import html
import os
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from presize.callbacks.base import Callback

if TYPE_CHECKING:
    from presize.learner import Learner

# Ten a second look alive. A page of a notebook takes a millisecond, many times what a step may.
REFRESH_SECONDS = 0.1
# The loss waits for the device when it is read, so that it is read but now and then.
LOSS_SECONDS = 2.0
COLUMN = 11


class View(Protocol):
    """A place where the table and the bar of a fit are shown."""

    def start(self, names: list[str]) -> None:
        """Show the head of the table."""

    def bar(self, label: str, done: int, total: int) -> None:
        """Show how far the epoch is."""

    def row(self, cells: list[str]) -> None:
        """Add a line to the table."""

    def stop(self) -> None:
        """Remove the bar, keep the table."""


class ProgressCallback(Callback):
    """Shows the table of epochs and a bar of batches; always there unless `learn.no_bar()`.

    Args:
        view: where to show it; None chooses by the output: notebook, terminal or plain lines.
    """

    order = 70

    def __init__(self, view: View | None = None) -> None:
        self._given = view
        self._view: View | None = None
        self._shown = self._read = 0.0
        self._loss = ""

    def before_fit(self, learn: "Learner") -> None:
        """Open the view and take over the log of epochs; one process of several shows it."""
        self._shown = self._read = perf_counter()
        self._loss = ""
        self._view = (self._given or choose_view()) if learn.ranks.is_main else NoView()
        self._view.start(list(learn.recorder.metric_names))
        if learn.logger is print:
            learn.logger = self.write

    def write(self, cells: list[Any]) -> None:
        """Show one epoch's row."""
        if self._view is not None:
            self._view.row([format_cell(c) for c in cells])

    def after_batch(self, learn: "Learner") -> None:
        """Move the bar; at the last batch of a part in any case."""
        now, done = perf_counter(), learn.iter + 1
        if self._view is None or (now - self._shown < REFRESH_SECONDS and done < learn.n_iter):
            return
        self._shown = now
        if learn.training and now - self._read >= LOSS_SECONDS:
            self._read = now
            loss = learn.recorder.smooth_loss.value
            self._loss = "" if loss is None else f", loss {loss:.4f}"
        part = f"train{self._loss}" if learn.training else "valid"
        self._view.bar(f"epoch {learn.epoch + 1}/{learn.n_epoch} {part}", done, learn.n_iter)

    def after_fit(self, learn: "Learner") -> None:
        """Close the view and give the log back."""
        if self._view is not None:
            self._view.stop()
            self._view = None
        if learn.logger == self.write:
            learn.logger = print


def format_cell(cell: Any) -> str:
    """Return a cell of the table as text: six decimals for numbers, as wide as a loss needs."""
    if cell is None:
        return ""
    return f"{cell:.6f}" if isinstance(cell, float) else str(cell)


def choose_view() -> View:
    """Return the view that fits the output: notebook, terminal or plain lines."""
    if os.environ.get("PRESIZE_PLAIN"):
        return PlainView()
    if in_notebook():
        return NotebookView()
    return TerminalView() if sys.stdout.isatty() else PlainView()


def in_notebook() -> bool:
    """Say whether the code runs in a Jupyter kernel, whose output shows HTML."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class NoView:
    """Shows nothing: for the processes beside the main one."""

    def start(self, names: list[str]) -> None:
        """Show no head."""

    def bar(self, label: str, done: int, total: int) -> None:
        """Show no bar."""

    def row(self, cells: list[str]) -> None:
        """Show no row."""

    def stop(self) -> None:
        """Nothing is left to remove."""


class PlainView:
    """One line an epoch: for logs, files and pipes."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def start(self, names: list[str]) -> None:
        """Print the names of the columns."""
        self._widths = [max(len(name), 5 if name in ("epoch", "time") else 9) for name in names]
        self._print(names)

    def bar(self, label: str, done: int, total: int) -> None:
        """Show nothing: a log has no bar."""

    def row(self, cells: list[str]) -> None:
        """Print one epoch."""
        self._print(cells)

    def stop(self) -> None:
        """Nothing is left to remove."""

    def _print(self, cells: list[str]) -> None:
        widths = [*self._widths, *[COLUMN] * len(cells)]
        line = "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=False))
        print(line, flush=True)


class TerminalView(PlainView):
    """The lines of the table, with a bar under them while an epoch runs."""

    def __init__(self) -> None:
        super().__init__()
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        text = TextColumn("{task.description}")
        self._bars = Progress(text, BarColumn(), MofNCompleteColumn(), Remaining(), transient=True)
        self._task = self._bars.add_task("", total=None)

    def start(self, names: list[str]) -> None:
        """Start the bar and print the names of the columns above it."""
        self._bars.start()
        super().start(names)

    def bar(self, label: str, done: int, total: int) -> None:
        """Move the bar; where less is done than before, another part has begun."""
        task = self._bars.tasks[0]
        if done <= task.completed or total != task.total:
            self._bars.reset(self._task, total=total)
        self._bars.update(self._task, description=label, completed=done, total=total)

    def stop(self) -> None:
        """Remove the bar."""
        self._bars.stop()

    def _print(self, cells: list[str]) -> None:
        widths = [*self._widths, *[COLUMN] * len(cells)]
        line = "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=False))
        self._bars.console.print(line, highlight=False, soft_wrap=True)


class NotebookView:
    """A table in the cell's output that grows by a row an epoch, and a bar under it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: list[list[str]] = []
        self._handle: Any = None

    def start(self, names: list[str]) -> None:
        """Show the empty table."""
        from IPython import display

        self._names = names
        html_table = display.HTML(self._html(""))  # type: ignore[no-untyped-call]
        self._handle = display.display(html_table, display_id=True)  # type: ignore[no-untyped-call]

    def bar(self, label: str, done: int, total: int) -> None:
        """Redraw with the bar."""
        self._update(
            f"<progress value='{done}' max='{total}' style='width:20em'></progress> "
            f"{html.escape(label)} {done}/{total}"
        )

    def row(self, cells: list[str]) -> None:
        """Add a row."""
        self._rows.append(cells)
        self._update("")

    def stop(self) -> None:
        """Redraw without the bar."""
        self._update("")

    def _update(self, below: str) -> None:
        from presize.core.lazy import HTML

        if self._handle is not None:
            self._handle.update(HTML(self._html(below)))

    def _html(self, below: str) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self._names)
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"
