"""`DataLoader`: batches of any collection, made by threads some batches ahead."""

import copy
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Never, Self, Unpack

import torch

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.core.randomness import shuffled
from presize.core.transform import Transform
from presize.data.flow import Flow
from presize.data.loaderchecks import checked_size, one_size, why_empty
from presize.data.onepass import Pass
from presize.data.options import Device, LoaderOptions, Tfms, Weights, refuse_unknown
from presize.data.position import Position, Resumable
from presize.data.processes import ProcessPool, shared_pool
from presize.data.quarantine import Quarantine
from presize.data.rows import can_be_indexed, count, row, walk
from presize.data.samplers import Weighted, check_sampler, indices_of, keyed, length_of
from presize.data.samples import Entry
from presize.data.share import Share, comes_divided
from presize.data.slots import SlotPool
from presize.data.stream.itemstream import stream_of

if TYPE_CHECKING:
    from presize.data.badreads import OnBad
    from presize.data.caching.cache import PictureCache

# What loaders elsewhere let a subclass replace, and what to replace here.
_NEVER_CALLED = {
    "create_batch": "collate(self, samples)",
    "shuffle_fn": "get_idxs(self)",
    "collate_fn": "collate(self, samples)",
}
# Two threads that begin a pass of one loader begin two epochs.
_beginning = threading.RLock()


class DataLoader(Resumable):
    """Batches of a collection: `for x, y in DataLoader(pairs, batch_size=64, shuffle=True)`.

    The batches are the same for any number of workers, which are threads: what they do in Python
    takes turns, while decoding, resizing and tensor operations run side by side. Draws depend on
    the seed, the epoch and the item alone. A pass that is left half way can be gone on with after
    a restart, see `state_dict`; the next one is that of the next epoch. A subclass may define
    `create_item`, `get_idxs`, and, as methods, the functions from `before_iter` to `collate`.

    Args:
        dataset: anything that can be indexed or walked through, also without end (with `n`). What
            cannot be indexed is read in the calling thread; its transforms run in the workers.
        batch_size: samples in a batch; None yields single samples, their arrays as tensors.
        shuffle: a new order every epoch.
        sampler: the indices of a pass, in place of shuffling: a list, or an object that yields them
            anew in every pass, such as PyTorch's samplers. If it has a `set_epoch`, that is called.
        weights: how often each item comes up, relative to the others: a number for each, or
            "balanced", each class equally often. A pass then draws `n` items, by default as many
            as there are, and may draw an item again.
        bs: the short name of `batch_size`.
        num_workers: threads that work ahead; 0 does everything in the calling thread.
        processes: let each of these threads have a process make its samples: for slow transforms
            in pure Python. All that makes a sample has to be importable, and a script needs its
            `if __name__ == "__main__":`. Pictures that are only cut are made by threads anyway.
        drop_last: leave out a last batch that is not full.
        indexed: whether items are asked for by index; None finds out.
        n: take only so many items; needed for data without end.
        device: where batches go; None leaves them where they are.
        seed: of the order and of all draws; None takes PyTorch's.
        prefetch: batches that are under way while one is used.
        timeout: seconds to wait for a batch; 0 waits for ever.
        split_idx: 0 for a training set, 1 for validation: which transforms apply, and with 1
            every pass has the same draws.
        cache: keeps decoded pictures from one epoch to the next.
        on_bad: what becomes of a sample whose picture cannot be read: "replace" makes it of another
            item of its class (left out where split_idx is 1, and where the data has no positions),
            "skip" leaves it out, "raise" or None raises.
        quarantine: lists what was replaced or left out; by default a list of the loader's own.
        before_iter, after_iter: called without arguments before and after a pass.
        after_item: transforms of a sample; a function sees the whole of it.
        before_batch: transforms of the list of samples.
        after_batch: transforms of the batch, on its device.
        collate: makes a batch of a list of samples, in place of ours.
        get_idxs: returns the indices of a pass, also without end, of which `n` are taken; can
            also be set later, `dl.get_idxs = lambda: ...`.

    Raises:
        ValueError: options that contradict each other.
        DataError: (on iterating) an item or a batch cannot be made; says which and where.
    """

    share: Share | None = None
    """The part of each batch that this process takes where several train together."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, ours in _NEVER_CALLED.items():
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__}.{name} would never be called: what it is for is `{ours}` here."
                )

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        *,
        bs: int | None = None,
        num_workers: int = 0,
        drop_last: bool = False,
        indexed: bool | None = None,
        n: int | None = None,
        device: Device = None,
        seed: int | None = None,
        prefetch: int = 2,
        timeout: float = 0.0,
        split_idx: int | None = None,
        sampler: Iterable[int] | None = None,
        weights: Weights = None,
        processes: bool = False,
        cache: "PictureCache | None" = None,
        on_bad: "OnBad | None" = None,
        quarantine: Quarantine | None = None,
        before_iter: Callable[[], object] | None = None,
        after_item: Tfms = None,
        before_batch: Tfms = None,
        after_batch: Tfms = None,
        after_iter: Callable[[], object] | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        get_idxs: Callable[[], Iterable[int]] | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, f"{type(self).__name__}()", LoaderOptions.__annotations__)
        super().__init__(seed)
        self.dataset, self.split_idx = dataset, split_idx
        self.indexed = can_be_indexed(dataset, n) if indexed is None else indexed
        self._asked_n, self._asked_bs = n, one_size(batch_size, bs)
        self.n = count(dataset, n, indexed=self.indexed)
        self.shuffle, self.drop_last = shuffle, drop_last
        self.num_workers, self.prefetch, self.timeout = num_workers, prefetch, timeout
        self.processes, self.cache = processes, cache
        self.device = None if device is None else torch.device(device)
        self._set_hooks(before_iter, after_iter, collate)
        self._set_stages(after_item, before_batch, after_batch)
        self._set_order(sampler, weights, get_idxs)
        self._set_quarantine(on_bad, quarantine)
        self.pool: ProcessPool | None = shared_pool() if processes else None
        self.slot_pool, self.flow = SlotPool(), Flow()
        self._peeks = 0
        self.bs = checked_size(self, self._asked_bs, self._length())

    # ---- what a subclass or a user may replace ---------------------------------------------

    def get_idxs(self) -> Iterable[int]:
        """Return the indices of the pass that comes next, in their order."""
        if self.sampler is not None:
            return indices_of(self.sampler, self.epoch)
        if self._weighted is not None:
            return self._weighted.indices(self.current_seed(), self.epoch)
        if self.n is None:
            return itertools.count()
        if self.shuffle:
            order: list[int] = shuffled(self.n, seed=self.current_seed(), epoch=self.epoch).tolist()
            return order
        return range(self.n)

    def create_item(self, ref: Any) -> Any:
        """Return a sample: of its index, or, where the data is not indexed, of the item itself."""
        if self.indexed:
            return row(self.dataset, ref)
        return ref if stream_of(self.dataset) is None else self.dataset._at(ref)

    # ---- batches ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        with _beginning:
            once, start = Pass(self, self.epoch), self._start
            entries = self._entries(start * (self.bs or 1))
            self._start = 0
            if self.split_idx != 1:
                self.epoch += 1
            self.flow = Flow(once.stream, single=self.bs is None)
            self._under_way = here = Position(once, start, self.flow)
        return self._batches(here, entries)

    def __len__(self) -> int:
        length = self._length()
        if length is None:
            what = self.dataset if self.sampler is None else self.sampler
            raise TypeError(
                f"How many batches there are is not known: the {type(what).__name__} has "
                "no length. Pass n=, the number of items to take, or make a list of them."
            )
        bs = self.bs or 1
        if self._part is not None:
            return self._part.batches(length, bs, drop_last=self.drop_last)
        return length // bs if self.drop_last else -(-length // bs)

    @property
    def batch_size(self) -> int | None:
        """The same as `bs`."""
        return self.bs

    def one_batch(self) -> Any:
        """Return a batch, as the next pass might begin with; of a training set each time another.

        Looking at batches does not change those that training gets.

        Raises:
            DataError: there is no data.
        """
        look = self._here()
        if self.split_idx != 1:
            self._peeks += 1
            look.epoch = -self._peeks  # epochs that no training has
        entries = itertools.islice(look._entries(), self.bs or 1)
        for batch in Pass(look, look.epoch).run(entries, self.num_workers):
            return batch
        raise DataError(f"There is no batch to take: {why_empty(look, self._length())}")

    def batch_of(self, indices: Sequence[int]) -> Any:
        """Return the batch of the items at these indices, made in the calling thread.

        Raises:
            ImageError: a picture cannot be read; no other one takes its place.
        """
        whole = self._here()
        whole.bs, whole.drop_last, whole.quarantine = len(indices), False, None
        stream = stream_of(self.dataset)
        entries: Iterator[Entry] = keyed(indices)
        if stream is not None:
            entries = ((key, stream[index]) for key, index in entries)
        return next(Pass(whole, self.epoch).run(entries, 0))

    def _batches(self, here: Position, entries: Iterator[Entry]) -> Iterator[Any]:
        if self.before_iter is not None:
            self.before_iter()
        yield from here.flow.watch(here.once.run(entries, self.num_workers))
        if self._under_way is here:
            self._under_way = None
        if self.quarantine is not None:
            self.quarantine.report()
        if self.after_iter is not None:
            self.after_iter()

    def current_seed(self) -> int:
        """Return the seed that the next pass uses."""
        if self.seed is None and self.share is not None:
            return self.share.seed
        return super().current_seed()

    def weight_in_batch(self, i: int) -> float:
        """Return what the mean over this loader's batch `i` counts for in that of all processes.

        1 where they have as many items, and where that is not known.
        """
        length = self._length()
        if self._part is None or length is None:
            return 1.0
        return self._part.weight(i, length, self.bs or 1)

    @property
    def _part(self) -> Share | None:
        """The part of each batch that is taken; None for all of it, and for data in parts."""
        return None if self.share is None or comes_divided(self) else self.share

    def _entries(self, start: int = 0) -> Iterator[Entry]:
        """Return what the samples of this process are made of, from its number `start` on."""
        part = self._part
        if part is None:
            return self._all_entries(start)
        everything = self._all_entries(start * part.rank.world)
        return part.entries(everything, self.bs or 1, first=start == 0, drop_last=self.drop_last)

    def _all_entries(self, start: int) -> Iterator[Entry]:
        """Return what samples are made of, from number `start` of the pass on."""
        stream = stream_of(self.dataset)
        if stream is not None:
            seed = self.current_seed()
            samples = stream.entries(shuffle=self.shuffle, seed=seed, epoch=self.epoch, start=start)
            return itertools.islice(samples, None if self.n is None else self.n - start)
        if not self.indexed:
            return itertools.islice(enumerate(walk(self.dataset)), start, self.n)
        limit = self._length() if self.sampler is None else self._asked_n
        indices = itertools.islice(iter(self.get_idxs()), limit)
        return itertools.islice(keyed(indices), start, None)

    def _batches_in_pass(self) -> int | None:
        return None if self._length() is None else len(self)

    def _length(self) -> int | None:
        """Return how many samples a pass takes; None if that is not known."""
        if self.sampler is not None:
            return length_of(self.sampler, self._asked_n)
        return self.n if self._weighted is None else self._weighted.n

    # ---- others like it --------------------------------------------------------------------

    def new(self, dataset: Any = None, **options: Unpack[LoaderOptions]) -> Self:
        """Return a loader like this one, with another data set or other options."""
        kept = self._options()
        if dataset is not None:
            of_the_items: LoaderOptions = {"indexed": None, "n": None, "quarantine": None}
            kept |= {**of_the_items, "sampler": None, "weights": None}
        if "bs" in options:
            kept["batch_size"] = None
        if options.get("sampler") is not None:
            kept["weights"], kept["shuffle"] = None, False
        if options.get("weights") is not None:
            kept["sampler"] = None
        return type(self)(self.dataset if dataset is None else dataset, **(kept | options))

    def to(self, device: Device) -> Self:
        """Let the batches go to `device`; returns the loader."""
        self.device = None if device is None else torch.device(device)
        return self

    def close(self) -> None:
        """End worker processes, if there are any; a further pass starts them again."""
        if self.pool is not None:
            self.pool.close()

    def _here(self) -> Self:
        """Return a copy for a look, without worker processes, whose start would take seconds."""
        look = copy.copy(self)
        look.processes, look.share = False, None
        return look

    def _options(self) -> LoaderOptions:
        return {
            "batch_size": self._asked_bs,
            "shuffle": self.shuffle,
            "num_workers": self.num_workers,
            "drop_last": self.drop_last,
            "indexed": self.indexed,
            "n": self._asked_n,
            "device": self.device,
            "seed": self.seed,
            "prefetch": self.prefetch,
            "timeout": self.timeout,
            "split_idx": self.split_idx,
            "sampler": self.sampler,
            "weights": self.weights,
            "processes": self.processes,
            "cache": self.cache,
            "on_bad": self.on_bad,
            "quarantine": self.quarantine,
            "before_iter": self.before_iter,
            "after_item": self.after_item,
            "before_batch": self.before_batch,
            "after_batch": self.after_batch,
            "after_iter": self.after_iter,
            "collate": self.collate,
        }

    # ---- checks ----------------------------------------------------------------------------

    def _set_hooks(self, before_iter: Any, after_iter: Any, collate: Any) -> None:
        self.before_iter: Any = self._own("before_iter", before_iter)
        self.after_iter: Any = self._own("after_iter", after_iter)
        self.collate: Any = self._own("collate", collate)

    def _set_stages(self, after_item: Tfms, before_batch: Tfms, after_batch: Tfms) -> None:
        self.after_item: Any = self._as_stage(self._own("after_item", after_item))
        self.before_batch: Any = self._as_stage(self._own("before_batch", before_batch))
        self.after_batch: Any = self._as_stage(self._own("after_batch", after_batch))

    def _set_order(self, sampler: Any, weights: Weights, get_idxs: Any) -> None:
        self.sampler, self.weights = sampler, weights
        check_sampler(self, own_order=get_idxs is not None)
        self._weighted: Weighted | None = None
        if weights is not None:
            drawn = len(self.dataset) if self._asked_n is None else self._asked_n
            self._weighted = Weighted(self.dataset, weights, drawn)
        if get_idxs is not None:
            self.get_idxs = get_idxs  # type: ignore[method-assign]  # as users do it

    def _set_quarantine(self, on_bad: "OnBad | None", quarantine: Quarantine | None) -> None:
        if on_bad not in (None, "replace", "skip", "raise"):
            raise ValueError(f'on_bad is "replace", "skip" or "raise", but got {on_bad!r}.')
        self.on_bad = on_bad
        self.quarantine: Quarantine | None = None
        if on_bad in ("replace", "skip"):
            self.quarantine = Quarantine(self.n) if quarantine is None else quarantine

    def _as_stage(self, tfms: Tfms) -> Any:
        """Return a pipeline of transforms; a plain function stays one and sees all of a sample."""
        is_class = isinstance(tfms, type) and issubclass(tfms, Transform)
        if isinstance(tfms, Transform | Pipeline | list | tuple) or is_class:
            return Pipeline(tfms, split_idx=self.split_idx)
        return tfms

    def _own(self, name: str, given: Any) -> Any:
        """Return an option, or, where it is not given, the method that a subclass has for it."""
        method = getattr(type(self), name, None) if given is None else None
        return given if method is None else method.__get__(self)
