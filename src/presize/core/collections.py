"""`L`: a list that prints its length, is indexed by lists and masks, and maps, filters and sorts.

    >>> L(enumerate("abc")).itemgot(1)
    (#3) ['a','b','c']

It is a `list`: json, pickle and the collating of batches take it as one. Methods give a new L and
leave the old one as it was; where a method takes a function and further arguments, those go to
the function before the item, as `functools.partial` does.
"""

import functools
import itertools
import operator
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, SupportsIndex, TypeVar, overload

from presize.core.indexedlist import IndexedList
from presize.core.sequences import distinct, listify

T = TypeVar("T")
U = TypeVar("U")
Key = Callable[[T], Any] | str | int | None


class L(IndexedList[T]):
    """A list with a short printed form and the operations that files, labels and values need.

    `L()` and `L(None)` are empty, `L(1, 2)` has two items, `L(x)` has the items of x if x is a
    list, generator, array or tensor, and x alone if it is a text, dictionary or anything else.
    """

    # Choosing

    def filter(self, f: Callable[..., Any] | None = None, *, negate: bool = False) -> "L[T]":
        """Return the items for which `f` is true (without one: the true items), or false."""
        return L([o for o in self if _passes(f, o, negate)])

    def partition(self, f: Callable[..., Any] | None = None) -> "tuple[L[T], L[T]]":
        """Return the items for which `f` is true, and those for which it is false."""
        return self.filter(f), self.filter(f, negate=True)

    def argwhere(self, f: Callable[..., Any] | None = None, *, negate: bool = False) -> "L[int]":
        """Return the positions of the items that `filter` would keep."""
        return L([i for i, o in enumerate(self) if _passes(f, o, negate)])

    def argfirst(self, f: Callable[..., Any] | None = None, *, negate: bool = False) -> int | None:
        """Return the position of the first item that `filter` would keep, or None."""
        return next((i for i, o in enumerate(self) if _passes(f, o, negate)), None)

    def first(self, f: Callable[..., Any] | None = None, *, negate: bool = False) -> T | None:
        """Return the first item, or the first for which `f` is true (false); None if none is."""
        return next((o for o in self if f is None or _passes(f, o, negate)), None)

    def last(self, f: Callable[..., Any] | None = None, *, negate: bool = False) -> T | None:
        """Return the last item, or the last for which `f` is true (false); None if none is."""
        return next((o for o in reversed(self) if f is None or _passes(f, o, negate)), None)

    def itemgot(self, *indices: Any) -> "L[Any]":
        """Return `item[i]` of every item; with several indices `item[i][j]`, and so on."""
        return L([functools.reduce(operator.getitem, indices, o) for o in self])  # type: ignore[arg-type]

    def attrgot(self, name: str, default: Any = None) -> "L[Any]":
        """Return the attribute (of a dictionary: the entry) of every item, `default` without."""
        return L(
            [
                o.get(name, default) if isinstance(o, Mapping) else getattr(o, name, default)
                for o in self
            ]
        )

    # Applying

    def map(
        self, f: Callable[..., U] | str | Mapping[Any, U] | Sequence[U], *args: Any, **kwargs: Any
    ) -> "L[U]":
        """Return `f` of every item.

        Args:
            f: a function; a format such as "{}.png"; or a mapping or list to look items up in.
            args: given to the function before the item.
            kwargs: given to the function by name.
        """
        g = _as_function(f)
        return L([g(*args, o, **kwargs) for o in self])

    def starmap(self, f: Callable[..., U], *args: Any, **kwargs: Any) -> "L[U]":
        """Return `f(*item)` of every item."""
        return L([f(*args, *o, **kwargs) for o in self])  # type: ignore[misc]  # items are tuples

    def flatmap(self, f: Callable[..., Iterable[U]], *args: Any, **kwargs: Any) -> "L[U]":
        """Return the results of `f`, which are lists, as one list."""
        return self.map(f, *args, **kwargs).concat()

    def map_dict(self, f: Callable[[T], U]) -> dict[T, U]:
        """Return a dictionary from every item to `f` of it."""
        return {o: f(o) for o in self}

    def map_zip(self, f: Callable[..., U], *args: Any, cycled: bool = False) -> "L[U]":
        """Return `f` of all first elements, of all second elements, ...: `zip`, then `starmap`."""
        return self.zip(cycled=cycled).starmap(f, *args)

    def map_zipwith(self, f: Callable[..., U], *rest: Any, cycled: bool = False) -> "L[U]":
        """Return `f(item, other, ...)` for every item and those beside it in `rest`."""
        return self.zipwith(*rest, cycled=cycled).starmap(f)

    def setattrs(self, name: str, value: Any) -> None:
        """Set the attribute of every item to `value`."""
        for o in self:
            setattr(o, name, value)

    # Ordering and grouping

    def sorted(self, key: Key[T] = None, *, reverse: bool = False) -> "L[T]":
        """Return the items in order.

        Args:
            key: a function of the item, the name of its attribute, or the index of its element.
            reverse: largest first.
        """
        return L(sorted(self, key=_as_key(key) or _itself, reverse=reverse))

    def shuffle(self, seed: int | None = None) -> "L[T]":
        """Return the items in random order: the same for a `seed`, else another each time.

        Draws from a generator of its own, so that no other random numbers change.
        """
        return L(random.Random(seed).sample(self, len(self)))

    @overload
    def unique(self, sort: bool = ..., *, start: Any = ...) -> "L[T]": ...
    @overload
    def unique(
        self, sort: bool = ..., *, bidir: Literal[True], start: Any = ...
    ) -> "tuple[L[T], dict[T, int]]": ...
    def unique(self, sort: bool = False, *, bidir: bool = False, start: Any = None) -> Any:
        """Return each different item once.

        Args:
            sort: in order, else in the order of appearance.
            bidir: return also the dictionary from item to position.
            start: an item or items to put first.
        """
        found = distinct(self)
        made = L(distinct([*listify(start), *(sorted(found) if sort else found)]))
        return (made, made.val2idx()) if bidir else made

    def groupby(self, key: Key[T], value: Key[T] = None) -> "dict[Any, L[Any]]":
        """Return a dictionary from each `key` (as in `sorted`) to the items that have it.

        With `value`, the groups hold that of each item instead of the item.
        """
        groups: dict[Any, L[Any]] = {}
        of, take = _as_key(key) or _itself, _as_key(value) or _itself
        for o in self:
            groups.setdefault(of(o), L()).append(take(o))
        return groups

    def val2idx(self) -> dict[T, int]:
        """Return the dictionary from item to position (the last one of equal items)."""
        return {o: i for i, o in enumerate(self)}

    def __or__(self, other: Iterable[T]) -> "L[T]":
        """Return the items of both, each once, in the order of their first appearance."""
        return (self + other).unique()

    def __invert__(self) -> "L[bool]":
        """Return `not item` for every item: of a mask, the mask of the others."""
        return L([not o for o in self])

    # Numbering, pairing, reducing

    def enumerate(self) -> "L[tuple[int, T]]":
        """Return (position, item) pairs."""
        return L(list(enumerate(self)))

    def renumerate(self) -> "L[tuple[T, int]]":
        """Return (item, position) pairs."""
        return L([(o, i) for i, o in enumerate(self)])

    def cycle(self) -> Iterator[T]:
        """Walk through the items again and again, without end."""
        return itertools.cycle(self)

    def zip(self, *, cycled: bool = False) -> "L[tuple[Any, ...]]":
        """Return tuples of the first elements of all items, of the second, ...

        Ends with the shortest item; with `cycled` with the longest, the others start again.
        """
        return L(_zipped([listify(o) for o in self], cycled))

    def zipwith(self, *rest: Any, cycled: bool = False) -> "L[tuple[Any, ...]]":
        """Return tuples of the items and those at the same place in `rest`; see `zip`."""
        return L(_zipped([list(self), *(listify(o) for o in rest)], cycled))

    def concat(self) -> "L[Any]":
        """Return the elements of all items as one list, one level deep."""
        return L([element for o in self for element in listify(o)])

    def reduce(self, f: Callable[[Any, T], Any], initial: Any = None) -> Any:
        """Return f(f(f(initial, item 0), item 1), ...); None starts with the first item."""
        return functools.reduce(f, self) if initial is None else functools.reduce(f, self, initial)

    def sum(self) -> Any:
        """Return the items added up (texts and tensors too); 0 of none."""
        return self.reduce(operator.add) if self else 0

    def product(self) -> Any:
        """Return the items multiplied with each other; 1 of none."""
        return self.reduce(operator.mul) if self else 1

    @classmethod
    def range(cls, a: Any, b: int | None = None, step: int | None = None) -> "L[int]":
        """Return the numbers of `range(a, b, step)`; of a collection: all its positions."""
        stop = a if isinstance(a, SupportsIndex) else len(a)
        return L(range(stop) if b is None else range(stop, b, step or 1))

    @classmethod
    def split(cls, text: str, sep: str | None = None, maxsplit: int = -1) -> "L[str]":
        """Return the parts of `text.split(sep, maxsplit)`."""
        return L(text.split(sep, maxsplit))


def _itself(o: Any) -> Any:
    return o


def _passes(f: Callable[..., Any] | None, item: Any, negate: bool) -> bool:
    """Return whether `item` is kept: `f` is true for it, or false if negated."""
    return bool(item if f is None else f(item)) != negate


def _as_function(f: Any) -> Callable[..., Any]:
    """Return a function for what `L.map` takes: function, format, or something to look up in."""
    if callable(f):
        return f  # type: ignore[no-any-return]
    return f.format if isinstance(f, str) else f.__getitem__


def _as_key(key: Any) -> Callable[[Any], Any] | None:
    """Return a function for a sort key: attribute name, index, function, or None."""
    if isinstance(key, str):
        return operator.attrgetter(key)
    return operator.itemgetter(key) if isinstance(key, int) else key


def _zipped(columns: Sequence[Sequence[Any]], cycled: bool) -> list[tuple[Any, ...]]:
    """Return the rows of columns, as many as the shortest has, or, cycled, as the longest has."""
    if not cycled or not all(columns):
        return list(zip(*columns, strict=False))
    rows = max(map(len, columns))
    return [tuple(column[i % len(column)] for column in columns) for i in range(rows)]
