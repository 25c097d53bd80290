"""Precision and recall of labels at all thresholds, from counts in bins of the probability.

The bins are even on the scale of logits, from -16 to 16, so that they are fine where probabilities
are close to 0 or 1, as those of rare labels are. Memory: 2 counts for each bin and label, 16 MB for
1,000 labels, whatever the number of items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BINS = 1024
_SPAN = 16.0

Floats = npt.NDArray[np.float64]


def bin_edges() -> Tensor:
    """Return the thresholds between the bins, rising, float64 [BINS - 1]."""
    return torch.linspace(-_SPAN, _SPAN, BINS - 1, dtype=torch.float64).sigmoid()


def bins_of(probs: Tensor) -> Tensor:
    """Return the bin of each probability, int64; 4 times as fast as to search among the edges."""
    places = (probs.clamp(0, 1).logit() + _SPAN) * ((BINS - 2) / (2 * _SPAN)) + 1
    return places.clamp(0, BINS - 1).long()


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall of c labels at t thresholds.

    Args:
        thresholds: rising, [t]; a label counts as predicted at and above one.
        precision: [c, t]; nan where nothing is predicted.
        recall: [c, t]; nan for a label that no item has.
        average_precision: the area under each curve, [c], as scikit-learn's
            `average_precision_score` has it; nan for a label that no item has.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats
    average_precision: Floats


class LabelCounts:
    """Counts, for each label and bin, the items that have the label and those that do not.

    Args:
        n_labels: how many labels.
    """

    def __init__(self, n_labels: int) -> None:
        self.counts = torch.zeros(2, n_labels, BINS, dtype=torch.int64)

    def add(self, probs: Tensor, targets: Tensor) -> None:
        """Count a batch.

        Args:
            probs: of each label, float32 [n, c] on the CPU.
            targets: whether each item has each label, bool [n, c] on the CPU.
        """
        n_labels = self.counts.shape[1]
        bins = bins_of(probs)
        cells = (targets.long() * n_labels + torch.arange(n_labels)) * BINS + bins
        self.counts.view(-1).index_add_(
            0, cells.flatten(), torch.ones(cells.numel(), dtype=torch.int64)
        )

    def curves(self) -> PrecisionRecall:
        """Return precision and recall at the lower end of each bin."""
        without, having = (c.flip(1).cumsum(1).flip(1).double().numpy() for c in self.counts)
        n_having = having[:, :1]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision: Floats = having / (having + without)
            recall: Floats = having / n_having
        # From the strictest threshold on: each step of recall counts at the precision there.
        rises = np.diff(recall[:, ::-1], axis=1, prepend=0.0)
        areas = np.where(rises > 0, rises * precision[:, ::-1], 0.0).sum(1)
        average: Floats = np.where(n_having[:, 0] > 0, areas, np.nan)
        thresholds = np.concatenate([[0.0], bin_edges().numpy()])
        return PrecisionRecall(thresholds, precision, recall, average)


def packed(values: Tensor) -> Tensor:
    """Return yes and no, bool [n, c], as bits: uint8 [n, ceil(c / 8)]."""
    bits: npt.NDArray[Any] = np.packbits(values.numpy(), axis=1)
    return torch.from_numpy(bits)


def unpacked(bits: Tensor, n_labels: int) -> Tensor:
    """Return what `packed` made bits of: bool [n, c]."""
    values = np.unpackbits(bits.numpy(), axis=1, count=n_labels)
    return torch.from_numpy(values).bool()
