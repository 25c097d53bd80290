"""Grids of samples, and of predictions beside what was wanted; what is no picture is printed."""

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
from torch import Tensor

from presize.core.device import keep_type
from presize.show.colours import palette
from presize.show.grids import Grid, get_grid, titles_fitted
from presize.tensors import TensorImageBase, TensorPoint, show_title

Show = Callable[..., Any]
"""Shows a sample on the axes `ctx`, or prints it where there are none."""
FigSize = tuple[float, float] | None

_PICTURES = (TensorImageBase, TensorPoint, PIL.Image.Image)
_COLUMNS = (Tensor, tuple, list, dict)
_AT_MOST = 9


def samples_of(batch: Any, n: int) -> list[Any]:
    """Return the first `n` samples of a batch, or as many as it has; tensors keep their type."""
    return [_sample_at(batch, i) for i in range(min(n, _size_of(batch)))]


def _is_column(batch: Any) -> bool:
    """Return whether a tuple or list holds samples (texts); else it holds columns of them."""
    return not (batch and isinstance(batch[0], _COLUMNS))


def _size_of(batch: Any) -> int:
    if isinstance(batch, dict):
        return min(map(_size_of, batch.values()), default=0)
    if isinstance(batch, tuple | list) and not _is_column(batch):
        return min(map(_size_of, batch))
    return 0 if isinstance(batch, Tensor) and batch.ndim == 0 else len(batch)


def _sample_at(batch: Any, i: int) -> Any:
    if isinstance(batch, Tensor):
        return keep_type(batch[i], batch)
    if isinstance(batch, dict):
        return {key: _sample_at(part, i) for key, part in batch.items()}
    if _is_column(batch):
        return batch[i]
    return type(batch)(_sample_at(part, i) for part in batch)


def how_many(max_n: int | None, nrows: int | None, ncols: int | None) -> int:
    """Return how many samples to show at most."""
    if max_n is not None:
        return max_n
    return nrows * ncols if nrows is not None and ncols is not None else _AT_MOST


def has_picture(sample: Any) -> bool:
    """Return whether a sample, or an element of it, is something to draw."""
    return any(map(has_picture, sample)) if type(sample) is tuple else isinstance(sample, _PICTURES)


def show_each(
    samples: Sequence[Any],
    show: Show,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: FigSize = None,
) -> Grid | None:
    """Draw samples on a grid and return its axes; print them if there is no picture among them."""
    if not any(map(has_picture, samples)):
        for sample in samples:
            show(sample)
        return None
    axes = get_grid(len(samples), nrows, ncols, figsize)
    for sample, ctx in zip(samples, axes, strict=False):
        show(sample, ctx=ctx)
    return titles_fitted(axes)


def show_values(values: Any, ctx: Any = None) -> Any:
    """Show a value, or each of a tuple, as it is: drawn, as the title of the axes, or printed."""
    for value in values if type(values) is tuple else (values,):
        own = getattr(value, "show", None)
        ctx = own(ctx=ctx) if callable(own) else show_title(value, ctx)
    return ctx


def show_outcomes(
    inputs: Sequence[tuple[Any, ...]],
    wanted: Sequence[tuple[Any, ...]],
    predicted: Sequence[tuple[Any, ...]],
    show: Show,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: FigSize = None,
) -> Grid | None:
    """Draw inputs with what was wanted and what was predicted; return the axes.

    Labels are written above, the wanted one first: green where they agree, red where they do not.
    Masks and points are drawn side by side, the wanted ones left. What has no picture is printed.

    Args:
        inputs: of each sample, as `show` takes them.
        wanted: the decoded targets of each sample; empty tuples where there are none.
        predicted: the decoded predictions of each sample.
        show: draws the inputs of a sample.
        nrows: rows of the grid.
        ncols: columns of the grid.
        figsize: (width, height) in inches.
    """
    rows = list(zip(inputs, wanted, predicted, strict=False))
    if not any(map(has_picture, inputs)):
        for row in rows:
            for values in row:
                show_values(values)
        return None
    double = any(map(has_picture, wanted))
    axes = get_grid(len(rows), nrows, ncols, figsize, double=double)
    if not double:
        for (pictures, target, answer), ctx in zip(rows, axes, strict=False):
            show(pictures, ctx=ctx)
            _write_verdict(ctx, target, answer)
        return titles_fitted(axes)
    for (pictures, target, answer), left, right in zip(rows, axes[::2], axes[1::2], strict=False):
        for ctx, values, name in ((left, target, "Target"), (right, answer, "Prediction")):
            show(pictures, ctx=ctx)
            show_values(values, ctx)
            ctx.set_title(name)
    return titles_fitted(axes)


def _write_verdict(ctx: Any, target: tuple[Any, ...], answer: tuple[Any, ...]) -> None:
    lines = []
    for values in (target, answer):
        ctx.set_title("")
        for value in values:
            show_values(value, ctx)  # each value knows how to write itself
            lines.append(ctx.get_title())
    half, colours = len(lines) // 2, palette(ctx)
    agree = lines[:half] == lines[half:]
    colour = colours.ink if not target else colours.right if agree else colours.wrong
    ctx.set_title("\n".join(lines), color=colour)
