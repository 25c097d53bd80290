"""A measurement that is saved in mid-epoch and goes on elsewhere: the same to the bit."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from presize.train import metrics as all_metrics
from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    AccumMetric,
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    CohenKappa,
    FBeta,
    FBetaMulti,
    ForegroundAcc,
    Metric,
    Perplexity,
    accuracy,
    as_metric,
    foreground_acc,
    rmse,
)

# Subclasses that take arguments, or classes of their own kind of data.
GIVEN: dict[type[Metric], Metric] = {
    AvgMetric: AvgMetric(accuracy),
    AccumMetric: AccumMetric(rmse, dim_argmax=-1),
    FBeta: FBeta(2, average="macro"),
    FBetaMulti: FBetaMulti(2),
}


def every_metric() -> list[Metric]:
    kinds = [
        kind
        for kind in vars(all_metrics).values()
        if isinstance(kind, type) and issubclass(kind, Metric) and kind is not Metric
    ]
    kinds = [kind for kind in kinds if kind.__name__ != "UpdateComputeMetric"]
    return [GIVEN.get(kind) or kind() for kind in kinds]


def batch_for(metric: Metric, n: int) -> GivenBatch:
    loss = torch.rand(())
    kind = type(metric).__name__
    if (
        kind.endswith("Multi") and not kind.startswith(("Dice", "Jaccard"))
    ) or kind == "JaccardMulti":
        return GivenBatch(torch.randn(n, 3), (torch.randint(2, (n, 3)).float(),), loss)
    if kind.startswith(("R2", "Explained", "Pearson", "Spearman")):
        return GivenBatch(torch.randn(n, 1), (torch.randn(n),), loss)
    return GivenBatch(torch.randn(n, 2), (torch.arange(n) % 2,), loss)


def kept(state: Any) -> Any:
    """What a checkpoint gives back: tensors, and JSON values, in new memory."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: kept(value) for key, value in state.items()}
    if isinstance(state, list):
        return [kept(value) for value in state]
    assert state is None or isinstance(state, bool | int | float | str)
    return state


@pytest.mark.parametrize("metric", every_metric(), ids=repr)
@pytest.mark.parametrize("cuts", [(0,), (3,), (1, 4), (6,)])
def test_going_on_is_the_same_to_the_bit(metric: Metric, cuts: tuple[int, ...]) -> None:
    batches = [batch_for(metric, n) for n in (8, 8, 6, 8, 8, 3)]
    metric.reset()
    for batch in batches:
        metric.accumulate(batch)
    expected = float(metric.value)
    metric.reset()
    assert metric.resumable
    for at, batch in enumerate([*batches, None]):
        if at in cuts:
            state = kept(metric.state_dict())
            metric.accumulate(batch or batches[0])  # what comes after it is not in the state
            metric.reset()
            metric.load_state_dict(state)
            metric.accumulate(batches[0])  # and what was loaded is not changed by going on
            metric.load_state_dict(state)
        if batch is not None:
            metric.accumulate(batch)
    assert float(metric.value) == expected


def test_hundreds_of_batches_however_often_they_are_saved() -> None:
    losses = torch.rand(500)
    values = []
    for every in (1000, 130, 7):
        metric = AvgLoss()
        for step, loss in enumerate(losses):
            if step % every == every - 1:
                metric.load_state_dict(kept(metric.state_dict()))
            metric.accumulate(GivenBatch(None, (torch.zeros(1 + step % 5),), loss))
        values.append(float(metric.value))
    assert len(set(values)) == 1


def test_smooth_loss_and_perplexity_are_among_them() -> None:
    kinds = {type(metric) for metric in every_metric()}
    assert {AvgSmoothLoss, Perplexity, CohenKappa, ForegroundAcc} <= kinds
    assert len(kinds) >= 35


def test_torchmetrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    for inside in (
        torchmetrics.classification.MulticlassF1Score(2, average="macro"),
        torchmetrics.classification.MulticlassAUROC(2),  # keeps lists of all outputs
    ):
        metric = as_metric(inside)
        batches = [batch_for(metric, n) for n in (8, 8, 3)]
        metric.reset()
        for batch in batches:
            metric.accumulate(batch)
        expected = float(metric.value)
        for stop in range(4):
            metric.reset()
            for batch in batches[:stop]:
                metric.accumulate(batch)
            assert metric.resumable
            state = kept(metric.state_dict())
            metric.reset()
            metric.load_state_dict(state)
            assert (metric.value is None) == (stop == 0)
            for batch in batches[stop:]:
                metric.accumulate(batch)
            assert float(metric.value) == expected


def test_a_foreign_metric_without_state() -> None:
    class Foreign:
        def update(self, *args: Any) -> None: ...

        def compute(self) -> float:
            return 1.0

        def reset(self) -> None: ...

    metric = as_metric(Foreign())
    assert not metric.resumable
    with pytest.raises(NotImplementedError, match=r"Foreign has no state_dict and load_state_dict"):
        metric.state_dict()


def test_partials_of_the_foreground() -> None:
    metric = as_metric(partial(foreground_acc, bkg_idx=1))
    assert isinstance(metric, ForegroundAcc)
    assert (metric.bkg_idx, metric.name) == (1, "foreground_acc")
    assert as_metric(foreground_acc, "fg").name == "fg"


@pytest.mark.parametrize(
    "metric",
    [
        as_metric(accuracy),
        all_metrics.BrierScore(),
        all_metrics.ConfusionMatrix(),
        all_metrics.DiceMulti(),
        all_metrics.F1Score(),
        all_metrics.RocAuc(),
        as_metric(foreground_acc),
    ],
    ids=repr,
)
def test_one_output_for_yes_or_no_is_not_read_from_the_device(metric: Metric) -> None:
    preds = torch.zeros(4, 1, device="meta")  # there is nothing to read
    metric.reset()
    for _ in range(2):
        metric.accumulate(GivenBatch(preds, (torch.zeros(4, device="meta").long(),)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("metric", every_metric(), ids=repr)
def test_no_batch_waits_for_the_gpu(metric: Metric) -> None:
    batches = [batch_for(metric, n) for n in (8, 8, 6)]
    metric.reset()
    for batch in batches:
        metric.accumulate(batch)
    expected = float(metric.value)
    metric.reset()
    there = [
        GivenBatch(b.pred.cuda(), tuple(y.cuda() for y in b.yb), b.loss.cuda()) for b in batches
    ]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in there * 50:  # more than are joined at a time
            metric.accumulate(batch)
        metric.reset()
        for batch in there:
            metric.accumulate(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    state = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in metric.state_dict().items()}
    assert float(metric.value) == pytest.approx(expected, rel=1e-4, nan_ok=True)
    metric.load_state_dict(state)  # as from a file, and then on
    metric.accumulate(there[0])
    metric.reset()
