"""as_metric: whatever a user passes as a metric."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    AccumMetric,
    AvgMetric,
    F1Score,
    FBeta,
    Metric,
    Perplexity,
    UpdateComputeMetric,
    accuracy,
    as_metric,
    rmse,
)


def batch_accuracy(xb: Tensor, yb: Tensor) -> Tensor:
    return ((xb.sigmoid() > 0.5) == yb).float().mean()


def test_functions_and_partials() -> None:
    for function, name in (
        (batch_accuracy, "batch_accuracy"),
        (partial(accuracy, axis=1), "accuracy"),
    ):
        metric = as_metric(function)
        assert isinstance(metric, AvgMetric)
        assert metric.name == name
    assert as_metric(accuracy, "acc").name == "acc"


def test_a_callable_object() -> None:
    class TopTwo:
        def __call__(self, preds: Tensor, targets: Tensor) -> float:
            return 1.0

    assert as_metric(TopTwo()).name == "top_two"


def test_roots_are_computed_over_the_whole_epoch() -> None:
    assert isinstance(as_metric(rmse), AccumMetric)
    assert isinstance(as_metric(partial(rmse)), AccumMetric)


def test_metrics_and_their_classes() -> None:
    metric = F1Score()
    assert as_metric(metric) is metric
    assert isinstance(as_metric(F1Score), F1Score)
    with pytest.raises(TypeError, match=r"The metric FBeta needs arguments, so .* FBeta\(...\)"):
        as_metric(FBeta)
    with pytest.raises(TypeError, match=r"got the class Linear; pass a metric made from it"):
        as_metric(nn.Linear)


@pytest.mark.parametrize("what", [3, "accuracy", None])
def test_no_metric_at_all(what: object) -> None:
    with pytest.raises(TypeError, match=r"A metric is a function of \(outputs, targets\)"):
        as_metric(what)


def test_torchmetrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    preds, targets = torch.randn(13, 4), torch.randint(4, (13,))
    metric = as_metric(torchmetrics.classification.MulticlassAccuracy(4, average="micro"))
    assert isinstance(metric, UpdateComputeMetric)
    assert metric.name == "multiclass_accuracy"
    assert metric.value is None
    for _ in range(2):
        metric.reset()
        for p, t in zip(preds.split(5), targets.split(5), strict=True):
            metric.accumulate(GivenBatch(p, (t,)))
        assert float(metric.value) == pytest.approx(float(accuracy(preds, targets)))
    with pytest.raises(TypeError, match=r"metrics=\[\*collection.values\(\)\]"):
        as_metric(torchmetrics.MetricCollection({"a": torchmetrics.MeanMetric()}))


def test_a_metric_of_ones_own() -> None:
    class Widest(Metric):
        def reset(self) -> None:
            self.width: Tensor | None = None

        def accumulate(self, learn: object) -> None:
            self.width = learn.pred.max()

        @property
        def value(self) -> Tensor | None:
            return self.width

        @property
        def name(self) -> str:
            return "widest"

    metric = as_metric(Widest())
    assert (metric.name, float(metric(torch.tensor([1.0, 3.0]), None))) == ("widest", 3.0)


def test_perplexity() -> None:
    metric = Perplexity()
    assert (metric.name, metric.value) == ("perplexity", None)
    metric.accumulate(GivenBatch(torch.zeros(3, 2), (torch.zeros(3),), torch.tensor(2.0)))
    assert float(metric.value) == pytest.approx(7.389056)
