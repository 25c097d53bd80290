"""The losses of a fit so far, few enough to be drawn again and again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from presize.learner import Learner

Point = tuple[float, float]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 40
_POINTS = 240  # twice as many as a picture of this size can tell apart
_SKIPPED = 5  # the first losses are far off the scale of the others


@dataclass(frozen=True)
class Curve:
    """Losses by the step after which they were found.

    Args:
        train: the smoothed loss of training; neighbours are averaged.
        valid: the loss of validation, a point an epoch.
        epochs: after how many steps each epoch has ended.
        steps: how many there will be in all.
    """

    train: list[Point]
    valid: list[Point]
    epochs: list[int]
    steps: int

    @staticmethod
    def of(learn: "Learner") -> "Curve":
        """Return the curve of the fit that is under way; reads the losses from the device."""
        recorder = learn.recorder
        losses, epochs = recorder.losses, list(recorder.iters)
        skip = min(_SKIPPED, max(len(losses) - 2, 0))
        whole = epochs[0] if epochs else learn.n_iter
        return Curve(
            train=thinned(losses[skip:], first=skip + 1),
            valid=list(zip(epochs, valid_losses(learn), strict=False)),
            epochs=epochs,
            steps=max(whole * learn.n_epoch, len(losses)),
        )

    def as_blocks(self) -> str:
        """Return the losses of training as a line of blocks, and the last one; "" if none."""
        values = [loss for _, loss in self.train]
        return f"loss  {blocks(values)}  {values[-1]:.4f}" if values else ""


def valid_losses(learn: "Learner") -> list[float]:
    """Return the validation loss of each epoch so far; nan for one that has none."""
    names = list(learn.recorder.metric_names)
    if "valid_loss" not in names:
        return []
    column = names.index("valid_loss") - 1
    found = (row[column] if len(row) > column else None for row in learn.recorder.values)
    return [math.nan if loss is None else loss for loss in found]


def thinned(values: Sequence[float], *, first: int = 0, most: int = _POINTS) -> list[Point]:
    """Return points (number, value), with neighbours averaged where there are too many.

    Args:
        values: evenly spaced.
        first: the number of the first one.
        most: how many points there may be.
    """
    return [
        (first + (a + b - 1) / 2, sum(values[a:b]) / (b - a)) for a, b in _parts(len(values), most)
    ]


def blocks(values: Sequence[float], width: int = _WIDTH) -> str:
    """Return a curve as a line of blocks from ▁ (the lowest value) to █.

    Args:
        values: evenly spaced; where there are more than `width`, neighbours are averaged. What is
            not finite is shown as a gap.
        width: the most characters.
    """
    means = [mean for _, mean in thinned(values, most=width)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        _BLOCKS[round((mean - low) * scale)] if math.isfinite(mean) else " " for mean in means
    )


def _parts(n: int, most: int) -> list[tuple[int, int]]:
    """Return the bounds of at most `most` parts of about the same length."""
    count = min(n, most)
    return list(pairwise(round(i * n / count) for i in range(count + 1))) if count else []
