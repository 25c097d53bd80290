"""Averages and whole-epoch metrics: exact over batches of any size, never waiting."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    AccumMetric,
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
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
        AvgMetric(accuracy), AvgLoss(), AvgSmoothLoss(), AccumMetric(rmse, dim_argmax=-1),
    ]  # fmt: skip
    for metric in metrics:
        for _ in range(2):
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


def test_names() -> None:
    class MyOwnScore(Metric):
        pass

    assert AvgMetric(accuracy).name == "accuracy"
    assert AvgMetric(partial(partial(accuracy, axis=1))).name == "accuracy"
    assert AvgMetric(lambda p, t: p).name == "metric"
    assert AvgMetric(accuracy, name="acc").name == "acc"
    assert AccumMetric(np.mean).name == "mean"
    metric = MyOwnScore()
    assert metric.name == "my_own_score"
    metric.name = "mine"
    assert (metric.name, repr(metric)) == ("mine", "MyOwnScore(mine)")


def test_a_metric_that_lacks_a_method() -> None:
    class Half(Metric):
        pass

    with pytest.raises(NotImplementedError, match=r"Half needs a method reset\(self\)"):
        Half().reset()
    with pytest.raises(NotImplementedError, match=r"accumulate\(self, learn\)"):
        Half().accumulate(GivenBatch(None, ()))
    with pytest.raises(NotImplementedError, match="property value"):
        _ = Half().value


def test_whole_epoch_differs_from_a_mean_over_batches() -> None:
    preds, targets = torch.randn(23, 1), torch.randn(23)
    expected = float(((preds[:, 0] - targets) ** 2).mean().sqrt())
    assert fed(AccumMetric(rmse), preds, targets) == pytest.approx(expected)
    assert fed(AvgMetric(rmse), preds, targets) != pytest.approx(expected, rel=1e-6)


def test_what_accumulates_can_be_prepared() -> None:
    preds, targets = torch.randn(9, 3), torch.randint(3, (9,))
    seen: list[tuple[object, object]] = []

    def keep(a: object, b: object) -> float:
        seen.append((a, b))
        return 1.0

    def prepared(**options: object) -> object:
        AccumMetric(keep, flatten=False, **options)(preds, targets)
        return seen[-1][0]

    torch.testing.assert_close(prepared(), preds)
    torch.testing.assert_close(prepared(dim_argmax=-1), preds.argmax(-1))
    torch.testing.assert_close(prepared(activation="sigmoid"), preds.sigmoid())
    torch.testing.assert_close(prepared(activation="softmax"), preds.softmax(1))
    torch.testing.assert_close(prepared(activation="binary_softmax"), preds.softmax(1)[:, -1])
    torch.testing.assert_close(prepared(activation="sigmoid", thresh=0.3), preds.sigmoid() > 0.3)
    assert isinstance(prepared(to_np=True), np.ndarray)
    torch.testing.assert_close(prepared(invert_arg=True), targets)
    half = AccumMetric(keep, to_np=True, flatten=False)(preds.bfloat16(), targets)
    assert half == 1.0  # NumPy has no bfloat16


def test_accum_metric_refuses() -> None:
    with pytest.raises(
        ValueError, match=r"dim_argmax= \(classes\) or thresh= \(labels\), not both"
    ):
        AccumMetric(rmse, dim_argmax=1, thresh=0.5)
    with pytest.raises(ValueError, match=r"`rmse` compares .* \[4, 2\] and targets of shape \[4\]"):
        AccumMetric(rmse)(torch.zeros(4, 2), torch.zeros(4))
    assert AccumMetric(rmse).value is None


def test_an_error_in_the_function_names_the_metric() -> None:
    def fussy(preds: Tensor, targets: Tensor) -> float:
        raise ValueError("needs two classes")

    with pytest.raises(ValueError, match=r"`fussy` could not be computed over 4 items: needs two"):
        AccumMetric(fussy)(torch.zeros(4), torch.zeros(4))
