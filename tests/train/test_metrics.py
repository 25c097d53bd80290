"""as_metric: whatever a user passes as a metric."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from presize.train import losses, metrics
from presize.train.collective import all_cat
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


def test_torchmetrics_of_several_numbers() -> None:
    kinds = pytest.importorskip("torchmetrics.classification")
    text = r"The metric `multiclass_{}` computes several numbers \({}\), but a column .*get_preds"
    for name, several in (("f1_score", r"a tensor of shape \[4\]"), ("roc", "a tuple of 3")):
        made = {
            "f1_score": partial(kinds.MulticlassF1Score, 4, average=None),
            "roc": partial(kinds.MulticlassROC, 4, thresholds=5),
        }[name]
        with pytest.raises(ValueError, match=text.format(name, several)):
            as_metric(made())
    late = as_metric(kinds.MulticlassROC(4), "curve")  # it does not tell without data
    with pytest.raises(ValueError, match=r"The metric `curve` computes several .* tuple of 3"):
        late(torch.randn(6, 4), torch.arange(6) % 4)
    one = as_metric(kinds.BinaryF1Score())
    assert one(torch.tensor([0.2, 0.8]), torch.tensor([0, 1])) == 1.0


def test_a_metric_that_is_asked_without_data_is_as_before() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    inside = torchmetrics.classification.MulticlassAccuracy(4, average="micro")
    assert as_metric(inside).metric is inside
    assert inside._computed is None
    assert not inside.update_called


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


# ---- docs/metrics.md -----------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
# Classes to build on, what every table has anyway, and a second name for one in the page.
NOT_LISTED = {"Metric", "AvgMetric", "AccumMetric", "AvgLoss", "AvgSmoothLoss"}
NOT_LISTED |= {"UpdateComputeMetric", "ForegroundAcc"}


def cells(heading: str) -> set[str]:
    """The names in the table below a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return set(re.findall(r"`(\w+)`", "\n".join(rows)))


def test_the_page_lists_all_metrics() -> None:
    kinds = {
        name
        for name, kind in vars(metrics).items()
        if isinstance(kind, type) and issubclass(kind, Metric)
    }
    functions = {
        name
        for name, function in vars(metrics).items()
        if getattr(function, "__module__", "") == "presize.train.metric_functions"
    }
    assert len(functions) >= 10
    assert cells("Metrics") == (kinds | functions) - NOT_LISTED


def test_the_page_lists_all_losses() -> None:
    kinds = {
        kind.__name__  # second names are left out
        for kind in vars(losses).values()
        if isinstance(kind, type) and issubclass(kind, losses.BaseLoss)
    }
    assert cells("Losses") - {"thresh"} == kinds - {"BaseLoss"}


def test_the_metric_of_ones_own_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = text[text.index("class Widest(Metric):") :].partition("```")[0]
    gather = text[text.index("  from presize.train.collective") :].partition("```")[0]
    # The same lines as here, so that what is shown is what was run.
    here = Path(__file__).read_text(encoding="utf-8")
    lines = [line.strip() for line in (written + gather).splitlines() if line.strip()]
    assert [line for line in lines if line not in here] == []
    assert "def gather(self):" in gather
    metric = Widest()
    metric.reset()
    metric.gather()
    assert metric.value is None
    for most in (1.0, 3.0, 2.0):
        metric.accumulate(GivenBatch(torch.tensor([0.0, most]), ()))
    metric.gather()
    assert float(metric.value) == 3.0


# fmt: off
class Widest(Metric):
    def reset(self):
        self.most = None

    def accumulate(self, learn):
        most = learn.pred.detach().max()
        self.most = most if self.most is None else torch.maximum(self.most, most)

    @property
    def value(self):
        return self.most

    def gather(self):
        most = all_cat(None if self.most is None else self.most.reshape(1))
        self.most = None if most is None else most.max()
# fmt: on
