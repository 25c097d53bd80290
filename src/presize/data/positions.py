"""Positions of items: from masks, tables and splits, and checked that one can train on them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.sequences import positions

Split: TypeAlias = tuple[L[int], L[int]]
"""Positions for training, and for validation."""


def split_indices(split: Any, n: int) -> list[int]:
    """Return the positions that one split stands for.

    Args:
        split: positions, as list, range, array or tensor; a mask of `n` booleans; or a slice.
        n: number of items.

    Raises:
        DataError: it is something else, or a mask of another length.
    """
    if isinstance(split, slice):
        return list(range(n)[split])
    try:
        return positions(split, n)
    except (IndexError, TypeError) as error:
        raise DataError(f"A split is not a list of positions or a mask: {error}") from None


def check_splits(splits: Sequence[Any], n: int, splitter: Any = None) -> list[L[int]]:
    """Return the splits as lists of positions, after a check that one can train on them.

    Args:
        splits: training, validation and perhaps further sets: see `split_indices`.
        n: number of items.
        splitter: what made them, named in the errors.

    Raises:
        DataError: training or validation is empty, a position is outside the items, or an item
            is in two sets.
    """
    who = _name(splitter)
    if len(splits) < 2:
        raise DataError(
            f"{who} should return two lists of positions, (train, valid), but returned "
            f"{len(splits)}."
        )
    found = [L(split_indices(split, n)) for split in splits]
    for name, split in zip(("training", "validation"), found[:2], strict=True):
        if not split:
            raise DataError(
                f"{who} leaves the {name} set empty: of {n} items, {len(found[0])} are for "
                f"training and {len(found[1])} for validation. Use more items, or change the "
                "splitter so that both get some (the default keeps 20 % for validation)."
            )
    for split in found:
        check_range(split, n, who)
    _check_overlap(found, who)
    return found


def _check_overlap(splits: list[L[int]], who: str) -> None:
    seen: set[int] = set()
    for split in splits:
        both = seen.intersection(split)
        if both:
            raise DataError(
                f"{who} puts {len(both)} items into two sets, the first at position {min(both)}: "
                "a validation on training items says nothing. Give every item to one set."
            )
        seen.update(split)


def check_range(indices: Sequence[int], n: int, who: str) -> None:
    """Raise DataError if a position is not one of `n` items; negative ones are not."""
    bad = next((i for i in indices if not 0 <= i < n), None)
    if bad is not None:
        raise DataError(f"{who}: there is no item {bad}; the {n} items count from 0 to {n - 1}.")


def check_part(name: str, value: Any) -> None:
    """Raise ValueError unless the value is a part between 0 and 1."""
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        percent = isinstance(value, int | float) and 1 < value < 100
        cure = f" For {value} percent write {value / 100:g}." if percent else ""
        raise ValueError(f"{name}={value!r} should be a part of all items, between 0 and 1.{cure}")


def check_length(name: str, values: Any, items: Collection[Any]) -> None:
    """Raise DataError unless there is one value for each item."""
    if len(values) != len(items):
        raise DataError(
            f"{name} has {len(values)} entries, but there are {len(items)} items: it needs one "
            "for each item, in the same order."
        )


def _name(splitter: Any) -> str:
    return "The splitter" if splitter is None else getattr(splitter, "__name__", repr(splitter))


def by_mask(mask: Iterable[bool]) -> Split:
    """Return the positions where the mask is false, and those where it is true."""
    train: list[int] = []
    valid: list[int] = []
    for i, flag in enumerate(mask):
        (valid if flag else train).append(i)
    return L(train), L(valid)


def each_item(items: Any) -> Iterator[Any]:
    """Walk through the items; of a DataFrame, through its rows and not the column names."""
    if hasattr(items, "iloc"):
        return (items.iloc[i] for i in range(len(items)))
    return iter(items)
