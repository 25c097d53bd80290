"""Data sets of the library `datasets` through a data block; made here, nothing is fetched."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from presize.augment.presets import aug_transforms
from presize.core.errors import DataError, ImageError
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import ColReader, parent_label
from presize.data.resize import Resize
from presize.data.rows import as_items
from presize.data.splits import FuncSplitter, RandomSplitter
from presize.data.stream.hubcolumns import Column
from presize.data.stream.hubitems import HubItems
from presize.data.stream.huggingface import hub_items

CLASSES = ["dog", "cat"]  # not in the order of the alphabet
FEATURES = datasets.Features(
    image=datasets.Image(), label=datasets.ClassLabel(names=CLASSES), note=datasets.Value("string")
)


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def rows(files: Any, *, as_bytes: bool = True) -> dict[str, list[Any]]:
    return {
        "image": [
            {"bytes": f.read_bytes(), "path": f.name} if as_bytes else {"path": str(f)}
            for f in files
        ],
        "label": [CLASSES.index(f.parent.name) for f in files],
        "note": [f.name for f in files],
    }


def table(files: Any, *, as_bytes: bool = True, split: str | None = None) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        rows(files, as_bytes=as_bytes), features=FEATURES, split=split
    )


@pytest.fixture
def splits(picture_folder: Path) -> datasets.DatasetDict:
    return datasets.DatasetDict(
        {
            name: table(get_image_files(picture_folder / part), split=name)
            for name, part in (("train", "train"), ("validation", "valid"))
        }
    )


def block(**options: Any) -> DataBlock:
    options = {"blocks": (ImageBlock, CategoryBlock)} | options
    return DataBlock(item_tfms=Resize(48), batch_tfms=aug_transforms(size=32), **options)


def loaders(source: Any, **options: Any) -> Any:
    return block().dataloaders(source, **({"bs": 4, "num_workers": 2, "seed": 3} | options))


def same(first: Any, second: Any) -> bool:
    batches, others = list(first), list(second)
    return len(batches) == len(others) and all(
        torch.equal(a, b)
        for one, other in zip(batches, others, strict=True)
        for a, b in zip(one, other, strict=True)
    )


# ---- the same as from files ----------------------------------------------------------------


@pytest.mark.parametrize("as_bytes", [True, False])
def test_batches_are_those_of_the_files(picture_folder: Path, as_bytes: bool) -> None:
    files = block(
        blocks=(ImageBlock, CategoryBlock(vocab=CLASSES, sort=False)),
        get_items=get_image_files,
        splitter=FuncSplitter(lambda path: path.parent.parent.name == "valid"),
        get_y=parent_label,
    ).dataloaders(picture_folder, bs=4, num_workers=2, seed=3)
    parts = {
        name: table(get_image_files(picture_folder / part), as_bytes=as_bytes)
        for name, part in (("train", "train"), ("test", "valid"))
    }
    dls = loaders(datasets.DatasetDict(parts))
    assert dls.vocab == files.vocab == CLASSES
    for _ in range(2):
        assert same(dls.train, files.train)
    assert same(dls.valid, files.valid)


@pytest.mark.parametrize("workers", [0, 1, 7])
def test_workers_change_nothing(splits: datasets.DatasetDict, workers: int) -> None:
    assert same(loaders(splits).train, loaders(splits, num_workers=workers).train)


def test_workers_that_are_processes(splits: datasets.DatasetDict, tmp_path: Path) -> None:
    splits.save_to_disk(tmp_path / "data")
    stored = datasets.load_from_disk(tmp_path / "data")
    # More than cuts, which threads make without Python in between.
    gray = DataBlock((ImageBlock, CategoryBlock), item_tfms=[Resize(48), v2.Grayscale(3)])
    threads = gray.dataloaders(splits, bs=4, num_workers=2, seed=3)
    dls = gray.dataloaders(stored, bs=4, num_workers=2, seed=3, processes=True)
    try:
        assert same(dls.train, threads.train)
    finally:
        dls.train.close()


def test_a_data_set_in_another_order(splits: datasets.DatasetDict) -> None:
    mixed = splits["train"].shuffle(seed=1)
    names = [mixed[i]["note"] for i in range(len(mixed))]
    items = hub_items(mixed)
    assert [row["note"] for row in items] == names
    assert [row["label"] for row in items] == [CLASSES[i] for i in mixed["label"]]


def test_it_is_shown_and_summed_up(splits: datasets.DatasetDict, capsys: Any) -> None:
    loaders(splits).show_batch(max_n=4)
    block().summary(splits)
    assert "row 0 (image, label, note)" in capsys.readouterr().out


def test_a_path_is_predicted_like_a_row(splits: datasets.DatasetDict, picture_folder: Path) -> None:
    dls = loaders(splits)
    file = get_image_files(picture_folder / "valid")[0]
    from_row = dls.test_dl(splits["validation"].select([0])).one_batch()
    for item in (file, file.read_bytes(), splits["validation"][0], Image.open(file)):
        assert torch.equal(dls.test_dl([item]).one_batch()[0], from_row[0])


def test_a_test_set_with_labels(splits: datasets.DatasetDict) -> None:
    dls = loaders(splits)
    assert same(dls.test_dl(splits["validation"], with_labels=True), dls.valid)


# ---- splits ----------------------------------------------------------------------------------


def sized(**sizes: int) -> datasets.DatasetDict:
    one = {"bytes": picture(), "path": None}
    return datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict(
                {"image": [one] * n, "label": [i % 2 for i in range(n)], "note": [""] * n},
                features=FEATURES,
            )
            for name, n in sizes.items()
        }
    )


def picture(mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 6)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ({"train": 5, "validation": 3}, [5, 3]),
        ({"test": 2, "train": 5}, [5, 2]),
        ({"test": 2, "valid": 3, "train": 5, "unlabelled": 9}, [5, 3, 2]),
    ],
)
def test_its_own_splits_are_used(sizes: dict[str, int], lengths: list[int]) -> None:
    dls = loaders(sized(**sizes), drop_last=False)
    assert [len(dl.dataset) for dl in dls] == lengths
    assert [sum(len(y) for _, y in dl) for dl in dls] == lengths


def test_missing_splits_are_told() -> None:
    with pytest.raises(
        DataError, match=r'no split for validation, only `train`.*`data\["train"\]`'
    ):
        loaders(sized(train=4))
    with pytest.raises(DataError, match="no split `train`: it has `a`, `b`. Name the splits"):
        loaders(sized(a=4, b=4))


def test_a_splitter_for_a_data_set_without_splits(splits: datasets.DatasetDict) -> None:
    dls = block(splitter=RandomSplitter(0.25, seed=1)).dataloaders(splits["train"], bs=4)
    assert [len(dl.dataset) for dl in dls] == [18, 6]
    assert [len(dl.dataset) for dl in loaders(splits["train"])] == [20, 4]
    with pytest.raises(DataError, match="has its own training and validation.*train, validation"):
        block(splitter=RandomSplitter()).datasets(splits)


# ---- columns ---------------------------------------------------------------------------------


def test_columns_by_name(splits: datasets.DatasetDict) -> None:
    renamed = splits.rename_columns({"image": "img", "label": "fine"})
    by_name = block(get_x=ColReader("img"), get_y=ColReader("fine")).dataloaders(renamed, bs=4)
    assert by_name.vocab == sorted(CLASSES)
    asked = block().dataloaders(hub_items(renamed, image="img", label="fine"), bs=4)
    assert asked.vocab == CLASSES
    with pytest.raises(
        DataError, match="no column `lable`. Did you mean `label`.*image, label, note"
    ):
        block().datasets(hub_items(splits, label="lable"))
    with pytest.raises(DataError, match="There is no column `imag`. Did you mean `image`"):
        block(get_x=ColReader("imag")).datasets(splits).train[0]


def test_labels_that_are_texts(splits: datasets.DatasetDict) -> None:
    plain = splits.cast_column("label", datasets.Value("int64"))
    assert loaders(plain).vocab == [0, 1]
    texts = splits.map(lambda row: {"target": CLASSES[row["label"]]}).remove_columns("label")
    assert loaders(texts).vocab == sorted(CLASSES)
    with pytest.raises(
        DataError, match=r"no column of class labels: .*note \(Value\).*get_y=ColRead"
    ):
        loaders(texts.remove_columns("target"))


def test_a_data_set_without_pictures(splits: datasets.DatasetDict) -> None:
    with pytest.raises(DataError, match=r"no column of pictures: .*label \(ClassLabel\), note"):
        loaders(splits.remove_columns("image"))


def test_several_labels(splits: datasets.DatasetDict) -> None:
    features = datasets.Features(
        image=datasets.Image(), tags=datasets.List(datasets.ClassLabel(names=CLASSES))
    )
    one = {"bytes": picture(), "path": None}
    data = datasets.Dataset.from_dict(
        {"image": [one] * 4, "tags": [[0, 1], [], [1], [0]]}, features=features
    )
    dsets = block(blocks=(ImageBlock, MultiCategoryBlock)).datasets(
        datasets.DatasetDict(train=data, test=data)
    )
    assert dsets.vocab == CLASSES
    assert [y.tolist() for _, y in dsets.train] == [[1, 1], [0, 0], [0, 1], [1, 0]]


def test_pictures_as_paths_bytes_and_arrays(picture_folder: Path) -> None:
    file = get_image_files(picture_folder)[0]
    pixels = np.asarray(Image.open(file).resize((7, 5)))
    features = datasets.Features(
        path=datasets.Value("string"),
        data=datasets.Value("binary"),
        array=datasets.Array3D((5, 7, 3), "uint8"),
    )
    data = datasets.Dataset.from_dict(
        {"path": [str(file)], "data": [file.read_bytes()], "array": [pixels]}, features=features
    )
    row = hub_items(data)[0]
    assert row["path"] == str(file)
    assert row["data"] == file.read_bytes()
    assert row["data"].name == "row[0]"
    assert np.array_equal(row["array"], pixels)
    assert row["array"].dtype == np.uint8


def test_labels_that_are_kept_secret() -> None:
    data = sized(train=4, validation=4, test=4)
    data["test"] = data["test"].map(lambda row: {"label": -1})
    dls = loaders(data)
    assert dls[2].dataset.items[0]["label"] is None
    with pytest.raises(DataError, match="A label is missing"):
        dls[2].one_batch()


def test_a_label_costs_no_picture(splits: datasets.DatasetDict, monkeypatch: Any) -> None:
    asked = []
    stored = Column._stored
    monkeypatch.setattr(Column, "_stored", lambda c, i: (asked.append(c.name), stored(c, i))[1])
    block().datasets(splits)
    assert set(asked) == {"label"}


def test_a_row(splits: datasets.DatasetDict) -> None:
    items = hub_items(splits["train"])
    row = items[3]
    assert list(row) == ["image", "label", "note"]
    assert len(row) == 3
    assert "image" in row
    assert row.get("label") == "cat"
    assert row.get("x", 1) == 1
    assert row == items[3] != items[4]
    assert row["image"].name == "train[3] 11.jpg"
    assert repr(items) == "data set of 24 rows, columns image, label, note"
    with pytest.raises(DataError, match="no column `notes`. Did you mean `note`"):
        row["notes"]


def test_a_picture_that_is_missing() -> None:
    data = datasets.Dataset.from_dict(
        {"image": [None], "label": [0], "note": [""]}, features=FEATURES
    )
    with pytest.raises(DataError, match=r"row\[0\] has no picture: leave such rows out"):
        hub_items(data)[0]["image"]


def test_an_unreadable_picture_is_named(splits: datasets.DatasetDict) -> None:
    broken = {"bytes": b"\xff\xd8\xff\xe0 no more", "path": "cats/7.jpg"}
    one = datasets.Dataset.from_dict(
        {"image": [broken], "label": [0], "note": [""]}, features=FEATURES
    )
    data = datasets.concatenate_datasets([one, splits["train"]])
    dls = loaders(datasets.DatasetDict(train=data, test=splits["validation"]), on_bad="raise")
    with pytest.raises(ImageError, match=r"^`row\[0\] cats/7.jpg` cannot be read: it is a JPEG"):
        list(dls.train)


# ---- what users set on the data set ----------------------------------------------------------


def test_a_format_is_no_matter(splits: datasets.DatasetDict) -> None:
    assert same(loaders(splits.with_format("torch")).train, loaders(splits).train)


def test_a_transform_of_its_own_is_not_applied(splits: datasets.DatasetDict) -> None:
    data = splits["train"].with_transform(lambda rows: rows)
    with pytest.warns(UserWarning, match="has a transform of its own .* is not applied"):
        assert len(hub_items(data)) == 24


def test_columns_that_were_selected_are_all_there_is(splits: datasets.DatasetDict) -> None:
    assert list(hub_items(splits["train"].select_columns(["image"]))[0]) == ["image"]


def test_something_else_of_the_library(splits: datasets.DatasetDict) -> None:
    with pytest.raises(
        TypeError, match="A data set of the library `datasets` is expected .*Column"
    ):
        hub_items(splits["train"]["label"])


def test_a_module_of_the_users_own_with_that_name() -> None:
    kind = type("Dataset", (list,), {"__module__": "datasets.mine"})
    items = kind([1, 2])
    assert as_items(items) is items


def test_items_go_to_other_processes(splits: datasets.DatasetDict, tmp_path: Path) -> None:
    splits["train"].save_to_disk(tmp_path / "data")
    items = hub_items(datasets.load_from_disk(tmp_path / "data")).selected([3, 5])
    sent = pickle.loads(pickle.dumps(items))
    assert [row["image"] for row in sent] == [row["image"] for row in items]
    assert isinstance(copy.copy(items), HubItems)
    assert len(items.selected([1])) == 1
    assert items.selected([1])[0]["note"] == items[1]["note"]
