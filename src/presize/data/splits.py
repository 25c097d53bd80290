"""Splitting items into a training and a validation set: lists of their positions.

Every splitter is called with the items and returns (train, valid).
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as _Path
from typing import Any

import torch

from presize.core.collections import L
from presize.core.errors import DataError, did_you_mean
from presize.data.positions import (
    Split,
    by_mask,
    check_length,
    check_part,
    check_range,
    each_item,
    split_indices,
)
from presize.data.positions import check_splits as check_splits
from presize.data.stratified import TrainTestSplitter as TrainTestSplitter


@dataclass(frozen=True)
class RandomSplitter:
    """A part of the items, drawn at random, is for validation.

    Args:
        valid_pct: the part for validation, 0 to 1.
        seed: gives the same split at every call; None draws from PyTorch's global generator.
    """

    valid_pct: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_part("valid_pct", self.valid_pct)

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        order, cut = _permutation(len(items), self.seed), int(self.valid_pct * len(items))
        return L(order[cut:]), L(order[:cut])


@dataclass(frozen=True)
class RandomSubsetSplitter:
    """Random parts of the items are for training and validation; the rest stays out.

    Args:
        train_sz: the part for training, 0 to 1.
        valid_sz: the part for validation, 0 to 1; both together at most 1.
        seed: as for `RandomSplitter`.
    """

    train_sz: float
    valid_sz: float
    seed: int | None = None

    def __post_init__(self) -> None:
        check_part("train_sz", self.train_sz)
        check_part("valid_sz", self.valid_sz)
        if self.train_sz + self.valid_sz > 1 + 1e-9:
            raise ValueError(
                f"train_sz={self.train_sz} and valid_sz={self.valid_sz} are parts of the same "
                "items: together they can be at most 1."
            )

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        order = _permutation(len(items), self.seed)
        train, valid = int(self.train_sz * len(items)), int(self.valid_sz * len(items))
        return L(order[:train]), L(order[train : train + valid])


@dataclass(frozen=True, eq=False)
class IndexSplitter:
    """The items at these positions are for validation; both sets keep the order of the items.

    Args:
        valid_idx: positions from 0, as list, array or tensor.
    """

    valid_idx: Iterable[int] = field(repr=False)

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        chosen = split_indices(self.valid_idx, len(items))
        check_range(chosen, len(items), "IndexSplitter")
        wanted = set(chosen)
        return by_mask(i in wanted for i in range(len(items)))


@dataclass(frozen=True)
class EndSplitter:
    """The last items are for validation, as for pictures in the order of their dates.

    Args:
        valid_pct: the part for validation, 0 to 1.
        valid_last: False takes the first items instead.
    """

    valid_pct: float = 0.2
    valid_last: bool = True

    def __post_init__(self) -> None:
        check_part("valid_pct", self.valid_pct)

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        n = len(items)
        cut = int(self.valid_pct * n)
        if self.valid_last:
            return L(range(n - cut)), L(range(n - cut, n))
        return L(range(cut, n)), L(range(cut))


@dataclass(frozen=True, eq=False)
class FuncSplitter:
    """The items for which a function is true are for validation; the order is kept."""

    func: Callable[[Any], Any]

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        return by_mask(bool(self.func(item)) for item in each_item(items))


@dataclass(frozen=True, eq=False)
class MaskSplitter:
    """The items whose place in the mask is true are for validation; the order is kept."""

    mask: Sequence[bool] = field(repr=False)

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        check_length("mask", self.mask, items)
        return by_mask(bool(flag) for flag in self.mask)


@dataclass(frozen=True)
class FileSplitter:
    """The items whose file names are in a text file, one a line, are for validation.

    A line with a `/` has to agree with the end of the path, one without with the file name.

    Raises:
        FileNotFoundError: (when called) there is no such file.
        DataError: (when called) no item is named in it.
    """

    fname: str | os.PathLike[str]

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        lines = {line.strip() for line in _Path(self.fname).read_text("utf-8").splitlines()}
        lines.discard("")
        depths = {line.count("/") + 1 for line in lines}
        paths = [_Path(item) for item in items]
        mask = [any("/".join(p.parts[-depth:]) in lines for depth in depths) for p in paths]
        if lines and not any(mask):
            raise DataError(
                f"None of the {len(paths)} items is named in `{self.fname}`. A line there is "
                f"`{min(lines)}`; an item is `{paths[0] if paths else ''}`. Write one file name, "
                "with its ending, on each line."
            )
        return by_mask(mask)


@dataclass(frozen=True, eq=False)
class ColSplitter:
    """A column of the DataFrame says which rows are for validation; the order is kept.

    Args:
        col: the name of the column, or its number from 0.
        on: the value, or list of values, that means validation; None takes True (or 1).

    Raises:
        DataError: (when called) no such column, or it holds other values than true and false.
    """

    col: str | int = "is_valid"
    on: Any = None

    def __call__(self, items: Any) -> Split:
        """Return the training and the validation positions."""
        if not hasattr(items, "iloc"):
            raise DataError(
                f"ColSplitter reads a column of a DataFrame, but the items are a "
                f"{type(items).__name__}. Give the DataFrame as the source, without `get_items`."
            )
        values = list(self._column(items))
        if self.on is None:
            return by_mask(map(self._flag, values))
        single = isinstance(self.on, str | bytes) or not isinstance(self.on, Iterable)
        wanted = [self.on] if single else list(self.on)
        return by_mask(value in wanted for value in values)

    def _column(self, items: Any) -> Any:
        names = list(items.columns)
        if self.col in names:
            return items[self.col]
        if isinstance(self.col, int) and -len(names) <= self.col < len(names):
            return items.iloc[:, self.col]
        raise DataError(
            f"ColSplitter: there is no column `{self.col}`.{did_you_mean(self.col, names)} The "
            f"columns are: {', '.join(map(str, names))}."
        )

    def _flag(self, value: Any) -> bool:
        # bool("False") and bool(nan) are true: only what is clearly a yes or no is taken.
        if isinstance(value, str) or value not in (True, False):
            raise DataError(
                f"Column `{self.col}` should hold True or False for ColSplitter, but has "
                f"{value!r}. Say which value means validation: "
                f"`ColSplitter({self.col!r}, on={value!r})`."
            )
        return bool(value)


@dataclass(frozen=True)
class GrandparentSplitter:
    """The folder above the label's folder says the set: `train/cat/1.jpg`, `valid/cat/2.jpg`.

    Args:
        train_name: the name of the training folder, or a tuple of names: their items then come
            in the order of the names.
        valid_name: the same for validation.

    Raises:
        DataError: (when called) no item is in one of these folders.
    """

    train_name: str | tuple[str, ...] = "train"
    valid_name: str | tuple[str, ...] = "valid"

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        groups: dict[str, list[int]] = {}
        for i, item in enumerate(items):
            groups.setdefault(_Path(item).parent.parent.name, []).append(i)
        return self._of(groups, self.train_name), self._of(groups, self.valid_name)

    def _of(self, groups: dict[str, list[int]], name: str | tuple[str, ...]) -> L[int]:
        names = [name] if isinstance(name, str) else list(name)
        found = L([i for one in names for i in groups.get(one, ())])
        if not found:
            there = ", ".join(f"`{key}` ({len(groups[key])} items)" for key in sorted(groups)[:8])
            raise DataError(
                f"GrandparentSplitter finds no item in a folder {' or '.join(map(repr, names))}: "
                "it looks at the folder above the item's own, as in `train/cat/1.jpg`."
                f"{did_you_mean(names[0], groups)} The folders at that place are: "
                f"{there or 'none'}. Give their names as train_name= and valid_name=, or use "
                "another splitter, such as RandomSplitter()."
            )
        return found


def _permutation(n: int, seed: int | None) -> list[int]:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    order: list[int] = torch.randperm(n, generator=generator).tolist()
    return order
