"""Draws schedules before anything is trained with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from presize.show.grids import Grid, panels
from presize.train.schedules import Schedule


def plot_schedules(
    scheds: Mapping[str, Schedule] | Schedule,
    n: int = 500,
    *,
    figsize: tuple[float, float] | None = None,
    log: bool = False,
    ax: Any = None,
) -> Grid:
    """Draw how hyper-parameters move with the progress of training; return the axes.

        plot_schedules(one_cycle(1e-2))
        plot_schedules({"lr": SchedExp(1e-2, 1e-5), "wd": SchedLin(0.0, 0.1)}, log=True)

    Args:
        scheds: name -> schedule, each in a panel of its own; or one schedule. One that returns
            an array is drawn as a line for each layer group.
        n: points of a line.
        figsize: (width, height) in inches.
        log: logarithmic axes of the values.
        ax: axes to draw on, one for each panel; new ones if None.

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
    grid = panels(list(named), figsize=figsize, ax=ax)
    progress = np.linspace(0.0, 1.0, n)
    for (name, sched), axes in zip(named.items(), grid, strict=True):
        values = np.array([sched(float(p)) for p in progress], dtype=np.float64)
        lines = axes.plot(progress, values)
        if values.ndim == 2 and values.shape[1] > 1:
            axes.legend(lines, [f"group {i}" for i in range(len(lines))])
        axes.set(xlabel="progress of training", ylabel=name, yscale="log" if log else "linear")
    return grid
