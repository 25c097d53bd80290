"""Divides items into folds: parts of about the same size, each of which judges a model once."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from presize.core.errors import DataError
from presize.data.warned import warn_user

Numbers = npt.NDArray[np.int64]
_SHOWN = 5


def fold_numbers(
    n: int,
    k: int,
    *,
    classes: Numbers | None = None,
    names: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    seed: int = 42,
) -> Numbers:
    """Return the number of the fold, 0 to k - 1, that each of `n` items is in: int64 [n].

    Warns of a class that is in one fold alone because its groups are: no other fold has items of it
    to train on.

    Args:
        n: how many items there are.
        k: how many folds.
        classes: the class of each item, int64 [n]: each fold gets the same part of every class.
            None divides at random.
        names: those of the classes, for errors.
        groups: what each item belongs to, such as a person: a group is in one fold as a whole.
        seed: of the order in which items are dealt out; the same one gives the same folds.

    Raises:
        ValueError: fewer than two folds, or not one group for each item.
        DataError: there are fewer items, groups or items of a class than folds.
    """
    k = _checked_count(n, k)
    if groups is not None:
        _check_groups(groups, n, k)
    if classes is not None:
        _check_classes(classes, names, k)
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    common: dict[str, Any] = {"n_splits": k, "shuffle": True, "random_state": seed}
    places, parts = np.zeros((n, 1)), None
    if groups is None:
        splitter = KFold(**common) if classes is None else StratifiedKFold(**common)
    else:
        # By name: scikit-learn compares groups, which need not be of one kind.
        parts = np.unique([str(group) for group in groups], return_inverse=True)[1]
        splitter = GroupKFold(**common) if classes is None else StratifiedGroupKFold(**common)
    numbers: Numbers = np.empty(n, dtype=np.int64)
    for i, (_, valid) in enumerate(splitter.split(places, classes, parts)):
        numbers[valid] = i
    if groups is not None and classes is not None:
        _warn_of_unseen(numbers, classes, names)
    return numbers


def _checked_count(n: int, k: Any) -> int:
    try:
        found = 0 if isinstance(k, bool) else operator.index(k)
    except TypeError:
        found = 0
    if found < 2:
        raise ValueError(f"k is the number of folds, 2 or more, but got {k!r}.")
    if n < found:
        raise DataError(f"There are {n} items for {found} folds: each needs one at least. Lower k.")
    return found


def _check_groups(groups: Sequence[Any], n: int, k: int) -> None:
    if len(groups) != n:
        raise ValueError(
            f"groups= is one group for each of the {n} items, or a function of an item, but got "
            f"{len(groups)} of them."
        )
    found = len({str(group) for group in groups})
    if found < k:
        raise DataError(
            f"There are {found} groups for {k} folds, and a group is in one fold as a whole: pass "
            f"k={found} or less."
            if found > 1
            else "All items are of one group, which is in one fold as a whole: nothing is left to "
            "train on. Leave out groups=."
        )


def _check_classes(classes: Numbers, names: Sequence[Any], k: int) -> None:
    kinds, counts = np.unique(classes, return_counts=True)
    rare = [(kinds[i], counts[i]) for i in np.argsort(counts, kind="stable") if counts[i] < k]
    if not rare:
        return
    shown = _listed([f"{_name(kind, names)} ({count})" for kind, count in rare])
    least = int(rare[0][1])
    fewer = f"pass k={least}, " if least > 1 else ""
    raise DataError(
        f"Each of the {k} folds is to have items of every class, but of {len(rare)} there are "
        f"fewer: {shown}. Ways out: {fewer}add items of these, leave them out, or pass "
        "stratify=False, which deals items out whatever their class."
    )


def _warn_of_unseen(numbers: Numbers, classes: Numbers, names: Sequence[Any]) -> None:
    """Warn of classes whose items are all in one fold."""
    folds = {kind: np.unique(numbers[classes == kind]) for kind in np.unique(classes)}
    alone = [
        f"{_name(kind, names)} (fold {found[0] + 1})"
        for kind, found in folds.items()
        if len(found) == 1
    ]
    if alone:
        warn_user(
            f"All items of a class are in one fold: {_listed(alone)}. The model that is judged by "
            "that fold is trained on none of them. Ways out: items of these classes in more "
            "groups, another seed for the folds where they are in several, or leave them out."
        )


def _name(kind: int, names: Sequence[Any]) -> str:
    return f"`{names[kind] if kind < len(names) else kind}`"


def _listed(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more
