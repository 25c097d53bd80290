import pytest
import torch
from torch import nn

from presize.augment.presets import Normalize, aug_transforms, imagenet_stats
from presize.core.errors import DataError
from presize.data.blocks import CategoryBlock, ImageBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.images import PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.models.zoo import mobilenet_v2, resnet18
from presize.train.metrics import accuracy
from presize.vision.learner import cnn_learner, vision_learner


def loaders(folder, **options):
    options = {"item_tfms": Resize(32), "bs": 8, "num_workers": 0} | options
    return ImageDataLoaders.from_folder(folder, **options)


def normalisations(dls):
    return [t for t in dls.after_batch if isinstance(t, Normalize)]


def test_a_learner_from_scratch_trains_everything(picture_folder):
    dls = loaders(picture_folder)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    assert learn.model[-1][-1].out_features == 2
    assert all(p.requires_grad for p in learn.model.parameters())
    assert not normalisations(dls)
    with learn.no_logging():
        learn.fit_one_cycle(8, 3e-3)
    # 24 pictures are too few to do well on others (six seeds: 0.5 to 1), but can be learned.
    losses = learn.recorder.losses
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    assert cnn_learner is vision_learner


def test_pretrained_weights_freeze_the_body_and_normalise(picture_folder, mobilenet_hub):
    dls = loaders(picture_folder)
    learn = vision_learner(dls, mobilenet_v2)
    frozen = [p for p in learn.model[0].parameters() if not p.requires_grad]
    assert frozen and all(p.requires_grad for p in learn.model[1].parameters())
    assert len(normalisations(dls)) == 1
    vision_learner(dls, mobilenet_v2)
    assert len(normalisations(dls)) == 1
    x, _ = dls.valid.one_batch()
    assert x.min() < -0.5
    assert not normalisations(loaders(picture_folder))
    plain = loaders(picture_folder)
    vision_learner(plain, mobilenet_v2, normalize=False)
    assert not normalisations(plain)


def test_weights_may_be_a_file(picture_folder, mobilenet_weights):
    learn = vision_learner(loaders(picture_folder), mobilenet_v2, weights=mobilenet_weights)
    known = torch.load(mobilenet_weights, weights_only=True)["features.0.0.weight"]
    assert torch.equal(learn.model[0][0][0].weight, known)


def test_grayscale_pictures_get_one_channel(picture_folder):
    dls = loaders(picture_folder, img_cls=PILImageBW)
    learn = vision_learner(dls, resnet18, pretrained=False)
    assert learn.model(dls.one_batch()[0].as_subclass(torch.Tensor)).shape == (8, 2)


def test_a_regression_counts_its_numbers(picture_folder):
    block = DataBlock(
        blocks=(ImageBlock, RegressionBlock(n_out=2)),
        get_items=get_image_files,
        get_y=lambda path: [float(len(path.name)), 1.0],
        splitter=GrandparentSplitter(),
        item_tfms=Resize(32),
    )
    dls = block.dataloaders(picture_folder, bs=8, num_workers=0)
    learn = vision_learner(dls, resnet18, pretrained=False, y_range=(0, 10))
    preds, targets = learn.get_preds()
    assert preds.shape == targets.shape == (12, 2)
    assert preds.min() >= 0 and preds.max() <= 10


def test_an_unknown_option_is_named_with_the_near_miss(picture_folder):
    with pytest.raises(TypeError, match="does not know: `mertrics`. Did you mean `metrics`"):
        vision_learner(loaders(picture_folder), resnet18, pretrained=False, mertrics=accuracy)


def test_an_unknown_architecture_is_named_with_near_ones(picture_folder):
    with pytest.raises(ValueError, match="resnet18"):
        vision_learner(loaders(picture_folder), "resent18", pretrained=False)


def test_one_class_alone_cannot_be_learnt(picture_folder):
    files = get_image_files(picture_folder / "train" / "cat")
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, item_tfms=Resize(32))
    with pytest.raises(DataError, match="There is only one class, `cat`"):
        block.dataloaders(files, bs=4)
    # One picture repeated is there to look at transforms; only training on it is refused.
    dls = block.dataloaders([files[0]] * 10, bs=4, num_workers=0)
    with pytest.raises(DataError, match="There is only one class, `cat`"):
        vision_learner(dls, resnet18, pretrained=False).fit(1)


def test_foreign_loaders_are_told_to_normalise_themselves(mobilenet_hub):
    batches = [(torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]))]
    dls = DataLoaders(batches, batches, device="cpu")
    with pytest.warns(UserWarning, match="Normalise in your loader with mean"):
        vision_learner(dls, mobilenet_v2, n_out=2, loss_func=nn.CrossEntropyLoss())


def test_augmentation_draws_do_not_depend_on_the_workers(picture_folder):
    batches = []
    for workers in (0, 1, 2):
        dls = loaders(
            picture_folder,
            item_tfms=Resize(48),
            batch_tfms=[*aug_transforms(size=32), Normalize.from_stats(*imagenet_stats)],
            num_workers=workers,
            seed=3,
        )
        epochs = [[x.as_subclass(torch.Tensor) for x, _ in dls.train] for _ in range(2)]
        batches.append(torch.stack([torch.cat(e) for e in epochs]))
    assert torch.equal(batches[0], batches[1])
    assert torch.equal(batches[0], batches[2])
    assert not torch.equal(batches[0][0], batches[0][1])
