"""What is usual of each class, where there is little of some: classes that borrow from all.

A stream of pictures may have another mix of classes than the training set without being anything
new. So new pictures are compared with known ones of the same (predicted) classes. With σ² within
and τ² between classes, and k = σ²/τ², the best guess of the mean of a class with n pictures is

    m_c = (sum of its figures + k m) / (n + k),      off by σ²/(n + k) on average,

with the mean m of all (Efron, Morris, "Data analysis using Stein's estimator", 1975). In the same
way a class is represented by its own pictures for n / (n + k), by all pictures for the rest; and
new pictures whose classes have the shares w_c are compared with as much as 1 / Σ w_c²/(n_c + k)
known ones. A figure that is the same in all classes has a large k: then classes do not matter.
"""

import torch
from torch import Tensor

_MOST = 1e6  # of k: classes do not differ
_LEAST = 1e-2
_ENOUGH = 5  # degrees of freedom, to know the variance within classes


class Groups:
    """Figures of known pictures by classes.

    Args:
        rows: the figures, float64 [m, s].
        classes: the class of each row, int64 [m].
        n_classes: how many classes there are.
    """

    def __init__(self, rows: Tensor, classes: Tensor, n_classes: int) -> None:
        self.rows, self.classes = rows, classes
        self.counts = torch.bincount(classes, minlength=n_classes).double()
        self._mean = rows.mean(0)
        self._sums = rows.new_zeros(n_classes, rows.shape[1]).index_add_(0, classes, rows)
        self.spread, self.pull = self._variances()

    def _variances(self) -> tuple[Tensor, Tensor]:
        """Return the deviation within classes, and k, of each figure: [s], [s]."""
        rows, m = self.rows, len(self.rows)
        found = self.counts > 0
        counts, n_found = self.counts[found], int(found.sum())
        total = rows.var(0, unbiased=False)
        if n_found < 2 or m - n_found < _ENOUGH:
            return total.sqrt(), torch.full_like(total, _MOST)
        means = self._sums[found] / counts[:, None]
        between = (counts[:, None] * (means - self._mean).square()).sum(0)
        within = (m * total - between).clamp_min(0) / (m - n_found)
        typical = (m - counts.square().sum() / m) / (n_found - 1)
        apart = ((between / (n_found - 1) - within) / typical).clamp_min(0)
        pull = (within / apart.clamp_min(1e-12)).clamp(_LEAST, _MOST)
        return within.sqrt(), torch.where(apart > 1e-12, pull, _MOST)

    def means(self) -> Tensor:
        """Return the mean that a new picture of each class is compared with: [c, s]."""
        return (self._sums + self.pull * self._mean) / (self.counts[:, None] + self.pull)

    def residuals(self) -> Tensor:
        """Return each row less the mean of the others of its class: [m, s].

        Less its own share, since a new picture has none in the mean either.
        """
        others = self._sums[self.classes] - self.rows + self.pull * self._mean
        return self.rows - others / (self.counts[self.classes][:, None] - 1 + self.pull)

    def weights(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each row counts for beside new pictures, 1 in all, and for how many all do.

        Args:
            classes: those of the new pictures, int64 [n].

        Returns:
            Weights [m, s] and sizes [s].
        """
        shares = torch.bincount(classes, minlength=len(self.counts)).double() / len(classes)
        known = self.counts[:, None] + self.pull
        own = shares[:, None] / known  # for each row of the class: w_c n/(n + k) / n
        rest = 1 - (own * self.counts[:, None]).sum(0)
        size = 1 / (shares.square()[:, None] / known).sum(0)
        m = len(self.rows)
        return own[self.classes] + rest / m, size.clamp_max(m)
