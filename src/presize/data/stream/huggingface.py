"""Data sets of the Hugging Face library `datasets` as the source of a data block.

    from datasets import load_dataset
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), item_tfms=Resize(460))
    dls = block.dataloaders(load_dataset("beans"))

The library keeps the rows on the disk, mapped into memory. Pictures stay the bytes or files that
they are there until presize decodes them, in its worker threads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from presize.core.errors import DataError
from presize.data.stream.hubitems import HubItems, hub_getter
from presize.data.stream.hubstream import hub_shards, told_length
from presize.data.stream.itemstream import ItemStream
from presize.data.stream.ranks import Rank, current_rank
from presize.data.stream.streamsource import StreamSource, check_counts, split_shards

_VALID = ("validation", "valid", "val", "dev", "test")
_TABLES, _STREAMS = ("Dataset", "DatasetDict"), ("IterableDataset", "IterableDatasetDict")


class HubStreams(StreamSource):
    """A training and a validation set that the library streams.

    Args:
        train: the training set.
        valid: the validation set.
        features: the columns, and what they hold; None if that is not known.
        image: the column of the picture; by default the first of pictures.
        label: the column of the label; by default the first of class labels, or `label`.
    """

    def __init__(
        self,
        train: ItemStream,
        valid: ItemStream,
        features: Mapping[str, Any] | None,
        image: str | None,
        label: str | None,
    ) -> None:
        super().__init__(train, valid)
        self.features, self.image, self.label = features, image, label

    def own_getter(self, i: int, n_inp: int) -> Callable[[Any], Any]:
        """Return what takes the picture, or the label, out of a row."""
        features = self.features
        if features is None:  # the library has not looked yet: the first row shows the names
            features = dict.fromkeys(self.train[0])
        return hub_getter(features, i, n_inp, self.image, self.label)


def hub_items(
    data: Any,
    *,
    image: str | None = None,
    label: str | None = None,
    n: int | None = None,
    valid_n: int | None = None,
    valid_pct: float = 0.2,
    seed: int = 42,
    buffer: int = 1000,
    readers: int = 4,
) -> Any:
    """Return a data set of the library `datasets` as the source of a data block.

    A data block takes the data set itself as well; this is for columns with unusual names, and for
    data sets that are streamed. Of several splits `train` is for training; for validation it is
    `validation`, else `test`; where both are there, `test` is the third set.

    Args:
        data: `Dataset`, `DatasetDict`, `IterableDataset` or `IterableDatasetDict`.
        image: the column of the picture; by default the first of pictures.
        label: the column of the label; by default the first of class labels, or `label`.
        n: streamed: training samples in a pass; by default as the library says.
        valid_n: streamed: validation samples.
        valid_pct: streamed, a single split: the share of its shards that is for validation.
        seed: which shards these are.
        buffer: streamed: training samples to draw from.
        readers: streamed: training shards that are read side by side.

    Raises:
        DataError: splits or columns are missing, or the number of samples is not known.
        TypeError: it is something else.
    """
    check_counts(n=n, valid_n=valid_n, buffer=buffer, readers=readers)
    kind = type(data).__name__
    if kind in _TABLES:
        parts = _splits(data) if kind == "DatasetDict" else {"": data}
        return HubItems(list(parts.values()), [p for p in parts if p], image=image, label=label)
    if kind not in _STREAMS:
        raise TypeError(
            f"A data set of the library `datasets` is expected ({', '.join(_TABLES + _STREAMS)}), "
            f"but got {kind}."
        )
    rank = current_rank()
    if kind == "IterableDatasetDict":
        train, valid, *_ = _splits(data).values()
        shards, valid_shards = hub_shards(train), hub_shards(valid)
        n, valid_n = n or told_length(train), valid_n or told_length(valid)
    else:
        train = data
        shards, valid_shards = _divided(data, valid_pct, seed)
    return HubStreams(
        ItemStream(shards, n=n, even=True, buffer=buffer, readers=readers, rank=rank),
        ItemStream(valid_shards, n=valid_n, rank=rank),
        train.features,
        image,
        label,
    )


def table_items(data: Any) -> Any:
    """Return a data set of the library as items, and its other things, such as a column, as is."""
    kind = type(data).__name__
    if not hasattr(data, "column_names"):
        return data  # or of a module of the user's own that is called datasets, too
    if kind == "IterableDataset":  # by itself, as for `test_dl`
        return ItemStream(hub_shards(data), n=told_length(data), rank=Rank())
    return hub_items(data) if kind in (*_TABLES, *_STREAMS) else data


def _splits(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the splits for training, for validation and, if it is one more, for the test."""
    valid = next((name for name in _VALID if name in data), None)
    if "train" in data and valid is not None:
        third = ["test"] if valid != "test" and "test" in data else []
        return {name: data[name] for name in ("train", valid, *third)}
    names = ", ".join(f"`{name}`" for name in data)
    if "train" in data:
        raise DataError(
            f"The data set has no split for validation, only {names}. Give the split alone, "
            '`data["train"]`, of which a fifth is drawn for validation; or name the splits: '
            "DatasetDict(train=..., validation=...)."
        )
    raise DataError(
        f"The data set has no split `train`: it has {names}. Name the splits: "
        "DatasetDict(train=..., validation=...)."
    )


def _divided(data: Any, valid_pct: float, seed: int) -> tuple[list[Any], list[Any]]:
    shards = hub_shards(data)
    if len(shards) < 2:
        raise DataError(
            "A streamed data set of one shard cannot be divided into training and validation. "
            "Give both: IterableDatasetDict(train=..., validation=...)."
        )
    return split_shards(shards, valid_pct, seed)
