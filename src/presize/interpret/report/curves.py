"""The figures of the training: losses, metrics and schedule over all fits, end to end."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from presize.interpret.page.figures import COLOURS, figure_svg, new_figure, page_style
from presize.show.functions import line_style
from presize.show.titles import drawable, shortened

if TYPE_CHECKING:
    from markupsafe import Markup

    from presize.train.training_record import FitRecord

_SKIPPED = 5  # first steps, whose losses are far off the scale
MOST_EPOCH_LINES = 40
_LEFT_OUT = ("epoch", "time", "train_loss", "valid_loss")
_LONG_NAMES = {"lr": "learning rate", "mom": "momentum", "wd": "weight decay"}


def loss_figure(fits: "Sequence[FitRecord]") -> "Markup | None":
    """Return the smoothed training loss of every step, the validation loss of every epoch."""
    train = _joined(
        (fit, fit.loss_steps, fit.losses, min(_SKIPPED, fit.n_steps - 2)) for fit in fits
    )
    valid = _column(fits, "valid_loss")
    if len(train) + len(valid) == 0:
        return None
    with page_style():
        figure = new_figure(8.4, 3.4)
        axes = figure.subplots()
        _mark_epochs(axes, fits)
        if train:
            axes.plot(
                *zip(*train, strict=True),
                line_style(train),
                label="training, smoothed",
                linewidth=1.8,
            )
        if valid:
            axes.plot(*zip(*valid, strict=True), label="validation", marker="o", markersize=5)
        axes.set(xlabel="step", ylabel="loss")
        axes.legend(loc="upper right")
        last = f", at the end {valid[-1][1]:.4g} in validation" if valid else ""
        return figure_svg(figure, f"Loss over {_steps(fits):,} steps{last}")


def metric_figures(fits: "Sequence[FitRecord]") -> "list[Markup]":
    """Return a small figure for each metric, over the epochs."""
    names = dict.fromkeys(name for fit in fits for name in fit.names if name not in _LEFT_OUT)
    made = []
    for name in names:
        points = _column(fits, name)
        if not points:
            continue
        with page_style():
            figure = new_figure(4.0, 2.6)
            axes = figure.subplots()
            _mark_epochs(axes, fits)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=5, color=_colour(3))
            last = f"{points[-1][1]:.4g}"
            shown = _short(name.replace("_", " "))
            axes.set(xlabel="step", title=f"{shown}: {last} at the end")
            made.append(figure_svg(figure, f"{shown}, at the end {last}"))
    return made


def schedule_figure(fits: "Sequence[FitRecord]") -> "Markup | None":
    """Return the course of what a schedule has set: the rate, the momentum."""
    names = dict.fromkeys(name for fit in fits for name in fit.hyper)
    courses = {
        name: _joined((fit, fit.hyper_steps, fit.hyper.get(name, ()), 0) for fit in fits)
        for name in names
    }
    courses = {name: points for name, points in courses.items() if points}
    if not courses:
        return None
    with page_style():
        figure = new_figure(8.4, 2.5)
        for axes, (i, (name, points)) in zip(
            figure.subplots(1, len(courses), squeeze=False)[0],
            enumerate(courses.items(), 1),
            strict=True,
        ):
            _mark_epochs(axes, fits)
            axes.plot(*zip(*points, strict=True), line_style(points), color=_colour(3 + i))
            axes.set(xlabel="step", title=_short(_LONG_NAMES.get(name, name)))
        return figure_svg(figure, f"Schedule of {', '.join(map(_short, courses))} over the steps")


def _short(name: str) -> str:
    return shortened(drawable(name), 24)


def _placed(fits: "Sequence[FitRecord]") -> "Iterator[tuple[int, FitRecord]]":
    """Yield each fit with the number of steps before it."""
    start = 0
    for fit in fits:
        yield start, fit
        start += fit.n_steps


def _steps(fits: "Sequence[FitRecord]") -> int:
    return sum(fit.n_steps for fit in fits)


def _joined(
    courses: "Iterable[tuple[FitRecord, Sequence[int], Sequence[float | None], int]]",
) -> list[tuple[float, float]]:
    """Return the points of all fits end to end, with a gap between two fits.

    Args:
        courses: of each fit its steps, the values at them, and the first step that is drawn.
    """
    points: list[tuple[float, float]] = []
    start = 0
    for fit, steps, values, first in courses:
        found = [
            (float(start + step), float(value))
            for step, value in zip(steps, values, strict=False)
            if value is not None and step >= first
        ]
        if points and found:
            points.append((math.nan, math.nan))
        points += found
        start += fit.n_steps
    return points


def _column(fits: "Sequence[FitRecord]", name: str) -> list[tuple[int, float]]:
    """Return the figure of each epoch that has one, at its last step."""
    found = []
    for start, fit in _placed(fits):
        if name not in fit.names:
            continue
        place = fit.names.index(name)
        for end, row in zip(fit.epoch_steps, fit.rows, strict=False):
            if place < len(row) and isinstance(row[place], float | int):
                found.append((start + end - 1, float(row[place])))
    return found


def _mark_epochs(axes: Any, fits: "Sequence[FitRecord]") -> None:
    """Draw where epochs end, faintly, and where another fit begins."""
    ends = [start + end - 1 for start, fit in _placed(fits) for end in fit.epoch_steps]
    axes.grid(visible=False, axis="x")
    if len(ends) <= MOST_EPOCH_LINES:
        for end in ends:
            axes.axvline(end, color=COLOURS["line"], linewidth=0.8, zorder=0)
    for start, _ in list(_placed(fits))[1:]:
        axes.axvline(start - 0.5, color=COLOURS["line-strong"], linewidth=1.2, dashes=(4, 3))


def _colour(number: int) -> str:
    return COLOURS[f"series-{(number - 1) % 6 + 1}"]
