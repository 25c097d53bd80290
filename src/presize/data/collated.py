"""The general way: samples of any kind are made one by one and then collated to a batch."""

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from presize.core.randomness import Samples
from presize.data.collate import collate, tensors_of
from presize.data.processes import Remote
from presize.data.samples import Entry, Made, active, explained, read, without
from presize.data.streams import DeviceStream
from presize.data.workers import Job, given_up

if TYPE_CHECKING:
    from presize.data.loader import DataLoader


class CollatedRoute:
    """Makes batches of whatever the data set and the transforms give.

    Args:
        loader: gives the data and the transforms.
        stream: says whether the batch is to be in page-locked memory.
    """

    def __init__(self, loader: "DataLoader", stream: DeviceStream) -> None:
        self.loader = loader
        self.item_stage = active(loader.after_item)
        self.list_stage = active(loader.before_batch)
        self.rest = active(loader.after_batch)
        self.collate = loader.collate or functools.partial(collate, pin=stream.pins)
        self.remote = Remote(loader) if loader.processes and loader.num_workers else None
        # The elements of plain collections draw nothing: spare them the context, 3 us an item.
        self.only_looks_up = (
            self.item_stage is None
            and loader.indexed
            and isinstance(loader.dataset, list | tuple | range | str | Tensor | np.ndarray)
        )

    def job(self, chunk: list[Entry], samples: Samples, per_part: int) -> Job[Made]:
        """Return the work of making one batch, in parts of at most `per_part` entries."""
        starts = range(0, len(chunk), per_part)
        parts = [
            functools.partial(self.some, samples, range(i, min(i + per_part, len(chunk))), chunk)
            for i in starts
        ]
        return Job(parts, functools.partial(self._finish, samples))

    def some(self, samples: Samples, places: range, chunk: list[Entry]) -> list[Any]:
        """Return the samples at some places of a batch; None for one that is left out."""
        if self.remote is not None:
            return self.remote.some(samples, places, chunk)
        return self.here(samples, places, chunk)

    def here(
        self, samples: Samples, places: Iterable[int], chunk: Sequence[Entry] | Mapping[int, Entry]
    ) -> list[Any]:
        """Return the same, made in this process."""
        if self.only_looks_up:
            with contextlib.suppress(Exception):  # what is done below says which item it was
                return [self.loader.create_item(chunk[i][1]) for i in places]
        made: list[Any] = []
        for i in places:
            if given_up():
                break
            made.append(self._sample(samples, i, chunk[i]))
        return made

    def _sample(self, samples: Samples, i: int, entry: Entry) -> Any:
        sample = None

        def make(ref: Any) -> Any:
            nonlocal sample
            sample = None
            sample = self.loader.create_item(ref)
            return sample if self.item_stage is None else self.item_stage(sample)

        try:
            with samples.context(i):
                return read(self.loader, samples, i, entry[1], make)
        except Exception as error:
            better = explained(self.loader, entry, error, sample)
            if better is error:
                raise
            raise better from error

    def _finish(self, samples: Samples, parts: Sequence[list[Any]]) -> Made:
        made = [sample for part in parts for sample in part]
        if self.loader.quarantine is not None:
            samples = without(samples, made)
            made = [sample for sample in made if sample is not None]
            if not made:
                return samples, None
        return samples, self._assembled(samples, made)

    def _assembled(self, samples: Samples, made: list[Any]) -> Any:
        if self.loader.bs is None:
            return tensors_of(made[0])
        if self.list_stage is None:
            return self.collate(made)
        return self.collate(self.list_stage(made))
