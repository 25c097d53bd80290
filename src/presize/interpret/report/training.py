"""The section on the training: the table of epochs, the curves, the schedule, the waiting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from presize.interpret.report.curves import (
    MOST_EPOCH_LINES,
    loss_figure,
    metric_figures,
    schedule_figure,
)
from presize.interpret.report.parts import Cell, Column, Section, Table
from presize.interpret.report.source import Source
from presize.interpret.report.wording import duration, percent

if TYPE_CHECKING:
    from presize.train.training_record import FitRecord

_MOST_FITS = 12
_MOST_EPOCHS = 60
_MUCH = 0.25


def training_section(source: Source) -> Section:
    """Return what happened while the model was trained."""
    fits = source.record.fits
    title, template = "Training", "training.html"
    if not fits:
        missing = (
            "Nothing is known of the training: this model was not trained by this learner, and its "
            "file tells nothing of it."
        )
        return Section(key="training", title=title, template=template, missing=missing)
    values = {
        "loss": loss_figure(fits),
        "lines": _lines(fits),
        "metrics": metric_figures(fits),
        "schedule": schedule_figure(fits),
        "tables": [_table(fit) for fit in fits[-_MOST_FITS:]],
        "earlier": max(0, len(fits) - _MOST_FITS),
        "verdicts": _verdicts(fits),
    }
    return Section(key="training", title=title, template=template, values=values)


def _lines(fits: Sequence["FitRecord"]) -> str:
    """Return what the upright lines in the curves are."""
    n = sum(len(fit.epoch_steps) for fit in fits)
    told = ["Thin lines are the ends of epochs."] if n <= MOST_EPOCH_LINES else []
    if len(fits) > 1:
        told.append("Where a line is broken, another fit began.")
    return " ".join(told)


def _table(fit: "FitRecord") -> Table:
    rows = fit.rows
    if len(rows) > _MOST_EPOCHS:  # the first and the last epochs, and evenly between them
        last = _MOST_EPOCHS - 1
        rows = [rows[round(i * (len(rows) - 1) / last)] for i in range(_MOST_EPOCHS)]
    epochs = f"{len(fit.rows):,} epoch{'s' * (len(fit.rows) != 1)}"
    if len(fit.rows) < fit.n_epoch:
        epochs += f" of {fit.n_epoch:,}"
    return Table(
        caption=f"{fit.method}: {fit.trained}; {epochs}, {duration(fit.seconds)}",
        columns=[Column(name.replace("_", " ")) for name in fit.names],
        rows=[[Cell(_text(value)) for value in row[: len(fit.names)]] for row in rows],
        left_out=len(fit.rows) - len(rows),
    )


def _text(value: object) -> str:
    if value is None:
        return "\u2013"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _verdicts(fits: Sequence["FitRecord"]) -> list[tuple[str, str]]:
    """Return (kind, text) of what there is to say about waiting for data."""
    told = list(dict.fromkeys(fit.waiting for fit in fits if fit.waiting))
    if told:
        return [("warn", text) for text in told]
    known = [(fit.waited, fit.seconds) for fit in fits if fit.waited is not None]
    if not known:
        return []
    seconds = sum(of_fit for _, of_fit in known)
    waited = sum(share * of_fit for share, of_fit in known) / max(seconds, 1e-9)
    text = f"The model waited {percent(waited, 0)} of the time for data"
    return [("good", f"{text}, which is little.") if waited < _MUCH else ("plain", f"{text}.")]
