"""Draws functions of one number, and courses of one."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from presize.core.foundation import to_np
from presize.core.lazy import plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 201  # of a plotted function; odd, so that the middle, such as 0, is one of them


def plot_function(
    f: Callable[[Tensor], Any],
    tx: str | None = None,
    ty: str | None = None,
    title: str | None = None,
    min: float = -2,
    max: float = 2,
    figsize: tuple[float, float] = (6, 4),
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw `f` from `min` to `max`; what is drawn next with `plt` goes onto the same axes.

    Args:
        f: takes a tensor of 201 numbers and returns as many.
        tx: written under the x axis.
        ty: written beside the y axis.
        title: written above.
        min: left end.
        max: right end.
        figsize: (width, height) of a new figure in inches.
        ax: where to draw; a new figure if None.

    Returns the axes. Raises ValueError if `f` returns another number of values.
    """
    x = torch.linspace(min, max, _POINTS)
    y = np.asarray(to_np(f(x)))
    if y.shape != (_POINTS,):
        raise ValueError(
            f"plot_function gives `f` a tensor of {_POINTS} numbers and needs as many back; "
            f"`f` returned the shape {list(y.shape)}. Write it with functions of tensors that "
            f"work element by element, as `x**2` or `torch.sin(x)`."
        )
    axes = plt.subplots(figsize=figsize)[1] if ax is None else ax
    axes.plot(x.numpy(), y)
    axes.set(xlabel=tx or "", ylabel=ty or "", title=title or "")
    return axes


def line_style(points: Sequence[Any]) -> str:
    """Return how matplotlib draws a course: as a line, or a single point, which is no line."""
    return "-" if len(points) > 1 else "o"
