"""Which class is taken for which: the confusion matrix, counted and drawn."""

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


def plot_confusion(
    counts: Counts,
    vocab: Sequence[Any],
    *,
    normalize: bool = False,
    title: str = "Confusion matrix",
    cmap: str = "Blues",
    norm_dec: int = 2,
    plot_txt: bool = True,
    figsize: tuple[float, float] | None = None,
    dpi: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw the matrix, actual classes down and predicted ones across; return the axes."""
    from matplotlib import pyplot as plt

    n = len(vocab)
    shown = counts / counts.sum(1, keepdims=True).clip(1) if normalize else counts
    if ax is None:
        side = max(4.0, 0.3 * n + 1.5)
        ax = plt.subplots(figsize=figsize or (side, side), dpi=dpi)[1]
    ax.imshow(shown, interpolation="nearest", cmap=cmap)
    names = [str(name) for name in vocab]
    ax.set_xticks(range(n), names, rotation=90)
    ax.set_yticks(range(n), names)
    ax.set(title=title, xlabel="Predicted", ylabel="Actual", ylim=(n - 0.5, -0.5))
    if plot_txt:
        dark = shown.max() / 2
        # Beyond a dozen classes zeros are the rule; only what was counted is written.
        for i, j in zip(
            *np.nonzero(shown) if n > 12 else np.indices((n, n)).reshape(2, -1), strict=True
        ):
            text = f"{shown[i, j]:.{norm_dec}f}" if normalize else str(counts[i, j])
            colour = "white" if shown[i, j] > dark else "black"
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
    ax.figure.tight_layout()
    return ax
