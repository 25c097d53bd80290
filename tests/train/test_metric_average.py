"""Averages over batches: exact over batches of any size, never waiting for the device."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from presize.train.metric_average import RunningMean
from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    AccumMetric,
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    BrierScore,
    ConfusionMatrix,
    Metric,
    accuracy,
    rmse,
)


def fed(metric: Metric, preds: Tensor, targets: Tensor, size: int = 5) -> float:
    """The value after batches of `size`, the last one short."""
    metric.reset()
    for at in range(0, len(preds), size):
        metric.accumulate(GivenBatch(preds[at : at + size], (targets[at : at + size],)))
    return float(metric.value)


@given(
    st.lists(st.tuples(st.floats(-(2.0**99), 2.0**99, width=32), st.integers(1, 500)), min_size=1)
)
def test_a_running_mean_is_the_exact_one(parts: list[tuple[float, int]]) -> None:
    running = RunningMean()
    for value, n in parts * 50:  # several chunks
        running.add(torch.tensor(value), n)
    expected = math.fsum(value * n for value, n in parts * 50) / sum(n for _, n in parts * 50)
    assert float(running.mean) == expected


def test_infinities_and_nans_stay_what_they_are() -> None:
    for values, expected in (
        ((1.0, math.inf), math.inf),
        ((-math.inf, math.inf), math.nan),
        ((1.0, math.nan), math.nan),
        ((3e38, 3e38), float(torch.tensor(3e38))),
    ):
        running = RunningMean()
        for value in values:
            running.add(torch.tensor(value), 2)
        assert float(running.mean) == pytest.approx(expected, nan_ok=True)


def test_batches_without_items_count_for_nothing() -> None:
    metric = AvgLoss()
    metric.accumulate(GivenBatch(torch.zeros(0, 2), (torch.zeros(0),), torch.tensor(math.nan)))
    assert metric.value is None
    metric.accumulate(GivenBatch(torch.zeros(3, 2), (torch.zeros(3),), torch.tensor(2.0)))
    assert float(metric.value) == 2.0


def test_a_number_that_is_written_to_later() -> None:
    # Kept numbers are joined some batches later: what shares memory has to be copied at once.
    memory, total = torch.zeros(2), torch.zeros(())

    def view(preds: Tensor, targets: Tensor) -> Tensor:
        memory[0] = preds.mean()
        return memory[0]

    def in_place(preds: Tensor, targets: Tensor) -> Tensor:
        return total.copy_(preds.mean())

    def from_inference(preds: Tensor, targets: Tensor) -> Tensor:
        with torch.inference_mode():
            return preds.mean()

    preds = torch.randn(20, 2)
    for function in (view, in_place, from_inference):
        value = fed(AvgMetric(function), preds, torch.zeros(20))
        assert value == pytest.approx(float(preds.double().mean()), abs=1e-7)


def test_numbers_of_different_kinds_and_losses_of_items() -> None:
    kinds = iter([0.5, torch.tensor(0.25, dtype=torch.float64), torch.tensor([[0.75]]), 1])
    metric = AvgMetric(lambda p, t: next(kinds))
    assert fed(metric, torch.zeros(20, 2), torch.zeros(20)) == (0.5 + 0.25 + 0.75 + 1) / 4
    loss = AvgLoss()
    loss.accumulate(GivenBatch(torch.zeros(2), (torch.zeros(2),), torch.tensor([1.0, 4.0])))
    assert float(loss.value) == 2.5


@given(st.integers(1, 40), st.integers(1, 12))
def test_averages_weigh_by_batch_size(n: int, size: int) -> None:
    preds, targets = torch.randn(n, 3), torch.randint(3, (n,))
    expected = (preds.argmax(1) == targets).double().mean()
    assert fed(AvgMetric(accuracy), preds, targets, size) == pytest.approx(
        float(expected), abs=1e-7
    )


def test_average_loss_weighs_by_batch_size() -> None:
    metric = AvgLoss()
    for n, loss in ((64, 1.0), (16, 6.0)):
        metric.accumulate(GivenBatch(torch.zeros(n, 2), (torch.zeros(n),), torch.tensor(loss)))
    assert float(metric.value) == pytest.approx((64 + 96) / 80)
    metric.reset()
    assert metric.value is None


def test_many_small_numbers_do_not_drift() -> None:
    metric = AvgLoss()
    batch = GivenBatch(torch.zeros(1, 2), (torch.zeros(1),), torch.tensor(0.1))
    for _ in range(3000):
        metric.accumulate(batch)
    assert float(metric.value) == pytest.approx(float(torch.tensor(0.1)), abs=1e-12)


def test_smooth_loss_is_debiased() -> None:
    losses, metric = [3.0, 2.0, 5.0, 1.0], AvgSmoothLoss()
    assert metric.value is None
    running = 0.0
    for step, loss in enumerate(losses, 1):
        metric.accumulate(GivenBatch(None, (), torch.tensor(loss)))
        running = 0.98 * running + 0.02 * loss
        assert float(metric.value) == pytest.approx(running / (1 - 0.98**step), rel=1e-5)
    metric.reset()
    assert metric.value is None
    with pytest.raises(ValueError, match="beta"):
        AvgSmoothLoss(beta=1.0)


def test_nothing_is_read_from_the_device_in_a_step() -> None:
    # A tensor on "meta" has no values: reading one raises.
    preds, targets = torch.zeros(4, 3, device="meta"), torch.zeros(4, device="meta").long()
    loss = torch.zeros((), device="meta")
    metrics: list[Metric] = [
        AvgMetric(accuracy),
        AvgLoss(),
        AvgSmoothLoss(),
        AccumMetric(rmse, dim_argmax=-1),
        ConfusionMatrix(),
        BrierScore(),
    ]
    for metric in metrics:
        for _ in range(300):  # more than are joined at a time
            metric.accumulate(GivenBatch(preds, (targets,), loss))


def test_a_metric_holds_no_graph() -> None:
    preds = torch.randn(4, 3, requires_grad=True)
    for metric in (AvgMetric(lambda p, t: p.mean()), AccumMetric(lambda p, t: p.mean())):
        value = metric(preds, torch.randn(4, 3))
        assert not value.requires_grad


def test_a_metric_of_a_batch_alone() -> None:
    preds = torch.eye(3)
    assert float(AvgMetric(accuracy)(preds, torch.tensor([0, 1, 1]))) == pytest.approx(2 / 3)


def test_python_and_numpy_numbers_are_fine() -> None:
    assert float(AvgMetric(lambda p, t: 0.25)(torch.zeros(2), torch.zeros(2))) == 0.25
    assert float(AvgMetric(lambda p, t: np.float32(0.5))(torch.zeros(2), torch.zeros(2))) == 0.5


def test_a_missing_mean() -> None:
    def right(preds: Tensor, targets: Tensor) -> Tensor:
        return preds.argmax(1) == targets

    with pytest.raises(
        ValueError, match=r"`right` must return one number .* shape \[4\]. Is a .mean"
    ):
        AvgMetric(right)(torch.randn(4, 3), torch.zeros(4))
