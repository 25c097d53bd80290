"""More scores of a whole epoch: agreement, ranking, regression (scikit-learn and SciPy)."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from presize.train.metric_epoch import AccumMetric
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


class RocAuc(AccumMetric):
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
        super().__init__(
            self.score, activation="softmax", to_np=True, invert_arg=True, flatten=False
        )
        self.name = None
        self.average = average
        self.multi_class = multi_class

    def score(self, true: _Array, probs: _Array) -> float:
        """Return the score of probabilities [N, classes] against true classes [N]."""
        from sklearn.metrics import roc_auc_score

        true = true.reshape(-1)
        if _missing_classes(true, range(probs.shape[1]), self.name):
            return float("nan")
        if probs.shape[1] == 2:
            return float(roc_auc_score(true, probs[:, 1]))
        return float(roc_auc_score(true, probs, average=self.average, multi_class=self.multi_class))


class RocAucBinary(AccumMetric):
    """Area under the ROC curve of the second of two classes; NaN while one is missing."""

    def __init__(self) -> None:
        super().__init__(self.score, activation="binary_softmax", to_np=True, invert_arg=True)
        self.name = None

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


class APScoreBinary(AccumMetric):
    """Average precision of the second of two classes."""

    def __init__(self) -> None:
        super().__init__(self.score, activation="binary_softmax", to_np=True, invert_arg=True)
        self.name = None

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


class R2Score(AccumMetric):
    """The share of the targets' variance that the outputs explain; 1 is perfect."""

    def __init__(self) -> None:
        super().__init__(self.score, to_np=True, invert_arg=True)
        self.name = None

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of outputs [N] against targets [N]."""
        from sklearn.metrics import r2_score

        return float(r2_score(true, pred))


class ExplainedVariance(AccumMetric):
    """As R2Score, but a constant offset of the outputs is forgiven."""

    def __init__(self) -> None:
        super().__init__(self.score, to_np=True, invert_arg=True)
        self.name = None

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of outputs [N] against targets [N]."""
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
        from scipy.stats import spearmanr  # type: ignore[import-untyped]

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
