"""The section on confidence: whether the model is right as often as it is sure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from presize.interpret.curves import calibration_bins, calibration_gap, plot_precision_recall
from presize.interpret.page.figures import COLOURS, figure_svg, new_figure, page_style
from presize.interpret.report.parts import Cell, Column, Section, Table
from presize.interpret.report.source import Source
from presize.interpret.report.wording import percent
from presize.train.calibration_error import BINS

if TYPE_CHECKING:
    from presize.interpret.curves import Floats
    from presize.train.calibration import Calibration

_MOST_CURVES = 40  # of a figure; each takes 15 kB of the page


def calibration_section(source: Source) -> Section:
    """Return how well confidence and accuracy agree, and what calibrating has changed."""
    title, template = "Confidence", "calibration.html"
    if not source.sure:
        missing = "The model's outputs are no probabilities: there is no confidence to look at."
        return Section(key="confidence", title=title, template=template, missing=missing)
    confidence, correct = source.interp.calibration()
    bins = calibration_bins(confidence, correct)
    values = {
        "figure": _figure(*bins),
        "error": calibration_gap(*bins),
        "sure": float(confidence.mean()),
        "right": source.interp.accuracy,
        "table": _before_and_after(source.learn.calibration),
        "unknown": _unknown(source.learn.calibration),
    }
    return Section(key="confidence", title=title, template=template, values=values)


def _figure(sure: "Floats", right: "Floats", counts: "Floats") -> Any:
    with page_style():
        figure = new_figure(5.0, 4.6)
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=COLOURS["line-strong"], dashes=(4, 3), linewidth=1.2)
        top.vlines(sure, sure, right, color=COLOURS["series-2"], linewidth=2, alpha=0.5)
        top.plot(sure, right, marker="o", markersize=5)
        top.set(ylabel="part that is right", ylim=(-0.02, 1.04), xlim=(0, 1.02))
        middles = (np.ceil(sure * BINS).clip(1) - 0.5) / BINS  # of the bins
        below.bar(middles, counts, width=0.8 / BINS, color=COLOURS["series-6"])
        below.set(xlabel="how sure the model is", ylabel="answers")
        return figure_svg(
            figure,
            f"How often the model is right by how sure it is, over {int(counts.sum()):,} answers",
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
    found, n = source.interp.precision_recall(), len(source.names)
    known = np.flatnonzero(np.isfinite(found.average_precision))
    order = np.argsort(found.average_precision[known], kind="stable")
    shown = known[order][:_MOST_CURVES]
    title, template = "Precision and recall", "curves.html"
    if not len(shown):
        missing = "No item of the validation set has a label."
        return Section(key="curves", title=title, template=template, missing=missing)
    mean = found.average_precision[known].mean()
    with page_style():
        figure = new_figure(6.4, 4.6)
        plot_precision_recall(
            found.precision[shown],
            found.recall[shown],
            [source.names[i] for i in shown],
            average_precision=found.average_precision[shown],
            title=f"{n:,} label{'s' * (n != 1)}, mean average precision {mean:.3f}",
            ax=figure.subplots(),
        )
        drawn = figure_svg(figure, f"Precision over recall of {len(shown):,} labels")
    values = {"figure": drawn, "shown": len(shown), "total": len(known)}
    return Section(key="curves", title=title, template=template, values=values)
