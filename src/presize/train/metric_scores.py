"""Scores of a whole epoch, computed by scikit-learn (imported when first read)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from presize.train.metric_base import GivenBatch, LearnerState
from presize.train.metric_epoch import AccumMetric

# scikit-learn has no types of its own and takes 0.6 s to import: only when a score is read.
Average: TypeAlias = Literal["binary", "micro", "macro", "weighted"]
_Array: TypeAlias = NDArray[Any]
_Score: TypeAlias = Callable[[_Array, _Array], Any]


class ClassScore(AccumMetric):
    """A score of (true classes, predicted classes), scikit-learn's order.

    Args:
        score: called with two flat integer arrays.
        axis: where the classes are in the outputs.
        binary: refuse outputs of more than two classes, before the epoch rather than after it.
    """

    def __init__(self, score: _Score, *, axis: int = -1, binary: bool = False) -> None:
        super().__init__(score, dim_argmax=axis, to_np=True, invert_arg=True)
        self.name = None
        self.axis = axis
        self.binary = binary

    def accumulate(self, learn: LearnerState) -> None:
        """Keep the classes of the current batch."""
        n = learn.pred.shape[self.axis] if learn.pred.ndim > 1 else 1
        if self.binary and n > 2:
            kind = type(self).__name__
            raise ValueError(
                f"{kind}() is for two classes, but the model has {n} outputs. "
                f"Say how to combine the classes: {kind}(average='macro')."
            )
        super().accumulate(learn)


class LabelScore(AccumMetric):
    """A score of (true labels, predicted labels), both [N, labels], for several labels an item.

    Of a single label both may be [N] as well.

    Args:
        score: called with two arrays [N, labels].
        thresh: a label counts as predicted above this; None hands over probabilities.
        sigmoid: turn scores into probabilities first.
    """

    def __init__(self, score: _Score, *, thresh: float | None = 0.5, sigmoid: bool = True) -> None:
        super().__init__(
            score,
            activation="sigmoid" if sigmoid else "no",
            thresh=thresh,
            to_np=True,
            invert_arg=True,
            flatten=False,
        )
        self.name = None

    def accumulate(self, learn: LearnerState) -> None:
        """Keep the labels of the current batch."""
        pred, target = learn.pred, learn.yb[0]
        if pred.shape[1:].numel() == 1 and pred.numel() == target.numel():
            learn = GivenBatch(pred.reshape(-1, 1), (target.reshape(-1, 1),))
        elif pred.shape != target.shape:
            raise ValueError(
                f"{type(self).__name__} compares a score with a 0 or 1 for each label, but got "
                f"outputs of shape {list(pred.shape)} and targets of shape {list(target.shape)}. "
                "For one class an item use the score without Multi."
            )
        super().accumulate(learn)


class AveragedScore(ClassScore):
    """A score of one class against the rest, or combined over the classes.

    Args:
        average: "binary" scores `pos_label` alone; else how classes are combined.
        pos_label: the class that is looked for.
        labels: the classes that count; all by default.
        axis: where the classes are in the outputs.
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        *,
        average: Average = "binary",
        pos_label: int = 1,
        labels: Sequence[int] | None = None,
        axis: int = -1,
    ) -> None:
        self.average = average
        self.pos_label = pos_label
        self.labels = labels
        super().__init__(self.score, axis=axis, binary=average == "binary")

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        return float(
            self.function(
                true, pred, average=self.average, pos_label=self.pos_label, labels=self.labels
            )
        )


class AveragedLabelScore(LabelScore):
    """A score of each label, combined over the labels.

    Args:
        thresh: a label counts as predicted above this.
        sigmoid: turn scores into probabilities first.
        average: how labels are combined; "samples" averages over items instead.
        labels: the labels that count; all by default.
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        *,
        thresh: float = 0.5,
        sigmoid: bool = True,
        average: Literal["micro", "macro", "weighted", "samples"] = "macro",
        labels: Sequence[int] | None = None,
    ) -> None:
        self.average = average
        self.labels = labels
        super().__init__(self.score, thresh=thresh, sigmoid=sigmoid)

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true labels."""
        return _of_labels(self.function, true, pred, average=self.average, labels=self.labels)


def _of_labels(function: Callable[..., Any], true: _Array, pred: _Array, **options: Any) -> float:
    if true.shape[1] == 1:
        # scikit-learn takes a single column for the classes "absent" and "present", and averages
        # over the two. With a column beside it that does not count it is a label.
        true, pred = (np.pad(labels, ((0, 0), (0, 1))) for labels in (true, pred))
        options["labels"] = [0]
    return float(function(true, pred, **options))


def _f_beta(true: _Array, pred: _Array, **options: Any) -> Any:
    from sklearn.metrics import fbeta_score

    return fbeta_score(true, pred, zero_division=0, **options)


def _precision(true: _Array, pred: _Array, **options: Any) -> Any:
    from sklearn.metrics import precision_score

    return precision_score(true, pred, zero_division=0, **options)


def _recall(true: _Array, pred: _Array, **options: Any) -> Any:
    from sklearn.metrics import recall_score

    return recall_score(true, pred, zero_division=0, **options)


def _jaccard(true: _Array, pred: _Array, **options: Any) -> Any:
    from sklearn.metrics import jaccard_score

    return jaccard_score(true, pred, zero_division=0, **options)


class Precision(AveragedScore):
    """The share of predictions of a class that are right; options as in AveragedScore."""

    function = staticmethod(_precision)


class Recall(AveragedScore):
    """The share of a class that is found; options as in AveragedScore."""

    function = staticmethod(_recall)


class Jaccard(AveragedScore):
    """Intersection over union of predicted and true items; options as in AveragedScore."""

    function = staticmethod(_jaccard)


class F1Score(AveragedScore):
    """The harmonic mean of precision and recall; options as in AveragedScore."""

    function = staticmethod(partial(_f_beta, beta=1.0))


class FBeta(AveragedScore):
    """Precision and recall combined, recall counting `beta` times as much."""

    def __init__(
        self,
        beta: float,
        *,
        average: Average = "binary",
        pos_label: int = 1,
        labels: Sequence[int] | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(average=average, pos_label=pos_label, labels=labels, axis=axis)
        self.beta = beta

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true classes."""
        options = {"average": self.average, "pos_label": self.pos_label, "labels": self.labels}
        return float(_f_beta(true, pred, beta=self.beta, **options))


class PrecisionMulti(AveragedLabelScore):
    """Precision where items have several labels; options as in AveragedLabelScore."""

    function = staticmethod(_precision)


class RecallMulti(AveragedLabelScore):
    """Recall where items have several labels; options as in AveragedLabelScore."""

    function = staticmethod(_recall)


class JaccardMulti(AveragedLabelScore):
    """Intersection over union where items have several labels."""

    function = staticmethod(_jaccard)


class F1ScoreMulti(AveragedLabelScore):
    """F1 where items have several labels; options as in AveragedLabelScore."""

    function = staticmethod(partial(_f_beta, beta=1.0))


class FBetaMulti(AveragedLabelScore):
    """F-beta where items have several labels."""

    def __init__(
        self,
        beta: float,
        *,
        thresh: float = 0.5,
        sigmoid: bool = True,
        average: Literal["micro", "macro", "weighted", "samples"] = "macro",
        labels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(thresh=thresh, sigmoid=sigmoid, average=average, labels=labels)
        self.beta = beta

    def score(self, true: _Array, pred: _Array) -> float:
        """Return the score of predicted against true labels."""
        options = {"average": self.average, "labels": self.labels}
        return _of_labels(_f_beta, true, pred, beta=self.beta, **options)
