"""The vocabulary of a data set, and labels that show themselves."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, overload

from presize.core.collections import L
from presize.core.errors import DataError
from presize.data.labelcheck import NA, Label, is_missing, plain_label, unknown_label
from presize.tensors import TitledFloat, TitledInt, TitledStr, show_title


class CategoryMap(Sequence[Any]):
    """The classes, as a list, and the way from a class to its number.

    It compares equal to a list of the same classes, prints as an `L`, and takes several numbers
    (a list or a tensor) as its index.

    Args:
        col: the labels, repeated as they come, or a pandas column; missing ones are left out.
        sort: sort the classes; False keeps the order of their first appearance.
        add_na: put the class `#na#` first; it stands for unknown labels.
        strict: of a pandas column of categories, keep only those that occur. Without it all are
            kept, in the order that the column gives them.

    Raises:
        DataError: labels of kinds that have no common order (`sort=False` takes them).
    """

    def __init__(
        self,
        col: Iterable[Any],
        sort: bool = True,
        add_na: bool = False,
        strict: bool = False,
    ) -> None:
        classes, ordered = _classes(col, strict)
        if sort and not ordered:
            classes = _sorted(classes)
        if add_na:
            classes = [NA, *(o for o in classes if o != NA)]
        self.items: L[Any] = L(classes)
        self.add_na = add_na
        self.o2i: dict[Any, int] = {o: i for i, o in enumerate(classes)}

    def id_of(self, label: Any) -> int:
        """Return the number of a class; that of `#na#` for an unknown one, if there is `#na#`.

        Raises:
            DataError: the label is not in the vocabulary.
        """
        found = self.o2i.get(label)
        if found is not None:
            return found
        if self.add_na:
            return 0
        raise unknown_label(label, self.items, learned=False)

    def map_objs(self, objs: Iterable[Any]) -> L[int]:
        """Return the numbers of classes."""
        return L([self.id_of(o) for o in objs])

    def map_ids(self, ids: Iterable[int]) -> L[Any]:
        """Return the classes with these numbers."""
        return L([self.items[int(i)] for i in ids])

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> L[Any]: ...
    def __getitem__(self, i: Any) -> Any:
        return self.items[i]

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, label: object) -> bool:
        return label in self.o2i

    def __eq__(self, other: object) -> bool:
        return bool(self.items == (other.items if isinstance(other, CategoryMap) else other))

    __hash__ = None  # type: ignore[assignment]  # compares like a list, so hashes as little

    def __repr__(self) -> str:
        return repr(self.items)


class Category(TitledStr):
    """A class name that shows itself as a title."""

    __slots__ = ()


class MultiCategory(L[Any]):
    """Class names that show themselves as one title."""

    def show(self, ctx: Any = None, *, sep: str = ";", **options: Any) -> Any:
        """Put the names, with `sep` between, above the axes `ctx`, or print them."""
        return show_title(sep.join(map(str, self)), ctx, **options)


class TitledBool(TitledInt):
    """True or False, that shows itself as a title."""

    def __repr__(self) -> str:
        return str(bool(self))

    __str__ = __repr__

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Put the word above the axes, or print it."""
        return show_title(str(self), ctx, **options)


def shown_label(label: Label) -> Category | TitledInt | TitledFloat:
    """Return something that equals the label and can show itself."""
    if isinstance(label, str):
        return Category(label)
    if isinstance(label, bool):
        return TitledBool(label)
    return TitledInt(label) if isinstance(label, int) else TitledFloat(label)


def _classes(col: Any, strict: bool) -> tuple[list[Label], bool]:
    """Return each class once, and whether their order is given by the column's type."""
    categories = getattr(getattr(col, "cat", col), "categories", None)
    if categories is None:
        return list(dict.fromkeys(plain_label(o) for o in _once(col) if not is_missing(o))), False
    occur = set(col) if strict else None
    return [plain_label(o) for o in categories if occur is None or o in occur], True


def _once(labels: Iterable[Any]) -> Iterable[Any]:
    """Return each label once where that is quickly found out, else all."""
    labels = list(labels)
    try:
        return dict.fromkeys(labels)
    except TypeError:  # arrays of one number, or lists, which are no labels
        return labels


def _sorted(classes: Collection[Label]) -> list[Label]:
    try:
        return sorted(classes)
    except TypeError:
        kinds = {type(o): o for o in classes}
        shown = " and ".join(f"{o!r} ({kind.__name__})" for kind, o in kinds.items())
        raise DataError(
            f"The labels are of different kinds, {shown}, and have no common order. Make them all "
            "texts, `str(label)`; or keep the order in which they come: sort=False."
        ) from None
