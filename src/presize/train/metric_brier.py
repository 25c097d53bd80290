"""How good probabilities are: the squared distance from what came true."""

from typing import Any

import torch
from torch import Tensor

from presize.train.metric_average import AvgMetric, RunningMean
from presize.train.metric_base import LearnerState, Metric, batch_size, class_scores, flat_pair


class BrierScore(Metric):
    """The squared distance of the classes' probabilities from 1 for the true one, 0 for the others.

    The sum over the classes, 0 to 2; of two classes the half of it, 0 to 1, as is usual. 0 is best.
    Targets that are no class (-100, say, or a "void" of 255) count for nothing.

    Args:
        axis: where the classes are in the outputs.
    """

    def __init__(self, *, axis: int = -1) -> None:
        self.axis = axis
        self.reset()

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._distance, self._counted = RunningMean(), RunningMean()

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the batch that `learn` has just passed through the model."""
        with torch.no_grad():
            distances, there = self._distances(learn.pred, learn.yb[0])
            n = batch_size(learn)
            self._distance.add(distances.mean(), n)
            self._counted.add(there.mean(dtype=torch.float32), n)

    def _distances(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance of each target, 0 where it is no class, and whether it is one."""
        scores = class_scores(outputs, targets, self.axis, self.name).float()
        probs = torch.softmax(scores, self.axis).movedim(self.axis, -1)
        classes = probs.shape[-1]
        probs = probs.reshape(-1, classes)
        _, true = flat_pair(probs[:, 0], targets, "BrierScore")
        there = (true >= 0) & (true < classes)
        at = torch.where(there, true, 0).long()[:, None]
        missing = probs.scatter_add(1, at, -torch.ones_like(probs[:, :1]))
        scale = 0.5 if classes == 2 else 1.0
        return torch.where(there, missing.square().sum(1) * scale, 0), there

    @property
    def value(self) -> Tensor | None:
        """The mean over the targets that are a class; None before the first batch."""
        distance, counted = self._distance.mean, self._counted.mean
        return None if distance is None or counted is None else distance / counted

    def gather(self) -> None:
        """Take in what the other processes have seen."""
        self._distance.gather()
        self._counted.gather()

    def state_dict(self) -> dict[str, Any]:
        """Return what was accumulated."""
        return {"distance": self._distance.state_dict(), "counted": self._counted.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._distance.load_state_dict(state["distance"])
        self._counted.load_state_dict(state["counted"])


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
