"""Data sets that the library `datasets` streams, row after row, as items of a data block.

source = hub_items(load_dataset("imagenet-1k", streaming=True))
dls = block.dataloaders(source)
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from presize.data.stream.hubcolumns import no_column, told_by, undecoded


class HubSample(Mapping[str, Any]):
    """A row that arrived: pictures are bytes or paths, class labels are names.

    Args:
        name: which row it is, for errors.
        values: by the names of the columns.
    """

    __slots__ = ("_values", "name")

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name, self._values = name, values

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise no_column(self._values, name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a column, or `default` where there is no such column."""
        return self._values.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HubSample) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"{self.name} ({', '.join(self._values)})"


class HubShard:
    """A part of a `datasets.IterableDataset`.

    Args:
        data: the data set, its pictures not decoded.
        index: which of its shards.
    """

    count = None
    remote = True  # whether it really is, the library does not tell

    def __init__(self, data: Any, index: int) -> None:
        self.data, self.index = data, index

    @property
    def name(self) -> str:
        """The split, and the number of the shard in it."""
        return f"{self.data.split or 'data set'}, shard {self.index}"

    def samples(self) -> Generator[HubSample]:
        """Yield the rows."""
        features = self.data.features or {}
        told = {name: told_by(feature) for name, feature in features.items()}
        shard = self.data
        if self.data.num_shards > 1:
            shard = self.data.shard(self.data.num_shards, self.index)
        rows = iter(shard)
        with closing(rows):
            for number, row in enumerate(rows):
                name = f"{self.name}, row {number}"
                yield HubSample(
                    name,
                    {k: told[k](value, name) if k in told else value for k, value in row.items()},
                )


def hub_shards(data: Any) -> list[HubShard]:
    """Return the shards of a streamed data set, whose pictures are left as they are stored."""
    if data.features is not None:
        data = undecoded(data, list(data.features))
    return [HubShard(data, i) for i in range(data.num_shards)]


def told_length(data: Any) -> int | None:
    """Return how many rows the library says that a streamed split has."""
    splits = data.info.splits or {}
    found = splits.get(str(data.split))
    return None if found is None else found.num_examples
