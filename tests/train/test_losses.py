"""Losses against torch's, over the shapes and dtypes that users have."""

import json
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.errors import DataError, TrainingError
from presize.train.losses import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLoss,
    FocalLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    LabelSmoothingCrossEntropyFlat,
    MSELossFlat,
    loss_for_task,
)

ALL = [
    CrossEntropyLossFlat,
    LabelSmoothingCrossEntropy,
    FocalLoss,
    BCEWithLogitsLossFlat,
    BCELossFlat,
    MSELossFlat,
    L1LossFlat,
]


def pair_for(loss: BaseLoss) -> tuple[Tensor, Tensor]:
    """Outputs and targets that go with a loss."""
    if loss.kind == "classes":
        return torch.randn(6, 5), torch.randint(5, (6,))
    pred = torch.randn(6, 5)
    if isinstance(loss, BCELossFlat):
        return (pred.sigmoid() if type(loss) is BCELossFlat else pred), torch.randint(2, (6, 5))
    return pred, torch.randn(6, 5)


@pytest.mark.parametrize("kind", ALL)
def test_contract_of_all_losses(kind: type[BaseLoss]) -> None:
    loss = kind()
    pred, targ = pair_for(loss)
    pred.requires_grad_()
    mean = loss(pred, targ)
    assert mean.ndim == 0
    mean.backward()
    assert pred.grad is not None
    loss.reduction = "none"
    each = loss(pred, targ)
    assert each.ndim == 1
    torch.testing.assert_close(each.mean(), mean)
    loss.reduction = "sum"
    torch.testing.assert_close(loss(pred, targ), each.sum())
    with pytest.raises(ValueError, match=r"reduction is 'mean', 'sum' or 'none', but got 'avg'"):
        loss.reduction = "avg"
    activated = loss.activation(pred)
    assert activated.shape == pred.shape
    assert loss.decodes(activated).shape in (pred.shape, pred.shape[:1])
    assert repr(kind()).startswith(kind.__name__ + "(")
    assert kind(reduction="sum").reduction == "sum"


def test_cross_entropy_is_torchs() -> None:
    pred, targ = torch.randn(7, 4), torch.randint(4, (7,))
    loss = CrossEntropyLossFlat()
    torch.testing.assert_close(loss(pred, targ), F.cross_entropy(pred, targ))
    for whole in (torch.int32, torch.uint8, torch.int16):
        torch.testing.assert_close(loss(pred, targ.to(whole)), F.cross_entropy(pred, targ))
    torch.testing.assert_close(loss(pred, targ[:, None]), F.cross_entropy(pred, targ))
    soft = torch.softmax(torch.randn(7, 4), 1)
    torch.testing.assert_close(loss(pred, soft), F.cross_entropy(pred, soft))
    torch.testing.assert_close(loss.activation(pred), pred.softmax(1))
    assert torch.equal(loss.decodes(loss.activation(pred)), pred.argmax(1))


def test_cross_entropy_options() -> None:
    pred, targ = torch.randn(9, 4), torch.arange(9) % 4
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])
    loss = CrossEntropyLossFlat(weight=weight, label_smoothing=0.2, ignore_index=3)
    expected = F.cross_entropy(pred, targ, weight, label_smoothing=0.2, ignore_index=3)
    torch.testing.assert_close(loss(pred, targ), expected)
    assert repr(loss) == (
        "CrossEntropyLossFlat(weight of 4 classes, ignore_index=3, label_smoothing=0.2)"
    )
    assert repr(CrossEntropyLossFlat(axis=1, reduction="sum")) == (
        "CrossEntropyLossFlat(axis=1, reduction='sum')"
    )
    assert CrossEntropyLossFlat(weight=[1, 2]).weight.dtype == torch.float32


def test_cross_entropy_of_masks() -> None:
    pred, mask = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    loss = CrossEntropyLossFlat(axis=1)
    torch.testing.assert_close(loss(pred, mask), F.cross_entropy(pred, mask))
    torch.testing.assert_close(loss(pred, mask[:, None]), F.cross_entropy(pred, mask))
    assert torch.equal(loss.decodes(pred), pred.argmax(1))
    soft = torch.softmax(torch.randn_like(pred), 1)
    torch.testing.assert_close(loss(pred, soft), F.cross_entropy(pred, soft))
    sequence = torch.randn(2, 6, 3)  # the last axis holds the classes
    flat = F.cross_entropy(sequence.view(-1, 3), torch.zeros(12, dtype=torch.long))
    torch.testing.assert_close(CrossEntropyLossFlat()(sequence, torch.zeros(2, 6)[:].long()), flat)


def test_label_smoothing_is_its_formula() -> None:
    pred, targ = torch.randn(7, 4), torch.randint(4, (7,))
    logs = F.log_softmax(pred, 1)
    formula = 0.9 * F.nll_loss(logs, targ) - 0.1 * logs.mean()
    torch.testing.assert_close(LabelSmoothingCrossEntropy()(pred, targ), formula)
    assert LabelSmoothingCrossEntropyFlat is LabelSmoothingCrossEntropy


def test_focal_loss_is_its_formula() -> None:
    pred, targ = torch.randn(7, 3), torch.randint(3, (7,))
    right = F.softmax(pred, 1).gather(1, targ[:, None])[:, 0]
    formula = -((1 - right) ** 1.5) * right.log()
    torch.testing.assert_close(FocalLoss(1.5)(pred, targ), formula.mean())
    weight = torch.tensor([1.0, 4.0, 2.0])
    weighted = (formula * weight[targ]).mean()
    torch.testing.assert_close(FocalLossFlat(1.5, weight=weight)(pred, targ), weighted)
    torch.testing.assert_close(FocalLoss(0)(pred, targ), F.cross_entropy(pred, targ))
    assert repr(FocalLoss(3)) == "FocalLoss(gamma=3)"


CLASS_LOSSES = [
    CrossEntropyLossFlat(),
    CrossEntropyLossFlat(weight=[1.0, 4.0, 2.0]),
    CrossEntropyLossFlat(weight=[1.0, 4.0, 2.0], label_smoothing=0.2),
    LabelSmoothingCrossEntropy(0.3),
    LabelSmoothingCrossEntropy(0.3, weight=[1.0, 4.0, 2.0]),
    FocalLoss(),
    FocalLoss(0.5, weight=[1.0, 4.0, 2.0]),
    FocalLoss(0),
    CrossEntropyLossFlat(ignore_index=0),
    CrossEntropyLossFlat(ignore_index=255),
    CrossEntropyLossFlat(weight=[1.0, 4.0, 2.0], ignore_index=1, label_smoothing=0.2),
    FocalLoss(weight=[1.0, 4.0, 2.0], ignore_index=2),
]


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=repr)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(7, 3), (2, 3, 4, 5)])
def test_probability_one_is_the_class_number(
    loss: BaseLoss, reduction: str, shape: tuple[int, ...]
) -> None:
    loss.reduction = reduction
    loss.axis = 1
    pred = torch.randn(shape, requires_grad=True)
    targ = torch.randint(3, (shape[0], *shape[2:]))
    hot = torch.nn.functional.one_hot(targ, 3).movedim(-1, 1).float()
    hard, soft = loss(pred, targ), loss(pred, hot)
    torch.testing.assert_close(soft, hard)
    slopes = [torch.autograd.grad(out.sum(), pred)[0] for out in (hard, soft)]
    torch.testing.assert_close(slopes[0], slopes[1])
    loss.reduction = "mean"


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=repr)
def test_mixed_targets_mix_the_losses(loss: BaseLoss) -> None:
    # For each item, whose weight is its own: sums are linear in the targets.
    loss.reduction = "none"
    pred, one, other = torch.randn(7, 3), torch.randint(3, (7,)), torch.randint(3, (7,))
    part = torch.rand(7)
    eye = torch.eye(3)
    mixed = part[:, None] * eye[one] + (1 - part[:, None]) * eye[other]
    expected = part * loss(pred, one) + (1 - part) * loss(pred, other)
    torch.testing.assert_close(loss(pred, mixed), expected)
    loss.reduction = "mean"


def test_probabilities_in_other_precisions() -> None:
    pred, soft = torch.randn(7, 4), torch.softmax(torch.randn(7, 4), 1)
    loss = CrossEntropyLossFlat(weight=[1.0, 2.0, 3.0, 4.0])
    exact = loss(pred, soft)
    torch.testing.assert_close(loss(pred, soft.double()), exact)
    torch.testing.assert_close(loss(pred.double(), soft.double()).float(), exact)
    torch.testing.assert_close(loss(pred.bfloat16(), soft), loss(pred.bfloat16().float(), soft))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(FocalLoss()(pred, soft), FocalLoss()(pred, soft).float())


def test_mixed_targets_with_a_class_to_ignore() -> None:
    pred = torch.randn(2, 3)
    mixed = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])
    logs = pred.log_softmax(1)
    expected = -(0.75 * logs[0, 1] + 0.5 * logs[1, 1] + 0.5 * logs[1, 2]) / 1.75
    torch.testing.assert_close(CrossEntropyLossFlat(ignore_index=0)(pred, mixed), expected)
    torch.testing.assert_close(FocalLoss(0, ignore_index=0)(pred, mixed), expected)
    assert mixed[0, 0] == 0.25  # the targets of the batch stay


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0, 4.0]])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_focal_loss_leaves_out_what_is_ignored(weight: list[float] | None, reduction: str) -> None:
    pred, targ = torch.randn(9, 4), torch.arange(9) % 4
    clean = FocalLoss(1.5, weight=weight)(pred[3:], targ[3:])
    whole = FocalLoss(1.5, weight=weight, reduction=reduction)
    targ[:3] = -100
    each = whole(pred, targ)
    if reduction == "none":
        assert each[:3].tolist() == [0.0] * 3
        each = each[3:].mean()
    torch.testing.assert_close(each / 6 if reduction == "sum" else each, clean)
    if weight is None and reduction == "mean":
        torch.testing.assert_close(FocalLoss(0)(pred, targ), F.cross_entropy(pred, targ))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_mixed_targets_stay_exact_under_autocast(dtype: torch.dtype) -> None:
    pred, soft = torch.randn(7, 4), torch.softmax(torch.randn(7, 4), 1)
    loss = CrossEntropyLossFlat(weight=[0.1, 1.003, 300.0, 70000.0])  # one is beyond float16
    expected = loss(pred, soft)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(loss(pred, soft), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("soft", [False, True])
def test_focal_loss_of_certain_items_has_a_slope(gamma: float, soft: bool) -> None:
    pred = torch.tensor([[80.0, -80.0], [-80.0, 80.0], [0.0, 0.0]], requires_grad=True)
    targ = torch.tensor([0, 0, 1])
    FocalLoss(gamma)(pred, torch.eye(2)[targ] if soft else targ).backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    assert pred.grad[0].abs().max() < 1e-6
    assert pred.grad[1].abs().min() > 0.1


def test_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"spreads a part .* 0 to 1, but got 1\.5"):
        LabelSmoothingCrossEntropy(1.5)
    with pytest.raises(ValueError, match=r"gamma is 0 or more .* but got -1"):
        FocalLoss(-1)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (MSELossFlat, F.mse_loss),
        (L1LossFlat, F.l1_loss),
        (BCEWithLogitsLossFlat, F.binary_cross_entropy_with_logits),
    ],
)
def test_values_of_other_shapes_and_dtypes(kind: type[BaseLoss], function: object) -> None:
    pred, targ = torch.randn(8, 1), torch.randint(2, (8,))
    expected = function(pred.flatten(), targ.float())
    for like in (targ, targ[:, None], targ.bool(), targ.float(), targ.view(2, 4)):
        torch.testing.assert_close(kind()(pred, like), expected)


def test_values_of_another_number_do_not_broadcast() -> None:
    with pytest.raises(TrainingError, match=r"outputs \[8, 2\] float32, targets \[8\] float32"):
        MSELossFlat()(torch.randn(8, 2), torch.randn(8))


def test_binary_weights() -> None:
    pred, targ = torch.randn(6, 3), torch.randint(2, (6, 3)).float()
    weight, positive = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5.0, 1.0, 0.5])
    ours = BCEWithLogitsLossFlat(weight=weight, pos_weight=positive)
    theirs = F.binary_cross_entropy_with_logits(pred, targ, weight, pos_weight=positive)
    torch.testing.assert_close(ours(pred, targ), theirs)
    probs = pred.sigmoid()
    torch.testing.assert_close(
        BCELossFlat(weight=weight)(probs, targ), F.binary_cross_entropy(probs, targ, weight)
    )


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (BCEWithLogitsLossFlat(pos_weight=[1.0, 2.0]), (6, 3)),
        (BCEWithLogitsLossFlat(pos_weight=[1.0, 2.0]), (6, 1)),  # torch would make it [6, 2]
        (BCEWithLogitsLossFlat(weight=[[1.0], [2.0]]), (2,)),
        (BCELossFlat(weight=[1.0, 2.0]), (6, 1)),
        (BCEWithLogitsLossFlat(pos_weight=[1.0, 2.0]), (4, 2, 3, 3)),
    ],
)
def test_weights_of_another_number_of_labels(loss: BaseLoss, shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match=r"weight= of shape \[.* with outputs .* in the order"):
        loss(torch.rand(shape), torch.ones(shape))


def test_one_weight_for_all_labels_and_for_masks() -> None:
    pred, targ = torch.randn(4, 2, 3, 3), torch.randint(2, (4, 2, 3, 3)).float()
    for positive in ([2.0], [[[1.0]], [[2.0]]]):
        expected = F.binary_cross_entropy_with_logits(pred, targ, pos_weight=torch.tensor(positive))
        torch.testing.assert_close(BCEWithLogitsLossFlat(pos_weight=positive)(pred, targ), expected)


def test_threshold() -> None:
    loss = BCEWithLogitsLossFlat(thresh=0.7)
    probs = loss.activation(torch.tensor([[0.0, 1.0]]))
    assert loss.decodes(probs).tolist() == [[False, True]]
    assert BCELossFlat(thresh=0.4).decodes(torch.tensor([0.45])).tolist() == [True]
    assert repr(loss) == "BCEWithLogitsLossFlat(thresh=0.7)"


def test_weights_move_with_the_loss() -> None:
    loss = BCEWithLogitsLossFlat(pos_weight=torch.ones(3)).to("meta")
    assert loss.pos_weight.device.type == "meta"
    assert CrossEntropyLossFlat(weight=torch.ones(3)).to("meta").weight.device.type == "meta"


def test_the_loss_of_a_task() -> None:
    kinds = {
        "classification": CrossEntropyLossFlat,
        "segmentation": CrossEntropyLossFlat,
        "multilabel": BCEWithLogitsLossFlat,
        "regression": MSELossFlat,
        "points": MSELossFlat,
    }
    assert {task: type(loss_for_task(task)) for task in kinds} == kinds
    assert loss_for_task("segmentation").axis == 1
    with pytest.raises(DataError, match=r"Pass one, for example loss_func="):
        loss_for_task(None)
    with pytest.raises(ValueError, match=r"'regresion'. Did you mean `regression`\?"):
        loss_for_task("regresion")


@pytest.mark.parametrize(
    "loss",
    [
        *(kind() for kind in ALL),
        CrossEntropyLossFlat(axis=1, weight=[1.0, 2.0], ignore_index=7, label_smoothing=0.2),
        LabelSmoothingCrossEntropy(0.3, weight=[1.0, 2.0]),
        FocalLoss(1.5, axis=1, ignore_index=255),
        BCEWithLogitsLossFlat(thresh=0.9, weight=[1.0, 2.0], pos_weight=[3.0, 1.0]),
        BCELossFlat(thresh=0.2),
    ],
    ids=repr,
)
def test_spec_is_json_and_makes_it_again(loss: BaseLoss) -> None:
    again = type(loss)(**json.loads(json.dumps(loss.spec())))
    assert repr(again) == repr(loss)
    assert again.spec() == loss.spec()


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=repr)
@pytest.mark.parametrize("soft", [False, True])
def test_nothing_is_read_from_the_device_in_a_step(loss: BaseLoss, soft: bool) -> None:
    there = deepcopy(loss).to("meta")  # there is nothing to read
    pred, targ = torch.zeros(7, 3, device="meta"), torch.zeros(7, device="meta").long()
    assert there(pred, pred if soft else targ).shape == ()
