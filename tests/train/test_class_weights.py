"""Weights of classes, from labels alone: against scikit-learn, without reading a picture."""

import json

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from presize.core.errors import DataError, TrainingError
from presize.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock, TransformBlock
from presize.data.datablock import DataBlock
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.train.class_weights import class_weights
from presize.train.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat

LABELS = ["cat"] * 6 + ["dog"] * 3 + ["emu"]


class Unreadable:
    """In the place of pictures: counting labels must not read them."""

    def __call__(self, item: object) -> object:
        raise AssertionError("a picture was read")


def loaders(
    labels: list[object],
    block: object = CategoryBlock,
    *,
    valid: list[object] | None = None,
    **options: object,
) -> DataLoaders:
    """Loaders of items without pictures, to train on `labels` and to validate on others."""
    every = labels + (labels[:1] if valid is None else valid)
    n = len(labels)
    data = DataBlock(
        (TransformBlock(type_tfms=Unreadable()), block),
        get_y=lambda i: every[i],
        splitter=lambda items: (list(range(n)), list(range(n, len(every)))),
    )
    return data.dataloaders(list(range(len(every))), bs=2, device="cpu", **options)


def test_balanced_is_scikit_learns() -> None:
    weights = class_weights(loaders(LABELS))
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    assert weights.dtype == torch.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_sqrt_goes_half_the_way() -> None:
    dls = loaders(LABELS)
    full, half = class_weights(dls), class_weights(dls, "sqrt")
    torch.testing.assert_close(half / half[0], (full / full[0]).sqrt())
    counts = torch.tensor([6.0, 3.0, 1.0])
    assert float((counts * half).sum() / 10) == pytest.approx(1)
    assert float((counts * full).sum() / 10) == pytest.approx(1)


def test_only_the_training_set_counts() -> None:
    dls = loaders(["cat"] * 4 + ["dog"] * 2, valid=["cat"] * 50)
    torch.testing.assert_close(class_weights(dls), torch.tensor([0.75, 1.5]))


def test_the_weighted_loss_counts_classes_alike() -> None:
    dls = loaders(LABELS)
    loss = CrossEntropyLossFlat(weight=class_weights(dls))
    targets = torch.tensor([0] * 6 + [1] * 3 + [2])
    scores = torch.randn(3, 3)[targets]  # one kind of output for each class
    alike = nn.functional.cross_entropy(scores[[0, 6, 9]], torch.tensor([0, 1, 2]))
    torch.testing.assert_close(loss(scores, targets), alike)
    again = CrossEntropyLossFlat(**json.loads(json.dumps(loss.spec())))
    torch.testing.assert_close(again.weight, loss.weight)


def test_several_labels() -> None:
    dls = loaders([["a"], ["a", "b"], ["a", "b"], ["b", "c"], [], []], MultiCategoryBlock)
    positive = class_weights(dls)
    torch.testing.assert_close(positive, torch.tensor([1.0, 1.0, 5.0]))
    torch.testing.assert_close(class_weights(dls, "sqrt"), positive.sqrt())
    assert BCEWithLogitsLossFlat(pos_weight=positive).pos_weight is not None


def test_a_label_that_never_changes() -> None:
    dls = loaders([["a", "b"], ["a"]], MultiCategoryBlock)
    with pytest.warns(UserWarning, match=r"The label `a` is at all items .* its weight stays 1\."):
        torch.testing.assert_close(class_weights(dls), torch.ones(2))


def test_classes_without_items() -> None:
    block = CategoryBlock(vocab=["cat", "dog", "emu", "fox"])
    with pytest.warns(UserWarning, match=r"1 of 4 classes have no item .* \(`fox`\), so their"):
        weights = class_weights(loaders(LABELS, block))
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(weights, [*expected, 1], rtol=1e-6)
    empty = class_weights(loaders(LABELS, CategoryBlock(add_na=True)))  # which is no news
    np.testing.assert_allclose(empty, [1, *expected], rtol=1e-6)


def test_with_a_sampler_that_balances_already() -> None:
    dls = loaders(LABELS, weights="balanced")
    with pytest.warns(UserWarning, match="rare classes count twice over: use one of the two"):
        class_weights(dls)


@pytest.mark.parametrize("kind", ["pairs", "tensors", "subset", "torchvision"])
def test_other_data_sets(kind: str) -> None:
    x, y = torch.randn(10, 2), torch.tensor([0] * 6 + [1] * 3 + [2])
    dataset: object = TensorDataset(x, y)
    if kind == "pairs":
        dataset = list(zip(x, y, strict=True))
    elif kind == "subset":
        dataset = Subset(TensorDataset(x.repeat(2, 1), y.repeat(2)), list(range(10)))
    elif kind == "torchvision":
        dataset = type(
            "Pictures",
            (Dataset,),
            {"targets": y.tolist(), "train": True, "__len__": lambda s: 10},
        )()
    dls = DataLoaders(DataLoader(dataset, bs=2))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y.numpy())
    np.testing.assert_allclose(class_weights(dls), expected, rtol=1e-6)
    # The loader alone, and the data set.
    np.testing.assert_allclose(class_weights(dls.train), expected, rtol=1e-6)
    np.testing.assert_allclose(class_weights(dataset), expected, rtol=1e-6)


def test_a_data_set_with_a_vocabulary() -> None:
    dls = loaders(LABELS, valid=["cat"] * 50)
    expected = class_weights(dls)
    torch.testing.assert_close(class_weights(dls.train_ds), expected)
    whole = DataBlock(
        (TransformBlock(type_tfms=Unreadable()), CategoryBlock),
        get_y=lambda i: (LABELS + ["cat"] * 50)[i],
        splitter=lambda items: (list(range(10)), list(range(10, 60))),
    ).datasets(list(range(60)))
    torch.testing.assert_close(class_weights(whole), expected)  # its training items


def test_what_cannot_be_counted() -> None:
    class Items(Dataset[Tensor]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            raise AssertionError("an item was read")

    with pytest.raises(DataError, match=r"this data \(Items\) does not tell without reading every"):
        class_weights(DataLoaders(DataLoader(Items(), bs=2)))
    with pytest.raises(DataError, match=r"this data \(int\) does not tell"):
        class_weights(3)
    with pytest.raises(DataError, match="are those of regression. Give the loss weights of your"):
        class_weights(loaders([0.5, 1.5, 2.5, 3.5], RegressionBlock))
    with pytest.raises(DataError, match=r"the target of item 1 is 0\.5"):
        class_weights(DataLoaders(DataLoader([(0, 0.0), (0, 0.5)], bs=2)))
    with pytest.raises(DataError, match=r"a target is .*dog.* \(str\)"):
        class_weights(DataLoaders(DataLoader([(0, "dog")], bs=2)))
    with pytest.raises(ValueError, match=r"'balance'. Did you mean `balanced`\?"):
        class_weights(loaders(LABELS), "balance")


def test_weights_of_another_number_of_classes() -> None:
    from presize.train.losses import check_targets

    loss = CrossEntropyLossFlat(weight=class_weights(loaders(LABELS)))
    with pytest.raises(TrainingError, match=r"has 3 class weights, but the model has 5 outputs"):
        check_targets(torch.randn(4, 5), torch.zeros(4).long(), loss)
