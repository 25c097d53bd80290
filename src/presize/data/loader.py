"""`DataLoader`: batches of any collection, made by threads some batches ahead."""

import copy
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self, Unpack

import torch

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.core.randomness import default_seed, shuffled
from presize.core.transform import Transform
from presize.data.onepass import Entry, Pass
from presize.data.options import Device, LoaderOptions, Tfms
from presize.data.rows import can_be_indexed, count, row, walk

# The k-th time that an item comes up in an epoch, its draws are keyed by index + k * this.
_REPEAT = 1 << 40
# What loaders elsewhere let a subclass replace, and what to replace here.
_NEVER_CALLED = {
    "create_batch": "collate(self, samples)",
    "shuffle_fn": "get_idxs(self)",
    "collate_fn": "collate(self, samples)",
}


class DataLoader:
    """Batches of a collection: `for x, y in DataLoader(pairs, batch_size=64, shuffle=True)`.

    The batches are the same for any number of workers, which are threads: what they do in Python
    takes turns, while decoding, resizing and tensor operations run side by side. Draws depend on
    the seed, the epoch and the item alone. A subclass may define `create_item`, `get_idxs`, and,
    as methods, the functions from `before_iter` to `collate`.

    Args:
        dataset: anything that can be indexed or walked through, also without end (with `n`). What
            cannot be indexed is read in the calling thread; its transforms run in the workers.
        batch_size: samples in a batch; None yields single samples, their arrays as tensors.
        shuffle: a new order every epoch.
        bs: the short name of `batch_size`.
        num_workers: threads that work ahead; 0 does everything in the calling thread.
        drop_last: leave out a last batch that is not full.
        indexed: whether items are asked for by index; None finds out.
        n: take only so many items; needed for data without end.
        device: where batches go; None leaves them where they are.
        seed: of the order and of all draws; None takes PyTorch's.
        prefetch: batches that are under way while one is used.
        timeout: seconds to wait for a batch; 0 waits for ever.
        split_idx: 0 for a training set, 1 for validation: which transforms apply, and with 1
            every pass has the same draws.
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
        before_iter: Callable[[], object] | None = None,
        after_item: Tfms = None,
        before_batch: Tfms = None,
        after_batch: Tfms = None,
        after_iter: Callable[[], object] | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        get_idxs: Callable[[], Iterable[int]] | None = None,
    ) -> None:
        self.dataset, self.split_idx = dataset, split_idx
        self.indexed = can_be_indexed(dataset, n) if indexed is None else indexed
        self._asked_n, self._asked_bs = n, _one_size(batch_size, bs)
        self.n = count(dataset, n, indexed=self.indexed)
        self.shuffle, self.drop_last = shuffle, drop_last
        self.num_workers, self.prefetch, self.timeout = num_workers, prefetch, timeout
        self.device = None if device is None else torch.device(device)
        self.seed = seed
        self.before_iter: Any = self._own("before_iter", before_iter)
        self.after_iter: Any = self._own("after_iter", after_iter)
        self.after_item: Any = self._as_stage(self._own("after_item", after_item))
        self.before_batch: Any = self._as_stage(self._own("before_batch", before_batch))
        self.after_batch: Any = self._as_stage(self._own("after_batch", after_batch))
        self.collate: Any = self._own("collate", collate)
        self.epoch, self._peeks = 0, 0
        if get_idxs is not None:
            self.get_idxs = get_idxs  # type: ignore[method-assign]  # as users do it
        self.bs = self._checked_bs()

    # ---- what a subclass or a user may replace ---------------------------------------------

    def get_idxs(self) -> Iterable[int]:
        """Return the indices of the pass that comes next, in their order."""
        if self.n is None:
            return itertools.count()
        if self.shuffle:
            order: list[int] = shuffled(self.n, seed=self.current_seed(), epoch=self.epoch).tolist()
            return order
        return range(self.n)

    def create_item(self, ref: Any) -> Any:
        """Return a sample: of its index, or, where the data is not indexed, of the item itself."""
        return row(self.dataset, ref) if self.indexed else ref

    # ---- batches ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        once = Pass(self, self.epoch)
        entries = self._entries()
        if self.split_idx != 1:
            self.epoch += 1
        return self._batches(once, entries)

    def __len__(self) -> int:
        if self.n is None:
            raise TypeError(
                f"How many batches there are is not known: the {type(self.dataset).__name__} has "
                "no length. Pass n=, the number of items to take, or make a list of them."
            )
        if self.bs is None:
            return self.n
        return self.n // self.bs if self.drop_last else -(-self.n // self.bs)

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
        look = copy.copy(self)
        if self.split_idx != 1:
            self._peeks += 1
            look.epoch = -self._peeks  # epochs that no training has
        entries = itertools.islice(look._entries(), self.bs or 1)
        for batch in Pass(look, look.epoch).run(entries, self.num_workers):
            return batch
        raise DataError(
            f"There is no batch to take: the data set has {self.n or 0} items, batches have "
            f"{self.bs}{' and drop_last leaves out smaller ones' if self.drop_last else ''}."
        )

    def batch_of(self, indices: Sequence[int]) -> Any:
        """Return the batch of the items at these indices, made in the calling thread."""
        whole = copy.copy(self)
        whole.bs, whole.drop_last = len(indices), False
        return next(Pass(whole, self.epoch).run(_keyed(indices), 0))

    def _batches(self, once: Pass, entries: Iterator[Entry]) -> Iterator[Any]:
        if self.before_iter is not None:
            self.before_iter()
        yield from once.run(entries, self.num_workers)
        if self.after_iter is not None:
            self.after_iter()

    def _entries(self) -> Iterator[Entry]:
        if not self.indexed:
            return enumerate(itertools.islice(walk(self.dataset), self.n))
        return _keyed(itertools.islice(iter(self.get_idxs()), self.n))

    # ---- epochs and seeds ------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of `epoch`: its order and its draws."""
        self.epoch = epoch

    def current_seed(self) -> int:
        """Return the seed that the next pass uses."""
        return default_seed() if self.seed is None else self.seed

    # ---- others like it --------------------------------------------------------------------

    def new(self, dataset: Any = None, **options: Unpack[LoaderOptions]) -> Self:
        """Return a loader like this one, with another data set or other options."""
        kept = self._options()
        if dataset is not None:
            kept["indexed"], kept["n"] = None, None
        if "bs" in options:
            kept["batch_size"] = None
        return type(self)(self.dataset if dataset is None else dataset, **(kept | options))

    def to(self, device: Device) -> Self:
        """Let the batches go to `device`; returns the loader."""
        self.device = None if device is None else torch.device(device)
        return self

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
            "before_iter": self.before_iter,
            "after_item": self.after_item,
            "before_batch": self.before_batch,
            "after_batch": self.after_batch,
            "after_iter": self.after_iter,
            "collate": self.collate,
        }

    # ---- checks ----------------------------------------------------------------------------

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

    def _checked_bs(self) -> int | None:
        """Check the options against each other; return the size of a batch."""
        bs = self._asked_bs
        if bs is not None and not hasattr(bs, "__index__"):
            raise TypeError(f"batch_size is a whole number, but got {bs!r} ({type(bs).__name__}).")
        if bs is not None and bs < 1:
            raise ValueError(f"A batch has at least one sample, but got batch_size={bs}.")
        if self.num_workers < 0 or self.prefetch < 0:
            raise ValueError(
                f"num_workers and prefetch are 0 or more, but got {self.num_workers} and "
                f"{self.prefetch}."
            )
        if self.shuffle and (not self.indexed or self.n is None):
            raise ValueError(
                f"A {type(self.dataset).__name__} cannot be shuffled: it has no positions to "
                "choose from. Make a list of it, `DataLoader(list(items), shuffle=True)`, or "
                "leave shuffle=False."
            )
        if bs is not None and self.drop_last and self.n is not None and 0 < self.n < bs:
            warnings.warn(
                f"The batch size {bs} is larger than the data set of {self.n} items, and "
                f"incomplete batches are left out: training goes on with batches of {self.n}. "
                f"Pass bs={self.n} or less.",
                stacklevel=3,
            )
            return self.n
        return bs


def _keyed(indices: Iterable[int]) -> Iterator[Entry]:
    """Pair indices with a number that is unique also where an index comes again."""
    seen: dict[int, int] = {}
    for given in indices:
        index = int(given)
        times = seen.get(index, 0)
        seen[index] = times + 1
        yield index + times * _REPEAT, index


def _one_size(batch_size: int | None, bs: int | None) -> int | None:
    if None not in (batch_size, bs) and batch_size != bs:
        raise ValueError(
            f"`bs` is the short name of `batch_size`: give one of them, not "
            f"batch_size={batch_size} and bs={bs}."
        )
    return batch_size if bs is None else bs
