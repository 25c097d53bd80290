"""How strange an item is to a classifier, by its features: is it of any class that was learnt?

The distance of Mahalanobis to the nearest class (Lee et al., arXiv:1807.03888) with one covariance
W of all classes, on features scaled to unit length (Müller, Hein, arXiv:2505.18032): how long they
are says more about contrast and sharpness than about the class. W is kept as 128 directions, with
the rest alike in all others (Tipping, Bishop, "Probabilistic principal component analysis", 1999):

    score² = min over classes of |L'(P'x - m_c)|² + |x - PP'x|² / s²,      L L' = (P'WP)^-1.

Measured by benchmarks/outliers.py against confidence, energy and nearest neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from presize.core.errors import DataError, ModelFileError

_MOST_DIRECTIONS = 128  # of 512 features 256 gain 0.002 of the area under the ROC curve
_SHRINKAGE = 0.01  # of the mean variance, added to each: 0.1 gives the same areas


@dataclass(frozen=True)
class Outliers:
    """Scores how far features lie from those of the classes that a model was trained on.

    For 2,048 features and 100 classes it takes 1.2 MB; 0.5 kB more for each further class.

    Args:
        mean: the mean of all features, at unit length: float32 [d].
        directions: orthonormal directions in which features vary most, P: float32 [d, r].
        whitening: makes features within classes vary alike along them, L: float32 [r, r].
        centres: the whitened mean of each class, L'm: float32 [c, r].
        rest: the variance within classes in each other direction, s²: float32 [].
    """

    mean: Tensor
    directions: Tensor
    whitening: Tensor
    centres: Tensor
    rest: Tensor

    @classmethod
    def fit(cls, features: Tensor, classes: Tensor) -> Self:
        """Learn from the features of labelled items what is usual.

        Args:
            features: the features of items, [n, d]; see `captured_features`.
            classes: the class number of each item, int [n]; classes without items are left out.

        Raises:
            DataError: fewer than two items, shapes that do not fit, values that are not finite, or
                features that are the same for all items.
        """
        x, y = _checked(features, classes)
        x = F.normalize(x)
        mean = x.mean(0)
        x = x - mean
        n, d = x.shape
        total = x.square().sum() / n
        if total < 1e-12:
            raise DataError("The features are the same for all items: nothing can be told by them.")
        strengths, axes = _principal(x)
        r = min(_MOST_DIRECTIONS, int((strengths > 1e-9 * strengths[0]).sum()))
        directions = axes[:, :r]
        z = x @ directions
        found, y = torch.unique(y, return_inverse=True)
        centres = torch.zeros(len(found), r, dtype=x.dtype).index_add_(0, y, z)
        centres /= torch.bincount(y)[:, None]
        within = z - centres[y]
        spread = within.T @ within / n
        left = (total - strengths[:r].sum()).clamp_min(0)
        floor = _SHRINKAGE * ((spread.trace() + left) / d).clamp_min(1e-6 * total / d)
        spread += floor * torch.eye(r, dtype=x.dtype)
        whitening = torch.linalg.cholesky(torch.linalg.inv(spread))
        rest = left / max(d - r, 1) + floor
        parts = mean, directions, whitening, centres @ whitening, rest
        return cls(*(part.float().contiguous() for part in parts))

    def score(self, features: Tensor) -> Tensor:
        """Return how strange each item is, on the device of `features`: float32 [n].

        The higher, the stranger. It is no probability: compare it with that of known items.

        Raises:
            DataError: features of another width than those that were fitted.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise DataError(
                f"Outliers were fitted to features [n, {len(self.mean)}], but got "
                f"{list(features.shape)}. They belong to one model: fit them again for this one."
            )
        mean, directions, whitening, centres, rest = (
            t.to(features.device) for t in self.tensors().values()
        )
        x = F.normalize(features.detach().float()) - mean
        z = x @ directions
        outside = (x - z @ directions.T).square().sum(1) / rest
        nearest = torch.cdist(z @ whitening, centres).amin(1) if len(x) else outside
        return (nearest.square() + outside).sqrt()

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file needs to hold, for `from_tensors`: float32, on the CPU."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return what `tensors` was called on.

        Raises:
            ModelFileError: a tensor is missing or unknown, has another shape, or values that are
                not finite.
        """
        names = [field.name for field in fields(cls)]
        if set(tensors) != set(names):
            raise ModelFileError(
                f"The outlier score of a model file wants the tensors {', '.join(names)}; it has "
                f"{', '.join(sorted(tensors)) or 'none'}. Is it of another version of presize?"
            )
        made = cls(**{name: tensors[name].float().cpu() for name in names})
        made._check()
        return made

    def _check(self) -> None:
        d, r = self.directions.shape if self.directions.ndim == 2 else (0, 0)
        c = len(self.centres) if self.centres.ndim else 0
        wanted = {
            "mean": (d,),
            "directions": (d, r),
            "whitening": (r, r),
            "centres": (c, r),
            "rest": (),
        }
        got = {name: tuple(t.shape) for name, t in self.tensors().items()}
        if got != wanted or not d * r * c:
            shapes = ", ".join(f"{name} {list(shape)}" for name, shape in got.items())
            raise ModelFileError(f"The outlier score of a model file does not fit: {shapes}.")
        if not all(t.isfinite().all() for t in self.tensors().values()):
            raise ModelFileError(
                "The outlier score of a model file has values that are not finite."
            )


def _principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances [k] of centred x [n, d] along its principal axes [d, k], largest first.

    By whichever is the smaller of x'x [d, d] and xx' [n, n], k by k.
    """
    n, d = x.shape
    small, axes = torch.linalg.eigh((x.T @ x if d <= n else x @ x.T) / n)
    small, axes = small.flip(0).clamp_min(0), axes.flip(1)
    if d > n:
        axes = F.normalize(x.T @ axes, dim=0)
    return small, axes


def _checked(features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    if features.ndim != 2 or classes.shape != features.shape[:1]:
        raise DataError(
            "Outliers.fit wants features [n, d] and the class of each item [n], but got "
            f"{list(features.shape)} and {list(classes.shape)}."
        )
    if len(features) < 2:
        raise DataError(
            f"An outlier score needs two items or more to learn from, but got {len(features)}."
        )
    if not features.isfinite().all():
        raise DataError("Features to learn an outlier score from hold values that are not finite.")
    return features.detach().cpu().double(), classes.detach().cpu().long()
