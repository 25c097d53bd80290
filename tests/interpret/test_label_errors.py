"""Labels that were changed are found: by one held-out pass, and by the folds of the engine."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from presize.core.errors import DataError
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import FuncSplitter
from presize.folding.crossval import cross_validate
from presize.interpret.label_errors import find_label_errors
from presize.learner import Learner
from presize.train.optim import Adam

CHANNELS = {"blue": 2, "green": 1, "red": 0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """train and valid of three colours: 16 of each."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for split in ("train", "valid"):
        for label, channel in CHANNELS.items():
            (root / split / label).mkdir(parents=True)
            for i in range(16):
                pixels = rng.normal(90, 40, (8, 8, 3))
                pixels[..., channel] += 100
                pixels = pixels.clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{i}.png")
    return root


def changed(path):
    """Call numbers 3 and 7 of the blue ones red."""
    return path.parent.name == "blue" and path.stem in ("3", "7")


def label(path):
    return "red" if changed(path) else path.parent.name


def loaders(pictures, block=CategoryBlock, get_y=label):
    return DataBlock(
        (ImageBlock, block), get_items=get_image_files, get_y=get_y, item_tfms=Resize(8),
        splitter=FuncSplitter(lambda path: path.parent.parent.name == "valid"),
    ).dataloaders(pictures, bs=16, num_workers=0, device="cpu")  # fmt: skip


def sees_colours(*, strength=60.0):
    """A network that tells the three colours without training: quick, and the same each time."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    with torch.no_grad():
        for row, channel in enumerate(CHANNELS.values()):
            model[2].weight[row] = -strength / 2
            model[2].weight[row, channel] = strength
        model[2].bias.zero_()
    return model


def make(dls):
    return Learner(dls, sees_colours(), opt_func=Adam)


def fit(learn):
    """Leave it as it is."""


def names(errors):
    return sorted("/".join(e.file.rsplit("/", 3)[1:]) for e in errors)


def test_one_held_out_pass_judges_the_validation_set(pictures):
    learn = make(loaders(pictures))
    errors = find_label_errors(learn)
    assert names(errors) == ["valid/blue/3.png", "valid/blue/7.png"]
    assert {(e.given, e.likely) for e in errors} == {("red", "blue")}
    assert all(e.score > 0.9 for e in errors)
    items = learn.dls.valid.dataset.items
    assert all(str(items[e.index]) == e.file for e in errors)
    assert len(errors.scores) == len(errors.files) == len(errors.indices) == 48
    top = errors.scores.argsort(descending=True)[:2]
    assert {errors.files[i] for i in top.tolist()} == {e.file for e in errors}
    # Others, that the model was not trained on, from another loader.
    blue = [path for path in items if path.parent.name != "green"]
    other = find_label_errors(learn, dl=learn.dls.test_dl(blue, with_labels=True))
    assert names(other) == names(errors)
    assert str(blue[other[0].index]) == other[0].file


def test_a_model_that_learnt_from_wrong_labels_finds_them(pictures):
    dls = loaders(pictures)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 3))
    learn = Learner(dls, model, opt_func=Adam)
    with learn.no_logging():
        learn.fit(8, 0.1)
    errors = find_label_errors(learn)
    top = errors.scores.argsort(descending=True)[:2]
    assert sorted(errors.files[i].rsplit("/", 1)[1] for i in top.tolist()) == ["3.png", "7.png"]


def test_the_folds_of_the_engine_judge_all_items(pictures):
    dls = loaders(pictures)
    result = cross_validate(dls, learner=make, fit=fit, k=3, verbose=False)
    errors = find_label_errors(result)
    wanted = [f"{split}/blue/{i}.png" for split in ("train", "valid") for i in (3, 7)]
    assert names(errors) == wanted
    assert len(errors.scores) == 96
    assert all(str(result.items[e.index]) == e.file for e in errors)
    again = find_label_errors(dls, learner=make, fit=fit, k=2, verbose=False)
    assert names(again) == wanted


def test_rows_of_a_table_and_a_picture_that_cannot_be_read(pictures, tmp_path):
    files = sorted((pictures / "train").rglob("*.png"))
    table = pd.DataFrame({"file": [f.name for f in files], "label": [label(f) for f in files]})
    table["file"] = [f"{f.parent.name}-{f.name}" for f in files]
    for source, name in zip(files, table["file"], strict=True):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / table["file"][5]).write_bytes(b"no picture")
    dls = ImageDataLoaders.from_df(
        table, tmp_path, seed=1, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu"
    )
    with pytest.warns(UserWarning, match="could not be read"):
        result = cross_validate(dls, learner=make, fit=fit, k=3, verbose=False)
        errors = find_label_errors(result)
    assert len(errors.scores) == 47
    assert sorted(e.file for e in errors) == [str(tmp_path / f"blue-{i}.png") for i in (3, 7)]


def test_of_several_labels_each_is_judged(pictures):
    def labels(path):
        found = [path.parent.name, "coloured"]
        return found[1:] if changed(path) else found

    dls = loaders(pictures, MultiCategoryBlock, labels)
    assert list(dls.vocab) == ["blue", "coloured", "green", "red"]
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    with torch.no_grad():
        model[2].weight[:] = torch.tensor([[-1, -1, 2], [0, 0, 0], [-1, 2, -1], [2, -1, -1]]) * 40
        model[2].bias[:] = torch.tensor([-15, 5, -15, -15])
    learn = Learner(dls, model)
    errors = find_label_errors(learn)
    assert names(errors[:2]) == ["valid/blue/3.png", "valid/blue/7.png"]
    assert (errors[0].given, errors[0].likely) == ("coloured", "blue;coloured")
    assert len(errors.scores) == 48


def test_what_is_in_no_file_is_numbered():
    x = torch.tensor([[4.0, 0.0], [0.0, 4.0]]).repeat(6, 1)
    y = torch.tensor([0, 1]).repeat(6)
    y[3] = 0
    batches = [(x[:5], y[:5]), (x[5:], y[5:])]
    learn = Learner(DataLoaders(batches, batches), nn.Identity(), nn.CrossEntropyLoss())
    errors = find_label_errors(learn)
    assert [(e.index, e.file) for e in errors] == [(3, "number 3 of valid")]
    assert (errors[0].given, errors[0].likely) == ("0", "1")


def test_what_cannot_be_judged_is_told(pictures):
    dls = loaders(pictures)
    learn = make(dls)
    with pytest.raises(TypeError, match="takes a learner, whose validation set .*got a str"):
        find_label_errors("pets")
    with pytest.raises(TypeError, match="Loaders have no model: pass learner= and fit="):
        find_label_errors(dls)
    with pytest.raises(TypeError, match="learner= and fit= would have no effect beside a learner"):
        find_label_errors(learn, learner=make, fit=fit)
    with pytest.raises(TypeError, match="dl= would have no effect beside loaders"):
        find_label_errors(dls, dl=dls.valid, learner=make, fit=fit)
    with pytest.raises(DataError, match="the validation set is empty"):
        find_label_errors(make(DataLoaders(dls.train, None)))
    with pytest.raises(DataError, match="the loader has no targets"):
        find_label_errors(learn, dl=dls.test_dl(get_image_files(pictures / "valid")))
    with pytest.raises(DataError, match="no labels to judge: the loader is empty"):
        find_label_errors(learn, dl=dls.test_dl([], with_labels=True))
    numbers = loaders(pictures, RegressionBlock, lambda path: float(path.stem))
    with pytest.raises(DataError, match="those of regression. Look at the largest losses"):
        find_label_errors(Learner(numbers, nn.Sequential(nn.Flatten(), nn.Linear(192, 1))))
