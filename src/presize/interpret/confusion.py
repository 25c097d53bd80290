"""Which class is taken for which: the confusion matrix, counted; drawn in `confusion_plot`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Counts = npt.NDArray[np.int64]


def confusion_counts(targets: Tensor, decoded: Tensor, n_classes: int) -> Counts:
    """Return how often class i (row) was taken for class j (column): int64 [n, n].

    One bincount over n*n cells: memory does not grow with the number of items.
    """
    cells = targets.flatten().long() * n_classes + decoded.flatten().long()
    counts = torch.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).numpy()


def most_confused(
    counts: Counts, vocab: Sequence[Any], min_val: int = 1
) -> list[tuple[Any, Any, int]]:
    """Return (actual, predicted, count) of the errors made at least `min_val` times, most first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    cells = np.argwhere(wrong >= max(min_val, 1)).tolist()
    pairs = [(vocab[i], vocab[j], int(wrong[i, j])) for i, j in cells]
    return sorted(pairs, key=lambda pair: pair[2], reverse=True)
