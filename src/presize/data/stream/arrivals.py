"""The order in which samples of shards arrive: several shards side by side, then a buffer."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from presize.core.randomness import Draws

if TYPE_CHECKING:
    from presize.data.stream.itemstream import Shard

T = TypeVar("T")

# The first batch need not wait until a large buffer is full: it grows by one sample with each that
# is taken.
_AT_FIRST = 100
# Draws that are made at once; one by one they would take 0.2 ms each.
_BLOCK = 1024
# Samples that a thread reads before it hands them over, and as many again that wait.
_AHEAD = 4


def buffered(arriving: Iterable[T], size: int, seed: int, epoch: int) -> Iterator[T]:
    """Yield what arrives in another order: each time any one of up to `size` that are waiting.

    Args:
        arriving: the samples, or just their numbers.
        size: how many wait at most, 1 or more; 1 keeps the order.
        seed: of the draws.
        epoch: of the draws.
    """
    source = iter(arriving)
    waiting = list(itertools.islice(source, min(size, _AT_FIRST)))
    for word in _words(seed, epoch):
        if len(waiting) < size:
            waiting.extend(itertools.islice(source, 1))
        if not waiting:
            return
        place = (word * len(waiting)) >> 32
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        yield waiting.pop()
        waiting.extend(itertools.islice(source, 1))


def _words(seed: int, epoch: int) -> Iterator[int]:
    """Yield 32 random bits each time."""
    for first in itertools.count(0, _BLOCK):
        numbers = np.arange(first, first + _BLOCK, dtype=np.int64)
        yield from Draws(seed, epoch, numbers, "shards.buffer").words().tolist()


def side_by_side(shards: "Sequence[Shard]", *, ahead: bool = True) -> Iterator[Any]:
    """Yield a sample of each shard in turn, until all have come to their end.

    Args:
        shards: read at the same time.
        ahead: let a thread for each remote shard read some samples ahead.
    """
    with ExitStack() as opened:
        lanes: list[Iterator[Any]] = []
        for shard in shards:
            lanes.append(opened.enter_context(closing(shard.samples())))
        if ahead and any(shard.remote for shard in shards):
            # It is left before the shards are closed, so that no thread still reads them then.
            pool = ThreadPoolExecutor(len(shards), thread_name_prefix="presize-shards")
            opened.callback(pool.shutdown, wait=True, cancel_futures=True)
            lanes = [
                read_ahead(lane, pool) if shard.remote else lane
                for lane, shard in zip(lanes, shards, strict=True)
            ]
        while lanes:
            for lane in tuple(lanes):
                try:
                    sample = next(lane)
                except StopIteration:
                    lanes.remove(lane)
                else:
                    yield sample


def read_ahead(samples: Iterator[T], pool: ThreadPoolExecutor) -> Iterator[T]:
    """Yield the samples, of which `pool` reads the next few at any time."""

    def some() -> list[T]:
        return list(itertools.islice(samples, _AHEAD))

    due = pool.submit(some)
    while arrived := due.result():
        due = pool.submit(some)
        yield from arrived
