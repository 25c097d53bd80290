"""The data sets of others: PyTorch's, torchvision's, lists of samples, and parts of them."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from presize.data.check.entries import Entry
from presize.data.labelcheck import Label


def foreign_entries(dataset: Any, split: str) -> list[Entry]:
    """Return the entries of a PyTorch data set, or of a list of samples."""
    entries = []
    for i in range(len(dataset)):
        owner, k = _owner(dataset, i)
        labels = _labels(owner, k)
        samples = getattr(owner, "samples", None)  # torchvision's folders: (file, class number)
        if samples is not None and isinstance(samples[k][0], str | os.PathLike):
            file = samples[k][0]
            entries.append(Entry(os.fspath(file), split, labels, Path(file)))
        else:
            source = partial(_input, owner, k)
            entries.append(Entry(f"number {i} of {split}", split, labels, source))
    return entries


def _owner(dataset: Any, i: int) -> tuple[Any, int]:
    """Return the data set that item `i` of a part of it, or of a part of a part, comes from."""
    while hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        dataset, i = dataset.dataset, dataset.indices[i]
    return dataset, i


def _input(dataset: Any, i: int) -> Any:
    sample = dataset[i]
    return sample[0] if isinstance(sample, tuple | list) else sample


def _labels(dataset: Any, i: int) -> tuple[Label, ...]:
    """Return the class of item `i`, if it is known without making the picture."""
    targets = getattr(dataset, "targets", None)
    if targets is not None:
        return _named(dataset, targets[i])
    made = isinstance(dataset, Sequence) and isinstance(dataset[i], tuple) and len(dataset[i]) > 1
    return _named(dataset, dataset[i][1]) if made else ()


def _named(dataset: Any, target: Any) -> tuple[Label, ...]:
    """Return a class by its name where the data set has names; nothing if it is no class."""
    if isinstance(target, Tensor | np.ndarray | np.generic) and target.ndim == 0:
        target = target.item()
    if isinstance(target, bool | float) or not isinstance(target, str | int):
        return ()
    classes = getattr(dataset, "classes", None)
    if classes is None or isinstance(target, str) or not 0 <= target < len(classes):
        return (target,)
    return (str(classes[target]),)
