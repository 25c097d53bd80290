"""Weights that make rare classes count as much as frequent ones, from the labels of the data."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from presize.core.errors import DataError, did_you_mean
from presize.data.blame import brief, named_errors
from presize.data.labelcheck import NA

How: TypeAlias = Literal["balanced", "sqrt"]
_HOW = ("balanced", "sqrt")


def class_weights(dls: Any, how: How = "balanced") -> Tensor:
    """Return a weight for each class, for the loss: `CrossEntropyLossFlat(weight=...)`.

    They are counted from the labels of the training set; pictures are not read. Where items have
    several labels, each gets the weight that its presence should have, for
    `BCEWithLogitsLossFlat(pos_weight=...)`.

    Args:
        dls: the data: its training items have one category each (CategoryBlock), or several
            labels. The loader or the data set alone serve too, also a list of pairs, PyTorch's
            data sets in memory, and those of torchvision that list their `targets`.
        how: "balanced" makes all classes count the same, n / (classes * count) as scikit-learn
            has it, and for several labels absent / present; "sqrt" goes half the way, on a scale
            of factors, which is gentler to very rare classes.

    Returns:
        float32 [classes], in the order of `dls.vocab`; over the items of the training set their
        mean is 1, so that the loss keeps its scale (not for several labels).

    Raises:
        ValueError: `how` is unknown.
        DataError: the labels of the training set cannot be counted.
    """
    if how not in _HOW:
        raise ValueError(f'how= is "balanced" or "sqrt", but got {how!r}.{did_you_mean(how, _HOW)}')
    loader, dataset = _training_set(dls)
    _warn_of_sampler(loader)
    vocab = _vocab(dataset)
    if getattr(dataset, "task", None) == "multilabel":
        return _of_labels(dataset, vocab, how)
    codes = _codes(_targets(dataset))
    counts = np.bincount(codes, minlength=len(vocab))
    _check_counts(counts, vocab, len(codes))
    there = counts > 0
    weights = np.ones(len(counts))
    weights[there] = len(codes) / (there.sum() * counts[there])
    if how == "sqrt":
        weights[there] = np.sqrt(weights[there])
        weights[there] *= len(codes) / (counts * weights)[there].sum()
    return torch.tensor(weights, dtype=torch.float32)


def _training_set(data: Any) -> tuple[Any, Any]:
    """Return the training loader, or what there is in its place, and its data set."""
    # Data sets of torchvision have a `train` that is a bool, a Subset the `dataset` it is of.
    if isinstance(data, list | tuple | Dataset):
        return None, data
    loader = getattr(data, "train", data)
    return loader, getattr(loader, "dataset", loader)


def _vocab(dataset: Any) -> Sequence[Any]:
    targets = dataset.tls[-1] if hasattr(dataset, "tls") else dataset
    found = getattr(targets, "vocab", None)
    return () if found is None else list(found)


def _targets(dataset: Any) -> Sequence[Any]:
    """Return what gives the class of each item without reading its picture."""
    task = getattr(dataset, "task", None)
    if task not in (None, "classification"):
        raise DataError(
            "class_weights counts the classes of the training items, but the targets of this data "
            f"are those of {task}. Give the loss weights of your own: weight=[...]."
        )
    found: Any = None
    if hasattr(dataset, "tls"):
        found = dataset.tls[-1] if task else None
    elif hasattr(dataset, "indices") and hasattr(dataset, "dataset"):  # PyTorch's Subset
        whole = _targets(dataset.dataset)
        found = [whole[i] for i in dataset.indices]
    elif isinstance(dataset, list | tuple):  # of pairs, which are in memory
        found = [pair[-1] for pair in dataset]
    elif hasattr(dataset, "tensors"):  # PyTorch's TensorDataset
        found = dataset.tensors[-1]
    else:  # those of torchvision have a list of them
        found = getattr(dataset, "targets", None)
    if found is None:
        raise DataError(
            "class_weights needs one category for each training item, as CategoryBlock makes it, "
            f"but this data ({type(dataset).__name__}) does not tell without reading every item. "
            "Count yourself, and give the loss one weight for each class: weight=[...]."
        )
    labels: Sequence[Any] = found
    return labels


def _codes(targets: Sequence[Any]) -> NDArray[np.int64]:
    values = np.fromiter(map(_number, named_errors(targets)), dtype=np.float64, count=len(targets))
    codes = values.astype(np.int64)
    wrong = np.flatnonzero((codes != values) | (codes < 0))
    if len(wrong):
        raise DataError(
            "class_weights counts class numbers, 0 and up, but the target of item "
            f"{wrong[0]} is {values[wrong[0]]:g}."
        )
    return codes


def _number(target: Any) -> float:
    try:
        return float(target)
    except (TypeError, ValueError):
        raise DataError(
            f"class_weights counts class numbers, but a target is {brief(target)} "
            f"({type(target).__name__})."
        ) from None


def _of_labels(dataset: Any, vocab: Sequence[Any], how: How) -> Tensor:
    if not hasattr(dataset, "tls"):
        raise DataError(
            f"class_weights cannot count the labels of this data ({type(dataset).__name__}) "
            "without reading every item. Give the loss weights of your own: pos_weight=[...]."
        )
    present = np.zeros(len(vocab))
    n = 0
    for row in _hot_rows(dataset.tls[-1]):
        present += row
        n += 1
    there = (present > 0) & (present < n)
    if not there.all():
        i = int(np.flatnonzero(~there)[0])
        state = "at no item" if present[i] == 0 else "at all items"
        _warn(f"The label `{vocab[i]}` is {state} of the training set, so its weight stays 1.")
    weights = np.ones(len(vocab))
    weights[there] = (n - present[there]) / present[there]
    return torch.tensor(np.sqrt(weights) if how == "sqrt" else weights, dtype=torch.float32)


def _hot_rows(labels: Sequence[Any]) -> Iterator[NDArray[np.float64]]:
    for row in named_errors(labels):
        yield np.asarray(row, dtype=np.float64)


def _check_counts(counts: NDArray[np.int64], vocab: Sequence[Any], n: int) -> None:
    if not n:
        raise DataError("class_weights has nothing to count: the training set has no items.")
    if vocab and len(counts) > len(vocab):
        raise DataError(
            f"class_weights found a class number {len(counts) - 1}, but the vocabulary has "
            f"{len(vocab)} classes."
        )
    # A class for what is missing has often nothing in it, which is no news.
    absent = [
        vocab[i] if vocab else i
        for i in np.flatnonzero(counts == 0).tolist()
        if not vocab or vocab[i] != NA
    ]
    if absent:
        named = ", ".join(f"`{name}`" for name in absent[:5])
        _warn(
            f"{len(absent)} of {len(counts)} classes have no item in the training set ({named}), "
            "so their weight stays 1: nothing can be learned about them."
        )


def _warn_of_sampler(loader: Any) -> None:
    if isinstance(getattr(loader, "weights", None), str):
        _warn(
            'The training loader draws each class equally often already (weights="balanced"). With '
            "class weights in the loss as well, rare classes count twice over: use one of the two."
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
