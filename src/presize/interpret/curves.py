"""Curves of a classifier: how right it is when it is sure, and precision against recall."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from presize.core.lazy import plt
from presize.show.colours import palette
from presize.show.titles import drawable, shortened
from presize.train.calibration_error import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]
_NAME = 28  # characters of a class in a legend
_SIDE = (5.2, 5.0)  # inches


def plot_calibration(
    confidence: Any,
    correct: Any,
    *,
    n_bins: int = BINS,
    before: Any = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how often answers are right against how sure the model is of them; return the axes.

    A calibrated model lies on the diagonal. The bars at the bottom show how the answers are spread
    over the confidences. ECE, the expected calibration error, is the distance from the diagonal in
    the mean over all answers. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        confidence: probability of the predicted class of each item, [n] in 0..1.
        correct: whether the predicted class is the right one, [n].
        n_bins: ranges of confidence, of equal width.
        before: confidences of the same items before they were calibrated, drawn beside, [n].
        title: written above.
        ax: axes to draw on; new ones if None.

    Raises:
        ValueError: there is no item, the lengths differ, or a confidence is outside 0..1.
    """
    sure, right = _column(confidence), _column(correct)
    _check_confidence(sure, right, n_bins, "confidence")
    axes = plt.subplots(figsize=_SIDE, layout="constrained")[1] if ax is None else ax
    colours = palette(axes)
    axes.plot([0, 1], [0, 1], color=colours.faint, linestyle="--", linewidth=1)
    if before is not None:
        earlier = _column(before)
        _check_confidence(earlier, right, n_bins, "before")
        x, y, counts = calibration_bins(earlier, right, n_bins)
        label = f"before: ECE {calibration_gap(x, y, counts):.1%}"
        axes.plot(x, y, "s:", color=colours.faint, markersize=4, label=label)
    x, y, counts = calibration_bins(sure, right, n_bins)
    name = "" if before is None else "calibrated: "
    axes.plot(
        x, y, "o-", color="C0", markersize=5, label=f"{name}ECE {calibration_gap(x, y, counts):.1%}"
    )
    axes.fill_between(x, x, y, color="C0", alpha=0.15, linewidth=0)
    _draw_shares(axes, sure, n_bins)
    axes.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"Calibration over {len(sure):,} items" if title is None else title)
    axes.set_aspect("equal")
    axes.legend(loc="upper left")
    return axes


def _column(values: Any) -> Floats:
    """Return a tensor, array or list of numbers or bools as float64 [n]."""
    detached = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(detached, dtype=np.float64).reshape(-1)


def _check_confidence(sure: Floats, right: Floats, n_bins: int, name: str) -> None:
    if not len(sure) or len(sure) != len(right) or n_bins < 1:
        raise ValueError(
            f"plot_calibration needs a confidence, and whether it was right, for each of one or "
            f"more items, and a bin; got {len(sure)} in `{name}`, {len(right)} in `correct` and "
            f"n_bins={n_bins}."
        )
    # Rounding may carry a probability past 1.
    if not (sure.min() >= -1e-6 and sure.max() <= 1 + 1e-6):
        raise ValueError(
            f"plot_calibration takes probabilities from 0 to 1, but those in `{name}` reach from "
            f"{sure.min():.4g} to {sure.max():.4g}. Are they outputs before the softmax?"
        )


def calibration_bins(
    confidence: Any, correct: Any, n_bins: int = BINS
) -> tuple[Floats, Floats, Floats]:
    """Return mean confidence, share of right answers and count of the bins that are not empty.

    Bins are open below and closed above, as those of `calibration_error`.
    """
    sure, right = _column(confidence), _column(correct)
    place = np.clip(np.ceil(sure * n_bins) - 1, 0, n_bins - 1).astype(int)
    counts = np.bincount(place, minlength=n_bins).astype(np.float64)
    kept = counts > 0
    sums = [np.bincount(place, values, n_bins)[kept] for values in (sure, right)]
    return sums[0] / counts[kept], sums[1] / counts[kept], counts[kept]


def calibration_gap(x: Floats, y: Floats, counts: Floats) -> float:
    """Return the expected calibration error, 0..1, from what `calibration_bins` returns."""
    return float((np.abs(x - y) * counts).sum() / counts.sum())


def _draw_shares(axes: "Axes", sure: Floats, n_bins: int) -> None:
    """Draw which share of the items has which confidence, at the bottom, out of the way."""
    counts, edges = np.histogram(sure, n_bins, (0.0, 1.0))
    height = 0.15 * counts / counts.max(initial=1)
    faint = palette(axes).faint
    axes.bar(edges[:-1], height, 1 / n_bins, align="edge", color=faint, alpha=0.35, linewidth=0)


def plot_precision_recall(
    precision: Any,
    recall: Any,
    vocab: Sequence[Any] | None = None,
    *,
    average_precision: Any = None,
    k: int = 8,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw precision against recall for each label; return the axes.

    Where there are more labels than `k`, those with the lowest average precision are named and the
    others stay gray behind them.

    Args:
        precision: at each threshold, [t], or [c, t] for c labels; nan where it is not defined.
        recall: likewise, in 0..1.
        vocab: the names of the labels.
        average_precision: of each label, [c]; the area under the steps if None.
        k: how many labels are named at most; colours repeat beyond ten.
        title: written above.
        ax: axes to draw on; new ones if None.

    Raises:
        ValueError: the shapes differ, or there is not a name for each label.
    """
    y, x = np.atleast_2d(_plain(precision)), np.atleast_2d(_plain(recall))
    names = [drawable(name) for name in vocab] if vocab is not None else [""] * len(y)
    if x.shape != y.shape or len(names) != len(y) or not y.size:
        raise ValueError(
            f"plot_precision_recall needs precision and recall of one shape, [labels, thresholds], "
            f"and a name for each label; got {list(y.shape)}, {list(x.shape)} and {len(names)} "
            f"name(s)."
        )
    areas = _areas(x, y) if average_precision is None else _column(average_precision)
    axes = plt.subplots(figsize=(7.6, 4.6), layout="constrained")[1] if ax is None else ax
    known = np.flatnonzero(np.isfinite(areas))
    named = known[np.argsort(areas[known], kind="stable")][: max(k, 0)]
    for i in np.setdiff1d(known, named):
        axes.plot(x[i], y[i], color=palette(axes).faint, alpha=0.35, linewidth=0.8)
    for i in named:
        label = f"{shortened(names[i], _NAME)} {areas[i]:.2f}".strip()
        axes.plot(x[i], y[i], label=label, linewidth=1.8)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    mean = f", mean average precision {areas[known].mean():.3f}" if len(known) else ""
    plural = "" if len(y) == 1 else "s"
    axes.set_title(f"{len(y)} label{plural}{mean}" if title is None else title)
    if len(named) and len(y) > 1:
        heading = "average precision" if len(named) == len(known) else f"the lowest {len(named)}"
        _draw_legend(axes, heading, beside=ax is None)
    return axes


def _draw_legend(axes: "Axes", heading: str, *, beside: bool) -> None:
    """Write the legend beside a figure of its own: no corner is free of curves."""
    style: dict[str, Any] = {"fontsize": "small", "title_fontsize": "small"}
    place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if beside else {"loc": "best"}
    legend = axes.legend(title=heading, **place, **style)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _plain(values: Any) -> Floats:
    detached = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(detached, dtype=np.float64)


def _areas(recall: Floats, precision: Floats) -> Floats:
    """Return average precision: each precision, times the recall gained at its threshold."""
    made = []
    for x, y in zip(recall, precision, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        # Of thresholds with the same recall the highest counts: it has the fewest false alarms.
        order = np.lexsort((-y[known], x[known]))
        gained = np.diff(x[known][order], prepend=0.0)
        made.append((gained * y[known][order]).sum() if known.any() else np.nan)
    return np.array(made)
