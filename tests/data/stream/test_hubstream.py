"""Data sets that the library `datasets` streams; made here, nothing is fetched."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import pickle
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from presize.core.errors import DataError
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.data.stream.hubstream import HubSample, hub_shards
from presize.data.stream.huggingface import hub_items
from presize.data.stream.itemstream import ItemStream
from presize.data.stream.ranks import Rank

CLASSES = ["dog", "cat"]
FEATURES = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=CLASSES))


def stream(folder: Path, shards: int) -> datasets.IterableDataset:
    datasets.disable_progress_bars()
    files = get_image_files(folder)
    data = {
        "image": [{"bytes": f.read_bytes(), "path": f.name} for f in files],
        "label": [CLASSES.index(f.parent.name) for f in files],
    }
    table = datasets.Dataset.from_dict(data, features=FEATURES)
    return table.to_iterable_dataset(num_shards=shards)


@pytest.fixture
def streams(picture_folder: Path) -> datasets.IterableDatasetDict:
    return datasets.IterableDatasetDict(
        train=stream(picture_folder / "train", 4), validation=stream(picture_folder / "valid", 2)
    )


def loaders(source: Any, **options: Any) -> Any:
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), item_tfms=Resize(32))
    return block.dataloaders(source, **({"bs": 4, "num_workers": 2, "seed": 3} | options))


def test_batches(streams: datasets.IterableDatasetDict) -> None:
    dls = loaders(hub_items(streams, n=24, valid_n=12))
    assert dls.vocab == CLASSES
    assert len(dls.train) == 6
    passes = [[y.tolist() for _, y in dls.train] for _ in range(2)]
    assert passes[0] != passes[1]
    assert sorted(label for batch in passes[0] for label in batch) == [0] * 12 + [1] * 12
    again = loaders(hub_items(streams, n=24, valid_n=12), num_workers=7)
    assert [y.tolist() for _, y in again.train] == passes[0]
    assert torch.cat([y for _, y in dls.valid]).tolist() == [1] * 6 + [0] * 6
    assert dls.one_batch()[0].shape == (4, 3, 32, 32)
    dls.show_batch(max_n=2)


def test_pictures_are_decoded_in_the_workers(streams: datasets.IterableDatasetDict) -> None:
    sample = hub_items(streams, n=24, valid_n=12).train[0]
    assert isinstance(sample["image"], bytes)
    assert sample["image"].name == "data set, shard 0, row 0 0.jpg"
    assert sample["label"] in CLASSES


def test_it_goes_on_where_it_was(streams: datasets.IterableDatasetDict) -> None:
    train = hub_items(streams, n=24, valid_n=12, buffer=5, readers=2).train

    def names(start: int) -> list[str]:
        entries = train.entries(shuffle=True, seed=1, epoch=0, start=start)
        return [sample.name for _, sample in entries]

    assert names(0)[9:] == names(9)
    assert len(set(names(0))) == 24


def test_how_many_there_are_has_to_be_known(streams: datasets.IterableDatasetDict) -> None:
    with pytest.raises(DataError, match=r"How many samples the shards hold is not known .*n=..."):
        loaders(streams)


def test_what_the_library_says_of_its_length(streams: datasets.IterableDatasetDict) -> None:
    for name, data in streams.items():
        data._split = datasets.NamedSplit(name)
        told = datasets.SplitInfo(name, num_examples=24 if name == "train" else 12)
        data._info.splits = datasets.SplitDict({name: told})
    dls = loaders(streams)
    assert [len(dl.dataset) for dl in dls] == [24, 12]


def test_one_stream_is_divided_by_its_shards(picture_folder: Path) -> None:
    source = hub_items(stream(picture_folder, 6), n=30, valid_n=6, valid_pct=0.2)
    assert [len(part.shards) for part in (source.train, source.valid)] == [5, 1]
    with pytest.raises(DataError, match="of one shard cannot be divided"):
        hub_items(stream(picture_folder, 1), n=30, valid_n=6)


def test_a_stream_to_predict_on(streams: datasets.IterableDatasetDict) -> None:
    dls = loaders(hub_items(streams, n=24, valid_n=12))
    test = ItemStream(hub_items(streams, n=24, valid_n=12).valid.shards, n=12)
    for (x, *_), (ours, _) in zip(dls.test_dl(test), dls.valid, strict=True):
        assert torch.equal(x, ours)


def test_ranks(streams: datasets.IterableDatasetDict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(DataError, match="With 2 processes it has to be known how many"):
        hub_items(streams, n=24, valid_n=12)
    shards = hub_shards(streams["train"])
    parts = [ItemStream(shards, n=24, even=True, rank=Rank(i, 2)) for i in range(2)]
    names = [[s.name for _, s in p.entries(shuffle=True, seed=1, epoch=0)] for p in parts]
    assert [len(part) for part in names] == [12, 12]
    assert len({*names[0], *names[1]}) == 24


def test_a_stream_of_unknown_columns(picture_folder: Path) -> None:
    files = get_image_files(picture_folder)

    def made(files: list[str]) -> Any:
        for name in files:
            yield {"image": Path(name).read_bytes(), "label": Path(name).parent.name}

    def data() -> datasets.IterableDataset:
        return datasets.IterableDataset.from_generator(
            made, gen_kwargs={"files": list(map(str, files))}
        )

    both = datasets.IterableDatasetDict(train=data(), validation=data())
    source = hub_items(both, image="image", label="label", n=36, valid_n=36)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=CLASSES, sort=False)), item_tfms=Resize(32)
    )
    assert block.dataloaders(source, bs=4).one_batch()[0].shape == (4, 3, 32, 32)


def test_a_sample() -> None:
    sample = HubSample("train, row 3", {"image": b"1", "label": "cat"})
    assert (sample["label"], sample.get("label"), sample.get("x", 1)) == ("cat", "cat", 1)
    assert "image" in sample
    assert list(sample) == ["image", "label"]
    assert len(sample) == 2
    assert pickle.loads(pickle.dumps(sample)) == sample
    assert hash(sample) == hash(pickle.loads(pickle.dumps(sample)))
    assert repr(sample) == "train, row 3 (image, label)"
    with pytest.raises(DataError, match="no column `labels`. Did you mean `label`"):
        sample["labels"]
