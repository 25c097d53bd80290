"""`DataLoaders`: the training loader, the validation loader, and what they have in common."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import torch

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.paths import Path
from presize.core.pipeline import Pipeline
from presize.core.transform import as_transform
from presize.core.types import Task
from presize.data.assemble import assembled, with_to_tensor
from presize.data.caching.cache import CacheInfo
from presize.data.datasets import Datasets, TfmdLists, test_set
from presize.data.loader import DataLoader
from presize.data.options import BlockOptions, Device, LoaderOptions, LoadersOptions, Tfms
from presize.data.showing import FigSize
from presize.data.tfmdloader import TfmdDL as TfmdDL
from presize.show.grids import Grid

if TYPE_CHECKING:
    from presize.data.check.report import DataReport
    from presize.data.datablock import DataBlock
    from presize.data.quarantine import Quarantine

Stage = Literal["after_item", "before_batch", "after_batch"]


class DataLoaders:
    """Loaders that belong together: the first trains, the second validates.

    Attributes of the training loader, its data set and its transforms, such as `vocab`, `bs` or
    `after_batch`, are found on it.

    Args:
        loaders: ours, PyTorch's, or anything that yields batches and has a length. They are used
            as they are.
        path: the folder below which models are saved.
        device: where batches go; None leaves that to the loaders.
    """

    def __init__(
        self, *loaders: Any, path: str | os.PathLike[str] = ".", device: Device = None
    ) -> None:
        self.loaders: list[Any] = list(loaders)
        self.path = Path(path)
        self._device: torch.device | None = None
        if device is not None:
            self.to(device)

    # ---- the loaders -----------------------------------------------------------------------

    @property
    def train(self) -> Any:
        """The training loader."""
        return self[0]

    @property
    def valid(self) -> Any:
        """The validation loader; None if there is none."""
        return self.loaders[1] if len(self.loaders) > 1 else None

    @property
    def train_ds(self) -> Any:
        """The data set of the training loader."""
        return self.train.dataset

    @property
    def valid_ds(self) -> Any:
        """The data set of the validation loader."""
        return self[1].dataset

    def __getitem__(self, i: int) -> Any:
        if not -len(self.loaders) <= i < len(self.loaders):
            raise IndexError(
                f"There is no loader {i}: these are {len(self.loaders)}, 0 for training and 1 for "
                "validation."
            )
        return self.loaders[i]

    def __len__(self) -> int:
        return len(self.loaders)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loaders)

    def one_batch(self) -> Any:
        """Return a batch of the training loader."""
        if isinstance(self.train, DataLoader):
            return self.train.one_batch()
        for batch in self.train:
            return batch
        raise DataError("There is no batch to take: the training loader yields none.")

    def show_batch(
        self,
        b: Any = None,
        max_n: int | None = None,
        nrows: int | None = None,
        ncols: int | None = None,
        *,
        figsize: FigSize = None,
        unique: bool = False,
        show: bool = True,
    ) -> L[Any] | Grid | None:
        """Draw a batch of the training loader; see `TfmdDL.show_batch`."""
        loader = self._decoding(self.train, "show_batch")
        return loader.show_batch(b, max_n, nrows, ncols, figsize=figsize, unique=unique, show=show)

    # ---- what the data is ------------------------------------------------------------------

    @property
    def n_inp(self) -> int | None:
        """How many elements of a batch are inputs; None if the loaders do not say."""
        found = getattr(self.train, "n_inp", None)
        return None if found is None else int(found)

    @property
    def task(self) -> Task | None:
        """What the targets are; None if the loaders do not say."""
        found: Task | None = getattr(getattr(self.train, "dataset", None), "task", None)
        return found

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that it has not itself, such as `vocab`.
        if name.startswith("_") or name == "loaders" or not self.loaders:
            raise AttributeError(name)
        try:
            return getattr(self.loaders[0], name)
        except AttributeError:
            kind = type(self.loaders[0]).__name__
            raise AttributeError(
                f"These DataLoaders have no `{name}`, nor has their training loader ({kind})."
            ) from None

    @property
    def quarantine(self) -> "Quarantine | None":
        """The list of the pictures that could not be read; None where they are raised."""
        return getattr(self.train, "quarantine", None)

    def cache_info(self) -> CacheInfo:
        """Return what the cache of decoded pictures holds, and how often that was of use."""
        cache = getattr(self.train, "cache", None)
        return CacheInfo("off", note="The cache is off.") if cache is None else cache.info()

    def check(
        self, *, alike: bool = True, threads: int | None = None, show: bool = True
    ) -> "DataReport":
        """Check the data before training: unreadable files, copies, imbalance, labels.

        Args:
            alike: look for copies that are not the same file, too.
            threads: how many pictures are read at a time; by default one per core, 16 at most.
            show: draw a bar in a terminal or a notebook.

        Raises:
            TypeError: the items of a loader have no positions, or are no pictures.
            DataError: there are no pictures.
        """
        from presize.data.check.dls import check_loaders

        return check_loaders(self, alike=alike, threads=threads, show=show)

    # ---- where batches go ------------------------------------------------------------------

    @property
    def device(self) -> torch.device | None:
        """Where batches go; None if they stay where they are made."""
        if self._device is None and self.loaders and isinstance(self.loaders[0], DataLoader):
            return self.loaders[0].device
        return self._device

    def to(self, device: Device) -> Self:
        """Let the batches go to `device`; returns the loaders.

        Loaders that are not ours are left alone: what trains on their batches moves them.
        """
        self._device = None if device is None else torch.device(device)
        for loader in self.loaders:
            if isinstance(loader, DataLoader):
                loader.to(device)
        return self

    def cuda(self) -> Self:
        """Let the batches go to the GPU."""
        return self.to("cuda")

    def cpu(self) -> Self:
        """Let the batches stay on the CPU."""
        return self.to("cpu")

    # ---- others like them ------------------------------------------------------------------

    def test_dl(
        self,
        items: Any,
        with_labels: bool = False,
        *,
        bs: int | None = None,
        num_workers: int | None = None,
        item_tfms: Tfms = None,
        batch_tfms: Tfms = None,
    ) -> Any:
        """Return a loader of other items, treated as those of validation.

        Args:
            items: a list of what the data was made of: paths, rows of a table; or pictures.
            with_labels: make targets, too, from the items as in training.
            bs: samples in a batch; by default as in validation.
            num_workers: threads; by default as in validation.
            item_tfms: item transforms in place of those of validation.
            batch_tfms: batch transforms in place of those of validation.

        Raises:
            TypeError: one item instead of a list, or loaders that are not ours.
        """
        if isinstance(items, str | os.PathLike):
            raise TypeError(
                f"test_dl takes a list of items, but got one, `{items}`: write test_dl([item]), "
                "or, for all pictures in a folder, test_dl(get_image_files(folder))."
            )
        last = self.valid if self.valid is not None else self.train
        if not isinstance(last, DataLoader):
            raise TypeError(
                f"test_dl needs loaders that presize made, which know their transforms, but the "
                f"validation loader is a {type(last).__module__}.{type(last).__name__}."
            )
        options: LoaderOptions = {
            "shuffle": False,
            "drop_last": False,
            "on_bad": None,  # a picture that somebody asks about is not left out
            "cache": None,  # it is looked at once
        }
        if bs is not None:
            options["bs"] = bs
        if num_workers is not None:
            options["num_workers"] = num_workers
        if item_tfms is not None:
            options["after_item"] = with_to_tensor(item_tfms)
        if batch_tfms is not None:
            options["after_batch"] = batch_tfms
        if isinstance(last.dataset, Datasets | TfmdLists):
            items = test_set(last.dataset, items, with_labels=with_labels)
        return last.new(items, **options)

    def new(self, **options: Unpack[LoaderOptions]) -> Self:
        """Return the same loaders with other options, such as `bs=16`.

        `sampler` and `weights` are for the training loader alone.
        """
        train = self.train.new(**options)
        others: LoaderOptions = {**options}
        others.pop("sampler", None)
        others.pop("weights", None)
        return self._like([train, *(loader.new(**others) for loader in self.loaders[1:])])

    def new_empty(self) -> Self:
        """Return loaders with the same transforms, set up as they are, and without data."""
        empty: LoaderOptions = {"shuffle": False, "drop_last": False}
        return self._like(dl.new(dl.dataset.new_empty(), **empty) for dl in self.loaders)

    def add_tfms(
        self, tfms: Sequence[Any], event: Stage, loaders: Sequence[int] | None = None
    ) -> None:
        """Add transforms to one stage of the loaders.

        Args:
            tfms: transforms or functions; those that need a set-up must have had it.
            event: "after_item", "before_batch" or "after_batch".
            loaders: the numbers of the loaders; None means all.
        """
        made = [as_transform(f) for f in tfms]
        for i in range(len(self.loaders)) if loaders is None else loaders:
            loader = self._decoding(self[i], "add_tfms")
            stages: dict[Stage, Pipeline] = {
                "after_item": loader.after_item,
                "before_batch": loader.before_batch,
                "after_batch": loader.after_batch,
            }
            stages[event].add(made)

    def _like(self, loaders: Any) -> Self:
        other = type(self)(*loaders, path=self.path)
        other._device = self._device
        return other

    def _decoding(self, loader: Any, method: str) -> TfmdDL:
        if isinstance(loader, TfmdDL):
            return loader
        raise TypeError(
            f"`{method}` needs a loader that knows its transforms (TfmdDL, as DataBlock and "
            f"ImageDataLoaders make it), but this one is a "
            f"{type(loader).__module__}.{type(loader).__name__}."
        )

    # ---- making them -----------------------------------------------------------------------

    @classmethod
    def from_dsets(cls, *dsets: Any, **options: Unpack[LoadersOptions]) -> Self:
        """Return loaders of data sets, the first of which is for training.

        The transforms are set up from the training set. The options are those of
        `LoadersOptions`; `ToTensor` is among the item transforms in any case.
        """
        return cls(*assembled(dsets, options), path=options.get("path", "."))

    @classmethod
    def from_dblock(
        cls,
        dblock: "DataBlock",
        source: Any,
        path: str | os.PathLike[str] = ".",
        **options: Unpack[BlockOptions],
    ) -> Self:
        """Return the loaders of what a `DataBlock` makes of `source`."""
        return dblock.loaders_of(source, cls, path=path, **options)


def get_c(dls: Any) -> int:
    """Return how many outputs a model for this data has: classes, or numbers to predict.

    Raises:
        DataError: the data does not say.
    """
    for name in ("c", "vocab"):
        found = getattr(dls, name, None)
        if isinstance(found, L) and found and name == "c":
            found = found[-1]  # several targets: the last is the one to learn
        if isinstance(found, int):
            return found
        if found is not None:
            last = found[-1]
            return len(found if isinstance(last, str) or not hasattr(last, "__len__") else last)
    raise DataError(
        "The data does not say how many outputs the model needs. Pass n_out=, the number of "
        "classes or of numbers to predict."
    )
