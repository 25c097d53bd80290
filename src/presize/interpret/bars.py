"""One figure for each class, as bars, the lowest first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from presize.core.lazy import plt
from presize.show.colours import palette
from presize.show.titles import drawable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME = 32  # characters of a class beside its bar


def plot_per_class(
    names: Sequence[Any],
    values: Any,
    counts: Any = None,
    *,
    name: str = "F1",
    k: int = 20,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a figure in 0..1, such as F1 or recall, of the classes where it is lowest.

    Args:
        names: the classes.
        values: the figure of each, [c]; nan where a class has no pictures, which is written there.
        counts: pictures of each class, [c], written beside its name.
        name: what the figure is.
        k: how many classes to draw at most.
        title: written above.
        ax: axes to draw on; new ones if None.

    Raises:
        ValueError: there is not a value, and a count, for each class.
    """
    figures = np.asarray(values, dtype=np.float64).reshape(-1)
    sizes = None if counts is None else np.asarray(counts).reshape(-1)
    if (
        not len(names)
        or len(names) != len(figures)
        or (sizes is not None and len(sizes) != len(names))
    ):
        raise ValueError(
            f"plot_per_class needs a value for each class; got {len(names)} names, {len(figures)} "
            f"values" + ("." if sizes is None else f" and {len(sizes)} counts.")
        )
    # Classes without pictures come last: nothing is known about them.
    order = np.argsort(np.where(np.isnan(figures), np.inf, figures), kind="stable")[:k]
    if ax is None:
        height = 1.1 + 0.27 * len(order)
        ax = plt.subplots(figsize=(6.4, height), layout="constrained")[1]
    _draw_bars(ax, figures[order])
    labels = [shortened(drawable(names[i]), _NAME) for i in order]
    if sizes is not None:
        labels = [f"{label} ({sizes[i]:,})" for label, i in zip(labels, order, strict=True)]
    ax.set_yticks(range(len(order)), labels, parse_math=False)
    ax.set(xlim=(0, 1.12), ylim=(len(order) - 0.4, -0.6), xlabel=name)
    ax.set_xticks(np.linspace(0, 1, 6))
    if title is None:
        every = len(order) == len(names)
        some = "each class" if every else f"the lowest {len(order)} of {len(names):,} classes"
        title = f"{name} of {some}"
    ax.set_title(title)
    return ax


def _draw_bars(ax: "Axes", figures: Any) -> None:
    colours = palette(ax)
    ax.barh(range(len(figures)), np.nan_to_num(figures), height=0.7, color="C0")
    for place, value in enumerate(figures):
        unknown = bool(np.isnan(value))
        text, colour = ("no pictures", colours.faint) if unknown else (f"{value:.2f}", colours.ink)
        at = 0.0 if unknown else float(value)
        ax.text(at + 0.01, place, text, va="center", color=colour, fontsize="small")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
