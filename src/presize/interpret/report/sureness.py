"""The section on confidence: whether the model is right as often as it is sure."""

from typing import TYPE_CHECKING, Any

import torch

from presize.interpret.page.figures import COLOURS, figure_svg, new_figure, page_style
from presize.interpret.report.parts import Cell, Column, Section, Table
from presize.interpret.report.source import Source
from presize.interpret.report.wording import percent

if TYPE_CHECKING:
    from presize.train.calibration import Calibration

_BINS = 15


def calibration_section(source: Source) -> Section:
    """Return how well confidence and accuracy agree, and what calibrating has changed."""
    confidence, correct = (torch.as_tensor(v).flatten() for v in source.interp.calibration())
    title, template = "Confidence", "calibration.html"
    if not len(confidence):
        missing = "There are no probabilities whose truth is known."
        return Section(key="confidence", title=title, template=template, missing=missing)
    bins = _bins(confidence.float(), correct.float())
    error = sum(n * abs(right - sure) for sure, right, n in bins) / len(confidence)
    values = {
        "figure": _figure(bins, len(confidence)),
        "error": float(error),
        "sure": float(confidence.float().mean()),
        "right": float(correct.float().mean()),
        "table": _before_and_after(source.learn.calibration),
        "unknown": _unknown(source.learn.calibration),
    }
    return Section(key="confidence", title=title, template=template, values=values)


def _bins(confidence: Any, correct: Any) -> list[tuple[float, float, int]]:
    """Return (mean confidence, accuracy, count) of each of the bins that has items."""
    places = (confidence * _BINS).long().clamp(0, _BINS - 1)
    counts = torch.bincount(places, minlength=_BINS)
    sure = torch.bincount(places, confidence.double(), _BINS)
    right = torch.bincount(places, correct.double(), _BINS)
    return [
        (float(s / n), float(r / n), int(n))
        for s, r, n in zip(sure, right, counts, strict=True)
        if n
    ]


def _figure(bins: list[tuple[float, float, int]], total: int) -> Any:
    with page_style():
        figure = new_figure(5.0, 4.6)
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=COLOURS["line-strong"], dashes=(4, 3), linewidth=1.2)
        sure, right, counts = zip(*bins, strict=True)
        top.vlines(sure, sure, right, color=COLOURS["series-2"], linewidth=2, alpha=0.5)
        top.plot(sure, right, marker="o", markersize=5)
        top.set(ylabel="part that is right", ylim=(-0.02, 1.04), xlim=(0, 1.02))
        below.bar(sure, counts, width=0.8 / _BINS, color=COLOURS["series-6"])
        below.set(xlabel="how sure the model is", ylabel="answers")
        return figure_svg(
            figure, f"How often the model is right by how sure it is, over {total:,} answers"
        )


def _unknown(calibration: "Calibration | None") -> str:
    """Return when an item is called none of the classes; "" where that is not decided."""
    if calibration is None or calibration.threshold is None or calibration.coverage is None:
        return ""
    by = f"whose features are stranger than {calibration.threshold:.3g}"
    if calibration.unknown == "confidence":
        by = f"of which the model is less than {percent(1 - calibration.threshold)} sure"
    known = percent(calibration.coverage)
    return f"A picture {by} is none of the classes; {known} of known pictures pass."


def _before_and_after(calibration: "Calibration | None") -> Table | None:
    """Return the figures before and after calibrating; None if the learner is not calibrated."""
    if calibration is None:
        return None
    names = {
        "ece": "expected calibration error",
        "brier": "Brier score",
        "nll": "negative log-likelihood",
    }
    at = (calibration.before, calibration.after)
    rows = [
        [Cell(name), *(Cell(f"{getattr(figures, key):.4f}") for figures in at)]
        for key, name in names.items()
    ]
    rows.append([Cell("temperature"), Cell("1"), Cell(f"{calibration.temperature:.3f}")])
    columns = [Column("", number=False), Column("before"), Column("after")]
    return Table(caption="What calibrating has changed", columns=columns, rows=rows)


def curves_section(source: Source) -> Section:
    """Return precision over recall, for models of several labels."""
    from presize.interpret.curves import plot_precision_recall

    interp = source.interp
    found = interp.precision_recall()
    with page_style():
        figure = new_figure(6.4, 4.6)
        plot_precision_recall(
            found.precision,
            found.recall,
            source.names,
            average_precision=found.average_precision,
            ax=figure.subplots(),
        )
        drawn = figure_svg(figure, f"Precision over recall of {len(source.names):,} labels")
    return Section(
        key="curves", title="Precision and recall", template="curves.html", values={"figure": drawn}
    )
