"""Draws schedules before anything is trained with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from presize.train.schedules import Schedule


def plot_schedules(
    scheds: Mapping[str, Schedule] | Schedule,
    n: int = 500,
    *,
    figsize: tuple[float, float] | None = None,
    log: bool = False,
) -> Any:
    """Draw how hyper-parameters move with the progress of training; return the figure.

        plot_schedules(one_cycle(1e-2))
        plot_schedules({"lr": SchedExp(1e-2, 1e-5), "wd": SchedLin(0.0, 0.1)}, log=True)

    Args:
        scheds: name -> schedule, each in a panel of its own; or one schedule. One that returns
            an array is drawn as a line for each layer group.
        n: points of a line.
        figsize: (width, height) in inches.
        log: logarithmic axes of the values.

    Raises:
        TypeError: something in it cannot be called.
        ValueError: there is nothing to draw.
    """
    named = scheds if isinstance(scheds, Mapping) else {"value": scheds}
    for name, sched in named.items():
        if not callable(sched):
            raise TypeError(
                "plot_schedules draws functions of the progress from 0 to 1, such as "
                f"SchedCos(1e-2, 0), but `{name}` is {sched!r}."
            )
    if not named or n < 2:
        raise ValueError(
            f"plot_schedules needs a schedule and 2 points or more, but got {len(named)} "
            f"schedule(s) and n={n}."
        )
    from presize.show import subplots

    rows, width = (len(named) + 1) // 2, min(len(named), 2)
    figure, grid = subplots(rows, width, figsize=figsize or (width * 5, rows * 3.5))
    progress = np.linspace(0.0, 1.0, n)
    for (name, sched), axes in zip(named.items(), grid.flatten(), strict=False):
        values = np.array([sched(float(p)) for p in progress], dtype=np.float64)
        lines = axes.plot(progress, values)
        if values.ndim == 2 and values.shape[1] > 1:
            axes.legend(lines, [f"group {i}" for i in range(len(lines))])
        axes.set(xlabel="progress of training", ylabel=name, yscale="log" if log else "linear")
    for axes in grid.flatten()[len(named) :]:
        axes.set_axis_off()
    return figure
