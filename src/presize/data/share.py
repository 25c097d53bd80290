"""How processes that train together divide the batches of a loader between them.

Batch b of all of them together, the global batch, is what one process would have as batch b with a
batch size `world` times as large; draws are keyed by the sample, so that these are the same, too.

    global batch:  |  rank 0: bs items  |  rank 1: bs items  | ...
    the last one:  |  rank 0: its items  |  rank 1: as many or one less  | ...
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from presize.core.errors import DataError
from presize.core.ranks import Rank
from presize.data.stream.itemstream import stream_of
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The part of each batch that is that of one process.

    In training all processes take as many steps, of two items at least where `bs` is more than one,
    as BatchNorm refuses a single one: of a last batch with fewer items nothing is taken. In
    validation every item is taken once, and a process may have a batch less.

    Args:
        rank: which process of how many.
        training: whether all processes need as many batches.
        seed: of order and draws, the same in all processes; for loaders without one of their own.
    """

    rank: Rank
    training: bool
    seed: int

    def size(self, items: int, bs: int) -> int:
        """Return how many of the `items` of a batch belong to this process.

        Args:
            items: in the batch of all processes.
            bs: samples in a full batch of one process.
        """
        if self.training and items < self.least(bs):
            return 0
        return items // self.rank.world + (self.rank.number < items % self.rank.world)

    def least(self, bs: int) -> int:
        """Return with how many items of all processes a batch is trained on."""
        return self.rank.world * min(bs, 2)

    def entries(
        self, entries: Iterator[T], bs: int, *, first: bool, drop_last: bool
    ) -> Iterator[T]:
        """Yield what belongs to this process, batch by batch.

        Args:
            entries: those of all processes, from the start of a batch on.
            bs: samples in a batch of one process.
            first: whether they begin with the first batch.
            drop_last: leave out a last batch that is not full, if there is one before it.
        """
        number, world = self.rank
        while whole := list(itertools.islice(entries, bs * world)):
            if len(whole) < bs * world and drop_last and not first:
                return
            own = self.size(len(whole), bs)
            begin = number * (len(whole) // world) + min(number, len(whole) % world)
            yield from whole[begin : begin + own]
            first = False

    def batches(self, items: int, bs: int, *, drop_last: bool) -> int:
        """Return how many batches this process has of so many items."""
        full, rest = divmod(items, bs * self.rank.world)
        taken = bool(self.size(rest, bs)) and not (drop_last and full)
        return full + taken

    def weight(self, i: int, items: int, bs: int) -> float:
        """Return what a mean over this process's part of batch `i` counts for in the whole.

        The mean over the processes of such weighted means is that over all items of the batch.

        Args:
            i: the number of the batch.
            items: in the data.
            bs: samples in a batch of one process.
        """
        world = self.rank.world
        whole = min(items - i * bs * world, bs * world)
        return self.size(whole, bs) * world / whole if whole > 0 else 1.0


def divide(loader: "DataLoader", share: Share | None) -> None:
    """Let a loader give the part of one process; None lets it give everything again.

    Raises:
        DataError: there are fewer items than processes, or the data was divided in another way.
    """
    if share == loader.share:
        return
    if share is not None:
        _check(loader, share)
    loader.share = share


def comes_divided(loader: "DataLoader") -> bool:
    """Say whether each process has its own part of the data already: of shards, by a sampler."""
    return stream_of(loader.dataset) is not None or hasattr(loader.sampler, "num_replicas")


def _check(loader: "DataLoader", share: Share) -> None:
    world, stream = share.rank.world, stream_of(loader.dataset)
    if stream is not None and stream.rank != share.rank:
        raise DataError(
            f"The shards were divided for process {stream.rank.number} of {stream.rank.world}, but "
            f"this is process {share.rank.number} of {world}. Start the program with torchrun, so "
            "that this is known when the data is made."
        )
    items = loader._length()
    if not share.training or items is None or comes_divided(loader):
        return
    bs = loader.bs or 1
    if 0 < items < (least := share.least(bs)):
        raise DataError(
            f"{world} processes train together, but there {'is' if items == 1 else 'are'} only "
            f"{items} item{'s' * (items != 1)} to train on: they need {least}, {least // world} "
            "each. Start fewer processes."
        )
    whole = bs * world
    if loader.drop_last and items < whole and share.rank.is_main:
        warn_user(
            f"A batch of {world} processes has {whole} items, but there are only {items} to train "
            f"on: training goes on with batches of {items}. Pass bs={max(items // world, 1)} or "
            "less."
        )
