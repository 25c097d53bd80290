"""The container behind `L`: a list with a short printed form, indexed by lists and masks."""

import itertools
from collections.abc import Iterable, Sequence, Sized
from typing import Any, Self, SupportsIndex, TypeVar, overload

from presize.core.sequences import is_array, listify, positions, repeat_to_match, same

T = TypeVar("T")

SHOWN = 10  # items that the printed form writes out


class IndexedList(list[T]):
    """A list that shows its length and takes several positions or a mask as its index."""

    @overload
    def __init__(self, items: None = None, /) -> None: ...
    @overload
    def __init__(
        self: "IndexedList[str]",
        items: str,
        /,
        *,
        use_list: bool = ...,
        match: int | Sized | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self, items: Iterable[T], /, *, use_list: bool = ..., match: int | Sized | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self, items: T, /, *rest: T, use_list: bool = ..., match: int | Sized | None = ...
    ) -> None: ...
    def __init__(
        self, items: Any = None, /, *rest: Any, use_list: bool = False, match: Any = None
    ) -> None:
        """Make a list.

        Args:
            items: the items, or the first of them.
            rest: further items; then every argument is one item.
            use_list: also take a text apart into characters and a dictionary into keys.
            match: a number, or a collection whose length is meant: one item is repeated that
                often; any other count of items raises ValueError.
        """
        made = listify(items, *rest, split_text=use_list)
        if match is not None:
            made = repeat_to_match(made, match if isinstance(match, int) else len(match))
        super().__init__(made)

    def __repr__(self) -> str:
        shown = ",".join(repr(o) for o in itertools.islice(self, SHOWN))
        return f"(#{len(self)}) [{shown}{'...' if len(self) > SHOWN else ''}]"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list | tuple | range) or is_array(other):
            return same(list(self), list(other))
        return NotImplemented

    __hash__ = None  # it can change, like every list

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    # `+` and `+=` differ from a list's: what is no list is added as one item.

    def __add__(self, other: Any) -> Self:  # type: ignore[override]
        return type(self)([*self, *listify(other)])

    def __radd__(self, other: Any) -> Self:
        return type(self)([*listify(other), *self])

    def __iadd__(self, other: Any) -> Self:  # type: ignore[override]
        self.extend(listify(other))
        return self

    def __mul__(self, times: SupportsIndex) -> Self:
        return type(self)(super().__mul__(times))

    __rmul__ = __mul__

    def copy(self) -> Self:
        """Return a new list of the same items."""
        return type(self)(list(self))

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int]) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """Return one item, or the list of those at a slice, at several positions, under a mask.

        Positions and masks may be lists, arrays or tensors; a tuple is several positions too:
        `items[0, 2]`. Raises IndexError if a position is outside or a mask has another length.
        """
        if _is_single(index):
            return super().__getitem__(index)
        if isinstance(index, slice):
            return type(self)(super().__getitem__(index))
        get = super().__getitem__
        return type(self)([get(i) for i in positions(index, len(self))])

    def __setitem__(self, index: Any, value: Any) -> None:
        """Set one item, a slice, or the items at several positions or under a mask."""
        if _is_single(index) or isinstance(index, slice):
            return super().__setitem__(index, value)
        chosen = positions(index, len(self))
        for i, item in zip(chosen, repeat_to_match(listify(value), len(chosen)), strict=True):
            super().__setitem__(i, item)

    def split_by(self, selector: Any) -> tuple[Self, Self]:
        """Return the items that a mask or list of positions chooses, and the others in order."""
        chosen = positions(selector, len(self))
        taken = {range(len(self))[i] for i in chosen}  # negative positions become positive
        others = [o for i, o in enumerate(self) if i not in taken]
        return self[chosen], type(self)(others)


def _is_single(index: Any) -> bool:
    """Return True for a whole number, also one of NumPy or torch without dimensions."""
    return type(index) is int or (hasattr(index, "__index__") and not getattr(index, "ndim", 0))
