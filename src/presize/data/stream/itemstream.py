"""Items that arrive one after another, out of shards: more of them than one disk holds.

The order is counted, like all randomness here: that of the shards, and the place in the buffer that
each sample is taken from, depend on (seed, epoch) alone, and on no thread.

    shards in a drawn order -> a few are read side by side -> a buffer that is drawn from -> samples
"""

import itertools
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from presize.core.errors import DataError
from presize.core.randomness import shuffled
from presize.data.stream.arrivals import buffered, side_by_side
from presize.data.stream.ranks import Rank, current_rank

# What is looked at without training, such as the first sample of a summary, is read once.
_HEAD = 16


class Shard(Protocol):
    """A part of the data that is read from its start to its end."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        ...

    @property
    def count(self) -> int | None:
        """How many samples it holds; None if that is not known."""
        ...

    @property
    def remote(self) -> bool:
        """Whether reading takes time: threads then read ahead, and nothing walks through it all."""
        ...

    def samples(self) -> Generator[Any]:
        """Yield its samples, in their order."""
        ...


class ItemStream:
    """Samples out of shards, as items of a data set: they have a length, but hardly positions.

    A loader takes what `entries` yields; where an item is asked for by position, `stream[i]`, it is
    looked up from the start of a shard, for a look at a few. `stream[sample]` is the sample itself,
    so that a sample serves as its own index.

    With several processes (ranks) each reads other shards.

    Args:
        shards: the shards, in their order.
        n: samples in all of them; by default their counts added up.
        even: every rank has the same number of samples, as training needs it: those of a rank with
            fewer come again, of one with more some wait for another epoch. Else each sample comes
            once.
        buffer: how many samples to draw from when they are shuffled.
        readers: how many shards are read side by side when they are shuffled.
        rank: which process of how many this is; by default the environment says.

    Raises:
        DataError: there are fewer shards than ranks, or the number of samples is not known.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        n: int | None = None,
        even: bool = False,
        buffer: int = 1000,
        readers: int = 4,
        rank: Rank | None = None,
    ) -> None:
        self.shards, self.buffer, self.readers = shards, buffer, readers
        self.rank = current_rank() if rank is None else rank
        if len(shards) < self.rank.world:
            raise DataError(
                f"There are {self.rank.world} processes, but {_shards(len(shards))} to share "
                f"({_some(shards)}): each needs one of its own at least. Write more and smaller "
                "shards, or start fewer processes."
            )
        self.n = self._length(n, even)
        self._head: list[Any] | None = None
        self._lock = threading.Lock()

    def entries(
        self, *, shuffle: bool, seed: int, epoch: int, start: int = 0
    ) -> Iterator[tuple[int, Any]]:
        """Yield the samples of a pass, each with the number that keys its draws.

        Args:
            shuffle: in a new order every epoch, else as they are stored.
            seed: of the order.
            epoch: of the order.
            start: how many samples of this pass have been given already, before the run was
                interrupted; they are passed over, whole shards of them without being opened where
                all counts are known.
        """
        if shuffle:
            samples = self._shuffled(seed, epoch, start)
        else:
            samples = self._in_order(start)
        for number, sample in enumerate(samples, start):
            yield number * self.rank.world + self.rank.number, sample

    @property
    def walkable(self) -> bool:
        """Whether a walk through all samples, as for their labels, costs little."""
        return not any(shard.remote for shard in self.shards)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Any]:
        return self._in_order(0)

    def __getitem__(self, i: Any) -> Any:
        """Return sample `i` in the stored order; a sample stands for itself."""
        if not hasattr(i, "__index__"):
            return i
        place = range(self.n)[i]
        if place >= _HEAD:
            with closing(self._in_order(place, ahead=False)) as samples:
                for sample in samples:
                    return sample
        with self._lock:
            if self._head is None:
                with closing(self._in_order(0, ahead=False)) as samples:
                    self._head = list(itertools.islice(samples, _HEAD))
            if place < len(self._head):
                return self._head[place]
        raise IndexError(f"There is no sample {place} in the shards ({_some(self.shards)}).")

    def __getstate__(self) -> dict[str, Any]:
        # Locks cannot go to another process, and what was looked at need not.
        return {**vars(self), "_head": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.n} samples in {_shards(len(self.shards))}"

    # ----------------------------------------------------------------------------------------

    def _own(self, shards: Sequence[Shard]) -> Sequence[Shard]:
        return shards[self.rank.number :: self.rank.world]

    def _length(self, n: int | None, even: bool) -> int:
        """Return how many samples this rank takes in a pass."""
        counts = _counts(self.shards)
        if not even and self.rank.world > 1:
            if counts is None:
                raise DataError(
                    f"With {self.rank.world} processes it has to be known how many samples each "
                    f"shard of the validation set holds ({_some(self.shards)}), because every "
                    "sample is to count once. Put a file sizes.json beside the shards, "
                    '{"name of the shard": number, ...}; `shard_sizes(shards, write=True)` makes '
                    "it for shards on a disk."
                )
            return sum(shard.count or 0 for shard in self._own(self.shards))
        total = n if counts is None or n is not None else sum(counts)
        if total is None:
            raise DataError(
                f"How many samples the shards hold is not known ({_some(self.shards)}). Give the "
                "number, n=... (of validation samples valid_n=...); or put a file sizes.json "
                'beside the shards, {"name of the shard": number, ...}. `shard_sizes(shards)` '
                "counts by reading them once."
            )
        if total < self.rank.world:
            raise DataError(
                f"{_some(self.shards)}: {_shards(len(self.shards))} with {total} samples in all "
                f"{'is' if len(self.shards) == 1 else 'are'} too few for {self.rank.world} "
                f"process{'es' * (self.rank.world != 1)}. Is this the right place?"
            )
        return total // self.rank.world

    def _in_order(self, start: int, *, ahead: bool = True) -> Generator[Any]:
        """Yield the samples as they are stored, from number `start` on."""
        number, own = 0, self._own(self.shards)
        # With several processes one may have to begin anew, to have as many as the others.
        while True:
            before = number
            for shard in own:
                count = shard.count
                if count is not None and number + count <= start:
                    number += count
                    continue
                for sample in side_by_side([shard], ahead=ahead):
                    number += 1
                    if number > start:
                        yield sample
                    if number == self.n:
                        return
            if number in (before, self.n) or self.rank.world == 1:
                break
        if number < self.n:
            warnings.warn(
                f"The shards ({_some(own)}) hold {number} samples, not n={self.n}: correct n=, "
                "else progress and averages are wrong.",
                stacklevel=2,
            )

    def _shuffled(self, seed: int, epoch: int, start: int) -> Iterator[Any]:
        """Yield the samples in the order of an epoch, from number `start` on."""
        given = None
        if start and _counts(self.shards) is not None:
            # The order is known without reading: which samples have been given?
            given = np.zeros(self.n, dtype=np.bool_)
            numbers = buffered(range(self.n), self.buffer, seed, epoch)
            given[list(itertools.islice(numbers, start))] = True
        arriving = itertools.islice(self._arriving(seed, epoch, given), self.n)
        return itertools.islice(buffered(arriving, self.buffer, seed, epoch), start, None)

    def _arriving(
        self, seed: int, epoch: int, given: npt.NDArray[np.bool_] | None
    ) -> Iterator[Any]:
        """Yield samples in the order of the shards, round after round without end.

        Where all samples of the shards that are read side by side have been `given`, they are not
        opened, and None stands for each sample.
        """
        number = 0
        for turn in itertools.count():
            order = shuffled(len(self.shards), seed=seed + turn, epoch=epoch)
            own = self._own([self.shards[i] for i in order.tolist()])
            before = number
            for first in range(0, len(own), self.readers):
                together = own[first : first + self.readers]
                total = sum(shard.count or 0 for shard in together)
                if given is not None and given[number : number + total].all():
                    yield from itertools.repeat(None, total)
                    number += total
                    continue
                for sample in side_by_side(together):
                    number += 1
                    yield sample
            if number == before:
                raise DataError(f"There are no samples in the shards ({_some(own)}).")


def stream_of(dataset: Any) -> ItemStream | None:
    """Return the stream that a data set, or what it is made of, is; None if it has positions."""
    for place in (dataset, getattr(dataset, "items", None)):
        if isinstance(place, ItemStream):
            return place
    return None


def _counts(shards: Iterable[Shard]) -> list[int] | None:
    counts = [shard.count for shard in shards]
    return None if None in counts else counts  # type: ignore[return-value]  # none of them is


def _shards(n: int) -> str:
    return f"{n} shard{'s' * (n != 1)}"


def _some(shards: Sequence[Shard]) -> str:
    """Name the first shards."""
    names = [f"`{shard.name}`" for shard in shards[:2]]
    return ", ".join(names) + ", ..." * (len(shards) > 2)
