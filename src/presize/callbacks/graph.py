"""Draws the losses while they fall: a live picture in a notebook, a line of blocks elsewhere."""

import io
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.callbacks.bottleneck import tell
from presize.callbacks.progress import in_notebook
from presize.callbacks.resting import looks_for_rate
from presize.callbacks.views.curve import blocks as blocks

if TYPE_CHECKING:
    from presize.learner import Learner


class ShowGraph(Callback):
    """Shows the curves of train and validation loss, anew after every epoch.

    In a notebook they are a picture in the output of the cell; in a terminal or a log two lines
    of text at the end of the fit.
    """

    order = 75

    def __init__(self) -> None:
        self._handle: Any = None
        self._resting = False

    def before_fit(self, learn: "Learner") -> None:
        """Begin a picture of its own for each fit."""
        self._resting = looks_for_rate(learn)
        if not self._resting:
            self._handle = None

    def after_epoch(self, learn: "Learner") -> None:
        """Draw the picture, in a notebook."""
        if self._resting or not learn.ranks.is_main or not in_notebook():
            return
        if len(learn.recorder.losses) < 2:  # no line yet
            return
        from IPython import display

        picture = display.Image(data=_picture(learn))  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = display.display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)

    def after_fit(self, learn: "Learner") -> None:
        """Write the lines, where no picture was drawn."""
        resting, self._resting = self._resting, False
        if resting or self._handle is not None or not learn.ranks.is_main:
            return
        curves = {"train_loss": learn.recorder.losses}
        names = list(learn.recorder.metric_names)
        if "valid_loss" in names:
            column = names.index("valid_loss") - 1
            rows = [row for row in learn.recorder.values if len(row) > column]
            curves["valid_loss"] = [row[column] for row in rows if row[column] is not None]
        for name, values in curves.items():
            if values:
                tell(learn, f"{name}  {blocks(values)}  {values[0]:.4f} to {values[-1]:.4f}")


def _picture(learn: "Learner") -> bytes:
    """Return the curves as a PNG, drawn without a window or a figure that stays open."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="tight")
    learn.recorder.plot_loss(ax=figure.subplots())
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


ShowGraphCallback = ShowGraph
