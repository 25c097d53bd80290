import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from presize.core.errors import ExportError, ImageError
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.exporting.pictures import pictures_for, some_of_training
from presize.deploy.exporting.subject import learner_of, subject_of
from presize.deploy.predictor import Predictor
from presize.learner import Learner


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(x.mean((2, 3)))


def test_they_are_spread_over_the_validation_set(learn):
    pictures, fixed = pictures_for(learn, None, 4)
    assert pictures.source == "validation set" and fixed is None
    assert [name.rpartition("/")[2] for name in pictures.names] == [
        *("cat0.png", "cat3.png", "dog0.png", "dog3.png"),
    ]
    assert pictures.targets.tolist() == [0, 0, 1, 1]
    assert pictures.inputs.shape == (4, 3, 24, 24)
    expected = learn.get_preds(dl=learn.dls.test_dl(pictures.opened))[0]
    assert torch.equal(pictures.preds, expected)
    pixels = np.asarray(Image.open(pictures.names[0]))
    assert np.array_equal(pictures.decoded(0)[0].numpy(), pixels)


def test_samples_are_taken_whole_and_have_no_labels(learn, photo_folder):
    pictures, _ = pictures_for(learn, photo_folder / "train", 4)
    assert (pictures.source, len(pictures.opened), pictures.targets) == ("samples", 8, None)
    picture = Image.new("RGB", (30, 40), "red")
    pictures, _ = pictures_for(learn, [picture], 4)
    assert pictures.names == ["picture 0 of the samples"]
    assert pictures.decoded(0).shape == (1, 40, 30, 3)


@pytest.mark.parametrize("wrong", [[], 5])
def test_samples_that_are_none_are_refused(learn, wrong):
    with pytest.raises(ValueError, match="samples= is a folder, or a list of pictures"):
        pictures_for(learn, wrong, 4)


def test_an_empty_folder_is_named(learn, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no pictures in {tmp_path}"):
        pictures_for(learn, tmp_path, 4)


def test_rows_of_a_table_become_their_pictures(photo_folder, tmp_path):
    files = sorted(photo_folder.rglob("*.png"))
    table = pd.DataFrame(
        {
            "name": [str(file.relative_to(photo_folder)) for file in files],
            "label": [file.parent.name for file in files],
            "is_valid": ["valid" in str(file) for file in files],
        }
    )
    dls = ImageDataLoaders.from_df(
        table, photo_folder, valid_col="is_valid", item_tfms=Resize(16), bs=4, num_workers=0
    )
    pictures, _ = pictures_for(Learner(dls, Small(), path=tmp_path), None, 50)
    assert len(pictures.names) == 12
    assert all(name.endswith(".png") for name in pictures.names)
    assert sorted(pictures.targets.tolist()) == [0] * 6 + [1] * 6


def test_a_broken_picture_of_the_validation_set_is_left_out(photo_folder, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(photo_folder, folder)
    broken = folder / "valid" / "dog" / "dog1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    dls = ImageDataLoaders.from_folder(folder, item_tfms=Resize(16), bs=4, num_workers=0)
    learn = Learner(dls, Small(), path=tmp_path)
    pictures, _ = pictures_for(learn, None, 50)
    assert len(pictures.opened) == len(pictures.preds) == len(pictures.targets) == 11
    with pytest.raises(ImageError, match="dog1.png"):
        pictures_for(learn, [broken, folder / "valid" / "dog" / "dog2.png"], 50)


def test_where_nothing_resizes_the_size_is_that_of_the_pictures(photo_folder, tmp_path):
    folder = tmp_path / "digits"
    for split in ("train", "valid"):
        for label in "ab":
            (folder / split / label).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (11, 9), (i, 50, 9)).save(folder / split / label / f"{i}.png")
    dls = ImageDataLoaders.from_folder(folder, bs=2, num_workers=0)
    learn = Learner(dls, Small(), path=tmp_path)
    pictures, fixed = pictures_for(learn, None, 50)
    assert fixed == (9, 11)
    assert pictures.inputs.shape[2:] == (9, 11)
    with pytest.raises(ExportError, match="those of the samples have several: "):
        pictures_for(learn, photo_folder, 50)
    loaded = learn.export("digits")
    from presize.deploy.load import load_learner

    alone = load_learner(loaded, model=Small())
    with pytest.raises(ExportError, match="there are none to see which size"):
        pictures_for(alone, None, 50)
    assert pictures_for(alone, [folder / "valid/a/0.png"], 50)[1] == (9, 11)


def test_a_model_file_comes_with_pictures_that_are_made_up(learn):
    subject = subject_of(learn.export("model"))
    assert subject.pictures.source == "made-up pictures"
    assert len({tuple(subject.pictures.decoded(i).shape) for i in range(8)}) > 3
    assert subject.network.temperature == 2.0
    assert some_of_training(subject.learn, 5) is None
    assert len(subject.some_of_training(5)) == 5


def test_training_pictures_are_treated_as_in_validation(learn):
    expected = learn.dls.test_dl(list(learn.dls.train.dataset.items)[:1]).one_batch()[0]
    found = some_of_training(learn, 50)
    assert len(found) == 8
    assert torch.equal(found[0], expected[0])


def test_sources_are_learners_predictors_and_files(learn):
    assert learner_of(learn) is learn
    assert learner_of(Predictor(learn)) is learn
    assert learner_of(str(learn.export("model"))).dls.vocab == ["cat", "dog"]
    with pytest.raises(TypeError, match="but this is a int"):
        learner_of(3)
