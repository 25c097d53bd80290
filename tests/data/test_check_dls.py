"""The check of loaders: items that are files, and items that are not."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset
from torchvision.datasets import ImageFolder

from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock, RegressionBlock
from presize.data.check.dls import check_loaders
from presize.data.check.report import DataReport, Finding
from presize.data.datablock import DataBlock
from presize.data.datasets import TfmdLists
from presize.data.folders import ImageDataLoaders
from presize.data.images import PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import ColReader
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import IndexSplitter


def finding(report: DataReport, kind: str) -> Finding:
    [found] = [f for f in report.findings if f.kind == kind]
    return found


def noise(n: int, shape: tuple[int, ...] = (20, 20, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def as_rgb(im: Image.Image) -> Image.Image:
    return im.convert("RGB")


def loaders(*datasets: Any) -> DataLoaders:
    return DataLoaders(*(DataLoader(dataset, bs=2) for dataset in datasets))


def test_the_split_and_labels_are_those_of_the_loaders(pets_path: Path) -> None:
    files = [f for f in get_image_files(pets_path) if f.name.startswith(("pug_", "beagle_"))]
    dls = ImageDataLoaders.from_name_re(
        pets_path.parent, files, r"^(.+)_\d+\.jpg$", seed=1, item_tfms=Resize(32), bs=4
    )
    report = check_loaders(dls)
    assert report.statistics.splits == {"train": 12, "valid": 2}
    assert set(report.statistics.classes) == {"beagle", "pug"}
    assert report.ok
    assert report.statistics.formats == {"JPEG": 14}
    entry = report.data.entries[0]
    assert entry.name == str(dls.train_ds.items[0])
    assert "14 pictures (12 train, 2 valid) in 2 classes" in repr(report)


def test_files_are_found_behind_a_table(pets_path: Path, tmp_path: Path) -> None:
    names = [f.name for f in sorted(pets_path.glob("pug_*.jpg"))]
    for name in names:
        shutil.copy(pets_path / name, tmp_path / name)
    shutil.copy(tmp_path / names[0], tmp_path / "again.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"")
    table = pd.DataFrame({"name": [*names, "again.jpg", "bad.jpg"]})
    table["label"] = ["pug"] * 5 + ["pug ", "pug ", "pug ", "pug "]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=ColReader("name", pref=tmp_path),
        get_y=ColReader("label"),
        splitter=IndexSplitter([7]),
        item_tfms=Resize(32),
    )
    report = check_loaders(block.dataloaders(table, path=tmp_path, bs=2))
    assert finding(report, "unreadable").lines == ["bad.jpg: it is empty (0 bytes)"]
    assert finding(report, "leak").lines == [f"again.jpg and {names[0]}, identical"]
    assert finding(report, "two_labels").lines == [
        f"{names[0]} (pug) and again.jpg ('pug '), identical"
    ]
    assert "'pug' (5 pictures) and 'pug ' (4 pictures)" in finding(report, "labels_alike").lines[0]


def test_a_function_that_fails_is_told_with_its_item(picture_folder: Path) -> None:
    files = get_image_files(picture_folder)

    def get_x(file: Path) -> Path:
        if file == files[30]:
            raise KeyError("no such column")
        return file

    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=get_x,
        get_y=lambda file: file.parent.name,
        splitter=IndexSplitter([30, 31]),
        item_tfms=Resize(32),
    )
    report = check_loaders(block.dataloaders(files, bs=2))
    assert finding(report, "unreadable").lines == ["number 0 of valid: KeyError: 'no such column'"]


def test_several_labels_are_counted_each(picture_folder: Path) -> None:
    files = get_image_files(picture_folder)[:10]
    labels = {file: ["cat", "indoor"] if i % 2 else ["cat"] for i, file in enumerate(files)}
    block = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        get_y=labels.__getitem__,
        splitter=IndexSplitter([8, 9]),
        item_tfms=Resize(32),
    )
    report = check_loaders(block.dataloaders(files, bs=2))
    assert report.data.task == "multilabel"
    assert report.statistics.classes == {
        "cat": {"train": 8, "valid": 2},
        "indoor": {"train": 4, "valid": 1},
    }


def test_encoded_labels_have_their_names(picture_folder: Path) -> None:
    files = get_image_files(picture_folder)[:6]
    block = DataBlock(
        (ImageBlock, MultiCategoryBlock(encoded=True, vocab=["a", "b"])),
        get_y=lambda file: [1, int(file == files[0])],
        splitter=IndexSplitter([5]),
        item_tfms=Resize(32),
    )
    counts = check_loaders(block.dataloaders(files, bs=2)).statistics
    assert counts.classes == {"a": {"train": 5, "valid": 1}, "b": {"train": 1, "valid": 0}}


def test_numbers_as_targets_are_no_labels(picture_folder: Path) -> None:
    block = DataBlock(
        (ImageBlock(PILImageBW), RegressionBlock),
        get_items=get_image_files,
        get_y=lambda file: float(file.stem),
        splitter=IndexSplitter([0]),
        item_tfms=Resize(32),
    )
    report = check_loaders(DataLoaders(*block.dataloaders(picture_folder, bs=2).loaders))
    assert report.statistics.classes == {}
    assert "the targets are no classes" in finding(report, "no_labels").text


def test_a_test_set_without_labels_is_no_missing_class(picture_folder: Path) -> None:
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(32), bs=4)
    files = get_image_files(picture_folder / "train/cat")[:3]
    report = check_loaders(DataLoaders(*dls.loaders, dls.test_dl(files)))
    assert report.statistics.splits == {"train": 24, "valid": 12, "test": 3}
    assert [f.kind for f in report.findings if f.severity != "note"] == ["leak"]
    assert finding(report, "leak").text.startswith("3 pictures of 3 in test are in train or valid")


def test_decoded_pictures_are_named_by_their_number() -> None:
    pixels = noise(6)
    samples = [(Image.fromarray(p), i % 2) for i, p in enumerate(pixels)]
    report = check_loaders(loaders(samples, samples[4:]))
    assert finding(report, "leak").lines == [
        "number 0 of valid and number 4 of train, identical",
        "number 1 of valid and number 5 of train, identical",
    ]
    assert report.statistics.classes == {0: {"train": 3, "valid": 1}, 1: {"train": 3, "valid": 1}}


def test_arrays_behind_transforms_are_seen(picture_folder: Path) -> None:
    pixels = noise(4, (40, 50))
    tl = TfmdLists(list(pixels), PILImageBW.create)
    report = check_loaders(loaders(tl))
    assert report.statistics.largest == (40, 50)
    assert report.statistics.modes == {"uint8": 4}
    opened = TfmdLists(get_image_files(picture_folder), [Image.open, as_rgb])
    report = check_loaders(loaders(opened))
    assert report.statistics.splits == {"train": 36}
    assert report.data.entries[0].name == "number 0 of train"


def test_the_folders_of_torchvision_are_read_as_files(picture_folder: Path) -> None:
    train, valid = (ImageFolder(picture_folder / name) for name in ("train", "valid"))
    part = Subset(Subset(train, range(3, 24)), range(1, 21))
    report = check_loaders(DataLoaders(*(torch.utils.data.DataLoader(d) for d in (part, valid))))
    assert report.statistics.classes["dog"] == {"train": 12, "valid": 6}
    assert report.statistics.classes["cat"] == {"train": 8, "valid": 6}
    assert report.data.entries[0].name == train.samples[4][0]


def test_a_data_set_of_ones_own_is_read_sample_by_sample() -> None:
    class Own(Dataset[Any]):
        classes = ("cat", "dog")
        targets = torch.tensor([0, 1, 1])

        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            return torch.from_numpy(noise(3)[i]).permute(2, 0, 1), self.targets[i]

    report = check_loaders(loaders(Own()))
    assert report.statistics.classes == {"dog": {"train": 2}, "cat": {"train": 1}}
    assert report.statistics.largest == (20, 20)


def test_what_cannot_be_checked_is_refused() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([torch.zeros(3, 8, 8)])

    with pytest.raises(TypeError, match="come from a Stream, which has none.*check_folder"):
        check_loaders(DataLoaders(torch.utils.data.DataLoader(Stream())))
    numbers = [(torch.rand(784), i % 2) for i in range(4)]
    with pytest.raises(TypeError, match="number 0 of train seems to be none.*has shape"):
        check_loaders(loaders(numbers))
