"""One pass of a loader over its data: items become samples, samples become batches."""

import functools
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.data.blame import batch_failed, item_failed
from presize.data.collate import collate, tensors_of
from presize.data.rows import row
from presize.data.streams import DeviceStream, Sent
from presize.data.workers import Job, run_in_order

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

Stage = Callable[[Any], Any]
Entry = tuple[int, Any]
"""The number that keys a sample's draws, and what it is made of: an index, or the item itself."""

# Items in one task of a worker: few, so that the threads share a batch evenly and stop soon, and
# more than one, because handing over a task costs about 20 us.
_MOST_IN_PART = 8


class Pass:
    """What stays the same during one pass: the epoch, the transforms, the way to the device."""

    def __init__(self, loader: "DataLoader", epoch: int) -> None:
        self.loader, self.epoch = loader, epoch
        self.seed = loader.current_seed()
        self.item_stage = _active(loader.after_item)
        self.list_stage = _active(loader.before_batch)
        after = _active(loader.after_batch)
        self.batch_stage = after.fused() if isinstance(after, Pipeline) else after
        self.stream = DeviceStream(loader.device)
        self.collate = loader.collate or functools.partial(collate, pin=self.stream.pins)
        # The elements of plain collections draw nothing: spare them the context, 3 us an item.
        self.only_looks_up = (
            self.item_stage is None
            and loader.indexed
            and isinstance(loader.dataset, list | tuple | range | str | Tensor | np.ndarray)
        )

    def run(self, entries: Iterator[Entry], threads: int) -> Generator[Any]:
        """Yield the batches of `entries`, made by so many threads."""
        size = self.loader.bs or 1
        per_part = min(_MOST_IN_PART, -(-size // max(threads, 1)))
        # Enough batches under way that there is a part for every thread.
        ahead = max(self.loader.prefetch, -(-threads * per_part // size))
        jobs = (self._job(chunk, per_part) for chunk in self._chunks(entries, size))
        made = run_in_order(jobs, threads=threads, ahead=ahead, timeout=self.loader.timeout)
        try:
            for keys, sent in made:
                batch = self.stream.receive(sent)
                yield self._after(keys, batch) if self.stream.is_remote else batch
        finally:
            made.close()  # the threads end now, not when the garbage is collected

    def _chunks(self, entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
        while chunk := list(itertools.islice(entries, size)):
            if len(chunk) == size or not self.loader.drop_last:
                yield chunk

    def _job(self, chunk: list[Entry], per_part: int) -> Job[tuple[list[int], Sent]]:
        starts = range(0, len(chunk), per_part)
        parts = [functools.partial(self._samples, chunk[i : i + per_part]) for i in starts]
        return Job(parts, functools.partial(self._finish, [key for key, _ in chunk]))

    def _samples(self, entries: list[Entry]) -> list[Any]:
        if self.only_looks_up:
            return [self.loader.create_item(ref) for _, ref in entries]
        return [self._sample(key, ref) for key, ref in entries]

    def _sample(self, key: int, ref: Any) -> Any:
        sample = None
        try:
            with sample_context(self.seed, self.epoch, key):
                sample = self.loader.create_item(ref)
                return sample if self.item_stage is None else self.item_stage(sample)
        except Exception as error:
            explained = item_failed(error, *self._named(key, ref), sample)
            if explained is error:
                raise
            raise explained from error

    def _named(self, key: int, ref: Any) -> tuple[int, Any]:
        """Return the number of an item and what is known of it, such as its path."""
        if not self.loader.indexed:
            return key, ref
        try:
            return ref, row(self.loader.dataset.items, ref)
        except Exception:  # the data set may be anything, and this only serves to name the item
            return ref, None

    def _finish(self, keys: list[int], parts: Sequence[list[Any]]) -> tuple[list[int], Sent]:
        samples = [sample for part in parts for sample in part]
        with self._batch_context(keys, samples):
            sent = self.stream.send(self._assembled(samples))
        if self.stream.is_remote:
            return keys, sent
        return keys, (self._after(keys, sent[0]), None)

    def _assembled(self, samples: list[Any]) -> Any:
        if self.loader.bs is None:
            return tensors_of(samples[0])
        return self.collate(samples if self.list_stage is None else self.list_stage(samples))

    def _after(self, keys: list[int], batch: Any) -> Any:
        if self.batch_stage is None:
            return batch
        with self._batch_context(keys, batch):
            return self.batch_stage(batch)

    @contextmanager
    def _batch_context(self, keys: list[int], batch: Any) -> Iterator[None]:
        try:
            with sample_context(self.seed, self.epoch, keys):
                yield
        except Exception as error:
            explained = batch_failed(error, keys, batch)
            if explained is error:
                raise
            raise explained from error


def _active(stage: Any) -> Any:
    """Return a stage that does something, else None."""
    return None if isinstance(stage, Pipeline) and not len(stage) else stage
