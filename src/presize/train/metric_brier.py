"""How good probabilities are: the squared distance from what came true."""

import torch
from torch import Tensor

from presize.train.metric_average import AvgMetric
from presize.train.metric_base import flat_pair


class BrierScore(AvgMetric):
    """The squared distance of the classes' probabilities from 1 for the true one, 0 for the others.

    The sum over the classes, 0 to 2; of two classes the half of it, 0 to 1, as is usual. 0 is best.

    Args:
        axis: where the classes are in the outputs.
    """

    def __init__(self, *, axis: int = -1) -> None:
        self.axis = axis
        super().__init__(self.score, "brier_score")

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the items of class scores and class numbers."""
        probs = torch.softmax(outputs.float(), self.axis).movedim(self.axis, -1)
        probs = probs.reshape(-1, probs.shape[-1])
        _, true = flat_pair(probs[:, 0], targets, "BrierScore")
        missing = probs.scatter_add(1, true.long()[:, None], -torch.ones_like(probs[:, :1]))
        scale = 0.5 if probs.shape[1] == 2 else 1.0
        return missing.square().sum(1).mean() * scale


class BrierScoreMulti(AvgMetric):
    """The squared distance of the probability of each label from its 0 or 1; 0 is best.

    Args:
        sigmoid: turn scores into probabilities first.
    """

    def __init__(self, *, sigmoid: bool = True) -> None:
        self.sigmoid = sigmoid
        super().__init__(self.score, "brier_score_multi")

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over items and labels."""
        probs, true = flat_pair(outputs.float(), targets, "BrierScoreMulti")
        return ((probs.sigmoid() if self.sigmoid else probs) - true).square().mean()
