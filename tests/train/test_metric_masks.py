"""Overlaps of areas against scikit-learn's F1 and Jaccard on all pixels."""

import pytest
import sklearn.metrics as skm
import torch
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    Dice,
    DiceMulti,
    ForegroundAcc,
    JaccardCoeff,
    JaccardCoeffMulti,
    Metric,
    as_metric,
    foreground_acc,
)


def fed(metric: Metric, preds: Tensor, targets: Tensor) -> float:
    metric.reset()
    for p, t in zip(preds.split(2), targets.split(2), strict=True):
        metric.accumulate(GivenBatch(p, (t,)))
    return float(metric.value)


def test_two_classes() -> None:
    preds, masks = torch.randn(5, 2, 6, 6), torch.randint(2, (5, 6, 6))
    flat = (masks.flatten(), preds.argmax(1).flatten())
    assert fed(Dice(), preds, masks) == pytest.approx(skm.f1_score(*flat))
    assert fed(Dice(), preds, masks[:, None]) == pytest.approx(skm.f1_score(*flat))
    assert fed(JaccardCoeff(), preds, masks) == pytest.approx(skm.jaccard_score(*flat))


def test_several_classes() -> None:
    preds, masks = torch.randn(5, 4, 6, 6), torch.randint(4, (5, 6, 6)).to(torch.uint8)
    flat = (masks.flatten(), preds.argmax(1).flatten())
    dice, iou = (s(*flat, average="macro") for s in (skm.f1_score, skm.jaccard_score))
    assert fed(DiceMulti(), preds, masks) == pytest.approx(dice)
    assert fed(JaccardCoeffMulti(), preds, masks) == pytest.approx(iou)


def test_void_and_absent_classes_count_for_nothing() -> None:
    preds, masks = torch.randn(4, 3, 6, 6), torch.randint(2, (4, 6, 6))
    preds[:, 2] = -9  # class 2 is neither predicted nor there
    clean = fed(DiceMulti(), preds, masks)
    flat = (masks.flatten(), preds.argmax(1).flatten())
    assert clean == pytest.approx(skm.f1_score(*flat, average="macro"))
    masks[0] = 255
    assert fed(DiceMulti(), preds, masks) == pytest.approx(fed(DiceMulti(), preds[1:], masks[1:]))


def test_dice_of_more_than_two() -> None:
    batch = GivenBatch(torch.randn(1, 3, 2, 2), (torch.zeros(1, 2, 2),))
    with pytest.raises(ValueError, match=r"has 3 classes along axis 1\. Use DiceMulti"):
        Dice().accumulate(batch)
    with pytest.raises(ValueError, match="Use JaccardCoeffMulti"):
        JaccardCoeff().accumulate(batch)


def test_before_the_first_batch() -> None:
    assert [m().value for m in (Dice, DiceMulti, JaccardCoeff, JaccardCoeffMulti)] == [None] * 4


def test_nothing_is_read_from_the_device_in_a_step() -> None:
    pair = (torch.zeros(2, 2, 4, 4, device="meta"), torch.zeros(2, 4, 4, device="meta"))
    for metric in (Dice(), DiceMulti()):
        metric.accumulate(GivenBatch(pair[0], (pair[1],)))


def test_foreground_of_an_epoch_is_that_of_all_its_pixels() -> None:
    preds, masks = torch.randn(5, 3, 6, 6), torch.randint(3, (5, 6, 6))
    masks[:2] = 0  # a batch of background alone: by itself it has no share
    masks[2, :5] = 0
    there = masks != 0
    expected = (preds.argmax(1)[there] == masks[there]).double().mean()
    metric = as_metric(foreground_acc)
    assert isinstance(metric, ForegroundAcc)
    assert fed(metric, preds, masks) == pytest.approx(float(expected), abs=1e-12)
    metric.reset()
    assert metric.value is None


def test_billions_of_pixels() -> None:
    metric = Dice()
    metric.load_state_dict({"sums": torch.tensor([[0, 2**31], [0, 2**31 + 1], [0, 2**31]])})
    assert float(metric.value) == 2**32 / (2**32 + 1)


def test_one_output_for_the_foreground() -> None:
    preds, masks = torch.randn(5, 1, 6, 6), torch.randint(2, (5, 6, 6)).to(torch.uint8)
    flat = (masks.flatten(), (preds > 0).flatten())
    assert fed(Dice(), preds, masks) == pytest.approx(skm.f1_score(*flat))
    assert fed(JaccardCoeff(), preds, masks[:, None]) == pytest.approx(skm.jaccard_score(*flat))
    both = skm.f1_score(*flat, average="macro")
    assert fed(DiceMulti(), preds, masks) == pytest.approx(both)
