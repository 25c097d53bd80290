"""Why a loss would not take its targets, in the user's words."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.core.errors import TrainingError
from presize.train.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    MSELossFlat,
    check_loss,
    check_targets,
    describe_pair,
)

CLASSES = [nn.CrossEntropyLoss(), F.cross_entropy, CrossEntropyLossFlat(), nn.NLLLoss()]


@pytest.mark.parametrize("loss", CLASSES)
def test_class_number_out_of_range(loss: object) -> None:
    targ = torch.tensor([0, 37, 36])
    text = (
        r"got target 37 but the model has 37 outputs, for the classes 0 to 36\. "
        r"Make the model with n_out=38"
    )
    with pytest.raises(TrainingError, match=text):
        check_targets(torch.randn(3, 37), targ, loss)
    with pytest.raises(
        TrainingError, match=r"got target -1, but classes are numbered from 0 to 36"
    ):
        check_targets(torch.randn(3, 37), torch.tensor([0, -1, 2]), loss)


def test_ignored_classes_are_in_range() -> None:
    check_targets(torch.randn(3, 2), torch.tensor([0, 1, -100]), F.cross_entropy)
    loss = CrossEntropyLossFlat(axis=1, ignore_index=255)
    check_targets(torch.randn(1, 2, 2, 2), torch.tensor([[[0, 1], [255, 1]]]), loss)


@pytest.mark.parametrize("loss", [*CLASSES, partial(F.cross_entropy, label_smoothing=0.1)])
def test_quantities_for_a_loss_over_classes(loss: object) -> None:
    with pytest.raises(TrainingError) as error:
        check_targets(torch.randn(64, 10), torch.rand(64), loss)
    text = str(error.value)
    assert "whole number, but got outputs [64, 10] float32, targets [64] float32" in text
    assert "CategoryBlock" in text
    assert text.startswith(("CrossEntropyLoss", "cross_entropy", "NLLLoss"))


def test_labels_for_a_loss_over_classes() -> None:
    several = torch.randint(2, (8, 3))
    with pytest.raises(TrainingError, match=r"BCEWithLogitsLossFlat\(\)"):
        check_targets(torch.randn(8, 3), several, CrossEntropyLossFlat())
    with pytest.raises(TrainingError, match=r"\(masks\) use CrossEntropyLossFlat\(axis=1\)"):
        check_targets(torch.randn(2, 5, 8, 8), torch.zeros(2, 8, 8).long(), CrossEntropyLossFlat())


def test_probabilities_of_classes_are_fine() -> None:
    check_targets(torch.randn(4, 3), torch.rand(4, 3), nn.CrossEntropyLoss())


@pytest.mark.parametrize("loss", [MSELossFlat(), nn.MSELoss(), nn.BCEWithLogitsLoss()])
def test_another_number_of_values(loss: object) -> None:
    text = r"outputs \[64, 10\] float32, targets \[64\] int64\. .*n_out=1\).*CrossEntropyLossFlat"
    with pytest.raises(TrainingError, match=text):
        check_targets(torch.randn(64, 10), torch.zeros(64).long(), loss)


@pytest.mark.parametrize("kind", [BCEWithLogitsLossFlat, nn.BCEWithLogitsLoss])
def test_another_number_of_weights(kind: type[nn.Module]) -> None:
    text = (
        r"BCEWithLogitsLoss(Flat)? has pos_weight= of shape \[2\], which does not go with outputs "
        r"\[4, 5\] float32, targets \[4, 5\] float32\. Give one for each label"
    )
    with pytest.raises(TrainingError, match=text):
        check_targets(torch.randn(4, 5), torch.rand(4, 5), kind(pos_weight=torch.ones(2)))
    check_targets(torch.randn(4, 5), torch.rand(4, 5), kind(pos_weight=torch.ones(5)))


def test_whole_numbers_for_torchs_losses() -> None:
    pred, targ = torch.randn(4, 1), torch.ones(4, 1).long()
    with pytest.raises(TrainingError, match=r"floating-point .* targets \[4, 1\] int64"):
        check_targets(pred, targ, F.binary_cross_entropy_with_logits)
    BCEWithLogitsLossFlat()(pred, targ)


def test_another_number_of_items() -> None:
    with pytest.raises(TrainingError, match=r"16 against 64 items"):
        check_targets(torch.randn(16, 10), torch.zeros(64).long(), F.cross_entropy)


def test_no_tensors() -> None:
    pair = (torch.randn(2, 2), torch.randn(2, 2))
    with pytest.raises(TrainingError, match=r"outputs tuple of 2, targets list of 2"):
        check_targets(pair, ["cat", "dog"], CrossEntropyLossFlat())


def test_what_is_right_or_unknown_is_not_judged() -> None:
    def own(pred: Tensor, targ: Tensor) -> Tensor:
        return pred.mean()

    check_targets(torch.randn(4, 3), torch.zeros(4).long(), F.cross_entropy)
    check_targets(torch.randn(4, 1), torch.rand(4), MSELossFlat())
    check_targets(torch.randn(4, 3), torch.zeros(2), own)
    check_targets(None, None, own)


def test_description() -> None:
    assert describe_pair(torch.zeros(2, 3), torch.zeros(2, dtype=torch.uint8)) == (
        "outputs [2, 3] float32, targets [2] uint8"
    )
    assert describe_pair(None, "cat") == "outputs NoneType, targets str"


def test_a_class_in_the_place_of_a_loss() -> None:
    with pytest.raises(TypeError, match=r"Pass an object of it: loss_func=CrossEntropyLoss\(\)"):
        check_loss(nn.CrossEntropyLoss, None)
    with pytest.raises(TypeError, match="is a function of outputs and targets, but got 'mse'"):
        check_loss("mse", None)
    check_loss(F.cross_entropy, "classification")


@pytest.mark.parametrize("loss", [CrossEntropyLossFlat(), nn.CrossEntropyLoss(), F.cross_entropy])
def test_one_class_per_item_where_there_are_several_labels(loss: object) -> None:
    with pytest.warns(UserWarning, match="or use BCEWithLogitsLossFlat"):
        check_loss(loss, "multilabel")
