"""Predictions that are there as arrays, looked at piece by piece."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.errors import DataError
from presize.interpret.kept_classes import ClassRows
from presize.interpret.kept_columns import Columns
from presize.interpret.kept_items import Items
from presize.interpret.kept_labels import LabelKeeper, LabelRows
from presize.interpret.per_class import class_number

# Numbers in a piece: 16 MiB of float32.
_PIECE = 1 << 22
_OVER = 1e-3


def pieces(probabilities: Any, n_classes: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of probabilities as float32, some at a time, with their places.

    Raises:
        DataError: they are no probabilities, or not one for each class.
    """
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or shape[1] != n_classes or not shape[0]:
        raise DataError(
            f"from_arrays takes the probability of each class for each item, [n, {n_classes}], as "
            f"there are {n_classes} classes in vocab, but got the shape {list(shape)}."
        )
    step = max(1, _PIECE // max(n_classes, 1))
    for start in range(0, shape[0], step):
        at = slice(start, min(start + step, shape[0]))
        some = probabilities[at]
        if not isinstance(some, Tensor):
            some = torch.from_numpy(np.array(some, dtype=np.float32))  # a copy: files are read-only
        some = some.detach().float().cpu()
        _check(some, start)
        yield at, some


def _check(probs: Tensor, start: int) -> None:
    odd = ~((probs >= 0) & (probs <= 1 + _OVER))  # nan is odd, too
    if not odd.any():
        return
    row, column = (int(i) for i in odd.nonzero()[0])
    raise DataError(
        f"from_arrays takes probabilities from 0 to 1, but that of class {column} for item "
        f"{start + row} is {float(probs[row, column]):.4g}. Apply torch.softmax(outputs, 1) to "
        "what a model gives, or torch.sigmoid for several labels."
    )


def class_rows(probabilities: Any, targets: Any, vocab: Sequence[Any]) -> ClassRows:
    """Return what is kept of a classifier's predictions; see `from_arrays`."""
    targs = class_numbers(targets, vocab)
    _check_count(len(targs), probabilities)
    columns = Columns()
    for at, probs in pieces(probabilities, len(vocab)):
        true = targs[at]
        tiny = torch.finfo(probs.dtype).tiny
        losses = -probs.gather(1, true[:, None])[:, 0].clamp_min(tiny).log()
        columns.add(**vars(ClassRows.of(probs, true, losses)))
    return ClassRows(**columns.joined())


def _check_count(n: int, probabilities: Any) -> None:
    if n != len(probabilities):
        raise DataError(
            f"There are {n} targets, but predictions for {len(probabilities)} items: give one "
            "target for each item."
        )


def class_numbers(targets: Any, vocab: Sequence[Any]) -> Tensor:
    """Return targets as class numbers, int64 [n].

    Raises:
        DataError: one is no class.
    """
    if isinstance(targets, Tensor | np.ndarray) and np.asarray(targets).dtype.kind in "iu":
        numbers = torch.from_numpy(np.asarray(targets).astype(np.int64)).reshape(-1)
    else:
        places = {name: number for number, name in enumerate(vocab)}
        found = [places[t] if t in places else class_number(t, vocab) for t in targets]
        numbers = torch.tensor(found, dtype=torch.int64)
    outside = ((numbers < 0) | (numbers >= len(vocab))).nonzero()[:, 0].tolist()
    if outside:
        raise DataError(
            f"The target of item {outside[0]} is {int(numbers[outside[0]])}, but the "
            f"{len(vocab)} classes have the numbers 0 to {len(vocab) - 1}."
        )
    return numbers


def items_of(n: int, files: Sequence[Any] | None) -> Items:
    """Return the items of predictions that are there as arrays.

    Raises:
        DataError: there is not one file for each.
    """
    if files is not None and len(files) != n:
        raise DataError(f"There are {len(files)} files, but predictions for {n} items.")
    named = None if files is None else [os.fspath(file) for file in files]
    return Items(torch.arange(n), files=named, split="the arrays")


def label_rows(
    probabilities: Any, targets: Any, labels: Sequence[Any], threshold: float
) -> LabelRows:
    """Return what is kept of the predictions of several labels; see `from_arrays`."""
    if tuple(np.shape(targets)) != tuple(probabilities.shape):
        raise DataError(
            "from_arrays takes a 0 or 1 for each label of each item, in the shape of the "
            f"probabilities {list(probabilities.shape)}, but the targets have the shape "
            f"{list(np.shape(targets))}."
        )
    keeper = LabelKeeper(None, None, None)
    for at, probs in pieces(probabilities, len(labels)):
        some = targets[at]
        values = some.cpu() if isinstance(some, Tensor) else torch.from_numpy(np.array(some))
        if bool(((values != 0) & (values != 1)).any()):
            raise DataError(
                "from_arrays takes a 0 or 1 for each label of each item, but the targets have "
                "other values."
            )
        actual = values.bool()
        losses = F.binary_cross_entropy(probs.clamp(0, 1), actual.float(), reduction="none")
        keeper.keep(probs, probs > threshold, actual, losses.mean(1))
    return keeper.rows()
