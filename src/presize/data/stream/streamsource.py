"""What sources have in common whose training and validation sets are streams."""

from collections.abc import Sequence
from typing import Any, TypeVar

from presize.core.errors import DataError
from presize.core.randomness import shuffled
from presize.data.positions import check_part
from presize.data.stream.itemstream import ItemStream

S = TypeVar("S")


class StreamSource:
    """A training and a validation set that arrive as streams.

    Args:
        train: the training set.
        valid: the validation set.
    """

    def __init__(self, train: ItemStream, valid: ItemStream) -> None:
        self.train, self.valid = train, valid

    def own_splits(self) -> Sequence[Sequence[int]]:
        """Return the positions for training and for validation."""
        n = len(self.train)
        return range(n), range(n, n + len(self.valid))

    def selected(self, indices: Sequence[int]) -> ItemStream:
        """Return the set that the positions stand for.

        Raises:
            DataError: they are of neither.
        """
        for part, own in zip((self.train, self.valid), self.own_splits(), strict=True):
            if indices == own:
                return part
        raise DataError(
            f"{self!r}: samples that arrive as streams cannot be split by position. The "
            "validation set has to be named where the source is made."
        )

    def __len__(self) -> int:
        return len(self.train) + len(self.valid)

    def __getitem__(self, i: int) -> Any:
        n = len(self.train)
        return self.train[i] if i < n else self.valid[i - n]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}: {len(self.train)} samples for training, {len(self.valid)} "
            "for validation"
        )


def split_shards(shards: Sequence[S], valid_pct: float, seed: int) -> tuple[list[S], list[S]]:
    """Return the shards for training, and those drawn for validation.

    Args:
        shards: two or more.
        valid_pct: the share for validation, 0 to 1; one shard at least.
        seed: gives the same shards every time.
    """
    check_part("valid_pct", valid_pct)
    many = min(max(1, round(valid_pct * len(shards))), len(shards) - 1)
    chosen = set(shuffled(len(shards), seed=seed, epoch=0)[:many].tolist())
    valid = [shard for i, shard in enumerate(shards) if i in chosen]
    return [shard for i, shard in enumerate(shards) if i not in chosen], valid


def check_counts(**counts: int | None) -> None:
    """Raise ValueError where one of the numbers is below 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is a number from 1 on, but got {value}.")
