"""`ImageDataLoaders.from_hf` and `from_shards`: loaders of other people's data in one call."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import io
import tarfile
from pathlib import Path
from typing import Any

import datasets
import pytest

from presize.core.errors import DataError
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize

CLASSES = ["dog", "cat"]
OPTIONS: Any = {"bs": 4, "item_tfms": Resize(32), "num_workers": 1}


def table(folder: Path, labels: Any, kind: Any) -> datasets.Dataset:
    datasets.disable_progress_bars()
    files = get_image_files(folder)
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": f.read_bytes(), "path": f.name} for f in files],
            "label": [labels[f.parent.name] for f in files],
        },
        features=datasets.Features(image=datasets.Image(), label=kind),
    )


@pytest.fixture
def data(picture_folder: Path) -> datasets.DatasetDict:
    labels = {name: i for i, name in enumerate(CLASSES)}
    kind = datasets.ClassLabel(names=CLASSES)
    return datasets.DatasetDict(
        train=table(picture_folder / "train", labels, kind),
        test=table(picture_folder / "valid", labels, kind),
    )


def test_a_data_set_with_splits(data: datasets.DatasetDict) -> None:
    dls = ImageDataLoaders.from_hf(data, **OPTIONS)
    assert type(dls) is ImageDataLoaders
    assert dls.vocab == CLASSES
    assert [len(dl.dataset) for dl in dls] == [24, 12]
    assert dls.one_batch()[0].shape == (4, 3, 32, 32)


def test_a_data_set_without_splits(data: datasets.DatasetDict) -> None:
    dls = ImageDataLoaders.from_hf(data["train"], valid_pct=0.5, seed=0, **OPTIONS)
    again = ImageDataLoaders.from_hf(data["train"], valid_pct=0.5, seed=0, **OPTIONS)
    assert [len(dl.dataset) for dl in dls] == [12, 12]
    assert list(dls.valid_ds.items.indices) == list(again.valid_ds.items.indices)


def test_columns_by_name(data: datasets.DatasetDict) -> None:
    renamed = data.rename_columns({"image": "img", "label": "fine"})
    assert ImageDataLoaders.from_hf(renamed, "img", "fine", **OPTIONS).vocab == CLASSES
    with pytest.raises(DataError, match="no column `immage`. Did you mean `image`"):
        ImageDataLoaders.from_hf(data, "immage", **OPTIONS)


def test_numbers_and_several_labels(picture_folder: Path) -> None:
    ages = table(picture_folder, {"cat": 2.5, "dog": 7.0}, datasets.Value("float32"))
    assert ImageDataLoaders.from_hf(ages, **OPTIONS).task == "regression"
    kind = datasets.List(datasets.ClassLabel(names=CLASSES))
    tags = table(picture_folder, {"cat": [0, 1], "dog": []}, kind)
    dls = ImageDataLoaders.from_hf(tags, **OPTIONS)
    assert (dls.task, dls.vocab) == ("multilabel", CLASSES)


def test_streamed(data: datasets.DatasetDict) -> None:
    streams = datasets.IterableDatasetDict(
        {name: part.to_iterable_dataset(num_shards=3) for name, part in data.items()}
    )
    dls = ImageDataLoaders.from_hf(streams, n=24, valid_n=12, **OPTIONS)
    assert [len(batch[1]) for batch in dls.valid] == [4, 4, 4]
    assert dls.vocab == CLASSES


def test_shards(picture_folder: Path, tmp_path: Path) -> None:
    files = get_image_files(picture_folder)
    for number in range(3):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as tar:
            for i, file in enumerate(files[number::3]):
                for ending, told in (
                    ("jpg", file.read_bytes()),
                    ("y.cls", str(CLASSES.index(file.parent.name)).encode()),
                ):
                    info = tarfile.TarInfo(f"{i}.{ending}")
                    info.size = len(told)
                    tar.addfile(info, io.BytesIO(told))
    dls = ImageDataLoaders.from_shards(
        tmp_path / "*.tar", path=tmp_path, classes=CLASSES, label="y.cls", **OPTIONS
    )
    assert dls.vocab == CLASSES
    assert dls.path == tmp_path
    assert [len(dl.dataset) for dl in dls] == [24, 12]
    with pytest.raises(DataError, match="has no label `cls`: its members are `jpg`, `y.cls`"):
        ImageDataLoaders.from_shards(tmp_path / "*.tar", **OPTIONS)
