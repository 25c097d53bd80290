"""What losses imply: activation, prediction, and the loss of each item."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.train.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    MSELossFlat,
    activation_of,
    decodes_of,
    unreduced,
)


def own_loss(pred: Tensor, targ: Tensor) -> Tensor:
    return torch.where(targ == 1, 1 - pred.sigmoid()[:, 0], pred.sigmoid()[:, 0]).mean()


def without_a_reduction(pred: Tensor, targ: Tensor) -> Tensor:
    return F.cross_entropy(pred, targ)


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        partial(F.cross_entropy, label_smoothing=0.1),
        nn.CrossEntropyLoss(),
        CrossEntropyLossFlat(),
    ],
)
def test_cross_entropy_of_any_kind(loss: object) -> None:
    x = torch.randn(5, 3)
    torch.testing.assert_close(activation_of(loss)(x), x.softmax(1))
    assert torch.equal(decodes_of(loss)(activation_of(loss)(x)), x.argmax(1))


def test_classes_are_on_axis_1_for_torch() -> None:
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(activation_of(nn.CrossEntropyLoss())(x), x.softmax(1))
    assert decodes_of(F.cross_entropy)(x).shape == (2, 4, 4)


@pytest.mark.parametrize("loss", [nn.NLLLoss(), F.nll_loss])
def test_log_probabilities(loss: object) -> None:
    x = torch.randn(5, 3)
    torch.testing.assert_close(activation_of(loss)(x.log_softmax(1)), x.softmax(1))
    assert torch.equal(decodes_of(loss)(x), x.argmax(1))


@pytest.mark.parametrize(
    "loss",
    [nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits, BCEWithLogitsLossFlat()],
)
def test_logits(loss: object) -> None:
    x = torch.tensor([[-1.0, 2.0]])
    torch.testing.assert_close(activation_of(loss)(x), x.sigmoid())
    assert decodes_of(loss)(x.sigmoid()).tolist() == [[False, True]]


@pytest.mark.parametrize("loss", [own_loss, nn.MSELoss(), F.l1_loss, MSELossFlat(), None])
def test_anything_else_is_left_as_it_is(loss: object) -> None:
    x = torch.randn(4, 1)
    assert activation_of(loss)(x) is x
    assert decodes_of(loss)(x) is x


def test_probabilities_have_no_activation_but_a_threshold() -> None:
    x = torch.tensor([0.2, 0.8])
    assert activation_of(nn.BCELoss())(x) is x
    assert decodes_of(F.binary_cross_entropy)(x).tolist() == [False, True]


def test_a_loss_of_ones_own_may_say() -> None:
    class Mine:
        def __call__(self, pred: Tensor, targ: Tensor) -> Tensor:
            return pred.mean()

        def activation(self, x: Tensor) -> Tensor:
            return x + 1

        def decodes(self, x: Tensor) -> Tensor:
            return x - 1

    x = torch.zeros(2)
    assert (activation_of(Mine())(x) - 1).tolist() == decodes_of(Mine())(x + 1).tolist()


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        partial(F.cross_entropy, label_smoothing=0.1),
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum"),
        CrossEntropyLossFlat(),
        without_a_reduction,
    ],
)
def test_one_loss_for_each_item(loss: object) -> None:
    pred, targ = torch.randn(6, 4), torch.randint(4, (6,))
    smoothing = 0.1 if isinstance(loss, partial) else 0.0
    before = getattr(loss, "reduction", None)
    expected = F.cross_entropy(pred, targ, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(unreduced(loss)(pred, targ), expected)
    assert getattr(loss, "reduction", None) == before


def test_pixels_of_an_item_are_averaged() -> None:
    pred, mask = torch.randn(3, 2, 4, 4), torch.randint(2, (3, 4, 4))
    expected = F.cross_entropy(pred, mask, reduction="none").mean((1, 2))
    torch.testing.assert_close(unreduced(CrossEntropyLossFlat(axis=1))(pred, mask), expected)
    torch.testing.assert_close(unreduced(F.cross_entropy)(pred, mask), expected)


def test_several_labels_of_an_item_are_averaged() -> None:
    pred, targ = torch.randn(3, 5), torch.randint(2, (3, 5))
    each = unreduced(BCEWithLogitsLossFlat())(pred, targ)
    expected = F.binary_cross_entropy_with_logits(pred, targ.float(), reduction="none").mean(1)
    torch.testing.assert_close(each, expected)


def test_own_functions_and_losses_that_ignore_their_reduction() -> None:
    class Stubborn(nn.Module):
        reduction = "mean"

        def forward(self, pred: Tensor, targ: Tensor) -> Tensor:
            return F.mse_loss(pred, targ)

    pred, targ = torch.randn(4, 1), torch.tensor([0, 1, 1, 0])
    expected = [float(own_loss(pred[i : i + 1], targ[i : i + 1])) for i in range(4)]
    assert unreduced(own_loss)(pred, targ).tolist() == pytest.approx(expected)
    squares = ((pred - 1) ** 2)[:, 0]
    torch.testing.assert_close(unreduced(Stubborn())(pred, torch.ones(4, 1)), squares)


def test_reduction_is_put_back_after_an_error() -> None:
    loss = nn.CrossEntropyLoss()
    with pytest.raises(RuntimeError):
        unreduced(loss)(torch.randn(3, 2), torch.rand(3))
    assert loss.reduction == "mean"


def test_no_items() -> None:
    for loss in (F.cross_entropy, own_loss):
        assert unreduced(loss)(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_item_losses_need_no_graph() -> None:
    pred = torch.randn(3, 2, requires_grad=True)
    assert not unreduced(F.cross_entropy)(pred, torch.tensor([0, 1, 1])).requires_grad
