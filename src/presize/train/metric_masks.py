"""Metrics of segmentation: overlaps of predicted and true areas, summed over an epoch."""

import torch
from torch import Tensor

from presize.train.metric_base import LearnerState, Metric, flat_pair


class DiceMulti(Metric):
    """Twice the overlap over the sum of both areas, for each class, then the mean.

    Classes that are neither predicted nor there are left out; target values that are no class
    (a "void" of 255, say) count for nothing.

    Args:
        axis: where the classes are in the outputs [N, classes, H, W].
    """

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis
        self.reset()

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._sums: Tensor | None = None

    def accumulate(self, learn: LearnerState) -> None:
        """Add the areas of the current batch: both, predicted, true; for each class."""
        n = learn.pred.shape[self.axis]
        pred, true = flat_pair(learn.pred.argmax(self.axis), learn.yb[0], self.name)
        counts = (true >= 0) & (true < n)
        void = torch.full_like(pred, n)
        pred, true = torch.where(counts, pred, void), torch.where(counts, true.long(), void)
        both = torch.where(pred == true, true, void)
        # scatter_add_ rather than bincount, whose output size the device would be asked for.
        sums = torch.zeros(3, n + 1, device=pred.device, dtype=torch.int64)
        sums = sums.scatter_add_(
            1, torch.stack([both, pred, true]), torch.ones_like(pred).expand(3, -1)
        )
        self._sums = sums[:, :n] if self._sums is None else self._sums + sums[:, :n]

    def _areas(self) -> tuple[Tensor, Tensor] | None:
        if self._sums is None:
            return None
        both, pred, true = self._sums.float()
        return both, pred + true

    @property
    def value(self) -> Tensor | None:
        """The mean over the classes that occur; None before the first batch."""
        areas = self._areas()
        return None if areas is None else torch.nanmean(2 * areas[0] / areas[1])


class JaccardCoeffMulti(DiceMulti):
    """Overlap over union, for each class, then the mean (mean IoU)."""

    @property
    def value(self) -> Tensor | None:
        """The mean over the classes that occur; None before the first batch."""
        areas = self._areas()
        return None if areas is None else torch.nanmean(areas[0] / (areas[1] - areas[0]))


class Dice(DiceMulti):
    """Twice the overlap over the sum of both areas, of class 1 of two.

    Args:
        axis: where the two classes are in the outputs [N, 2, H, W].
    """

    def accumulate(self, learn: LearnerState) -> None:
        """Add the areas of the current batch."""
        n = learn.pred.shape[self.axis]
        if n != 2:
            kind = type(self).__name__
            raise ValueError(
                f"{kind} is for background and one class, but the model has {n} classes along "
                f"axis {self.axis}. Use {kind}Multi."
            )
        super().accumulate(learn)

    @property
    def value(self) -> Tensor | None:
        """The overlap of class 1, NaN if it is nowhere; None before the first batch."""
        areas = self._areas()
        return None if areas is None else 2 * areas[0][1] / areas[1][1]


class JaccardCoeff(Dice):
    """Overlap over union, of class 1 of two."""

    @property
    def value(self) -> Tensor | None:
        """The overlap of class 1, NaN if it is nowhere; None before the first batch."""
        areas = self._areas()
        return None if areas is None else areas[0][1] / (areas[1][1] - areas[0][1])
