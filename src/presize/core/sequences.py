"""What counts as many things and what as one; choosing from many by position or by mask."""

import operator
from collections.abc import Iterable, Mapping
from types import GeneratorType
from typing import Any, TypeGuard

import numpy as np
from torch import Tensor


def is_array(value: object) -> TypeGuard["Tensor | np.ndarray[Any, Any]"]:
    """Return True for tensors and NumPy arrays, whatever their number of dimensions."""
    return isinstance(value, Tensor | np.ndarray)


def is_listy(value: object) -> bool:
    """Return True for lists, tuples, ranges, slices and generators: many things kept in order."""
    return isinstance(value, list | tuple | range | slice | GeneratorType)


def listify(value: Any = None, *rest: Any, split_text: bool = False) -> list[Any]:
    """Return `value` as a list.

    None gives an empty list; lists, generators, arrays and tensors give their elements; texts,
    bytes, dictionaries, classes and everything that cannot be walked through are one element.

    Args:
        value: the thing, or the first of several.
        rest: further things; then every argument is one element.
        split_text: take a text apart into characters and a dictionary into its keys.
    """
    if rest:
        return [value, *rest]
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) and not split_text:
        return [value]
    if isinstance(value, type):  # an Enum class can be walked through, but is one thing
        return [value]
    if not hasattr(value, "__iter__"):
        return [value]
    try:
        return list(value)
    except (TypeError, NotImplementedError):
        # Arrays without dimensions and torchmetrics objects have `__iter__` and refuse it.
        if isinstance(value, Iterable) and not is_array(value) and hasattr(value, "__next__"):
            raise  # a generator that failed half way has a fault of its own
        return [value]


def repeat_to_match(items: list[Any], match: int) -> list[Any]:
    """Return `items` with `match` elements: one element is repeated, other counts must agree."""
    if len(items) == 1:
        return items * match
    if len(items) != match:
        raise ValueError(
            f"{len(items)} items cannot be matched to {match}: give one item, which is repeated, "
            f"or exactly {match}."
        )
    return items


def positions(selector: Any, length: int) -> list[int]:
    """Return the positions that `selector` chooses from a list of `length` items.

    Args:
        selector: whole numbers, or one True/False per item, as list, tuple, array or tensor.
        length: number of items of the list.

    Raises IndexError if a mask has another length, TypeError if it holds anything else.
    """
    chosen = selector.tolist() if hasattr(selector, "tolist") else list(selector)
    if chosen and all(isinstance(o, bool | np.bool_) for o in chosen):
        if len(chosen) != length:
            raise IndexError(
                f"A mask of {len(chosen)} True/False values was given for a list of {length} "
                f"items: it needs one value per item."
            )
        return [i for i, keep in enumerate(chosen) if keep]
    try:
        return [operator.index(o) for o in chosen]
    except TypeError:
        bad = next(o for o in chosen if not hasattr(o, "__index__"))
        raise TypeError(
            f"A list is indexed by whole numbers, a slice, a list of whole numbers or a mask; "
            f"got {bad!r} ({type(bad).__name__}) among the indices."
        ) from None


def same(a: Any, b: Any) -> bool:
    """Return True if two values are equal, arrays by shape and elements, sequences one by one."""
    if a is b:
        return True
    if is_array(a) or is_array(b):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def distinct(items: Iterable[Any]) -> list[Any]:
    """Return each different item once, in the order of appearance.

    Items that cannot be hashed, and tensors (which hash by identity), are compared one by one.
    """
    items = list(items)
    try:
        if not any(is_array(o) for o in items):
            return list(dict.fromkeys(items))
    except TypeError:
        pass
    found: list[Any] = []
    for item in items:
        if not any(same(item, o) for o in found):
            found.append(item)
    return found
