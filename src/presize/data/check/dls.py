"""Checks the data behind loaders: each item up to where its picture is read, and its labels."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from presize.core.errors import DataError
from presize.core.transform import Transform
from presize.data.check.entries import Collection, Entry, Task
from presize.data.check.facts import examined
from presize.data.check.foreign import foreign_entries
from presize.data.check.report import DataReport
from presize.data.check.run import check
from presize.data.datasets import Datasets, TfmdLists
from presize.data.images import PILBase
from presize.data.labelcheck import NA, Label, is_missing, label_list, plain_label
from presize.data.rows import can_be_indexed, row
from presize.data.vocab import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
)

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders

_NAMES = ("train", "valid", "test")
Labels = tuple[Label, ...]


def check_loaders(
    dls: "DataLoaders", *, alike: bool = True, threads: int | None = None, show: bool = True
) -> DataReport:
    """Check the data of loaders before training; see `check_folder` for what is found.

    Pictures are taken as they are before item and batch transforms: files as they are stored,
    others as the data set gives them.

    Args:
        dls: the loaders of training, validation and perhaps a test set.
        alike: look for copies, too; False finds identical pictures only.
        threads: how many pictures are read at a time; by default one per core, 16 at most.
        show: draw a bar in a terminal or a notebook.

    Raises:
        TypeError: the items of a loader have no positions, or are no pictures.
        DataError: there are no pictures.
    """
    return check(loaders_collection(dls), alike=alike, threads=threads, show=show)


def loaders_collection(dls: "DataLoaders") -> Collection:
    """Return the pictures behind loaders, with their labels."""
    entries: list[Entry] = []
    splits = [_split_name(i) for i in range(len(dls.loaders))]
    for split, loader in zip(splits, dls.loaders, strict=True):
        entries += _entries(getattr(loader, "dataset", loader), split)
    labelled = any(entry.labels for entry in entries)
    several: Task = "multilabel" if dls.task == "multilabel" else "classification"
    return Collection(
        root=None if str(dls.path) == "." else Path(dls.path),
        splits=splits,
        entries=entries,
        task=several if labelled else None,
        why_unlabelled="There are no labels to check: the targets are no classes.",
    )


def _split_name(i: int) -> str:
    return _NAMES[i] if i < len(_NAMES) else f"loader {i}"


def _entries(dataset: Any, split: str) -> list[Entry]:
    """Return the entries of one data set."""
    if isinstance(dataset, Datasets):
        used = dataset._used()
        targets = used[dataset.n_inp :]
        made = _through(used[0], targets[0] if targets else None, split)
    elif isinstance(dataset, TfmdLists):
        made = _through(dataset, None, split)
    elif can_be_indexed(dataset, None):
        made = foreign_entries(dataset, split)
    else:
        raise TypeError(
            f"The check needs items that can be asked for by position, but those of {split} come "
            f"from a {type(dataset).__name__}, which has none. Check the files themselves: "
            "check_folder(path)."
        )
    _refuse_other_things(made)
    return made


def _refuse_other_things(entries: Sequence[Entry]) -> None:
    """Raise TypeError if neither the first entries nor any files are pictures."""
    error: DataError | None = None
    for entry in entries[:3]:
        if isinstance(entry.source, Path):
            return
        try:
            examined(entry)
            return
        except DataError as caught:
            error = error or caught
    if error is not None:
        name = entries[0].name
        raise TypeError(f"The check looks at pictures, but {name} seems to be none: {error}")


def _through(inputs: TfmdLists, targets: TfmdLists | None, split: str) -> list[Entry]:
    """Return the entries of items that are seen through transforms."""
    end = _picture_made_at(inputs)
    label_of = None if targets is None else _labeller(targets)
    entries = []
    # Decoded pictures are made when they are looked at, or all would be in memory at once.
    files = bool(len(inputs)) and _is_path(_tried(inputs, 0, end))
    for i in range(len(inputs)):
        labels = () if label_of is None else label_of(i)
        found = _tried(inputs, i, end) if files else None
        if _is_path(found):
            entries.append(Entry(os.fspath(found), split, labels, Path(found)))
        else:
            source = partial(_value, inputs, i, end)
            entries.append(Entry(f"number {i} of {split}", split, labels, source))
    return entries


def _picture_made_at(inputs: TfmdLists) -> int:
    """Return the number of the transform that reads the picture; else how many there are."""
    for i, f in enumerate(inputs.tfms.fs):
        owner = getattr(getattr(f, "function", None), "__self__", None)
        if isinstance(owner, type) and issubclass(owner, PILBase):
            return i
    return len(inputs.tfms.fs)


def _value(tl: TfmdLists, i: int, end: int) -> Any:
    """Return what the first `end` transforms make of item `i`."""
    value = row(tl.items, i)
    for f in tl.tfms.fs[:end]:
        value = f(value, split_idx=tl.split_idx)
    return value


def _tried(tl: TfmdLists, i: int, end: int) -> Any:
    """Return the same, or None where the user's function fails: the check tells why."""
    try:
        return _value(tl, i, end)
    except Exception:
        return None


def _is_path(value: Any) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(value, str | os.PathLike)


def _labeller(targets: TfmdLists) -> Callable[[int], Labels] | None:
    """Return a function that gives the labels of item `i`; None if the targets are no classes."""
    kinds = (Categorize, MultiCategorize, EncodedMultiCategorize, OneHotEncode)
    for end, f in enumerate(targets.tfms.fs):
        if isinstance(f, kinds):
            return partial(_labels, targets, end, f)
    return None


def _labels(targets: TfmdLists, end: int, encoder: Transform, i: int) -> Labels:
    value = _value(targets, i, end)
    if isinstance(encoder, Categorize):
        return (_label(value),)
    if isinstance(encoder, EncodedMultiCategorize):
        vocab: Sequence[Any] = encoder.vocab or ()
        return tuple(_label(name) for name, hot in zip(vocab, value, strict=False) if hot)
    return tuple(_label(label) for label in label_list(value))


def _label(value: Any) -> Label:
    return NA if is_missing(value) else plain_label(value)
