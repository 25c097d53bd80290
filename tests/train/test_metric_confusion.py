"""The confusion matrix of an epoch against scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics as skm
import torch

from presize.core.errors import TrainingError
from presize.train.metric_base import GivenBatch
from presize.train.metrics import ConfusionMatrix, as_metric


def test_it_is_scikit_learns() -> None:
    preds, targets = torch.randn(40, 4), torch.randint(4, (40,))
    metric = as_metric(ConfusionMatrix)
    for _ in range(2):  # two epochs
        metric.reset()
        for p, t in zip(preds.split(7), targets.split(7), strict=True):
            metric.accumulate(GivenBatch(p, (t,)))
    expected = skm.confusion_matrix(targets, preds.argmax(1), labels=range(4))
    np.testing.assert_array_equal(metric.matrix, expected)
    assert metric.matrix.dtype == np.int64
    assert float(metric.value) == skm.accuracy_score(targets, preds.argmax(1))
    assert metric.name == "confusion_accuracy"


def test_masks_and_what_is_no_class() -> None:
    preds, masks = torch.randn(2, 3, 5, 5), torch.randint(3, (2, 1, 5, 5)).to(torch.uint8)
    masks[0, 0, 0], masks[1, 0, 0, 0] = 255, 3
    there = masks[:, 0] < 3
    metric = ConfusionMatrix(axis=1)
    metric(preds, masks)
    expected = skm.confusion_matrix(masks[:, 0][there], preds.argmax(1)[there], labels=range(3))
    np.testing.assert_array_equal(metric.matrix, expected)
    signed = masks.long()
    signed[0, 0, 1] = -100
    assert metric(preds, signed) is not None
    assert metric.matrix.sum() == int(there.sum()) - 5


def test_what_was_read_stays() -> None:
    metric = ConfusionMatrix()
    metric(torch.eye(3), torch.arange(3))
    read = metric.matrix
    metric.accumulate(GivenBatch(torch.eye(3), (torch.arange(3),)))
    assert (read.sum(), metric.matrix.sum()) == (3, 6)


def test_before_the_first_batch() -> None:
    metric = ConfusionMatrix()
    assert metric.value is None
    with pytest.raises(TrainingError, match=r"counted nothing yet. Pass it to a learner, metrics="):
        _ = metric.matrix


def test_one_output_for_yes_or_no() -> None:
    preds, targets = torch.randn(40, 1), torch.randint(2, (40,))
    metric = ConfusionMatrix()
    value = metric(preds, targets)
    expected = skm.confusion_matrix(targets, preds[:, 0] > 0)
    np.testing.assert_array_equal(metric.matrix, expected)
    assert float(value) == skm.accuracy_score(targets, preds[:, 0] > 0)
