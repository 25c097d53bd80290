"""Sources that know themselves what a picture and a label is, and which samples are for validation.

A `DataBlock` asks them where its own description says nothing: shards, and data sets of the Hugging
Face hub, need neither `get_x` and `get_y` nor a splitter.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from presize.core.errors import DataError
from presize.data.blocks import TransformBlock
from presize.data.datasets import Datasets
from presize.data.stream.itemstream import ItemStream
from presize.data.vocab import Categorize, MultiCategorize


@runtime_checkable
class Described(Protocol):
    """Items that describe themselves."""

    def own_splits(self) -> Sequence[Sequence[int]] | None:
        """Return the positions for training, validation and perhaps test; None if all are one."""
        ...

    def own_getter(self, i: int, n_inp: int) -> Callable[[Any], Any] | None:
        """Return what takes the value of block `i` out of an item, of which `n_inp` are inputs.

        Where it has an attribute `classes`, these are the classes of the labels, in their order.
        """
        ...


def own_splits(items: Any, splitter: Any) -> Sequence[Sequence[int]] | None:
    """Return the splits that the items have themselves; None if the splitter decides.

    Raises:
        DataError: there are such, and a splitter, too.
    """
    splits = items.own_splits() if isinstance(items, Described) else None
    if splits is None or splitter is None:
        return splits
    raise DataError(
        f"The data has its own training and validation sets ({items!r}), so that a splitter has "
        "nothing to decide: leave out `splitter=`, or give the part of the data that it is to "
        "split."
    )


def own_getter(items: Any, i: int, n_inp: int) -> Callable[[Any], Any] | None:
    """Return what the items take for block `i` where the data block does not say."""
    return items.own_getter(i, n_inp) if isinstance(items, Described) else None


def with_classes(block: TransformBlock, getter: Any) -> list[Any]:
    """Return the type transforms of a block, with the classes that its getter knows."""
    classes = getattr(getter, "classes", None)
    if classes is None:
        return block.type_tfms
    return [_named(f, classes) if _is_open(f) else f for f in block.type_tfms]


def can_walk(items: Any) -> bool:
    """Return whether all items may be looked at before training, as for their labels."""
    return not isinstance(items, ItemStream) or items.walkable


def check_walk(dsets: Datasets) -> None:
    """Refuse to learn the classes of a data set that would have to be fetched for it.

    Raises:
        DataError: the classes are not known, and the training set comes from afar.
    """
    if can_walk(dsets.train.items):
        return
    for tl in dsets.tls[dsets.n_inp :]:
        for f in tl.tfms:
            if isinstance(f, Categorize | MultiCategorize) and f.vocab is None:
                raise DataError(
                    f"The classes are not known, and to learn them all of {dsets.train.items!r} "
                    "would have to be fetched. Give them: CategoryBlock(vocab=[...]), or, where "
                    "labels are the numbers 0, 1, ..., Shards(..., classes=[...])."
                )


def _is_open(f: Any) -> bool:
    return type(f) in (Categorize, MultiCategorize) and f.vocab is None


def _named(f: Any, classes: Sequence[Any]) -> Categorize | MultiCategorize:
    if isinstance(f, Categorize):
        return Categorize(classes, sort=False, add_na=f.add_na)
    return MultiCategorize(classes, add_na=f.add_na)
