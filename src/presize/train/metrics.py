"""Metrics: all of them by name, and `as_metric`, which makes one from whatever a user passes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from presize.train.metric_agreement import APScoreBinary as APScoreBinary
from presize.train.metric_agreement import APScoreMulti as APScoreMulti
from presize.train.metric_agreement import BalancedAccuracy as BalancedAccuracy
from presize.train.metric_agreement import CohenKappa as CohenKappa
from presize.train.metric_agreement import ExplainedVariance as ExplainedVariance
from presize.train.metric_agreement import HammingLoss as HammingLoss
from presize.train.metric_agreement import HammingLossMulti as HammingLossMulti
from presize.train.metric_agreement import MatthewsCorrCoef as MatthewsCorrCoef
from presize.train.metric_agreement import MatthewsCorrCoefMulti as MatthewsCorrCoefMulti
from presize.train.metric_agreement import PearsonCorrCoef as PearsonCorrCoef
from presize.train.metric_agreement import R2Score as R2Score
from presize.train.metric_agreement import RocAuc as RocAuc
from presize.train.metric_agreement import RocAucBinary as RocAucBinary
from presize.train.metric_agreement import RocAucMulti as RocAucMulti
from presize.train.metric_agreement import SpearmanCorrCoef as SpearmanCorrCoef
from presize.train.metric_average import AvgLoss as AvgLoss
from presize.train.metric_average import AvgMetric as AvgMetric
from presize.train.metric_average import AvgSmoothLoss as AvgSmoothLoss
from presize.train.metric_base import LearnerState as LearnerState
from presize.train.metric_base import Metric as Metric
from presize.train.metric_brier import BrierScore as BrierScore
from presize.train.metric_brier import BrierScoreMulti as BrierScoreMulti
from presize.train.metric_confusion import ConfusionMatrix as ConfusionMatrix
from presize.train.metric_epoch import AccumMetric as AccumMetric
from presize.train.metric_functions import accuracy as accuracy
from presize.train.metric_functions import accuracy_multi as accuracy_multi
from presize.train.metric_functions import error_rate as error_rate
from presize.train.metric_functions import exp_rmspe as exp_rmspe
from presize.train.metric_functions import foreground_acc as foreground_acc
from presize.train.metric_functions import mae as mae
from presize.train.metric_functions import mse as mse
from presize.train.metric_functions import msle as msle
from presize.train.metric_functions import rmse as rmse
from presize.train.metric_functions import top_k_accuracy as top_k_accuracy
from presize.train.metric_masks import Dice as Dice
from presize.train.metric_masks import DiceMulti as DiceMulti
from presize.train.metric_masks import ForegroundAcc as ForegroundAcc
from presize.train.metric_masks import JaccardCoeff as JaccardCoeff
from presize.train.metric_masks import JaccardCoeffMulti as JaccardCoeffMulti
from presize.train.metric_scores import F1Score as F1Score
from presize.train.metric_scores import F1ScoreMulti as F1ScoreMulti
from presize.train.metric_scores import FBeta as FBeta
from presize.train.metric_scores import FBetaMulti as FBetaMulti
from presize.train.metric_scores import Jaccard as Jaccard
from presize.train.metric_scores import JaccardMulti as JaccardMulti
from presize.train.metric_scores import Precision as Precision
from presize.train.metric_scores import PrecisionMulti as PrecisionMulti
from presize.train.metric_scores import Recall as Recall
from presize.train.metric_scores import RecallMulti as RecallMulti
from presize.train.metric_torchmetrics import UpdateCompute as UpdateCompute
from presize.train.metric_torchmetrics import UpdateComputeMetric as UpdateComputeMetric
from presize.train.names import inner

# Roots of means: the mean of the batches' values is not the value of the epoch.
_WHOLE_EPOCH: tuple[Callable[..., Any], ...] = (rmse, exp_rmspe)


class Perplexity(AvgLoss):
    """e to the power of the mean loss, for losses that are cross-entropies."""

    def __init__(self, name: str | None = "perplexity") -> None:
        super().__init__(name)

    @property
    def value(self) -> Tensor | None:
        """The perplexity over all items since `reset`."""
        mean = super().value
        return None if mean is None else torch.exp(mean)


def as_metric(metric: Any, name: str | None = None) -> Metric:
    """Return a Metric made from what a user passes as one.

    Args:
        metric: a Metric, or its class where no arguments are needed; a torchmetrics metric that
            computes one number; or a function of (outputs, targets) that returns one, or a
            `partial` of such a function.
        name: heading of the column, if not the metric's own.

    Raises:
        TypeError: it is none of these.
        ValueError: a torchmetrics metric computes several numbers.
    """
    if isinstance(metric, type):
        if not (issubclass(metric, Metric) or issubclass(metric, UpdateCompute)):
            raise TypeError(
                f"metrics= got the class {metric.__name__}; pass a metric made from it: "
                f"{metric.__name__}(...)."
            )
        metric = _made(metric)
    if isinstance(metric, nn.ModuleDict):
        raise TypeError(
            "metrics= got a collection of metrics; the table has one column each, so pass them "
            "one by one: metrics=[*collection.values()]."
        )
    if isinstance(metric, Metric):
        return _named(metric, name)
    if isinstance(metric, UpdateCompute):
        return UpdateComputeMetric(metric, name)
    if not callable(metric):
        raise TypeError(
            "A metric is a function of (outputs, targets), a Metric or a torchmetrics metric, but "
            f"metrics= got {metric!r}."
        )
    if inner(metric) is foreground_acc and not getattr(metric, "args", ()):
        return _named(ForegroundAcc(**getattr(metric, "keywords", {})), name)
    if any(inner(metric) is function for function in _WHOLE_EPOCH):
        return AccumMetric(metric, name)
    return AvgMetric(metric, name)


def _named(metric: Metric, name: str | None) -> Metric:
    if name:
        metric.name = name
    return metric


def _made(kind: type[Any]) -> Any:
    try:
        return kind()
    except TypeError as error:
        raise TypeError(
            f"The metric {kind.__name__} needs arguments, so pass one made from it, "
            f"{kind.__name__}(...): {error}"
        ) from error
