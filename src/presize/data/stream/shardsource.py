"""Pictures and labels in tar shards, on a disk or behind a URL, as the source of a data block.

    source = Shards("s3://birds/train-{000..099}.tar", "s3://birds/valid-{00..09}.tar",
                    n=1_000_000, valid_n=50_000, classes=names)
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), item_tfms=Resize(460),
                      batch_tfms=aug_transforms(size=224))
    dls = block.dataloaders(source)

The layout is that of WebDataset: in a plain tar archive, files that are named alike up to the first
dot are one sample, such as `00042.jpg` and `00042.cls`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from presize.core.errors import DataError
from presize.data.stream.itemstream import ItemStream
from presize.data.stream.ranks import Rank, current_rank
from presize.data.stream.shardlist import Urls, shards_of
from presize.data.stream.shardsample import ShardSample
from presize.data.stream.streamsource import StreamSource, check_counts, split_shards
from presize.data.stream.tarshard import TarShard


class ShardItems(ItemStream):
    """The samples of some shards, by themselves: a test set, `dls.test_dl(ShardItems(...))`.

    Args:
        urls: see `Shards`.
        n: samples in them; by default as `sizes.json` beside them says, or as they are counted.
        rank: see `ItemStream`; by default all of them belong to this process.
    """

    def __init__(self, urls: Urls, *, n: int | None = None, rank: Rank | None = None) -> None:
        check_counts(n=n)
        shards, total = shards_of(urls, count=n is None)
        super().__init__(shards, n=total if n is None else n, rank=rank or Rank())


class Shards(StreamSource):
    """Training and validation sets in tar shards.

    With several processes (torchrun) each reads its own shards. Training shuffles: the shards, of
    which a few are read side by side, and then the samples, within a buffer; the order depends on
    seed and epoch alone. How many samples there are has to be known; it is, where a file
    `sizes.json` (`{"train-000.tar": 1000, ...}`) lies beside the shards or they are on a disk.

    Args:
        urls: paths or URLs (whatever fsspec knows: s3, gs, https, ...), one or a list;
            `{000..099}` stands for a hundred.
        valid: the shards for validation; by default a share of `urls`.
        n: training samples in a pass.
        valid_n: validation samples.
        valid_pct: the share of the shards, 0 to 1, that is for validation where `valid` is None.
        seed: which shards these are.
        classes: the names of the classes 0, 1, ... where labels are numbers.
        buffer: training samples to draw from; pictures behind URLs wait there in memory.
        readers: training shards that are read side by side.

    Raises:
        DataError: no or missing shards, fewer than processes, or an unknown number of samples.
        ImportError: URLs, or patterns with `{`, and the packages for them are missing.
    """

    def __init__(
        self,
        urls: Urls,
        valid: Urls | None = None,
        *,
        n: int | None = None,
        valid_n: int | None = None,
        valid_pct: float = 0.2,
        seed: int = 42,
        classes: Sequence[str] | None = None,
        buffer: int = 1000,
        readers: int = 4,
    ) -> None:
        check_counts(n=n, valid_n=valid_n, buffer=buffer, readers=readers)
        rank = current_rank()
        if valid is None:
            shards, _ = shards_of(urls, count=n is None or valid_n is None)
            shards, valid_shards = _divided(shards, valid_pct, seed)
        else:
            shards, total = shards_of(urls, count=n is None)
            # With several processes it has to be known of each shard.
            valid_shards, valid_total = shards_of(valid, count=valid_n is None or rank.world > 1)
            n, valid_n = n or total, valid_n or valid_total
        super().__init__(
            ItemStream(shards, n=n, even=True, buffer=buffer, readers=readers, rank=rank),
            ItemStream(valid_shards, n=valid_n, rank=rank),
        )
        self.classes = None if classes is None else list(classes)

    def own_getter(self, i: int, n_inp: int) -> Callable[[Any], Any]:
        """Return what takes the picture, or the label, out of a sample."""
        return picture_of if i < n_inp else ShardLabel(classes=self.classes)


class ShardLabel:
    """Takes the label out of a sample.

    Args:
        member: the ending of the file that holds it.
        classes: the names of the classes 0, 1, ...; None leaves labels as they are.
    """

    def __init__(self, member: str = "cls", classes: Sequence[str] | None = None) -> None:
        self.member, self.classes = member, classes

    def __call__(self, sample: ShardSample) -> Any:
        """Return the label.

        Raises:
            DataError: the sample has none, or one that is no class.
        """
        if self.member not in sample:
            raise DataError(
                f"The sample `{sample.name}` has no label `{self.member}`: its members are "
                f"{', '.join(f'`{one}`' for one in sample)}. Say where the label is, such as "
                'get_y=lambda sample: sample["json"]["label"].'
            )
        label = sample[self.member]
        if self.classes is None or isinstance(label, str):
            return label
        if not isinstance(label, int) or not 0 <= label < len(self.classes):
            raise DataError(
                f"The label `{self.member}` of the sample `{sample.name}` is {label!r}, but "
                f"there are {len(self.classes)} classes, 0 to {len(self.classes) - 1}."
            )
        return self.classes[label]

    def __repr__(self) -> str:
        return f"ShardLabel({self.member!r})"


def picture_of(sample: ShardSample) -> bytes:
    """Return the bytes of the picture of a sample."""
    return sample.picture()


def _divided(
    shards: list[TarShard], valid_pct: float, seed: int
) -> tuple[list[TarShard], list[TarShard]]:
    if len(shards) < 2:
        raise DataError(
            f"There is one shard, `{shards[0].name}`, and training and validation need one each. "
            "Name the others, valid=..., or write more and smaller shards."
        )
    return split_shards(shards, valid_pct, seed)
