"""More scores of a whole epoch: agreement, ranking, regression (scikit-learn and SciPy)."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from presize.train.metric_base import LearnerState, flat_pair
from presize.train.metric_epoch import AccumMetric, MetricActivation
from presize.train.metric_scores import ClassScore, LabelScore

_Array = NDArray[Any]


class MatthewsCorrCoef(ClassScore):
    """Correlation between predicted and true classes, -1..1, for any number of classes."""

    def __init__(self, *, axis: int = -1) -> None:
        super().__init__(self.score, axis=axis)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(true, pred))


class MatthewsCorrCoefMulti(LabelScore):
    """Correlation between predicted and true labels, all labels together."""

    def __init__(self, *, thresh: float = 0.5, sigmoid: bool = True) -> None:
        super().__init__(self.score, thresh=thresh, sigmoid=sigmoid)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true labels."""
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(true.ravel(), pred.ravel()))


class BalancedAccuracy(ClassScore):
    """The mean of the recall of each class.

    Args:
        adjusted: shift and scale it so that chance is 0.
        axis: where the classes are in the outputs.
    """

    def __init__(self, *, adjusted: bool = False, axis: int = -1) -> None:
        self.adjusted = adjusted
        super().__init__(self.score, axis=axis)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        from sklearn.metrics import balanced_accuracy_score

        with warnings.catch_warnings():
            # It warns of a class that was only predicted; early in training that is no news.
            warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
            return float(balanced_accuracy_score(true, pred, adjusted=self.adjusted))


class CohenKappa(ClassScore):
    """Agreement of predicted and true classes beyond chance, -1..1.

    Args:
        weights: count a miss by its distance, or the square of it, for classes with an order.
        axis: where the classes are in the outputs.
    """

    def __init__(
        self, *, weights: Literal["linear", "quadratic"] | None = None, axis: int = -1
    ) -> None:
        self.weights = weights
        super().__init__(self.score, axis=axis)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        from sklearn.metrics import cohen_kappa_score

        return float(cohen_kappa_score(true, pred, weights=self.weights))


class HammingLoss(ClassScore):
    """The share of classes that are wrong."""

    def __init__(self, *, axis: int = -1) -> None:
        super().__init__(self.score, axis=axis)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        return float(np.mean(true != pred))


class HammingLossMulti(LabelScore):
    """The share of labels that are wrong, where items have several."""

    def __init__(self, *, thresh: float = 0.5, sigmoid: bool = True) -> None:
        super().__init__(self.score, thresh=thresh, sigmoid=sigmoid)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true labels."""
        return float(np.mean(true.astype(bool) != pred))


class RankingScore(AccumMetric):
    """A score of (true classes, probabilities), which says how these rank the items.

    Args:
        score: called with class numbers, and with a row of probabilities for each.
        binary: hand over the probability of class 1 alone, and refuse more than two classes.
    """

    def __init__(self, score: Callable[[_Array, _Array], float], *, binary: bool) -> None:
        activation: MetricActivation = "binary_softmax" if binary else "softmax"
        super().__init__(score, activation=activation, to_np=True, invert_arg=True, flatten=binary)
        self.name = None
        self.binary = binary

    def accumulate(self, learn: LearnerState) -> None:
        """Keep the probabilities of the current batch."""
        pred, target = learn.pred, learn.yb[0]
        kind = type(self).__name__
        if pred.ndim > 3 or (pred.ndim > 1 and pred.shape[:-1].numel() != target.numel()):
            raise ValueError(
                f"{kind} takes a row of class scores and a class number for each item, but got "
                f"outputs of shape {list(pred.shape)} and targets of shape {list(target.shape)}. "
                "For masks use JaccardCoeffMulti() or ConfusionMatrix(axis=1); for several labels "
                "an item RocAucMulti() or APScoreMulti()."
            )
        if self.binary and pred.ndim > 1 and pred.shape[-1] > 2:
            raise ValueError(
                f"{kind}() is for two classes, but the model has {pred.shape[-1]} outputs. Use "
                "RocAuc()."
            )
        super().accumulate(learn)


class RocAuc(RankingScore):
    """Area under the ROC curve from the probabilities of two or more classes.

    Not defined, so NaN and a warning, while a class is missing from the targets.

    Args:
        average: how classes are combined.
        multi_class: each class against the rest, or each pair of classes.
    """

    def __init__(
        self,
        *,
        average: Literal["macro", "weighted"] = "macro",
        multi_class: Literal["ovr", "ovo"] = "ovr",
    ) -> None:
        super().__init__(self.score, binary=False)
        self.average = average
        self.multi_class = multi_class

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N, classes] against true classes [N]."""
        from sklearn.metrics import roc_auc_score

        true, probs = true.reshape(-1), probs.reshape(-1, probs.shape[-1])
        if _missing_classes(true, range(probs.shape[1]), self.name):
            return float("nan")
        if probs.shape[1] == 2:
            return float(roc_auc_score(true, probs[:, 1]))
        return float(roc_auc_score(true, probs, average=self.average, multi_class=self.multi_class))


class RocAucBinary(RankingScore):
    """Area under the ROC curve of the second of two classes; NaN while one is missing."""

    def __init__(self) -> None:
        super().__init__(self.score, binary=True)

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N] of class 1 against true classes [N]."""
        from sklearn.metrics import roc_auc_score

        if _missing_classes(true, range(2), self.name):
            return float("nan")
        return float(roc_auc_score(true, probs))


class RocAucMulti(LabelScore):
    """Area under the ROC curve, where items have several labels, averaged over the labels."""

    def __init__(self, *, sigmoid: bool = True) -> None:
        super().__init__(self.score, thresh=None, sigmoid=sigmoid)

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N, labels] against true labels."""
        from sklearn.metrics import roc_auc_score

        if any(_missing_classes(column, range(2), self.name) for column in true.T):
            return float("nan")
        return float(roc_auc_score(true, probs, average="macro"))


class APScoreBinary(RankingScore):
    """Average precision of the second of two classes."""

    def __init__(self) -> None:
        super().__init__(self.score, binary=True)

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N] of class 1 against true classes [N]."""
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(true, probs))


class APScoreMulti(LabelScore):
    """Average precision, where items have several labels.

    Args:
        sigmoid: turn scores into probabilities first.
        average: how labels are combined.
    """

    def __init__(
        self,
        *,
        sigmoid: bool = True,
        average: Literal["micro", "macro", "weighted", "samples"] = "macro",
    ) -> None:
        self.average = average
        super().__init__(self.score, thresh=None, sigmoid=sigmoid)

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N, labels] against true labels."""
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(true, probs, average=self.average))


class _VarianceScore(AccumMetric):
    """A score of (targets, outputs), the mean of those of each quantity where these are [N, n]."""

    def __init__(self, score: Callable[[_Array, _Array], float]) -> None:
        super().__init__(score, to_np=True, invert_arg=True)
        self.name = None

    def _matched(self, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        flat = flat_pair(pred, target, self.name)
        # Flat, the variance between the quantities would count as explained.
        return (pred, target.reshape(pred.shape)) if pred.ndim == 2 else flat


class R2Score(_VarianceScore):
    """The share of the targets' variance that the outputs explain; 1 is perfect.

    Of several quantities an item, outputs [N, quantities], it is the mean of theirs.
    """

    def __init__(self) -> None:
        super().__init__(self.score)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of outputs [N] or [N, quantities] against such targets."""
        from sklearn.metrics import r2_score

        return float(r2_score(true, pred))


class ExplainedVariance(_VarianceScore):
    """As R2Score, but a constant offset of the outputs is forgiven."""

    def __init__(self) -> None:
        super().__init__(self.score)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of outputs [N] or [N, quantities] against such targets."""
        from sklearn.metrics import explained_variance_score

        return float(explained_variance_score(true, pred))


class PearsonCorrCoef(AccumMetric):
    """Linear correlation of outputs and targets, -1..1."""

    def __init__(self) -> None:
        super().__init__(self.score, to_np=True)
        self.name = None

    def score(self, pred: _Array, true: _Array) -> float:
        """Return the score of outputs [N] against targets [N]."""
        return float(np.corrcoef(pred, true)[0, 1])


class SpearmanCorrCoef(AccumMetric):
    """Correlation of the ranks of outputs and targets, -1..1."""

    def __init__(self) -> None:
        super().__init__(self.score, to_np=True)
        self.name = None

    def score(self, pred: _Array, true: _Array) -> float:
        """Return the score of outputs [N] against targets [N]."""
        from scipy.stats import spearmanr

        return float(spearmanr(pred, true).statistic)


def _missing_classes(true: _Array, classes: range, name: str) -> bool:
    missing = sorted(set(classes) - {int(value) for value in np.unique(true)})
    if missing:
        warnings.warn(
            f"`{name}` is not defined here: class {missing[0]} is not among the {len(true)} "
            "targets. It is nan in the table.",
            stacklevel=2,
        )
    return bool(missing)
