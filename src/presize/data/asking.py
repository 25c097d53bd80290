"""Makes batches of whatever a model is asked about, as the loader of validation treats its items.

`Asking` is that loader, with other items, which need not be in a list: each comes as its own index.
What happens to a picture is what happens to it in validation, because the same code does it. It is
kept from one question to the next: to make it anew takes a third of the time of decoding.
"""

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from presize.core.errors import ImageError
from presize.core.randomness import Samples
from presize.data.askeditem import asked_item, check_kind, name_of
from presize.data.datasets import Datasets, TfmdLists, test_set
from presize.data.loader import DataLoader
from presize.data.onepass import Pass
from presize.data.samples import Entry, active
from presize.render.transform import PixelTransform

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders

T = TypeVar("T")


class Asked:
    """An item that is its own index.

    Args:
        value: the item.
        number: how many were asked about before it.
    """

    __slots__ = ("number", "value")

    def __init__(self, value: Any, number: int) -> None:
        self.value, self.number = value, number

    def __str__(self) -> str:
        return str(self.number)


class _AskedItems:
    """Stands where the items of a data set are."""

    def __init__(self, like: Any) -> None:
        self._like = like

    def forget(self) -> None:
        """Let go of the first item, which may be large, now that its kind is known."""
        self._like = None

    def __len__(self) -> int:
        return 1

    def __getitem__(self, ref: Any) -> Any:
        return ref.value if isinstance(ref, Asked) else self._like


class Asking:
    """The loader of validation, for items that come one by one; several threads may ask.

    Args:
        last: the loader of validation.
        like: an item like those that come: a path, a row of a table.
        key: says which transforms it was made with.
    """

    def __init__(self, last: DataLoader, like: Any, key: Any) -> None:
        self.last, self.key = last, key
        items = _AskedItems(like)
        view = test_set(last.dataset, items)
        self.loader = last.new(
            view,
            shuffle=False,
            drop_last=False,
            num_workers=0,
            on_bad=None,
            cache=None,
            bs=last.bs or 1,
        )
        # Of samples that are no indices of their own a loader would look up the whole row.
        self.loader.create_item = view._at  # type: ignore[method-assign, assignment]
        self._once = Pass(self.loader, self.loader.epoch)
        self._items: Asking | None = None
        items.forget()

    @property
    def seed(self) -> int:
        """What draws are keyed by, where transforms of validation draw."""
        return self.loader.current_seed()

    def batch(self, item: Any) -> Any:
        """Return the batch of one item, made in the calling thread.

        Raises:
            ImageError: the picture cannot be read.
        """
        once = self._once
        once.seed = self.seed
        return next(once.run(iter(((0, Asked(item, 0)),)), 0))

    def one(self, item: Any) -> "OneBatch":
        """Return the batch of one item as a loader that yields it."""
        return OneBatch(self.loader, self.batch(item))

    def batches(
        self,
        items: Iterable[Any],
        *,
        size: int | None,
        threads: int,
        failed: dict[int, tuple[str, str | None]] | None,
        names: dict[int, str | None],
    ) -> Generator[Any]:
        """Yield batches of items, which are taken as they are needed, also without end.

        Args:
            items: what is asked about.
            size: items in a batch; None takes as many as in validation.
            threads: how many work ahead.
            failed: takes the error and the name of what cannot be read, by its number; None raises.
            names: takes the names of all items, by their number.
        """
        loader = copy.copy(self.loader)
        loader.bs = size or self.loader.bs
        if failed is not None:
            loader.quarantine = _Kept(failed)  # type: ignore[assignment]  # reads as it does
        entries = _entries(self.last.dataset, items, failed, names)
        return Pass(loader, loader.epoch).run(entries, threads)

    def as_items(self) -> "Asking":
        """Return the same up to the end of the item transforms, on the CPU: batches of bytes."""
        if self._items is not None:
            return self._items
        made = copy.copy(self)
        made.loader = self.loader.new(after_batch=None, device="cpu")
        made.loader.create_item = self.loader.create_item  # type: ignore[method-assign]
        made._once = Pass(made.loader, made.loader.epoch)
        self._items = made
        return made

    @property
    def is_remote(self) -> bool:
        """Whether batches go to an accelerator."""
        return self._once.stream.is_remote

    def completed(self, batch: Any) -> Any:
        """Return a batch that `as_items` made, now on its device, after the batch transforms."""
        stage = active(self.loader.after_batch)
        if stage is None:
            return batch
        n = len(batch[0])
        with Samples(self.seed, self.loader.epoch, list(range(n))).context():
            return stage(batch)


class OneBatch:
    """A batch in place of the loader that it is from, to be passed through a model.

    Args:
        loader: has the transforms, the vocabulary and so on.
        batch: what it yields.
    """

    def __init__(self, loader: DataLoader, batch: Any) -> None:
        self.loader, self._batch = loader, batch

    def __iter__(self) -> Iterator[Any]:
        yield self._batch

    def __len__(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that it has not itself.
        if name in ("loader", "_batch"):
            raise AttributeError(name)
        return getattr(self.loader, name)


class _Kept:
    """Reads samples, and takes down those that cannot be read."""

    def __init__(self, failed: dict[int, tuple[str, str | None]]) -> None:
        self._failed = failed

    def read(
        self, loader: DataLoader, samples: Samples, i: int, ref: Asked, make: Callable[[Any], T]
    ) -> T | None:
        """Return `make(ref)`, or None where the picture cannot be read."""
        try:
            return make(ref)
        except ImageError as error:
            self._failed[ref.number] = str(error), name_of(ref.value)
            return None


def _entries(
    dataset: Any,
    items: Iterable[Any],
    failed: dict[int, tuple[str, str | None]] | None,
    names: dict[int, str | None],
) -> Iterator[Entry]:
    for number, item in enumerate(items):
        names[number] = name_of(item)
        try:
            value = asked_item(dataset, item)
            check_kind(dataset, value)
        except ImageError as error:
            if failed is None:
                raise
            failed[number] = str(error), names[number]
            continue
        yield number, Asked(value, number)


def asking(dls: "DataLoaders", item: Any) -> Asking | None:
    """Return what makes batches of items like this one; None where the loaders have ways of theirs.

    Args:
        dls: the loaders, of which that of validation says what is done.
        item: as `asked_item` returns it.
    """
    last = last_of(dls)
    if not isinstance(last, DataLoader) or not _as_usual(dls, last):
        return None
    key = _key(last)
    kept: dict[type, Asking] = vars(last).setdefault("_asking", {})
    kind = type(item)
    found = kept.get(kind)
    if found is None or found.key != key or found.last is not last:
        found = kept[kind] = Asking(last, item, key)
    return found


def last_of(dls: "DataLoaders") -> Any:
    """Return the loader of validation, or the only one."""
    return dls.valid if dls.valid is not None else dls.train


def _as_usual(dls: "DataLoaders", last: DataLoader) -> bool:
    from presize.data.loaders import DataLoaders

    return (
        type(dls).test_dl is DataLoaders.test_dl
        and type(last).create_item is DataLoader.create_item
        and "create_item" not in vars(last)
        and last.before_iter is None
        and last.after_iter is None
        and isinstance(last.dataset, Datasets | TfmdLists)
    )


def _key(last: DataLoader) -> tuple[Any, ...]:
    """Return what tells whether a loader still does the same: all its transforms, and its place."""
    dataset = last.dataset
    pipelines: Sequence[TfmdLists] = getattr(dataset, "tls", (dataset,))
    stages = (last.after_item, last.before_batch, last.after_batch, *(tl.tfms for tl in pipelines))
    done = [
        (f, getattr(f, "split_idx", None))
        for stage in stages
        for whole in (None, *getattr(stage, "fs", (stage,)))
        for f in (whole, *(whole.steps() if isinstance(whole, PixelTransform) else ()))
    ]
    return dataset, last.device, last.collate, last.seed, last.bs, *done
