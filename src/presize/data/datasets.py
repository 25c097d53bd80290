"""Items seen through transforms: `TfmdLists` through one pipeline, `Datasets` through several.

A sample of `Datasets` is a tuple with one element for each pipeline: the input, then the target.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from PIL.Image import Image

from presize.core.collections import L
from presize.core.errors import ImageError
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform
from presize.core.types import Task
from presize.data.images import PILBase
from presize.data.rows import as_items, row, rows, rows_for
from presize.data.splitview import SplitView
from presize.data.vocab import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
)

if TYPE_CHECKING:
    from presize.data.tfmdloader import TfmdDL

_TASKS: tuple[tuple[type[Transform], Task], ...] = (
    (Categorize, "classification"),
    (MultiCategorize, "multilabel"),
    (OneHotEncode, "multilabel"),
    (EncodedMultiCategorize, "multilabel"),
    (RegressionSetup, "regression"),
)


_FILES = (str, os.PathLike, bytes)


class TfmdLists(SplitView):
    """Items seen through one pipeline of transforms.

    Attributes of the transforms, such as `vocab`, are found on it.

    Args:
        items: a list, range, array, or DataFrame (whose items are its rows).
        tfms: a function, a transform, a list of them, or None for the items as they are.
        splits: positions of the training set, the validation set, and perhaps further ones, each
            as list, array, tensor or mask; None takes all items for training.
        do_setup: set the transforms up from the items.
        split_idx: which split the items are, for transforms that are limited to one.
        train_setup: set up from the training items alone.
        dl_type: the class of loader that `dataloaders` makes.
    """

    def __init__(
        self,
        items: Any,
        tfms: Any = None,
        splits: Sequence[Any] | None = None,
        do_setup: bool = True,
        split_idx: int | None = None,
        train_setup: bool = True,
        *,
        dl_type: "type[TfmdDL] | None" = None,
    ) -> None:
        self.items = as_items(items)
        self.tfms = Pipeline(_without_none(tfms), split_idx=split_idx)
        super().__init__(len(self.items), splits, split_idx, dl_type)
        self._types: tuple[type, ...] | None = None
        self._rows = rows_for(self.items, self.tfms)
        if do_setup:
            self.setup(train_setup)

    def setup(self, train_setup: bool = True) -> None:
        """Set the transforms up, each from what the ones before make of the (training) items."""
        seen = rows(self.items, self.splits[0]) if train_setup else self.items
        self.tfms.setup(rows_for(seen, self.tfms), train_setup=False)

    def with_items(self, items: Any, split_idx: int | None = None) -> Self:
        """Return other items seen through the same transforms, which stay as they are set up."""
        other = type(self)(
            items, self.tfms, do_setup=False, split_idx=split_idx, dl_type=self.dl_type
        )
        other._types = self._types
        return other

    def decode(self, o: Any) -> Any:
        """Return a value as it was before the transforms, as far as they can be undone."""
        return self.tfms.decode(o)

    def show(self, o: Any, ctx: Any = None, **options: Any) -> Any:
        """Show a value on the axes `ctx`, undone as far as it takes; without axes, print it."""
        return self.tfms.show(o, ctx=ctx, **options)

    def for_items_like(self, item: Any) -> Self:
        """Return the same without the transforms that items of this kind have behind them.

        Where the items are rows of a table, from which the pipeline takes a path and then opens
        the picture, a path skips the first of these, and a picture both.
        """
        start = self._stage_of(item)
        if start == 0:
            return self
        other = self.with_items(self.items, self.split_idx)
        other.tfms.fs = self.tfms.fs[start:]
        other._rows = rows_for(other.items, other.tfms)
        return other

    def _stage_of(self, item: Any) -> int:
        """Return the number of the first transform that takes this kind of item; else 0."""
        if not len(self.items) or _is_a(item, type(row(self.items, 0))):
            return 0
        if self._types is None:
            self._types = self._first_stage_types()
        return next((i for i, kind in enumerate(self._types) if _is_a(item, kind)), 0)

    def _first_stage_types(self) -> tuple[type, ...]:
        """Return the types on the way of the first item whose picture can be read."""
        for i in range(len(self.items)):
            try:
                return self._stage_types(row(self.items, i))
            except ImageError:
                continue
        return ()

    def _stage_types(self, value: Any) -> tuple[type, ...]:
        """Return the type of `value` before each transform and after the last."""
        kinds = [type(value)]
        for f in self.tfms.fs:
            value = f(value, split_idx=self.split_idx)
            kinds.append(type(value))
        return tuple(kinds)

    def _subset(self, indices: Sequence[int], split_idx: int) -> Self:
        return self.with_items(rows(self.items, indices), split_idx)

    def item(self, i: int) -> Any:
        """Return item `i` in the form that the transforms take best."""
        return self._rows[i]

    def _at(self, i: int) -> Any:
        return self.tfms(self._rows[i])

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that it has not itself, such as `vocab`.
        if name.startswith("_") or name == "tfms":
            raise AttributeError(name)
        return self.tfms.find(name)

    def __repr__(self) -> str:
        return f"TfmdLists of {len(self)} items, {self.tfms!r}"


class Datasets(SplitView):
    """Items seen through several pipelines at once: each sample is a tuple of their results.

    Attributes of the transforms, such as `vocab`, are found on it; where several pipelines have
    one, as the L of their values.

    Args:
        items: a list, range, array, or DataFrame (whose items are its rows).
        tfms: one entry for each element of the tuple: a function, transform, list of them, or
            None for the item as it is.
        tls: TfmdLists that are made already, in place of `items` and `tfms`.
        n_inp: how many elements are inputs; by default all but the last, at least one.
        splits: see `TfmdLists`.
        dl_type: the class of loader that `dataloaders` makes.
        do_setup: set the transforms up from the training items.
        task: what the targets are; by default as their transforms say.
    """

    def __init__(
        self,
        items: Any = None,
        tfms: Any = None,
        tls: Sequence[TfmdLists] | None = None,
        n_inp: int | None = None,
        *,
        splits: Sequence[Any] | None = None,
        dl_type: "type[TfmdDL] | None" = None,
        do_setup: bool = True,
        task: Task | None = None,
    ) -> None:
        if tls is None:
            shared = as_items(items)
            entries = [tfms] if tfms is None or callable(tfms) else list(tfms)
            tls = [TfmdLists(shared, e, splits, do_setup, dl_type=dl_type) for e in entries]
        self.tls: L[TfmdLists] = L(list(tls))
        self.n_inp = _checked_n_inp(n_inp, len(self.tls))
        first = self.tls[0]
        super().__init__(len(first), first.splits, first.split_idx, dl_type or first.dl_type)
        self._task, self._labelled = task, True

    @property
    def items(self) -> Any:
        """The items that samples are made of."""
        return self.tls[0].items

    @property
    def tfms(self) -> L[Pipeline]:
        """The pipelines, one for each element of a sample."""
        return L([tl.tfms for tl in self.tls])

    @property
    def task(self) -> Task | None:
        """What the targets are; None if nothing says so."""
        if self._task is not None:
            return self._task
        targets = [f for tl in self.tls[self.n_inp :] for f in tl.tfms]
        return next((task for kind, task in _TASKS for f in targets if isinstance(f, kind)), None)

    def decode(self, o: Sequence[Any]) -> tuple[Any, ...]:
        """Return a sample as it was before the transforms, as far as they can be undone."""
        return tuple(tl.decode(element) for element, tl in zip(o, self.tls, strict=False))

    def show(self, o: Sequence[Any], ctx: Any = None, **options: Any) -> Any:
        """Show a sample, each element undone as far as it takes; without axes, print it."""
        for element, tl in zip(o, self.tls, strict=False):
            ctx = tl.show(element, ctx=ctx, **options)
        return ctx

    def with_items(self, items: Any, split_idx: int | None = None) -> Self:
        """Return other items seen through the same transforms, which stay as they are set up."""
        return self._of([tl.with_items(items, split_idx) for tl in self.tls])

    def unlabelled(self) -> Self:
        """Return the same without targets, whose transforms are kept to decode predictions."""
        other = self._of(self.tls)
        other._labelled = False
        return other

    def for_items_like(self, item: Any) -> Self:
        """Return the same without the transforms that items of this kind have behind them."""
        used = self._used()
        return self._of([*(tl.for_items_like(item) for tl in used), *self.tls[len(used) :]])

    def _of(self, tls: Sequence[TfmdLists]) -> Self:
        other = type(self)(tls=tls, n_inp=self.n_inp, dl_type=self.dl_type, task=self._task)
        other._labelled = self._labelled
        return other

    def _subset(self, indices: Sequence[int], split_idx: int) -> Self:
        return self._of([tl._subset(indices, split_idx) for tl in self.tls])

    def _used(self) -> Sequence[TfmdLists]:
        return self.tls if self._labelled else self.tls[: self.n_inp]

    def _at(self, i: int) -> tuple[Any, ...]:
        return tuple(tl._at(i) for tl in self._used())

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that it has not itself, such as `vocab`.
        if name.startswith("_") or name == "tls":
            raise AttributeError(name)
        found, problems = [], []
        for tl in self.tls:
            try:
                found.append(getattr(tl, name))
            except AttributeError as error:
                problems.append(error)
        if not found:
            raise problems[-1]
        return found[0] if len(found) == 1 else L(found)

    def __repr__(self) -> str:
        return f"Datasets of {len(self)} items, {', '.join(map(repr, self.tfms))}"


def test_set(
    dsets: TfmdLists | Datasets, items: Any, *, with_labels: bool = False
) -> TfmdLists | Datasets:
    """Return other items seen as validation items are, without targets.

    Args:
        dsets: gives the transforms.
        items: like the items of `dsets`, or further on: pictures, where those are paths.
        with_labels: make the targets, too.
    """
    chosen = as_items(items)
    view: TfmdLists | Datasets = dsets
    if isinstance(view, Datasets) and not with_labels:
        view = view.unlabelled()
    if len(chosen):
        view = view.for_items_like(row(chosen, 0))
    return view.with_items(chosen, split_idx=1)


test_set.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def _without_none(tfms: Any) -> Any:
    return [f for f in tfms if f is not None] if isinstance(tfms, list | tuple) else tfms


def _checked_n_inp(n_inp: int | None, n: int) -> int:
    if n == 0:
        raise ValueError(
            "Datasets needs one entry in tfms= for each element of its samples, but got none; "
            "tfms=[None] gives the items themselves."
        )
    if n_inp is not None and not 1 <= n_inp <= n:
        raise ValueError(
            f"n_inp={n_inp} should say how many of the {n} elements of a sample are inputs: at "
            f"least 1, at most {n}."
        )
    return max(1, n - 1) if n_inp is None else n_inp


def _is_a(item: Any, kind: type) -> bool:
    """Return whether an item is of a kind; all that a picture is opened from is one kind."""
    plain = isinstance(item, Image) and not isinstance(item, PILBase)
    if isinstance(item, _FILES) or plain:
        return issubclass(kind, _FILES) or isinstance(item, kind)
    return isinstance(item, kind)
