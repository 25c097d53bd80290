"""`DataBlock`: how to get from a source to loaders, written down once.

    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=parent_label,
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=224),
    )
    dls = pets.dataloaders(folder)

`pets.summary(folder)` prints what each step makes of the first items.
"""

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, Unpack

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.core.sequences import same
from presize.core.types import Task
from presize.data.assemble import with_to_tensor
from presize.data.blame import brief, named_errors
from presize.data.blockparts import (
    Block,
    Getter,
    Getters,
    all_getters,
    as_getter,
    checked_n_inp,
    made_blocks,
)
from presize.data.corrected import Correction, correction_of
from presize.data.datasets import Datasets
from presize.data.decisions import Decisions
from presize.data.described import can_walk, check_walk, own_getter, own_splits, with_classes
from presize.data.labelcheck import check_vocab
from presize.data.loaders import DataLoaders
from presize.data.merging import copied, listed, merged
from presize.data.options import BlockOptions, Tfms, refuse_unknown
from presize.data.positions import check_splits
from presize.data.rows import as_items
from presize.data.splits import RandomSplitter
from presize.data.summary import print_summary
from presize.data.tfmdloader import TfmdDL
from presize.data.vocab import Categorize, MultiCategorize

Loaders = TypeVar("Loaders", bound=DataLoaders)


class DataBlock:
    """A description of a data set, from which `datasets` and `dataloaders` make one.

    Args:
        blocks: the kinds of inputs and targets, in this order, as classes or objects; by default
            one input and one target without transforms of their own.
        dl_type: the class of the loaders, where it is not `TfmdDL`.
        getters: for each block the function that takes its value out of an item; None takes the
            item. `get_x` and `get_y` are the same for inputs and targets.
        n_inp: how many blocks are inputs; by default all but the last.
        item_tfms: transforms of each sample, such as `Resize(460)`.
        batch_tfms: transforms of a whole batch, on its device.
        get_items: makes the items of the source; by default the source is the items, as a list
            of paths or a DataFrame is.
        splitter: returns the positions of the training and the validation items; by default a
            random fifth is for validation.
        get_x: for the inputs: a function, or a `Pipeline` of several; a list for several inputs.
        get_y: the same for the targets.
        decisions: the CSV file that `learn.clean` or `presize clean` writes, or a `Decisions`: the
            pictures that it drops are left out of the sets that the splitter makes, and those that
            it relabels have their new labels, as the first target. It is read whenever the data is.

    Raises:
        ValueError: counts of blocks, inputs and functions that do not fit together.
    """

    def __init__(
        self,
        blocks: Block | Sequence[Block] | None = None,
        dl_type: type[TfmdDL] | None = None,
        getters: Sequence[Getter | None] | None = None,
        n_inp: int | None = None,
        item_tfms: Tfms = None,
        batch_tfms: Tfms = None,
        *,
        get_items: Callable[[Any], Any] | None = None,
        splitter: Callable[[Any], Sequence[Any]] | None = None,
        get_x: Getters = None,
        get_y: Getters = None,
        decisions: Decisions | str | os.PathLike[str] | None = None,
    ) -> None:
        self.blocks = made_blocks(blocks)
        self.n_inp = checked_n_inp(n_inp, len(self.blocks))
        self.getters = all_getters(getters, get_x, get_y, len(self.blocks), self.n_inp)
        self.get_items, self.splitter, self.decisions = get_items, splitter, decisions
        own = (block.dl_type for block in self.blocks if block.dl_type is not None)
        self.dl_type = dl_type or next(own, None)
        self._set_tfms(item_tfms, batch_tfms)

    @property
    def task(self) -> Task | None:
        """What the targets are, as the first target's block says."""
        return next((b.task for b in self.blocks[self.n_inp :] if b.task is not None), None)

    def new(self, item_tfms: Tfms = None, batch_tfms: Tfms = None) -> Self:
        """Return a block like this one with other transforms; those of the blocks stay."""
        other = copy.copy(self)
        other._set_tfms(item_tfms, batch_tfms)
        return other

    def datasets(self, source: Any, verbose: bool = False) -> Datasets:
        """Return the training and validation sets of `source`.

        The transforms are copied, so that a vocabulary learned here does not stay in the block.

        Args:
            source: what `get_items` takes; without it the items themselves.
            verbose: print what is done.

        Raises:
            DataError: no items, an empty set, a single class, a label that training has not, or
                targets of the wrong kind.
        """
        return self._datasets(source, verbose)

    def _datasets(self, source: Any, verbose: bool, path: Any = ".") -> Datasets:
        if verbose:
            print(f"Collecting items from {source}")
        items = self._items_of(source)
        if verbose:
            print(f"Found {len(items)} items")
        splits = own_splits(items, self.splitter)
        if splits is None:
            splitter = self.splitter or RandomSplitter()
            splits = check_splits(splitter(items), len(items), splitter)
        corrected = self._correction(items, source, path)
        if corrected is not None:
            splits = corrected.kept(splits)
        if verbose:
            print(f"{len(splits)} datasets of sizes {','.join(str(len(s)) for s in splits)}")
        dsets = Datasets(
            items,
            [self._type_tfms(i, items, corrected) for i in range(len(self.blocks))],
            n_inp=self.n_inp,
            splits=splits,
            dl_type=self.dl_type,
            do_setup=False,
            task=self.task,
        )
        check_walk(dsets)
        for tl in dsets.tls:
            if verbose:
                print(f"Setting up {tl.tfms}")
            tl.setup()
        _check_labels(dsets)
        return dsets

    def dataloaders(
        self,
        source: Any,
        path: str | os.PathLike[str] = ".",
        verbose: bool = False,
        **options: Unpack[BlockOptions],
    ) -> DataLoaders:
        """Return the loaders of `source`.

        Args:
            source: what `get_items` takes; without it the items themselves.
            path: the folder below which models are saved.
            verbose: print what is done.
            options: see `BlockOptions`: bs, val_bs, num_workers, device ...

        Raises:
            DataError: see `datasets`.
        """
        return self.loaders_of(source, DataLoaders, path, verbose, **options)

    def loaders_of(
        self,
        source: Any,
        kind: type[Loaders],
        path: str | os.PathLike[str] = ".",
        verbose: bool = False,
        **options: Unpack[BlockOptions],
    ) -> Loaders:
        """Do what `dataloaders` does, with the loaders held by an object of class `kind`."""
        refuse_unknown(options, "dataloaders()")  # before the time that reading takes
        dsets = self._datasets(source, verbose, path)
        return self.loaders_from(dsets, kind, path, verbose, **options)

    def loaders_from(
        self,
        dsets: Datasets,
        kind: type[Loaders],
        path: str | os.PathLike[str] = ".",
        verbose: bool = False,
        **options: Unpack[BlockOptions],
    ) -> Loaders:
        """Return the loaders of data sets that `datasets` made; the transforms are copied."""
        after_item = with_to_tensor(list(map(copied, self.item_tfms)))
        after_batch = Pipeline(list(map(copied, self.batch_tfms)))
        if verbose:
            print(f"Setting up after_item: {after_item}")
            print(f"Setting up before_batch: {Pipeline()}")
            print(f"Setting up after_batch: {after_batch}")
        subsets = (dsets.subset(i) for i in range(dsets.n_subsets))
        return kind.from_dsets(
            *subsets, path=path, after_item=after_item, after_batch=after_batch, **options
        )

    def summary(self, source: Any, bs: int = 4, show_batch: bool = False) -> None:
        """Make one batch of `source`, step by step, and print each step.

        Where items cannot be collated, the report says which and why. Nothing is changed.

        Args:
            source: what `dataloaders` takes.
            bs: samples in the batch.
            show_batch: draw the batch at the end.

        Raises:
            DataError: a step failed.
        """
        print_summary(self, source, bs, show_batch)

    def _set_tfms(self, item_tfms: Tfms, batch_tfms: Tfms) -> None:
        blocks = self.blocks
        self.item_tfms = merged([*(b.item_tfms for b in blocks), listed(item_tfms)])
        self.batch_tfms = merged([*(b.batch_tfms for b in blocks), listed(batch_tfms)])

    def _items_of(self, source: Any) -> Any:
        if self.get_items is None and isinstance(source, str | os.PathLike):
            raise DataError(
                f"The source is one path, `{source}`, and without `get_items` the source has to be "
                "the list of items. For the pictures in a folder: get_items=get_image_files."
            )
        items = as_items(source if self.get_items is None else self.get_items(source))
        if len(items):
            return items
        if self.get_items is None:
            raise DataError(
                f"The source is empty: there are no items in this {type(source).__name__}."
            )
        getter = getattr(self.get_items, "__name__", repr(self.get_items))
        raise DataError(
            f"`{getter}` found no items in {brief(source)}. Check the folder and the endings of "
            "the files in it (`Path(folder).ls()` lists them); labelled pictures are often in "
            "folders further down, which `get_image_files` looks into by itself."
        )

    def _getter(self, i: int, items: Any) -> Getter | None:
        getter = self.getters[i]
        return own_getter(items, i, self.n_inp) if getter is None else getter

    def _type_tfms(
        self, i: int, items: Any = None, corrected: Correction | None = None
    ) -> list[Any]:
        """Return the transforms from an item to the value of block `i`, as fresh copies."""
        getter = self._getter(i, items)
        taking = [] if getter is None else as_getter(getter)
        encoding = list(map(copied, with_classes(self.blocks[i], getter)))
        if corrected is None or i != self.n_inp:  # one label is decided about, the first target
            return [*taking, *encoding]
        return corrected.labelled(Pipeline(taking).fs, encoding)

    def _correction(self, items: Any, source: Any, path: Any) -> Correction | None:
        """Return what the decisions change of the items; None if there are none."""
        if self.decisions is None:
            return None
        roots = [source] if isinstance(source, str | os.PathLike) else []
        return correction_of(self.decisions, items, self._getter(0, items), [*roots, path])


def _check_labels(dsets: Datasets) -> None:
    """Find out before training that there is one class only, or that a label is unknown."""
    for tl in dsets.tls[dsets.n_inp :]:
        if not any(isinstance(f, Categorize | MultiCategorize) for f in tl.tfms):
            continue
        if len(tl.vocab) < 2 and not _all_the_same(tl.items):
            check_vocab(tl.vocab)
        if can_walk(tl.valid.items):
            for _ in named_errors(tl.valid):
                pass


def _all_the_same(items: Any) -> bool:
    """Return whether it is one item again and again: to look at transforms, not to learn from."""
    return not hasattr(items, "iloc") and all(same(items[0], item) for item in items)
