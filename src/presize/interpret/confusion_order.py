"""Puts classes that are taken for each other side by side, and picks those that matter most."""

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

# Two classes or groups belong together where, between any class of the one and any of the other,
# this share of the pictures is mixed up in the mean, both ways added.
_TOGETHER = 0.03


def row_shares(counts: Counts) -> npt.NDArray[np.float64]:
    """Return each row as shares of its sum; zeros where a class has no picture."""
    return np.asarray(counts / counts.sum(1, keepdims=True).clip(1))


def mixed_up(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return how much each two classes are taken for each other, both ways added; 0 with itself."""
    both: npt.NDArray[Any] = values + values.T
    np.fill_diagonal(both, 0)
    return both


def most_mixed_classes(counts: Counts, k: int) -> list[int]:
    """Return the classes of the pairs that are mixed up most, `k` at most, in their own order.

    Fewer come back where there are fewer errors.
    """
    both = np.triu(mixed_up(counts))
    first, second = np.nonzero(both)
    chosen: dict[int, None] = {}
    for at in np.argsort(-both[first, second], kind="stable"):
        pair = {int(first[at]): None, int(second[at]): None}
        if len(chosen | pair) > k:
            continue
        chosen |= pair
        if len(chosen) == k:
            break
    return sorted(chosen)


def clustered(counts: Counts) -> list[list[int]]:
    """Return the classes in groups that are taken for each other, the most errors first.

    Classes of no group follow, one by one in their own order. Average linkage over the share of
    pictures that two classes mix up.
    """
    n = len(counts)
    if n < 3:
        return [[i] for i in range(n)]
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    near = mixed_up(row_shares(counts)).clip(0, 1)
    apart = 1 - near
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average")
    group_of = fcluster(tree, 1 - _TOGETHER, "distance")
    groups: dict[int, list[int]] = {}
    for leaf in leaves_list(tree).tolist():
        groups.setdefault(int(group_of[leaf]), []).append(leaf)
    together = [group for group in groups.values() if len(group) > 1]
    wrong = mixed_up(counts)
    together.sort(key=lambda group: -int(wrong[np.ix_(group, group)].sum()))
    alone = sorted(group for group in groups.values() if len(group) == 1)
    return together + alone
