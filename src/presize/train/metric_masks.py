"""Metrics of segmentation, from areas that are summed over an epoch."""

from typing import Any

import torch
from torch import Tensor

from presize.train.collective import all_cat
from presize.train.metric_base import LearnerState, Metric, class_scores, flat_pair
from presize.train.metric_functions import foreground_counts


class Areas(Metric):
    """What is counted on the device and added up, in a tensor of whole numbers."""

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._sums: Tensor | None = None

    def _add(self, sums: Tensor) -> None:
        self._sums = sums if self._sums is None else self._sums.to(sums.device) + sums

    def gather(self) -> None:
        """Add the areas that the other processes have seen."""
        # One that has seen nothing does not know the number of classes: so not a plain sum.
        sums = all_cat(None if self._sums is None else self._sums[None])
        self._sums = None if sums is None else sums.sum(0)

    def state_dict(self) -> dict[str, Any]:
        """Return the areas so far; None before a batch."""
        return {"sums": None if self._sums is None else self._sums.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._sums = None if state["sums"] is None else state["sums"].clone()


class DiceMulti(Areas):
    """Twice the overlap over the sum of both areas, for each class, then the mean.

    Classes that are neither predicted nor there are left out; target values that are no class
    (a "void" of 255, say) count for nothing.

    Args:
        axis: where the classes are in the outputs [N, classes, H, W].
    """

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis
        self.reset()

    def accumulate(self, learn: LearnerState) -> None:
        """Add the areas of the current batch: both, predicted, true; for each class."""
        scores = class_scores(learn.pred, learn.yb[0], self.axis, self.name)
        n = scores.shape[self.axis]
        pred, true = flat_pair(scores.argmax(self.axis), learn.yb[0], self.name)
        counts = (true >= 0) & (true < n)
        void = torch.full_like(pred, n)
        pred, true = torch.where(counts, pred, void), torch.where(counts, true.long(), void)
        both = torch.where(pred == true, true, void)
        # scatter_add_ rather than bincount, whose output size the device would be asked for.
        sums = torch.zeros(3, n + 1, device=pred.device, dtype=torch.int64)
        sums = sums.scatter_add_(
            1, torch.stack([both, pred, true]), torch.ones_like(pred).expand(3, -1)
        )
        self._add(sums[:, :n])

    def _areas(self) -> tuple[Tensor, Tensor] | None:
        if self._sums is None:
            return None
        both, pred, true = self._sums.cpu().double()  # there may be billions of pixels
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
        axis: where the two classes are in the outputs [N, 2, H, W]; [N, 1, H, W] serve too, with
            a score for class 1 alone.
    """

    def accumulate(self, learn: LearnerState) -> None:
        """Add the areas of the current batch."""
        n = learn.pred.shape[self.axis]
        if n > 2:
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


class ForegroundAcc(Areas):
    """`foreground_acc` over all pixels of an epoch, however many of them a batch has.

    Args:
        bkg_idx: the number of the background.
        axis: where the classes are in the outputs [N, classes, H, W].
    """

    def __init__(self, bkg_idx: int = 0, axis: int = 1) -> None:
        self.bkg_idx, self.axis = bkg_idx, axis
        self.reset()

    def accumulate(self, learn: LearnerState) -> None:
        """Add the pixels of the current batch: those that are right, all."""
        self._add(foreground_counts(learn.pred, learn.yb[0], self.bkg_idx, self.axis))

    @property
    def value(self) -> Tensor | None:
        """The share that is right, NaN if there is only background; None before a batch."""
        if self._sums is None:
            return None
        sums = self._sums.cpu().double()
        return sums[0] / sums[1]
