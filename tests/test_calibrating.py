"""`learn.calibrate`: on pictures of three colours, with a network that is asked in milliseconds."""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from presize.calibrating import _some_of, calibrate
from presize.core.errors import DataError, ModelFileError, TrainingError
from presize.core.foundation import noop
from presize.data.blocks import ImageBlock, MultiCategoryBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import FuncSplitter
from presize.deploy.load import load_learner
from presize.folding.ensemble import Ensemble
from presize.learner import Learner
from presize.train.calibration import Unknown
from presize.train.calibration_error import ProbabilityFigures
from presize.train.losses import BCEWithLogitsLossFlat
from presize.train.model_file import ModelFile
from presize.train.optim import SGD
from presize.train.state import load_state, save_state

COLOURS = {"blue": 2, "green": 1, "red": 0}


def coloured(rng, channel, much):
    pixels = rng.normal(90, 50, (8, 8, 3))
    pixels[..., channel] += much
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """train and valid of three colours, some of them faint: 40 + 50 of each."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for split, count in (("train", 40), ("valid", 50)):
        for label, channel in COLOURS.items():
            (root / split / label).mkdir(parents=True)
            for i in range(count):
                much = rng.uniform(0, 25)
                coloured(rng, channel, much).save(root / split / label / f"{i}.png")
    return root


@pytest.fixture
def dls(pictures):
    return ImageDataLoaders.from_folder(
        pictures, item_tfms=Resize(8), bs=32, num_workers=0, device="cpu"
    )


def network(n=3):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, n))


def sees_colours(model):
    """Give a network the weights that tell the colours: right most times, and always too sure."""
    with torch.no_grad():
        for row, channel in enumerate(COLOURS.values()):
            model[2].weight[row] = -150
            model[2].weight[row, channel] = 300
        model[2].bias.zero_()
    return model


@pytest.fixture
def learn(dls, tmp_path):
    return Learner(dls, sees_colours(network()), opt_func=SGD, lr=0.1, path=tmp_path)


def test_probabilities_are_as_sure_as_they_are_right(learn):
    raw, targets = learn.get_preds(act=noop)
    sharp, _, decoded = learn.get_preds(with_decoded=True)
    found = calibrate(learn)
    assert found is learn.calibration and found.n == 150
    assert 2 < found.temperature < 10
    assert found.after.nll < found.before.nll and found.after.ece < found.before.ece / 2
    assert found.before == ProbabilityFigures.of(sharp, targets.as_subclass(torch.Tensor))
    preds, _, again = learn.get_preds(with_decoded=True)
    assert torch.allclose(preds, (raw / found.temperature).softmax(1), atol=1e-6)
    assert torch.equal(again, decoded)
    assert found.after == ProbabilityFigures.of(preds, targets.as_subclass(torch.Tensor))
    # What the model itself gives, and what an activation of one's own makes of it, stays.
    assert torch.equal(learn.get_preds(act=noop)[0], raw)
    assert torch.equal(learn.get_preds(act=lambda z: z.softmax(1))[0], sharp)
    item = learn.dls.valid.dataset.items[0]
    assert torch.allclose(learn.predict(item)[2], preds[0], atol=1e-6)
    assert torch.allclose(learn.tta(n=1)[0], preds, atol=1e-6)  # nothing is augmented here


def test_a_second_time_the_model_is_measured_as_it_is(learn):
    first = calibrate(learn)
    assert calibrate(learn) == first


@pytest.mark.parametrize("unknown", ["confidence", "features"])
def test_a_share_of_known_items_is_known(learn, unknown):
    found = calibrate(learn, unknown=unknown, coverage=0.8)
    preds, _, is_unknown = learn.get_preds(with_unknown=True)
    assert is_unknown.dtype == torch.bool and len(is_unknown) == len(preds)
    assert 0.18 <= is_unknown.float().mean() <= 0.2
    # Gray is between the classes; black is far from all, though a class may be the nearest.
    strange = np.full((8, 8, 3), 90 if unknown == "confidence" else 0, dtype=np.uint8)
    item = learn.dls.valid.dataset.items[int((~is_unknown).nonzero()[0])]
    label, *_, told = learn.predict(item, with_unknown=True)
    assert not told and told.threshold == found.threshold
    assert learn.predict(strange, with_unknown=True)[-1]
    with_input = learn.predict(item, with_input=True, with_unknown=True)
    assert (with_input[1], with_input[-1]) == (label, told)
    assert len(learn.predict(item)) == 3


def test_features_are_those_of_the_whole_batch_in_parts(learn):
    """Where memory runs out a batch comes in parts, and features with them."""
    calibrate(learn, unknown="features", coverage=0.9)
    scores = learn.get_preds(with_unknown=True)[2]
    learn.parts.begin = lambda: learn.parts.room.update(asking=5)
    assert torch.equal(learn.get_preds(with_unknown=True)[2], scores)


def test_the_model_file_holds_it(learn):
    for options in ({"unknown": None}, {}, {"unknown": "features", "coverage": 0.8}):
        found = calibrate(learn, **options)
        path = learn.export(drift=False)
        again = load_learner(path, model=network())
        assert again.calibration == found
        items = learn.dls.valid.dataset.items
        wanted, got = (
            lrn.get_preds(dl=lrn.dls.test_dl(items), with_unknown=found.unknown is not None)
            for lrn in (learn, again)
        )
        assert torch.allclose(got[0], wanted[0], atol=1e-6)
        assert found.unknown is None or torch.equal(got[-1], wanted[-1])
        assert load_state(path)[1]["format"] == (2 if found.unknown == "features" else 1)
    # A damaged outlier score is noticed as a damaged weight is.
    tensors, meta = load_state(path)
    tensors["calibration:mean"] += 1
    save_state(path, tensors=tensors, meta=meta)
    with pytest.raises(ModelFileError, match="changed or damaged"):
        load_learner(path, model=network())
    meta["calibration"]["temperature"] = -1
    del meta["sha256_header"]
    save_state(path, tensors=load_state(learn.export(drift=False))[0], meta=meta)
    with pytest.raises(ModelFileError, match="calibration in the model file is not valid"):
        load_learner(path, model=network())


def test_a_file_without_one_is_read_as_before(learn):
    path = learn.export(drift=False)
    meta = load_state(path)[1]
    assert meta["format"] == 1 and "calibration" not in meta
    assert ModelFile.read(path).calibration is None
    again = load_learner(path, model=network())
    assert again.calibration is None
    with pytest.raises(TrainingError, match=r"cannot tell what is none.*learn.calibrate\(\)"):
        again.predict(learn.dls.valid.dataset.items[0], with_unknown=True)


def test_weights_that_change_drop_it(learn):
    learn.save("before")
    calibrate(learn)
    with pytest.warns(UserWarning, match="Loading before.safetensors changes the weights"):
        learn.load("before")
    assert learn.calibration is None
    calibrate(learn)
    with pytest.warns(UserWarning, match="The fit changes the weights"), learn.no_logging():
        learn.fit(1)
    assert learn.calibration is None
    with learn.no_logging():
        learn.fit(1)  # and nothing is said, as there is none


def test_a_fit_that_cannot_begin_leaves_it(learn):
    found = calibrate(learn)
    with pytest.raises(ValueError), learn.no_logging():
        learn.fit(1, lr=[1e-3, 1e-3, 1e-3, 1e-3, 1e-3])  # more rates than there are groups
    assert learn.calibration is found


def test_a_search_for_the_rate_leaves_it(learn):
    found = calibrate(learn)
    with learn.no_bar():
        learn.lr_find(num_it=10, show_plot=False)
    assert learn.calibration is found


def test_an_ensemble_is_another_model(learn):
    calibrate(learn)
    ensemble = Ensemble(learn, [learn.model, copy.deepcopy(learn.model)])
    raw = learn.get_preds(act=noop)[0]
    preds = ensemble.get_preds()[0]
    assert torch.allclose(preds, raw.softmax(1), atol=1e-6)
    found = calibrate(ensemble.learn)
    assert torch.allclose(ensemble.get_preds()[0], (raw / found.temperature).softmax(1), atol=1e-5)
    assert learn.calibration is not None


def loaders(pictures, block, get_y, **options):
    return DataBlock(
        (ImageBlock, block), get_items=get_image_files, get_y=get_y, item_tfms=Resize(8),
        splitter=FuncSplitter(lambda path: path.parent.parent.name == "valid"), **options,
    ).dataloaders(pictures, bs=32, num_workers=0, device="cpu")  # fmt: skip


def test_of_several_labels_each_is_calibrated(pictures):
    dls = loaders(
        pictures, MultiCategoryBlock,
        lambda path: [path.parent.name, *(["even"] if int(path.stem) % 2 == 0 else [])],
    )  # fmt: skip
    model = network(4)
    assert list(dls.vocab) == ["blue", "even", "green", "red"]
    with torch.no_grad():
        model[2].weight[:] = torch.tensor([[-1, -1, 2], [0, 0, 0], [-1, 2, -1], [2, -1, -1]]) * 150
        model[2].bias[:] = torch.tensor([-3, 0, -3, -3])
    learn = Learner(dls, model)
    raw, targets = learn.get_preds(act=noop)
    decoded = learn.get_preds(with_decoded=True)[2]
    found = calibrate(learn)
    assert found.unknown is None and found.temperature > 1.5
    assert found.after.nll < found.before.nll and found.after.ece < found.before.ece
    preds, _, again = learn.get_preds(with_decoded=True)
    assert torch.allclose(preds, (raw / found.temperature).sigmoid(), atol=1e-6)
    assert torch.equal(again, decoded)
    nll = F.binary_cross_entropy(preds, targets.as_subclass(torch.Tensor).float())
    assert found.after.nll == pytest.approx(float(nll))
    with pytest.raises(ValueError, match="no label is above 0.5"):
        calibrate(learn, unknown="features")


class OneAgainstAll(BCEWithLogitsLossFlat):
    """One class an item, and a sigmoid for each, as some train to know what is none of them."""

    def forward(self, pred, target):
        return F.binary_cross_entropy_with_logits(pred, F.one_hot(target, 3).float())

    def decodes(self, x):
        return x.argmax(1)


def test_one_class_against_all_others(learn):
    learn.loss_func = OneAgainstAll()
    raw = learn.get_preds(act=noop)[0]
    found = calibrate(learn, coverage=0.9)
    preds, _, is_unknown = learn.get_preds(with_unknown=True)
    assert torch.allclose(preds, (raw / found.temperature).sigmoid(), atol=1e-6)
    assert torch.equal(is_unknown, 1 - preds.amax(1) > found.threshold)


class BothHeads(nn.CrossEntropyLoss):
    """A loss that takes two targets."""

    def forward(self, pred, target, other):
        return F.cross_entropy(pred, target)


class TooSure(nn.Module):
    """Gives four times its inputs."""

    def forward(self, x):
        return 4 * x


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("flat", [True, False])
def test_labels_of_plain_tensors_are_known_by_their_loss(c, flat):
    """One output, 0 or 1, or several of them; the data does not say what its task is."""
    draws = torch.Generator().manual_seed(0)
    z = torch.randn(600, c, generator=draws)
    y = torch.bernoulli(z.sigmoid(), generator=draws)
    y = y.flatten().long() if flat and c == 1 else y
    batches = [(z[:300], y[:300]), (z[300:], y[300:])]
    learn = Learner(DataLoaders(batches, batches), TooSure(), BCEWithLogitsLossFlat())
    found = calibrate(learn)
    assert found.temperature == pytest.approx(4, rel=0.3) and found.unknown is None
    assert found.after.nll < found.before.nll
    assert torch.allclose(learn.get_preds()[0], (4 * z / found.temperature).sigmoid(), atol=1e-6)
    with pytest.raises(ValueError, match="no label is above 0.5"):
        calibrate(Learner(learn.dls, nn.Linear(c, c), learn.loss_func), unknown="features")
    if c == 1:
        with pytest.raises(DataError, match="All 300 items to calibrate on are of one class"):
            calibrate(learn, [(z[:300], y[:300] * 0)])


def test_what_is_unknown_is_told_by_the_models_own_probabilities(learn):
    calibrate(learn, coverage=0.8)
    preds, _, is_unknown = learn.get_preds(with_unknown=True)
    raw, _, again = learn.get_preds(with_unknown=True, act=noop)
    assert torch.equal(again, is_unknown) and not torch.allclose(raw, preds)


def test_a_loader_of_ones_own_and_log_probabilities(learn):
    learn.model.append(nn.LogSoftmax(1))
    learn.loss_func = nn.NLLLoss()
    raw = learn.get_preds(act=noop)[0]
    found = calibrate(learn, list(learn.dls.valid))
    preds = learn.get_preds()[0]
    assert torch.allclose(preds, (raw / found.temperature).softmax(1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:A temperature fitted")
def test_few_items_are_warned_of(learn, pictures):
    files = sorted((pictures / "valid").rglob("*.png"))[::4]
    few = learn.dls.test_dl(files, with_labels=True)
    with pytest.warns(UserWarning, match="through takes 99 items or more, but there are 38"):
        found = calibrate(learn, few)
    preds, _, is_unknown = learn.get_preds(dl=few, with_unknown=True)
    assert not is_unknown.any() and found.threshold == pytest.approx(float(1 - preds.amax(1).min()))
    with pytest.warns(UserWarning, match="A temperature fitted to 38 items is little more"):
        calibrate(learn, few, coverage=0.9)


def test_what_cannot_be_calibrated_is_told(learn, pictures):
    with pytest.raises(ValueError, match='unknown= is "confidence", "features" or None, but got'):
        calibrate(learn, unknown="entropy")
    for coverage in (0, 1.1, 99):
        with pytest.raises(ValueError, match=f"above 0 and up to 1, but got {coverage}"):
            calibrate(learn, coverage=coverage)
    files = sorted((pictures / "valid").rglob("*.png"))
    with pytest.raises(DataError, match="calibrate compares predictions with targets"):
        calibrate(learn, learn.dls.test_dl(files))
    with pytest.raises(DataError, match="All 50 items to calibrate on are of one class"):
        calibrate(learn, learn.dls.test_dl(files[:50], with_labels=True))
    with pytest.raises(DataError, match="There is nothing to calibrate on: the loader is empty"):
        calibrate(learn, learn.dls.test_dl([], with_labels=True))
    alone = Learner(DataLoaders(learn.dls.train, None), learn.model, nn.CrossEntropyLoss())
    with pytest.raises(DataError, match="the validation set is empty"):
        calibrate(alone)
    batches = [(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, -100]))]
    with pytest.raises(DataError, match="from -100 to 2, but the model has 3 classes"):
        calibrate(learn, batches)
    several = (torch.arange(4) % 3, torch.arange(4) % 2)
    learn.loss_func = BothHeads()
    with pytest.raises(DataError, match="one target each, but the loader gives a tuple of 2"):
        calibrate(learn, [(torch.rand(4, 3, 8, 8), *several)])
    learn.loss_func = nn.MultiMarginLoss()
    with pytest.raises(DataError, match="`MultiMarginLoss` does not say how outputs become"):
        calibrate(learn)
    assert learn.calibration is None


def test_other_tasks_have_no_probabilities(pictures):
    dls = loaders(pictures, RegressionBlock, lambda path: float(path.stem))
    with pytest.raises(DataError, match="the task of this data is regression"):
        calibrate(Learner(dls, network(1)))


def test_a_loaded_learner_without_data_says_what_it_needs(learn):
    again = load_learner(learn.export(), model=network())
    with pytest.raises(DataError, match="the validation set is empty"):
        calibrate(again)
    with pytest.raises(DataError, match='unknown="features" compares with the training set'):
        calibrate(again, learn.dls.valid, unknown="features")
    found = calibrate(again, learn.dls.valid)
    assert found == calibrate(learn)


def test_features_of_many_items_are_those_of_some(dls, monkeypatch):
    monkeypatch.setattr("presize.calibrating._MOST_FEATURES", 25)
    some = _some_of(dls.train)
    classes = torch.cat([y for _, y in some])
    assert len(classes) == 30 and len(classes.unique()) == 3  # 10 of each class at the least
    monkeypatch.setattr("presize.calibrating._MOST_FEATURES", 200)
    assert len(torch.cat([y for _, y in _some_of(dls.train)])) == 120


def test_unknown_is_true_in_an_if():
    assert Unknown(True, 2.0, 1.0) and not Unknown(False, 0.5, 1.0)


def test_nothing_is_said_where_all_is_well(learn):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibrate(learn)
