"""Which things belong together, when it becomes known pair by pair."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Unions:
    """Disjoint sets of the numbers 0 to n - 1, which grow together (Tarjan's union-find)."""

    def __init__(self, n: int) -> None:
        self._above = list(range(n))

    def root(self, i: int) -> int:
        """Return the number that stands for the set of `i`."""
        above = self._above
        while above[i] != i:
            above[i] = above[above[i]]
            i = above[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make one set of those of `i` and `j`; the smaller number stands for it."""
        low, high = sorted((self.root(i), self.root(j)))
        self._above[high] = low

    def joined(self, pairs: Ints) -> npt.NDArray[np.bool_]:
        """Say for each pair [m,2] whether both are in one set."""
        if len(pairs) * 8 > len(self._above):  # then it is faster to find all roots at once
            roots = self._roots()
            same: npt.NDArray[np.bool_] = roots[pairs[:, 0]] == roots[pairs[:, 1]]
            return same
        root = self.root
        return np.array([root(i) == root(j) for i, j in pairs.tolist()], bool)

    def _roots(self) -> Ints:
        above = np.array(self._above, np.int64)
        while not np.array_equal(further := above[above], above):
            above = further
        return above

    def copy(self) -> "Unions":
        """Return the same sets, to go on with."""
        other = Unions(0)
        other._above = self._above.copy()
        return other
