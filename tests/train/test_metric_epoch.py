"""Metrics of a whole epoch: what they keep, and what they hand over."""

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metrics import AccumMetric, AvgMetric, Metric, RocAuc, rmse


def fed(metric: Metric, preds: Tensor, targets: Tensor, size: int = 5) -> float:
    """The value after batches of `size`, the last one short."""
    metric.reset()
    for at in range(0, len(preds), size):
        metric.accumulate(GivenBatch(preds[at : at + size], (targets[at : at + size],)))
    return float(metric.value)


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


def test_outputs_are_copied() -> None:
    # Some compiled models write their next outputs to the memory of those before.
    memory, kept = torch.zeros(3, 2), []

    def first(preds: Tensor, targets: Tensor) -> float:
        kept.append(preds)
        return 0.0

    metric = AccumMetric(first, flatten=False)
    for step in range(2):
        memory.fill_(step)
        metric.accumulate(GivenBatch(memory, (torch.zeros(3),)))
    assert metric.value == 0.0
    assert kept[0][:, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_half_precision_outputs_are_ranked_by_probabilities_in_single() -> None:
    # In bfloat16 the probabilities of these would be alike, and so ties.
    scores = torch.stack([torch.zeros(64), torch.linspace(-6, -5, 64)], 1).bfloat16()
    order = torch.arange(64)
    exact = RocAuc()(scores, (order % 7 < 3).long())
    assert exact == pytest.approx(float(RocAuc()(scores.float(), (order % 7 < 3).long())))
