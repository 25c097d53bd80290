"""Shows the course of training, in a way that fits the output.

In a terminal a bar under the table, in a notebook a live table, else plain lines.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.callbacks.pass_pace import PassPace
from presize.core.bar import Bar
from presize.core.output import in_notebook as in_notebook
from presize.core.output import output_place

if TYPE_CHECKING:
    from presize.callbacks.views.view import View
    from presize.learner import Learner

# Ten a second look alive. A page of a notebook takes a millisecond, many times what a step may.
REFRESH_SECONDS = 0.1
# The loss waits for the device when it is read, so that it is read but now and then.
LOSS_SECONDS = 2.0


class ProgressCallback(Callback):
    """Shows the table of epochs and a bar of batches; always there unless `learn.no_bar()`.

    One that is given to a fit, `learn.fit(5, cbs=ProgressCallback(plot=True))`, takes the place of
    the learner's own in that fit.

    Args:
        view: where to show it; None chooses by the output: notebook, terminal or plain lines.
        plot: draw the losses as well while they fall.
    """

    order = 70

    def __init__(self, view: "View | None" = None, *, plot: bool = False) -> None:
        self.plot = plot
        self._given = view
        self._view: View | None = None
        self._next = self._read = 0.0
        self._loss = ""
        self._bar = Bar("")
        self._pace: PassPace | None = None

    def before_fit(self, learn: "Learner") -> None:
        """Open the view and take over the log of epochs; one process of several shows it."""
        self._read = perf_counter()
        self._loss, self._bar = "", Bar("")
        if self._view is not None:  # a callback trains in the midst of a fit
            self._view.stop()
        self._view = (self._given or choose_view()) if learn.ranks.is_main else None
        if self._view is not None:
            self._view.start(list(learn.recorder.metric_names))
        if learn.logger is print:
            learn.logger = self.write

    def write(self, cells: list[Any]) -> None:
        """Show one epoch's row."""
        if self._view is not None:
            self._view.row([format_cell(c) for c in cells])

    def before_train(self, learn: "Learner") -> None:
        """Show that the epoch begins: its first batch may take a while."""
        self._begin(learn)

    def before_validate(self, learn: "Learner") -> None:
        """Show that the validation of the epoch begins."""
        self._begin(learn)

    def after_batch(self, learn: "Learner") -> None:
        """Move the bar; at the last batch of a part in any case."""
        now, done = perf_counter(), learn.iter + 1
        if self._view is None or (now < self._next and done < learn.n_iter):
            return
        self._draw(learn, now, done)

    def after_epoch(self, learn: "Learner") -> None:
        """Draw the losses with that of validation."""
        self._draw_curve(learn)

    def after_fit(self, learn: "Learner") -> None:
        """Close the view and give the log back."""
        if self._view is not None:
            self._view.stop()
            self._view = None
        if learn.logger == self.write:
            learn.logger = print

    def _begin(self, learn: "Learner") -> None:
        self._pace = None
        if self._view is not None:
            self._draw(learn, perf_counter(), 0)

    def _draw(self, learn: "Learner", now: float, done: int) -> None:
        assert self._view is not None
        self._next = now + REFRESH_SECONDS
        if learn.training and done and now - self._read >= LOSS_SECONDS:
            self._read = now
            loss = learn.recorder.smooth_loss.value
            self._loss = "" if loss is None else f"loss {loss:.4f}"
            self._draw_curve(learn)
        part = "" if learn.training else " valid"
        self._bar.label = f"epoch {learn.epoch + 1}/{learn.n_epoch}{part}"
        self._bar.done, self._bar.total = done, learn.n_iter
        self._bar.figures = (*self._loss_figure(learn), *self._pace_figures(learn, now, done))
        self._view.bar(self._bar)

    def _loss_figure(self, learn: "Learner") -> tuple[str, ...]:
        return (self._loss,) if learn.training and self._loss else ()

    def _pace_figures(self, learn: "Learner", now: float, done: int) -> tuple[str, ...]:
        if not done:
            return ()
        # A callback may pass another loader through the model in the midst of this one.
        if self._pace is None or self._pace.dl is not learn.dl:
            self._pace = PassPace(learn)
        return self._pace.figures(learn, now, done)

    def _draw_curve(self, learn: "Learner") -> None:
        if self.plot and self._view is not None:
            from presize.callbacks.views.curve import Curve

            self._view.curve(Curve.of(learn))


def format_cell(cell: Any) -> str:
    """Return a cell of the table as text: six decimals for numbers, as wide as a loss needs."""
    if cell is None:
        return ""
    return f"{cell:.6f}" if isinstance(cell, float) else str(cell)


def choose_view() -> "View":
    """Return the view that fits the output: notebook, terminal or plain lines."""
    place = output_place()
    if place == "notebook":
        from presize.callbacks.views.notebook import NotebookView

        return NotebookView()
    if place == "terminal":
        from presize.callbacks.views.terminal import TerminalView

        return TerminalView()
    from presize.callbacks.views.plain import PlainView

    return PlainView()
