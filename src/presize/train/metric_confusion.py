"""Which class is taken for which, counted over an epoch."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from presize.core.errors import TrainingError
from presize.train.metric_base import LearnerState, class_scores, flat_pair
from presize.train.metric_masks import Areas


class ConfusionMatrix(Areas):
    """How often class i was taken for class j, over an epoch; counted on the device.

    The table of training has one number for it, the share on the diagonal, which is the accuracy;
    read `matrix` for all of them. Targets that are no class (-100, say, or a "void" of 255) count
    for nothing.

    Args:
        axis: where the classes are in the outputs; 1 for segmentation.
        name: heading of the column.
    """

    def __init__(self, *, axis: int = -1, name: str | None = "confusion_accuracy") -> None:
        self.axis = axis
        self.name = name
        self.reset()

    def accumulate(self, learn: LearnerState) -> None:
        """Count the current batch."""
        scores = class_scores(learn.pred, learn.yb[0], self.axis, self.name)
        n = scores.shape[self.axis]
        pred, true = flat_pair(scores.argmax(self.axis), learn.yb[0], self.name)
        cells = torch.where((true >= 0) & (true < n), true.long() * n + pred, n * n)
        if self._sums is None:
            self._sums = torch.zeros(n * n + 1, dtype=torch.int64, device=pred.device)
        # In place: for 1000 classes a matrix is 8 MB, too much to make one for each batch.
        self._sums = self._sums.to(pred.device).scatter_add_(0, cells, torch.ones_like(cells))

    def _counts(self) -> Tensor | None:
        if self._sums is None:
            return None
        n = int((len(self._sums) - 1) ** 0.5)
        return self._sums[:-1].reshape(n, n).cpu()

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Rows are true classes and columns predicted ones: int64 [classes, classes].

        Raises:
            TrainingError: nothing was counted yet.
        """
        counts = self._counts()
        if counts is None:
            raise TrainingError(
                "This ConfusionMatrix has counted nothing yet. Pass it to a learner, "
                "metrics=[matrix], and call learn.fit(...) or learn.validate() first."
            )
        found: NDArray[np.int64] = counts.numpy().copy()
        return found

    @property
    def value(self) -> Tensor | None:
        """The share of items on the diagonal; None before the first batch."""
        counts = self._counts()
        return None if counts is None else counts.trace().double() / counts.sum()
