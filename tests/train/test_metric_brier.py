"""Brier scores against scikit-learn and their formula, over uneven batches."""

import pytest
import sklearn.metrics as skm
import torch
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metrics import BrierScore, BrierScoreMulti, Metric


def fed(metric: Metric, preds: Tensor, targets: Tensor) -> float:
    for p, t in zip(preds.split(7), targets.split(7), strict=True):
        metric.accumulate(GivenBatch(p, (t,)))
    return float(metric.value)


def test_two_classes() -> None:
    preds, targets = torch.randn(40, 2), torch.randint(2, (40,))
    expected = skm.brier_score_loss(targets, preds.softmax(1)[:, 1])
    assert fed(BrierScore(), preds, targets) == pytest.approx(expected, rel=1e-5)


def test_several_classes() -> None:
    preds, targets = torch.randn(40, 4), torch.randint(4, (40,))
    distance = (preds.softmax(1) - torch.eye(4)[targets]).square().sum(1)
    assert fed(BrierScore(), preds, targets) == pytest.approx(float(distance.mean()), rel=1e-5)
    masks, there = torch.randn(3, 4, 2, 2), torch.randint(4, (3, 2, 2))
    flat = masks.movedim(1, -1).reshape(-1, 4)
    expected = BrierScore()(flat, there.reshape(-1))
    torch.testing.assert_close(BrierScore(axis=1)(masks, there), expected)


def test_several_labels() -> None:
    preds, targets = torch.randn(40, 3), torch.randint(2, (40, 3))
    each = [skm.brier_score_loss(targets[:, i], preds.sigmoid()[:, i]) for i in range(3)]
    assert fed(BrierScoreMulti(), preds, targets) == pytest.approx(sum(each) / 3, rel=1e-5)
    probs = BrierScoreMulti(sigmoid=False)
    assert fed(probs, preds.sigmoid(), targets) == pytest.approx(sum(each) / 3, rel=1e-5)


def test_names_and_other_shapes() -> None:
    assert [m.name for m in (BrierScore(), BrierScoreMulti())] == [
        "brier_score",
        "brier_score_multi",
    ]
    with pytest.raises(ValueError, match=r"`BrierScore` compares .* targets of shape \[4, 3\]"):
        BrierScore()(torch.randn(4, 3), torch.zeros(4, 3))


def test_one_output_for_yes_or_no() -> None:
    preds, targets = torch.randn(40, 1), torch.randint(2, (40,))
    expected = skm.brier_score_loss(targets, preds.sigmoid()[:, 0])
    assert fed(BrierScore(), preds, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("void", [255, -100])
def test_void_counts_for_nothing(void: int) -> None:
    preds, masks = torch.randn(14, 3, 2, 2), torch.randint(3, (14, 2, 2))
    masks[:8] = void  # a whole batch and a part of the next one
    expected = BrierScore(axis=1)(preds[8:], masks[8:])
    assert fed(BrierScore(axis=1), preds, masks) == pytest.approx(float(expected), rel=1e-6)
