"""What a loss divides by: parts of a batch, weighted by it, have the loss of the whole."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.train.loss_weight import divides_as_known, loss_weight
from presize.train.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLoss,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
)

W = torch.tensor([10.0, 1.0, 0.1])
CLASSES = torch.tensor([0, 2, 1, 2, 0, 1, 1])
MASKS = torch.arange(7 * 2 * 2).view(7, 2, 2) % 3
LABELS = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).repeat(4, 1)[:7]
BLENDED = F.one_hot(CLASSES, 3) * 0.7 + F.one_hot(CLASSES.flip(0), 3) * 0.3
DRAWN = F.one_hot(MASKS, 3).movedim(-1, 1).float()

LOSSES = {
    "mean": (F.cross_entropy, CLASSES),
    "weight": (nn.CrossEntropyLoss(weight=W), CLASSES),
    "weight, flat": (CrossEntropyLossFlat(weight=W), CLASSES),
    "weight, smoothed": (nn.CrossEntropyLoss(weight=W, label_smoothing=0.1), CLASSES),
    "weight, ignored": (nn.CrossEntropyLoss(weight=W, ignore_index=0), CLASSES),
    "smoothed, flat": (LabelSmoothingCrossEntropy(weight=W), CLASSES),
    "ignored": (nn.CrossEntropyLoss(ignore_index=2), CLASSES),
    "ignored by default": (nn.CrossEntropyLoss(), torch.where(CLASSES == 1, -100, CLASSES)),
    "a part all ignored": (F.cross_entropy, torch.tensor([-100, -100, -100, 0, 1, -100, 2])),
    "partial": (partial(F.cross_entropy, weight=W, ignore_index=1), CLASSES),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), CLASSES),
    "sum, flat": (CrossEntropyLossFlat(weight=W, reduction="sum"), CLASSES),
    "sum, partial": (partial(F.cross_entropy, reduction="sum"), CLASSES),
    "masks": (CrossEntropyLossFlat(axis=1, weight=W, ignore_index=1), MASKS),
    "masks, blended": (CrossEntropyLossFlat(axis=1, weight=W), DRAWN),
    "blended": (CrossEntropyLossFlat(), BLENDED),
    "blended, weight, flat": (CrossEntropyLossFlat(weight=W), BLENDED),
    "blended, weight": (nn.CrossEntropyLoss(weight=W), BLENDED),
    "blended, ignored": (CrossEntropyLossFlat(ignore_index=1), BLENDED),
    "blended, weight, ignored": (CrossEntropyLossFlat(weight=W, ignore_index=1), BLENDED),
    "masks, blended, ignored": (CrossEntropyLossFlat(axis=1, ignore_index=0), DRAWN),
    "half": (CrossEntropyLossFlat(weight=W), BLENDED.half()),
    "focal": (FocalLoss(weight=W), CLASSES),
    "focal, ignored": (FocalLoss(weight=W, ignore_index=0), CLASSES),
    "focal, blended": (FocalLoss(weight=W), BLENDED),
    "focal, blended, ignored": (FocalLoss(weight=W, ignore_index=0), BLENDED),
    "focal, masks": (FocalLoss(axis=1, ignore_index=2), MASKS),
    "labels": (BCEWithLogitsLossFlat(weight=W, pos_weight=W), LABELS),
    "labels, sum": (BCEWithLogitsLossFlat(reduction="sum"), LABELS),
    "quantities": (MSELossFlat(), LABELS),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_parts_add_up_to_the_whole(name):
    loss, targets = LOSSES[name]
    torch.manual_seed(0)
    scores = torch.randn(7, 3, *targets.shape[1:][-2:]) if targets.ndim > 2 else torch.randn(7, 3)
    whole, total = loss(scores, targets), 0.0
    for rows in (slice(0, 3), slice(3, 5), slice(5, 7)):
        weight = float(loss_weight(loss, (targets[rows],), rows.stop - rows.start))
        total += loss(scores[rows], targets[rows]) * weight if weight else 0.0
    torch.testing.assert_close(total / float(loss_weight(loss, (targets,), 7)), whole)
    assert divides_as_known(loss)


def test_the_log_of_probabilities_by_itself():
    assert float(loss_weight(nn.NLLLoss(weight=W), (CLASSES,), 7)) == pytest.approx(23.2)
    assert float(loss_weight(partial(F.nll_loss, ignore_index=1), (CLASSES,), 7)) == 4


def test_what_is_not_known_counts_by_its_items():
    def own(pred, *targets):
        return pred.mean()

    assert loss_weight(own, (CLASSES,), 7) == 7
    assert loss_weight(nn.CrossEntropyLoss(), (CLASSES, CLASSES), 7) == 7
    assert loss_weight(nn.CrossEntropyLoss(), (), 7) == 7
    assert not divides_as_known(own)
    assert not divides_as_known(partial(own))

    class Own(nn.Module):
        reduction = "sum"

    assert loss_weight(Own(), (CLASSES,), 7) == 1.0
    assert not divides_as_known(Own())
