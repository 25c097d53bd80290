"""Where the items are: their files, and their pictures read again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from presize.augment.normalize import Normalize
from presize.core.errors import DataError, ImageError
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.namedbytes import NamedBytes
from presize.data.resize import Resize
from presize.interpret.kept_items import Items, as_picture


def items_of(dl, rows):
    return Items(torch.tensor(rows), dl=dl)


def test_files_of_folders_and_tables(picture_folder):
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(16), num_workers=0)
    files = [str(file) for file in dls.valid_ds.items]
    assert items_of(dls.valid, [3, 0, 11]).files == [files[3], files[0], files[11]]
    inside = [str(p.relative_to(picture_folder)) for p in sorted(picture_folder.rglob("*.jpg"))]
    table = pd.DataFrame({"file": inside, "label": [name.split("/")[1] for name in inside]})
    dls = ImageDataLoaders.from_df(table, picture_folder, item_tfms=Resize(16), num_workers=0)
    found = items_of(dls.valid, [0, 1]).files
    names = list(dls.valid_ds.items["file"][:2])
    assert [file.endswith(name) for file, name in zip(found, names, strict=True)] == [True, True]
    assert all(Path(file).is_file() for file in found)


def test_items_that_are_no_files_have_numbers():
    pairs = [(torch.zeros(3, 4, 4), 0), (torch.zeros(3, 4, 4), 1)]
    items = Items(torch.tensor([1, 0]), dl=DataLoader(pairs, 2), split="train")
    assert items.files == ["number 1 of train", "number 0 of train"]
    assert items.paths == [None, None]
    named = [NamedBytes(b"", "a.tar/1.jpg"), b""]
    items = Items(torch.arange(2), dl=DataLoader(named, 2))
    assert items.files == ["a.tar/1.jpg", "number 1 of valid"]
    pairs = [("a.jpg", 0), ("b.jpg", 1)]  # as torchvision lists them
    assert Items(torch.arange(2), dl=DataLoader(pairs, 2)).files == ["a.jpg", "b.jpg"]


class Samples(torch.utils.data.Dataset):
    """Lists its files as the data sets of torchvision do; a sample is not to be asked for."""

    samples = (("a.jpg", 0), ("b.jpg", 1), ("c.jpg", 0))

    def __getitem__(self, i):
        raise AssertionError("a picture was read for a name")

    def __len__(self):
        return 3


def test_files_of_torchvision_are_listed_and_no_picture_is_read():
    part = torch.utils.data.Subset(Samples(), [2, 1])
    loader = torch.utils.data.DataLoader(part)
    assert Items(torch.arange(2), dl=loader).files == ["c.jpg", "b.jpg"]
    shuffled = torch.utils.data.DataLoader(part, shuffle=True)
    assert Items(torch.arange(1), dl=shuffled).files == ["number 0 of valid"]


def test_pictures_are_as_shown_and_inputs_as_the_model_sees_them(picture_folder):
    normal = Normalize.from_stats([0.5] * 3, [0.25] * 3)
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize((20, 24)), batch_tfms=normal, bs=4, num_workers=0
    )
    items = items_of(dls.valid, list(range(12)))
    batches = torch.cat([x for x, _ in dls.valid])
    torch.testing.assert_close(items.inputs([7, 2]), batches[[7, 2]])
    picture = items.picture(7)
    assert picture.mode == "RGB" and picture.size == (24, 20)
    expected = (batches[7] * 0.25 + 0.5).mul(255).round().permute(1, 2, 0)
    assert np.abs(np.asarray(picture).astype(float) - expected.numpy()).max() <= 1


def test_pictures_of_files_alone(picture_folder):
    files = sorted(str(p) for p in picture_folder.rglob("*.jpg"))
    items = Items(torch.arange(len(files)), files=files)
    with Image.open(files[3]) as opened:
        assert np.array_equal(items.picture(3), opened.convert("RGB"))
    with pytest.raises(DataError, match=r"cannot be read as the model sees them.*learn=learn"):
        items.inputs([0])
    with pytest.raises(ImageError, match="gone.jpg"):
        Items(torch.arange(1), files=["gone.jpg"]).picture(0)
    with pytest.raises(DataError, match="no picture of number 0 of valid"):
        Items(torch.arange(1)).picture(0)


def test_loaders_that_are_not_ours_are_walked_through_again():
    batches = [(torch.arange(i, i + 3.0).view(3, 1), torch.zeros(3)) for i in (0, 3, 6)]
    items = Items(torch.arange(9), dl=batches)
    assert items.inputs([7, 0, 4]).flatten().tolist() == [7, 0, 4]
    assert items.inputs([4, 4]).flatten().tolist() == [4, 4]
    with pytest.raises(DataError, match="has only 9 items now, but item 9"):
        Items(torch.arange(10), dl=batches).inputs([9])
    with pytest.raises(DataError, match="2 inputs for an item"):
        three = [tuple(torch.zeros(2, 1) for _ in range(3))]
        two_inputs = DataLoader([(torch.zeros(1), torch.zeros(1), 0)], 1)
        two_inputs.n_inp = 2
        assert Items(torch.arange(2), dl=three).inputs([0]).shape == (1, 1)
        Items(torch.arange(1), dl=two_inputs).inputs([0])


def torch_loader(**order):
    values = torch.utils.data.TensorDataset(torch.arange(9.0).view(9, 1), torch.zeros(9))
    return torch.utils.data.DataLoader(values, **{"batch_size": 3} | order)


def test_loaders_of_pytorch_that_may_change_their_order_are_refused():
    sampler = torch.utils.data.WeightedRandomSampler([1.0] * 9, 9)
    batches = torch.utils.data.BatchSampler(sampler, 3, drop_last=False)
    orders = {"shuffle": True}, {"sampler": sampler}, {"batch_sampler": batches, "batch_size": 1}
    for order in orders:
        with pytest.raises(DataError, match="may give its items in another order each time"):
            Items(torch.arange(9), dl=torch_loader(**order)).inputs([4])
    assert Items(torch.arange(9), dl=torch_loader()).inputs([4]).item() == 4
    assert Items(torch.arange(2), dl=torch_loader(sampler=[7, 2])).inputs([1]).item() == 2


def test_names_are_those_of_the_order_of_the_loader():
    files = [("a.png", 0), ("b.png", 1), ("c.png", 0)]
    reordered = torch.utils.data.DataLoader(files, sampler=[2, 0])
    assert Items(torch.arange(2), dl=reordered).files == ["number 0 of valid", "number 1 of valid"]
    assert Items(torch.arange(2), dl=torch.utils.data.DataLoader(files)).files == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("values", "corner"),
    [
        (torch.tensor([[0, 255], [128, 0]], dtype=torch.uint8), (255, 255, 255)),
        (torch.tensor([[[0.0, 1.0]]]), (255, 255, 255)),
        (torch.tensor([[-1.0, 3.0]]), (255, 255, 255)),
        (torch.tensor([0.0, 0.5, 0.2]).view(3, 1, 1).repeat(1, 1, 2), (0, 128, 51)),
        (torch.tensor([-2.0, 0.0, 2.0]).view(3, 1, 1).repeat(1, 1, 2), (0, 128, 255)),
        (Image.new("L", (2, 1), 7), (7, 7, 7)),
    ],
)
def test_what_is_shown_becomes_a_picture(values, corner):
    picture = as_picture(values)
    assert picture.mode == "RGB"
    assert picture.getpixel((1, 0)) == corner


def test_what_is_no_picture():
    with pytest.raises(DataError, match=r"no pictures that can be shown: .*\[784\]"):
        as_picture(torch.zeros(784))
