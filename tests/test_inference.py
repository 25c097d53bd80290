"""Asking a learner, on pictures, with a network that is small enough to be asked often."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from presize.augment.presets import aug_transforms
from presize.callbacks.base import Callback
from presize.core.errors import TrainingError
from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
    RegressionBlock,
)
from presize.data.datablock import DataBlock
from presize.data.images import PILImage
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.deploy.load import load_learner
from presize.interpret.interpretation import Interpretation
from presize.learner import Learner
from presize.tensors import TensorImage, TensorMask, TensorPoint
from presize.train.metrics import accuracy, accuracy_multi


def labels(path):
    return [parent_label(path), *(["even"] if int(path.stem) % 2 == 0 else [])]


def points(path):
    width, height = PILImage.create(path).size
    return [[width / 2, height / 4], [width / 4, height / 2]]


def mask(path):
    width, height = PILImage.create(path).size
    numbers = np.zeros((height, width), np.uint8)
    numbers[: height // 2] = 1
    return numbers


def head(n_out):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, n_out))


TARGETS = {
    "classification": (CategoryBlock, parent_label, 2),
    "multilabel": (MultiCategoryBlock, labels, 3),
    "regression": (RegressionBlock, lambda path: float(path.stem), 1),
    "points": (PointBlock, points, 4),
    "segmentation": (MaskBlock(["low", "high"]), mask, 2),
}


def make_net(task):
    return nn.Conv2d(3, 2, 1) if task == "segmentation" else head(TARGETS[task][2])


def make_learner(folder, task="classification", **options):
    block, get_y, c = TARGETS[task]
    data = DataBlock(
        (ImageBlock, block),
        get_items=get_image_files,
        get_y=get_y,
        splitter=GrandparentSplitter(),
        item_tfms=Resize(24),
        batch_tfms=aug_transforms(size=16),
    )
    dls = data.dataloaders(folder, bs=8, num_workers=0)
    assert dls.c == c
    return Learner(dls, make_net(task), path=folder, **options)


@pytest.fixture
def learn(picture_folder):
    return make_learner(picture_folder, metrics=accuracy)


def test_predict_gives_label_number_and_probabilities_of_any_kind_of_item(learn):
    path = learn.dls.valid_ds.items[0]
    label, number, chances = learn.predict(path)
    assert label == learn.dls.vocab[int(number)]
    assert int(number) == int(chances.argmax())
    assert chances.sum().item() == pytest.approx(1)
    assert torch.allclose(learn.get_preds()[0][0], chances, atol=1e-6)
    assert torch.equal(learn.predict(str(path))[2], chances)
    # A file that is larger than needed is decoded smaller; of pixels, blocks are averaged.
    pixels = np.asarray(Image.open(path))
    for item in (PILImage.create(path), pixels, torch.tensor(pixels)):
        assert torch.allclose(learn.predict(item)[2], chances, atol=0.01)


def test_predict_can_give_the_picture_that_the_model_saw(learn):
    picture, label, _, _ = learn.predict(learn.dls.valid_ds.items[0], with_input=True)
    assert type(picture) is TensorImage
    assert picture.shape == (3, 16, 16)
    assert label in learn.dls.vocab


def test_predict_of_several_items_is_told_the_way_out(learn):
    items = learn.dls.valid_ds.items[:2]
    with pytest.raises(ValueError, match="makes a picture of a path") as caught:
        learn.predict(list(items))
    assert "for several: learn.get_preds(dl=learn.dls.test_dl(items))" in caught.value.__notes__[-1]


def test_predictions_of_the_training_set_come_in_its_order_and_whole(learn):
    expected = [learn.dls.vocab.o2i[parent_label(p)] for p in learn.dls.train_ds.items]
    preds, targets = learn.get_preds(ds_idx=0)
    assert preds.shape == (24, 2)
    assert targets.tolist() == expected
    assert learn.get_preds(dl=learn.dls.train)[1].tolist() == expected


@pytest.mark.parametrize("chosen", [{"weights": "balanced"}, {"sampler": [3, 1, 1, 20]}])
def test_predictions_of_a_loader_that_samples_are_of_all_its_items(learn, chosen):
    dl = learn.dls.train.new(shuffle=False, drop_last=False, **chosen)
    preds, targets = learn.get_preds(dl=dl)
    assert preds.shape == (24, 2)
    assert targets.tolist() == learn.get_preds(ds_idx=0)[1].tolist()


def test_a_test_set_with_labels_can_be_validated_and_one_without_says_so(learn):
    items = learn.dls.valid_ds.items
    with_labels = learn.dls.test_dl(items, with_labels=True)
    assert list(learn.validate(dl=with_labels)) == list(learn.validate())
    without = learn.dls.test_dl(items)
    assert learn.get_preds(dl=without)[1] is None
    with pytest.raises(TrainingError, match=r"saw no targets.*with_labels=True"):
        learn.validate(dl=without)


@pytest.mark.parametrize("ds_idx", [0, 1])
def test_tta_averages_views_of_any_loader_in_its_order(learn, ds_idx):
    size = (24, 12)[ds_idx]
    averaged, targets = learn.tta(ds_idx=ds_idx, n=2)
    (views, plain), again = learn.tta(dl=learn.dls[ds_idx], n=2, beta=None)
    assert averaged.shape == (size, 2)
    assert targets.tolist() == again.tolist() == learn.get_preds(ds_idx=ds_idx)[1].tolist()
    assert torch.allclose(averaged, 0.75 * views + 0.25 * plain, atol=1e-6)
    highest, _ = learn.tta(ds_idx=ds_idx, n=2, use_max=True)
    assert (highest >= plain - 1e-6).all()
    if ds_idx == 1:
        assert torch.allclose(plain, learn.get_preds()[0], atol=1e-6)
        assert not torch.equal(views, plain)


def test_each_view_of_tta_is_another(learn):
    class Keep(Callback):
        def __init__(self):
            self.views = []

        def before_validate(self, learn):
            self.views.append([])

        def after_batch(self, learn):
            self.views[-1].append(learn.x.clone())

    keep = Keep()
    with learn.added_cbs(keep):
        learn.tta(n=3)
    views = [torch.cat(view) for view in keep.views]
    assert len(views) == 4
    for one, other in itertools.combinations(views, 2):
        assert not torch.equal(one, other)


def test_tta_of_a_plain_list_of_batches_says_what_it_needs(learn):
    with pytest.raises(TypeError, match="tta needs one of presize's loaders"):
        learn.tta(dl=[learn.dls.one_batch()])


def test_predictions_are_float32_in_any_precision(learn):
    learn.to_bf16()
    preds, _, losses = learn.get_preds(with_loss=True)
    assert preds.dtype == losses.dtype == torch.float32
    assert torch.allclose(preds.sum(1), torch.ones(12))
    assert learn.predict(learn.dls.valid_ds.items[0])[2].dtype == torch.float32


@pytest.mark.parametrize("task", TARGETS)
def test_each_kind_of_target_end_to_end(picture_folder, task):
    metrics = {"classification": accuracy, "multilabel": accuracy_multi}.get(task)
    learn = make_learner(picture_folder, task, metrics=metrics)
    learn.dls.show_batch(max_n=2)
    with learn.no_logging():
        learn.fit(1, 1e-3)
    learn.show_results(max_n=2)
    preds, targets, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert len(preds) == len(targets) == len(decoded) == len(losses) == 12
    assert losses.mean().item() == pytest.approx(learn.validate()[0], rel=1e-4)
    assert learn.tta(n=1)[0].shape == preds.shape
    Interpretation.from_learner(learn).plot_top_losses(2)
    item = learn.dls.valid_ds.items[0]
    label, number, raw = learn.predict(item)
    assert torch.allclose(raw, preds[0], atol=1e-6)
    kinds = {"segmentation": TensorMask, "points": TensorPoint}
    assert isinstance(label, kinds.get(task, object))
    again = load_learner(learn.export(), model=make_net(task))
    assert again.dls.c == learn.dls.c
    twin = again.predict(item)
    assert type(twin[0]) is type(label)
    assert torch.allclose(twin[2], raw, atol=1e-6)
    assert torch.equal(plain(twin[1]), plain(number))
    assert str(twin[0]) == str(label)
    again.show_results(dl=again.dls.test_dl([item]))


def plain(value):
    return value.as_subclass(Tensor)
