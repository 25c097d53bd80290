"""The pictures of a recorder: losses, metrics, schedules, and the search for a rate."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from presize.core.errors import TrainingError, did_you_mean
from presize.core.lazy import plt
from presize.show.colours import palette
from presize.show.functions import line_style
from presize.show.grids import Grid, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from presize.callbacks.recorder import Recorder

_STRIDES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # of the epochs that are named
_MARKS = 11  # epochs that are named at most


class RateSearch(NamedTuple):
    """What `lr_find` saw: rate and smoothed loss of each step, and where the suggestions lie."""

    lrs: Sequence[float]
    losses: Sequence[float]
    suggestions: Any
    points: Sequence[tuple[float, float]]


def plot_loss(
    recorder: "Recorder", skip_start: int, with_valid: bool, log: bool, ax: "Axes | None"
) -> "Axes":
    """Draw the losses; see `Recorder.plot_loss`."""
    if not len(recorder.smooth_loss):
        raise TrainingError(
            "plot_loss has nothing to draw: this learner has not trained yet. Call fit, "
            "fit_one_cycle or fine_tune first."
        )
    axes = plt.subplots(layout="constrained")[1] if ax is None else ax
    fresh = not axes.lines  # else a run is compared with what is there
    losses = recorder.losses
    skip = min(skip_start, max(len(losses) - 2, 0))
    axes.plot(range(skip, len(losses)), losses[skip:], line_style(losses[skip:]), label="train")
    points = [(i - 1, v) for i, v in _valid_losses(recorder) if v is not None and i > skip]
    if with_valid and points:
        axes.plot(*zip(*points, strict=True), label="valid", marker="o", markersize=4)
    axes.set(xlabel="step", ylabel="loss")
    if log:
        axes.set_yscale("log", nonpositive="mask")
    if fresh:
        epochs = [int(cells[0]) for cells in recorder.shown]
        _mark_epochs(axes, recorder.iters, epochs, skip)
    axes.legend()
    return axes


def _valid_losses(recorder: "Recorder") -> list[tuple[int, float | None]]:
    """Return the validation loss of each epoch that has one, after the steps until then."""
    if not recorder.valid_metrics:
        return []
    column = list(recorder.metric_names).index("valid_loss") - 1
    rows = zip(recorder.iters, recorder.values, strict=False)
    # A row is short where an epoch was cancelled, and without validation data.
    return [(i, row[column]) for i, row in rows if len(row) > column]


def _mark_epochs(axes: "Axes", iters: Sequence[int], epochs: Sequence[int], skip: int) -> None:
    """Draw a line at the end of each epoch, and name it above; of many, every second or fifth."""
    ends = [(0, -1), *zip(iters, epochs, strict=False)]
    # An epoch that was left before its first step ends where the one before does.
    marks = [(i - 1, epoch) for (before, _), (i, epoch) in pairwise(ends) if i > max(before, skip)]
    if len(marks) < 2:
        return
    stride = next((s for s in _STRIDES if len(marks) / s <= _MARKS), len(marks))
    shown = [(i, epoch) for i, epoch in marks if epoch % stride == 0]
    places, names = [i for i, _ in shown], [str(epoch) for _, epoch in shown]
    axes.vlines(
        places, 0, 1, transform=axes.get_xaxis_transform(), color=palette(axes).faint, alpha=0.35,
        linewidth=0.8, zorder=0,
    )  # fmt: skip
    above = axes.secondary_xaxis("top")
    above.set_xticks(places, names)
    above.tick_params(length=2)
    above.set_xlabel("epoch")


def plot_metrics(
    recorder: "Recorder",
    names: Sequence[str] | None,
    figsize: tuple[float, float] | None,
    ax: Any,
) -> Grid:
    """Draw the table of epochs; see `Recorder.plot_metrics`."""
    curves = _curves(recorder)
    if not curves:
        raise TrainingError(
            "plot_metrics has nothing to draw: no epoch has ended yet. Call fit, fit_one_cycle or "
            "fine_tune first."
        )
    chosen = list(curves) if names is None else list(names)
    for name in chosen:
        if name not in curves:
            raise TrainingError(
                f"plot_metrics knows no {name!r}; the last fit has {', '.join(curves)}."
                f"{did_you_mean(name, curves)}"
            )
    grid = panels(chosen, figsize=figsize, ax=ax)
    for name, axes in zip(chosen, grid, strict=True):
        for label, (epochs, values) in curves[name].items():
            marker = "o" if len(epochs) <= 30 else None
            axes.plot(epochs, values, label=label, marker=marker, markersize=4)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(curves[name]) > 1:
            axes.legend()
    return grid


def _curves(recorder: "Recorder") -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Return panel -> curve -> epochs and values; "loss" has those of both sets."""
    made: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for column, name in enumerate([n for n in recorder.metric_names if n not in ("epoch", "time")]):
        part, _, rest = name.partition("_")
        panel, label = (rest, part) if part in ("train", "valid") and rest else (name, "valid")
        # A row is short where an epoch was cancelled, and without validation data.
        seen = [
            (int(cells[0]), float(row[column]))
            for cells, row in zip(recorder.shown, recorder.values, strict=False)
            if len(row) > column and isinstance(row[column], int | float)
        ]
        if seen:
            epochs, values = zip(*seen, strict=True)
            made.setdefault(panel, {})[label] = (list(epochs), list(values))
    return made


def plot_sched(
    recorder: "Recorder",
    keys: Sequence[str] | None,
    figsize: tuple[float, float] | None,
    ax: Any,
) -> Grid:
    """Draw the schedules; see `Recorder.plot_sched`."""
    hypers = {name: values for name, values in recorder.hps.items() if values}
    if not hypers:
        raise TrainingError(
            "plot_sched has nothing to draw: the last fit followed no schedule. Call "
            "fit_one_cycle or fine_tune first."
        )
    names = list(hypers) if keys is None else list(keys)
    for name in names:
        if name not in hypers:
            raise TrainingError(
                f"plot_sched cannot draw {name!r}: the last fit followed a schedule of "
                f"{' and '.join(hypers)}.{did_you_mean(name, hypers)}"
            )
    grid = panels(names, figsize=figsize, ax=ax)
    for name, axes in zip(names, grid, strict=True):
        axes.plot(hypers[name], line_style(hypers[name]))
        axes.set(xlabel="step", ylabel=name)
    return grid


def plot_lr_find(
    lrs: Sequence[float],
    losses: Sequence[float],
    suggestions: Any = None,
    points: Sequence[tuple[float, float]] = (),
    *,
    skip_end: int = 5,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw loss against rate, with the suggestions marked; return the axes.

    Args:
        lrs: the rate of each step.
        losses: the smoothed loss of each step.
        suggestions: a named tuple of rates.
        points: rate and loss of each suggestion.
        skip_end: leave out so many last steps, where the loss has diverged.
        ax: axes to draw on; new ones if None.
    """
    axes = plt.subplots(layout="constrained")[1] if ax is None else ax
    end = len(lrs) - skip_end if skip_end and len(lrs) > 2 * skip_end else len(lrs)
    axes.plot(lrs[:end], losses[:end])
    axes.set(xlabel="learning rate", ylabel="loss", xscale="log")
    seen = np.asarray(losses[:end], dtype=float)
    seen = seen[np.isfinite(seen)]
    if len(seen) > 2:
        # The loss at the end may be a hundred times that of the valley, which is to be seen.
        low, high = float(seen.min()), float(seen[: seen.argmin() + 1].max())
        depth = high - low
        if depth > 0 and seen.max() > high + 2 * depth:
            axes.set_ylim(low - 0.1 * depth, high + depth)
    names = getattr(suggestions, "_fields", ())
    for i, (name, (rate, loss)) in enumerate(zip(names, points, strict=False)):
        axes.plot(rate, loss, "o", color=f"C{i + 1}", label=f"{name}: {rate:.2e}")
    if names:
        axes.legend(loc="best")
    return axes
