"""How far probabilities are from what came true: ECE, Brier score, negative log-likelihood."""

from dataclasses import asdict, dataclass
from typing import Self

import torch
from torch import Tensor

from presize.core.errors import DataError

BINS = 15


def calibration_error(confidence: Tensor, correct: Tensor, *, n_bins: int = BINS) -> float:
    """Return the expected calibration error, 0 to 1: 0 where 80 % sure is right in 80 %.

    The gap between mean confidence and share of right answers, over bins of equal width, each
    counted by its items (Naeini et al., 2015).

    Args:
        confidence: the probability that was given to an answer, 0..1: [n].
        correct: whether it was right: [n], bool or 0 and 1.
        n_bins: how many bins there are between 0 and 1.

    Raises:
        DataError: no items, or not as many of the one as of the other.
    """
    if not len(confidence) or len(confidence) != len(correct):
        raise DataError(
            "The calibration error compares a confidence with an outcome for each of some items, "
            f"but got {len(confidence)} and {len(correct)}."
        )
    p, right = confidence.double().flatten(), correct.double().flatten()
    # Bins are open below and closed above: 1 belongs to the last one.
    at = (p * n_bins).ceil().long().sub(1).clamp(0, n_bins - 1)
    gaps = torch.zeros(n_bins, dtype=torch.float64).index_add_(0, at, p - right)
    return float(gaps.abs().sum() / len(p))


@dataclass(frozen=True, slots=True)
class ProbabilityFigures:
    """How good probabilities are; 0 is best for each.

    Args:
        ece: the expected calibration error, of the most probable class; of several labels that of
            each label's probability.
        brier: the squared distance from what is true, as `BrierScore` measures it; of several
            labels the mean over them.
        nll: the mean negative logarithm of what was given to the true class; of several labels the
            mean over them.
    """

    ece: float
    brier: float
    nll: float

    @classmethod
    def of(cls, probabilities: Tensor, targets: Tensor) -> Self:
        """Measure probabilities [n, c] against class numbers [n], or 0 and 1 [n, c]."""
        p = probabilities.detach()
        if targets.ndim == 2 and targets.shape == p.shape:
            true = targets.float()
            return cls(
                calibration_error(p.flatten(), true.flatten()),
                float((p - true).square().mean()),
                float(torch.nn.functional.binary_cross_entropy(p, true)),
            )
        true = targets.flatten().long()
        own = p.gather(1, true[:, None]).squeeze(1)
        sure, chosen = p.max(1)
        # (p - e)² summed over classes, without a second [n, c]: |p|² - 2 p_true + 1
        distance = p.square().sum(1) - 2 * own + 1
        scale = 0.5 if p.shape[1] == 2 else 1.0
        smallest = torch.finfo(p.dtype).tiny
        return cls(
            calibration_error(sure, chosen == true),
            float(distance.mean()) * scale,
            float(-own.clamp_min(smallest).log().mean()),
        )

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)
