"""What a model file says of its training pictures, and what is made of it."""

import shutil
from dataclasses import replace

import pytest
import torch
from PIL import ImageFilter, ImageOps
from torch import nn

from presize.augment.normalize import Normalize, imagenet_stats
from presize.core.randomness import set_seed
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.digits import digits_folder
from presize.data.folders import ImageDataLoaders
from presize.data.images import PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.resize import Resize
from presize.data.splits import RandomSplitter
from presize.deploy.load import load_learner
from presize.deploy.predictor import Predictor
from presize.drifting import reference_for
from presize.learner import Learner
from presize.train.drift_reference import DriftReference
from presize.train.model_file import ModelFile


def network(channels=3, outputs=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 12, 3, 2), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 24, 3, 2),
        nn.ReLU(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(24 * 9, outputs),
    )  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return a trained learner, and digits that neither it nor its validation set have seen."""
    set_seed(1)
    files = sorted(get_image_files(digits_folder()))
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0)).tolist()
    new, own = [files[i] for i in order[:500]], [files[i] for i in order[500:]]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=lambda source: source,
        get_y=parent_label,
        splitter=RandomSplitter(0.3, seed=0),
        item_tfms=Resize(16),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
    )
    dls = block.dataloaders(own, bs=64, num_workers=0)
    learn = Learner(dls, network(outputs=10), path=tmp_path_factory.mktemp("digits"))
    with learn.no_logging():
        learn.fit_one_cycle(2, 2e-2)
    return learn, new


@pytest.fixture(scope="module")
def file(digits):
    learn, _ = digits
    with learn.no_bar():
        return learn.export("digits.safetensors")


@pytest.fixture
def learn(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(
        picture_folder, valid="valid", item_tfms=Resize(16), bs=8, num_workers=0
    )
    return Learner(dls, network(), path=tmp_path)


def held(path):
    found = ModelFile.read(path)
    return DriftReference.read(found.drift, found.drift_tensors)


def test_a_held_out_part_of_the_same_data_is_no_drift(digits, file):
    predictor = Predictor.load(file, model=network(outputs=10))
    for part in (digits[1][:30], digits[1][30:130], digits[1][130:]):
        predictor.watch.clear()
        predictor.predict_many(part, show=False)
        verdict = predictor.drift()
        assert verdict.n == len(part) and verdict.enough
        assert not verdict.drifted, verdict


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (ImageOps.invert, "brightness"),
        (lambda picture: picture.filter(ImageFilter.GaussianBlur(1)), "sharpness"),
        (lambda picture: picture.rotate(90), "edges"),
        (lambda picture: picture.resize((5, 8)).resize((8, 8)).transpose(0), "features"),
    ],
)
def test_changed_pictures_are_drift(digits, file, change, what):
    from PIL import Image

    predictor = Predictor.load(file, model=network(outputs=10))
    changed = [change(Image.open(name).convert("RGB")) for name in digits[1][:100]]
    predictor.predict_many(changed, show=False)
    verdict = predictor.drift()
    assert verdict.drifted
    assert what in {finding.what for finding in verdict.findings}


def test_pictures_of_something_else_are_drift(picture_folder, file):
    predictor = Predictor.load(file, model=network(outputs=10))
    predictor.predict_many(get_image_files(picture_folder), show=False)
    found = {finding.what: finding.words for finding in predictor.drift().findings}
    assert found["features"].startswith("other content: what the network sees lies ")
    assert "more colourful" in found["saturation"]


def test_the_reference_is_small_and_of_both_sets(digits, file):
    reference = held(file)
    assert reference is not None
    assert (reference.facts.n_looks, reference.facts.n_held_out) == (200 + 389, 389)
    assert reference.facts.n_classes == 10
    assert sum(t.numel() * t.element_size() for t in reference.tensors().values()) < 100_000
    assert torch.allclose(reference.pixels, torch.tensor(imagenet_stats))


def test_export_leaves_no_trace(learn):
    with learn.no_logging():
        learn.fit(1)
    learn.model.train()
    learn.model[1].eval()
    modes = [m.training for m in learn.model.modules()]
    weights = {name: value.clone() for name, value in learn.model.state_dict().items()}
    random = torch.get_rng_state()
    cbs, recorded = list(learn.cbs), list(learn.recorder.values)
    epoch = learn.dls.train.epoch
    learn.export()
    assert [m.training for m in learn.model.modules()] == modes
    assert all(torch.equal(weights[k], v) for k, v in learn.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert list(learn.cbs) == cbs and learn.recorder.values == recorded
    assert learn.dls.train.epoch == epoch
    assert not any(m._forward_pre_hooks for m in learn.model.modules())
    assert learn.xb == () and learn.pred is None


def test_the_same_learner_gives_the_same_file(learn):
    assert learn.export("a").read_bytes() == learn.export("b").read_bytes()


def test_the_loss_is_not_asked(learn):
    learn.loss_func = nn.BCEWithLogitsLoss()  # which does not take class numbers
    assert isinstance(reference_for(learn), DriftReference)
    assert isinstance(learn.loss_func, nn.BCEWithLogitsLoss)


def test_a_file_need_not_have_one(learn):
    path = learn.export(drift=False)
    found = ModelFile.read(path)
    assert found.drift is None and not found.drift_tensors
    assert load_learner(path, model=network()).drift_reference is None


def test_a_few_pictures_are_too_few(learn, picture_folder):
    for name in [*picture_folder.rglob("1?.jpg"), *picture_folder.glob("valid/*/[0-4].jpg")]:
        name.unlink()
    for name in picture_folder.glob("train/*/[3-9].jpg"):
        name.unlink()
    dls = ImageDataLoaders.from_folder(
        picture_folder, valid_pct=0.3, item_tfms=Resize(16), bs=4, num_workers=0
    )
    small = Learner(dls, network(outputs=dls.c), path=learn.path)
    found = ModelFile.read(small.export())
    assert found.drift == {"without": "there are fewer than 20 pictures"}
    assert not found.drift_tensors


def test_a_model_is_written_although_its_pictures_are_gone(learn, picture_folder):
    shutil.rmtree(picture_folder)
    with pytest.warns(UserWarning, match=r"written without drift statistics.*drift=False"):
        path = learn.export()
    again = load_learner(path, model=network())
    assert again.drift_reference is None
    assert str(ModelFile.read(path).drift["without"]).startswith("the pictures could not be")


def test_a_loaded_learner_keeps_it_when_it_is_exported_again(learn):
    first = learn.export()
    again = load_learner(first, model=network())
    second = held(again.export("again"))
    assert second is not None
    assert second.facts == held(first).facts
    assert torch.equal(second.looks, held(first).looks)


def test_only_training_makes_a_new_one_of_a_loaded_learner(learn, picture_folder):
    """Pictures that it was given to be measured on are not those it was trained on."""
    again = load_learner(learn.export(), model=network())
    first = held(learn.path / "export.safetensors")
    for picture in picture_folder.rglob("1.jpg"):
        picture.unlink()
    again.dls = ImageDataLoaders.from_folder(
        picture_folder, valid="valid", item_tfms=Resize(16), bs=8, num_workers=0
    )
    with again.no_logging():
        again.lr_find(num_it=10, show_plot=False)
        assert torch.equal(held(again.export("again")).looks, first.looks)
        again.fit(1)
        assert held(again.export("again")).facts.n_looks == first.facts.n_looks - 4


class Functional(nn.Module):
    """A network whose last layer is not called, or sees more rows than there are pictures."""

    def __init__(self, patches):
        super().__init__()
        self.layer, self.patches = nn.Linear(3, 2), patches

    def forward(self, x):
        if self.patches:
            return (
                self.layer(x.mean(3).transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, 16)).mean(1)
            )
        return nn.functional.linear(x.mean((2, 3)), self.layer.weight, self.layer.bias)


@pytest.mark.parametrize("patches", [False, True])
def test_a_network_without_features_is_watched_by_looks(learn, picture_folder, patches):
    dls = ImageDataLoaders.from_folder(
        picture_folder, valid_pct=0.6, item_tfms=Resize(16), bs=8, num_workers=0
    )
    made = Learner(dls, Functional(patches), path=learn.path)
    predictor = Predictor.load(made.export(), model=Functional(patches))
    facts = predictor.watch.reference.facts
    assert facts.confidence and not len(predictor.watch.reference.centre)
    predictor.predict_many(picture_folder)
    assert "could not be compared" in repr(predictor.drift())


def test_confidence_is_the_calibrated_one(digits, file, monkeypatch):
    learn, _ = digits
    monkeypatch.setattr(learn, "calibration", None)
    calibration = replace(learn.calibrate(unknown=None), temperature=0.1)
    monkeypatch.setattr(learn, "calibration", calibration)
    plain, sure = held(file), reference_for(learn)
    column = plain.names.index("confidence") - plain.looks.shape[1]
    assert float(sure.rest[:, column].mean()) > float(plain.rest[:, column].mean()) + 0.5
    assert learn.calibration is calibration


def test_gray_pictures_and_several_labels_have_one_too(picture_folder, tmp_path):
    def labels(file):
        return [file.parent.name]

    block = DataBlock(
        (ImageBlock(PILImageBW), MultiCategoryBlock),
        get_items=get_image_files,
        get_y=labels,
        splitter=RandomSplitter(0.6, seed=0),
        item_tfms=Resize(16),
    )
    dls = block.dataloaders(picture_folder, bs=8, num_workers=0)
    reference = reference_for(Learner(dls, network(channels=1), path=tmp_path))
    assert isinstance(reference, DriftReference)
    assert reference.facts.n_classes is None and reference.facts.confidence
    assert reference.facts.channels == 1 and "saturation" not in reference.names
    assert reference.pixels.tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_other_formats_have_functions_of_their_own(learn, name):
    with pytest.raises(ValueError, match=r"own model file.*export_onnx.*export_program"):
        learn.export(name)
    assert not (learn.path / name).exists()
