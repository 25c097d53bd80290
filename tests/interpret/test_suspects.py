"""What is listed, why, and in which order: from files alone, and with a model."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from presize.core.errors import DataError
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.interpret.suspected import LabelErrors
from presize.interpret.suspects import suspects
from presize.learner import Learner


class Stripes(nn.Module):
    """Knows a cat by its red and a dog by its blue, as the pictures of the tests are made."""

    def __init__(self, n: int = 2) -> None:
        super().__init__()
        self.n, self.weight = n, nn.Parameter(torch.ones(1))

    def forward(self, x):
        red = (x[:, 0] - x[:, 2]).mean((1, 2)) * self.weight * 30
        return torch.stack([red, -red, *[red * 0 - 9] * (self.n - 2)], 1)


@pytest.fixture
def flipped(picture_folder: Path) -> Path:
    """The folder with two pictures of validation and one of training in the wrong class."""
    for name in ("valid/cat/1.jpg", "valid/dog/3.jpg", "train/dog/5.jpg"):
        wrong = name.replace("cat", "dog") if "cat" in name else name.replace("dog", "cat")
        shutil.move(picture_folder / name, (picture_folder / wrong).with_stem("flipped"))
    return picture_folder


def learner(folder: Path) -> Learner:
    dls = ImageDataLoaders.from_folder(
        folder, item_tfms=Resize(32), bs=8, num_workers=0, device="cpu"
    )
    return Learner(dls, Stripes(), loss_func=nn.CrossEntropyLoss())


def short(found) -> list[str]:
    return [Path(one.file).relative_to(found.root).as_posix() for one in found]


def test_files_alone_tell_what_is_broken_doubled_and_empty(picture_folder):
    (picture_folder / "train/cat/bad.jpg").write_bytes(b"nothing")
    Image.new("RGB", (50, 40), "navy").save(picture_folder / "train/dog/blue.png")
    shutil.copy(picture_folder / "train/cat/0.jpg", picture_folder / "valid/cat/leak.jpg")
    for name in ("train/dog/a.jpg", "train/dog/b.jpg"):
        shutil.copy(picture_folder / "train/dog/1.jpg", picture_folder / name)
    shutil.copy(picture_folder / "train/dog/2.jpg", picture_folder / "train/cat/x.jpg")
    found = suspects(data=picture_folder, show=False)
    assert found.root == picture_folder and found.n == 42 and found.vocab == ["cat", "dog"]
    assert found.counts() == {"unreadable": 1, "duplicate": 7, "one colour": 1}
    assert short(found) == [
        "train/cat/bad.jpg",
        # Under two labels; in two sets; twice in one.
        *("train/cat/x.jpg", "train/dog/2.jpg"),
        *("train/cat/0.jpg", "valid/cat/leak.jpg"),
        *("train/dog/1.jpg", "train/dog/a.jpg", "train/dog/b.jpg"),
        "train/dog/blue.png",
    ]
    told = dict(zip(short(found), found, strict=True))
    assert told["train/cat/bad.jpg"].notes[0].startswith("cannot be read: it is not a")
    assert told["train/cat/x.jpg"].notes == ("the same file, also labelled dog",)
    assert told["train/cat/x.jpg"].likely == (("dog", None),)
    assert told["valid/cat/leak.jpg"].notes == ("the same file, also in train",)
    assert told["train/dog/a.jpg"].notes == ("the same file, there 3 times",)
    assert len({one.group for one in found}) == 4 and told["train/dog/b.jpg"].split == "train"
    assert list(found.to_frame().columns) == ["file", "reasons", "score", "given", "likely"]
    assert repr(found).startswith("9 of 42 pictures to look at: 1 unreadable, 7 duplicate")


def test_nothing_is_listed_of_data_that_is_sound(picture_folder):
    found = suspects(data=picture_folder, show=False)
    assert len(found) == 0 and repr(found) == "0 of 36 pictures to look at: none"


def test_a_model_tells_wrong_labels_and_large_losses(flipped):
    found = suspects(learner(flipped), show=False)
    wrong = {"valid/dog/flipped.jpg", "valid/cat/flipped.jpg"}
    assert {n for n, o in zip(short(found), found, strict=True) if "label error" in o.reasons} == (
        wrong
    )
    assert set(short(found)) == wrong | {"train/cat/flipped.jpg"}
    for one in found:
        other = {"cat": "dog", "dog": "cat"}[one.given]
        assert one.likely[0][0] == other and one.likely[0][1] > 0.5
        assert "top loss" in one.reasons and one.score > 0.5
        assert any(note.startswith("loss ") for note in one.notes)
    assert found[0].notes[0] in ("looks like cat", "looks like dog")


def test_parts_may_be_left_out(flipped):
    learn = learner(flipped)
    (flipped / "train/cat/bad.jpg").write_bytes(b"nothing")
    assert len(suspects(learn, train=False, show=False)) == 2
    only = suspects(learn, label_errors=False, top_losses=1, show=False)
    assert only.counts() == {"top loss": 2}  # one of each set
    assert len(suspects(learn, copies=False, top_losses=0, show=False)) == 2


def test_wrong_labels_that_were_found_before_are_taken_over(flipped):
    files = sorted(map(str, (flipped / "train/dog").iterdir()))
    errors = LabelErrors(
        scores=torch.linspace(0, 1, len(files)),
        suspected=torch.arange(len(files)) > 7,
        indices=torch.arange(len(files)),
        files=files,
        given=["dog"] * len(files),
        likely=["cat"] * len(files),
    )
    found = suspects(learner(flipped), label_errors=errors, top_losses=0, show=False)
    assert [one.file for one in found] == files[:7:-1]
    assert all(one.split == "train" and one.likely == (("cat", None),) for one in found)


def test_several_labels(picture_folder):
    dls = DataBlock(
        (ImageBlock, MultiCategoryBlock(vocab=["cat", "dog", "old"])),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=lambda file: ["dog", "old"] if file.name == "1.jpg" else [file.parent.name],
        item_tfms=Resize(32),
    ).dataloaders(picture_folder, bs=8, num_workers=0, device="cpu")
    learn = Learner(dls, Stripes(3), loss_func=nn.BCEWithLogitsLoss())
    found = suspects(learn, top_losses=4, copies=False, label_errors=False, show=False)
    assert found.several and found.vocab == ["cat", "dog", "old"]
    top = found[0]
    assert top.given == "dog;old" and top.file.endswith("cat/1.jpg")


def test_no_label_at_all_is_no_label_to_choose(picture_folder):
    class Mute(Stripes):
        def forward(self, x):
            return super().forward(x) * 0 - 9  # none of the labels, of any picture

    dls = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=lambda file: [file.parent.name],
        item_tfms=Resize(32),
    ).dataloaders(picture_folder, bs=8, num_workers=0, device="cpu")
    learn = Learner(dls, Mute(), loss_func=nn.BCEWithLogitsLoss())
    found = suspects(learn, top_losses=2, copies=False, label_errors=False, show=False)
    assert len(found) and all(one.likely == () for one in found)


@pytest.mark.parametrize(
    ("again", "note"),
    [("a", None), ("b", "one file, named more than once, also labelled ")],
)
def test_a_file_that_is_named_twice_is_no_copy(picture_folder, again, note):
    files = list(get_image_files(picture_folder))
    labels = ["a", "b"] * (len(files) // 2)
    dls = ImageDataLoaders.from_lists(
        picture_folder,
        [*files, files[0]],
        [*labels, again],
        valid_pct=0.1,
        seed=4,
        item_tfms=Resize(8),
        bs=4,
        num_workers=0,
    )
    assert str(files[0]) not in map(str, (item[0] for item in dls.valid_ds.items))
    found = suspects(data=dls, show=False)
    assert [(one.file, one.group) for one in found] == [(str(files[0]), None)] * bool(note)
    assert all(one.notes[0].startswith(note) and one.reasons == ("duplicate",) for one in found)


def test_the_folder_of_the_data_is_what_the_files_have_in_common(picture_folder):
    files = list(get_image_files(picture_folder / "train"))
    dls = ImageDataLoaders.from_path_func(
        ".", files, lambda f: f.parent.name, item_tfms=Resize(8), bs=4, num_workers=0, seed=1
    )
    assert suspects(data=dls, show=False).root == picture_folder / "train"
    assert suspects(data=dls, root=picture_folder, copies=False).root == picture_folder


def test_pictures_that_are_no_files_are_told():
    arrays = [np.full((20, 20, 3), i, np.uint8) for i in range(12)]
    block = DataBlock((ImageBlock, CategoryBlock), get_y=lambda a: "ab"[int(a[0, 0, 0]) % 2])
    dls = block.dataloaders(arrays, bs=2, num_workers=0)
    with pytest.raises(DataError, match="Only pictures that are files can be decided about"):
        suspects(data=dls, show=False)


def test_no_data_and_no_pictures_are_told(tmp_path):
    with pytest.raises(TypeError, match=r"needs a learner, or data: suspects\(learn\)"):
        suspects()
    with pytest.raises(DataError, match="There are no pictures to look at in"):
        suspects(data=tmp_path)
