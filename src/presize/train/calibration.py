"""What `learn.calibrate` found: the temperature, and what is none of the classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self

from torch import Tensor

from presize.core.errors import ModelFileError
from presize.core.plain import made_of
from presize.data.warned import warn_user
from presize.train.calibration_error import ProbabilityFigures
from presize.train.outliers import Outliers
from presize.train.temperature import Activation, scaled

UnknownBy = Literal["confidence", "features"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether an item is none of the classes; in an `if` it is true where that is so.

    Args:
        is_unknown: the score is above the threshold, or no number (NaN).
        score: how strange the item is, the higher the stranger.
        threshold: of the score; at most 1 - coverage of known items are above it.
    """

    is_unknown: bool
    score: float
    threshold: float

    def __bool__(self) -> bool:
        return self.is_unknown


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How sure a model really is, and from where on an item is none of its classes.

    Args:
        temperature: what scores are divided by before they become probabilities; above 1 for a
            model that was too sure.
        n: how many items it was fitted to.
        before: the figures of these items as the model was.
        after: the same with the temperature.
        unknown: what tells that an item is none of the classes: "confidence", by 1 - the highest
            probability; "features", by `Outliers`; None, nothing does.
        coverage: the share of known items that are to be taken for known, 0..1.
        threshold: of the score; None without one.
        outliers: what scores features.
    """

    temperature: float
    n: int
    before: ProbabilityFigures
    after: ProbabilityFigures
    unknown: UnknownBy | None = None
    coverage: float | None = None
    threshold: float | None = None
    outliers: Outliers | None = field(default=None, compare=False)

    def probabilities(self, outputs: Tensor, activation: Activation) -> Tensor:
        """Return the calibrated probabilities of outputs, with the activation of the loss."""
        return scaled(outputs, self.temperature, activation)

    def strangeness(self, probabilities: Tensor, features: Tensor | None = None) -> Tensor | None:
        """Return how strange each item is, float32 [n]; None where nothing tells it.

        Args:
            probabilities: calibrated, [n, c].
            features: of the same items, where they are asked about by features: [n, d].
        """
        if self.unknown is None:
            return None
        if self.unknown == "confidence":
            return 1 - probabilities.amax(1)
        assert self.outliers is not None and features is not None
        return self.outliers.score(features).cpu()

    def judged(self, probabilities: Tensor, features: Tensor | None = None) -> list[Unknown] | None:
        """Return whether each item is none of the classes; None where nothing tells it.

        The arguments are those of `strangeness`.
        """
        scores, threshold = self.strangeness(probabilities, features), self.threshold
        if scores is None or threshold is None:
            return None
        # `not <=`: a score that is no number is that of nothing known.
        return [Unknown(not score <= threshold, score, threshold) for score in scores.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but tensors as plain values, which JSON can hold."""
        return {
            "temperature": self.temperature,
            "n": self.n,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "unknown": self.unknown,
            "coverage": self.coverage,
            "threshold": self.threshold,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file needs to hold besides; nothing without an outlier score."""
        return {} if self.outliers is None else self.outliers.tensors()

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Return what `to_dict` and `tensors` told.

        Raises:
            ModelFileError: a value is missing, of another type, or impossible.
        """
        try:
            made = made_of(cls, plain)
            if tensors:
                made = replace(made, outliers=Outliers.from_tensors(tensors))
            made._check()
        except (TypeError, ValueError) as error:
            raise ModelFileError(
                f"The calibration in the model file is not valid: {error}. Calibrate the model "
                "again, learn.calibrate(), and export it."
            ) from error
        return made

    def _check(self) -> None:
        if not 0 < self.temperature < math.inf or self.n < 1:
            raise ValueError(f"a temperature of {self.temperature}, fitted to {self.n} items")
        if (self.unknown == "features") != (self.outliers is not None):
            raise ValueError(f"unknown by {self.unknown!r}, but the tensors say something else")
        threshold, coverage = self.threshold, self.coverage
        if self.unknown is None:
            possible = threshold is None and coverage is None
        else:
            possible = threshold is not None and math.isfinite(threshold)
            possible = possible and coverage is not None and 0 < coverage <= 1
        if not possible:
            raise ValueError(
                f"unknown by {self.unknown!r}, a threshold of {threshold}, a coverage of {coverage}"
            )

    def __repr__(self) -> str:
        lines = [
            f"temperature {self.temperature:.3g}, fitted to {self.n:,} items",
            f"{'':<19}{'before':>8}{'after':>8}",
        ]
        for name, label in (("ece", "calibration error"), ("brier", "Brier score"), ("nll", "NLL")):
            before, after = getattr(self.before, name), getattr(self.after, name)
            lines.append(f"{label:<19}{before:>8.4f}{after:>8.4f}")
        return "\n".join([*lines, *self._told_unknown()])

    def _told_unknown(self) -> list[str]:
        if self.unknown is None or self.threshold is None:
            return []
        by = f"confidence below {1 - self.threshold:.3g}"
        if self.unknown == "features":
            by = f"features with an outlier score above {self.threshold:.3g}"
        return [f"none of these: {by}, which lets {self.coverage:.4g} of known items through"]


class Calibrated(Protocol):
    """A learner, to those who need its calibration alone."""

    calibration: Calibration | None


def drop_calibration(learn: Calibrated, why: str) -> None:
    """Forget the calibration of weights that are about to change, and warn of it.

    Args:
        learn: the learner.
        why: what changes them, as in "The fit".
    """
    if learn.calibration is None:
        return
    learn.calibration = None
    warn_user(
        f"{why} changes the weights that the calibration was fitted to, so it is dropped: "
        "probabilities are again as the model gives them. Calibrate at the end: learn.calibrate()."
    )


def threshold_for(scores: Tensor, coverage: float) -> float:
    """Return the score that a part `coverage` of items like these does not exceed.

    Of n scores it is the one with the rank (n + 1) coverage, rounded up, so that a new known item
    is taken for known with a probability of `coverage` or more, however scores are distributed
    (Vovk's split conformal prediction); where n is too small for that, it is the highest.
    """
    n = len(scores)
    rank = min(n, max(1, math.ceil((n + 1) * coverage - 1e-9)))
    return float(scores.double().sort().values[rank - 1])


def enough_for(coverage: float) -> int:
    """Return how many items a threshold for a coverage needs: 99 for 0.99, 19 for 0.95."""
    return math.ceil(coverage / (1 - coverage) - 1e-9) if coverage < 1 else 0
