"""From the figures of new pictures to a verdict: what differs, by how much, in words."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from presize.train.drift import NEEDED, Drift, DriftFinding
from presize.train.drift_distance import chance_of, distances
from presize.train.drift_looks import looks_for
from presize.train.drift_reference import DriftReference

_CHANCE = 0.005  # of a false alarm, over all figures together
_LARGE = 0.25  # of the distance: less is of no account, however many pictures show it
# The smallest differences that are of account, of what is no look; 1e-4 for all others.
_STEPS = {"outside": 1e-3, "length": 0.02, "distance": 0.05, "confidence": 0.1}
_OTHER_MIX = 0.3  # of all pictures have another class than in training


def verdict(
    reference: DriftReference, rows: Tensor, classes: Tensor, vocab: Sequence[object] = ()
) -> Drift:
    """Return whether pictures differ from those of training.

    Each figure is compared with the reference by the test of Kolmogorov and Smirnov, and all
    together by the correction of Bonferroni, as in arXiv:1810.11953. A difference counts that is
    large, can be seen, and is not chance.

    Args:
        reference: what is usual.
        rows: the figures of pictures, `reference.rows`, on the CPU.
        classes: their predicted classes, int64 [n].
        vocab: the names of the classes.
    """
    if len(rows) < NEEDED:
        return Drift(drifted=False, n=len(rows))
    compared = _Compared(reference, rows, classes)
    findings = [*compared.looks(), *compared.features(), *compared.confidence()]
    return Drift(
        drifted=bool(findings),
        n=len(rows),
        score=float(compared.gaps.max()),
        findings=tuple(sorted(findings, key=lambda finding: -finding.size)),
        classes=_mix(reference, classes, vocab),
        compared=int(compared.known.sum()),
        features="distance" in reference.names and bool(compared.known[-1]),
    )


class _Compared:
    """The figures of new pictures beside those of the reference."""

    def __init__(self, reference: DriftReference, rows: Tensor, classes: Tensor) -> None:
        self._reference, self._names = reference, reference.names
        self.new = reference.figures(rows, classes)
        self.known = ~self.new.isnan().any(0)
        n_looks = len(looks_for(reference.facts.channels))
        looks = _side_by_side(reference, reference.looks, self.new[:, :n_looks], classes)
        parts = [looks]
        if len(reference.names) > n_looks:
            new = torch.nan_to_num(self.new[:, n_looks:])
            parts.append(_side_by_side(reference, reference.rest, new, classes))
        gaps, areas, chance, self._usual, self._spread = map(torch.cat, zip(*parts, strict=True))
        seen = self.known & (areas >= _steps(reference))  # by more than rounding makes
        self.gaps, self._areas = torch.where(seen, gaps, 0.0), areas
        self._p = (chance * self.known.sum()).clamp_max(1.0)

    def _differs(self, column: int) -> bool:
        return float(self.gaps[column]) >= _LARGE and float(self._p[column]) <= _CHANCE

    def _finding(self, what: str, column: int, words: str) -> DriftFinding:
        return DriftFinding(what, words, float(self.gaps[column]), float(self._p[column]))

    def _moved(self, column: int) -> bool:
        """Say whether values are higher or lower, and not only more or less alike."""
        shift = self.new[:, column].mean() - self._usual[column]
        return bool(shift.abs() >= 0.4 * self._areas[column])

    def looks(self) -> list[DriftFinding]:
        """Return in what way pictures look different."""
        found = []
        for column, look in enumerate(looks_for(self._reference.facts.channels)):
            if not self._differs(column):
                continue
            new, old = float(self.new[:, column].mean()), float(self._usual[column])
            if self._moved(column):
                word = look.more if new > old else look.less
                told = f"{look.told} {_figures(look.shown(new), look.shown(old))}"
            else:
                spread, usual = float(self.new[:, column].std()), float(self._spread[column])
                word = "more varied" if spread > usual else "less varied"
                told = f"{look.told} spreads by {spread:.2g} where training had {usual:.2g}"
            found.append(self._finding(look.name, column, f"{word}: {told}"))
        return found

    def features(self) -> list[DriftFinding]:
        """Return whether the last layer sees something else; one finding for all of it."""
        if "distance" not in self._names:
            return []
        first, far = len(looks_for(self._reference.facts.channels)), self._names.index("distance")
        columns = [i for i in range(first, far + 1) if self._names[i] != "confidence"]
        own = [i for i in columns if self._differs(i)]
        if not own:
            return []
        strongest = max(own, key=lambda i: float(self.gaps[i]))
        new, old = float(self.new[:, far].mean()), float(self._usual[far])
        if new > 1.1 * old:
            times = new / max(old, 1e-9)
            words = (
                f"other content: what the network sees lies {times:.1f} times as far from the "
                "classes as in held-out pictures"
            )
        else:
            words = "other content: what the network sees is not distributed as it was"
        return [self._finding("features", strongest, words)]

    def confidence(self) -> list[DriftFinding]:
        """Return whether the model is more or less sure."""
        if "confidence" not in self._names:
            return []
        column = self._names.index("confidence")
        if not self._differs(column):
            return []
        new, old = _share(float(self.new[:, column].mean())), _share(float(self._usual[column]))
        word = "surer" if new > old else "less sure"
        words = f"{word}: typical confidence {new:.2f} where held-out pictures had {old:.2f}"
        return [self._finding("confidence", column, words)]


def _steps(reference: DriftReference) -> Tensor:
    """Return the smallest difference of each figure that is of account: [s]."""
    looks = {look.name: look.step for look in looks_for(reference.facts.channels)}
    return torch.tensor([(looks | _STEPS).get(name, 1e-4) for name in reference.names])


def _figures(new: float, old: float) -> str:
    """Return two figures as words, with as many digits as tell them apart."""
    digits = ".2f" if abs(new - old) >= 0.02 else ".2g"
    return f"{new:{digits}} where training had {old:{digits}}"


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _side_by_side(
    reference: DriftReference, known: Tensor, new: Tensor, classes: Tensor
) -> tuple[Tensor, ...]:
    """Return how far figures are apart, and how likely by chance; what is usual of the known ones.

    Args:
        reference: what is usual.
        known: its looks, or its rest.
        new: the same of new pictures, [n, s].
        classes: of new pictures.

    Returns:
        Distances by shares, by values, chances; mean and deviation of the known: [s] each.
    """
    classes = classes if reference.facts.n_classes else classes * 0
    weights, sizes = reference.groups(known).weights(classes)
    known = known.double()
    gaps, areas = distances(new, known, weights)
    mean = (known * weights).sum(0)
    spread = ((known - mean).square() * weights).sum(0).sqrt()
    return gaps, areas, chance_of(gaps, len(new), sizes), mean, spread


def _mix(reference: DriftReference, classes: Tensor, vocab: Sequence[object]) -> str | None:
    """Return in words how the mix of the classes differs, if it does by much."""
    if reference.facts.n_classes is None:
        return None
    counts = reference.groups(reference.looks).counts
    usual = counts / counts.sum()
    new = torch.bincount(classes, minlength=len(usual)).double() / len(classes)
    # What chance makes of so many pictures; shares of a part p differ by sqrt(p (1 - p) / n).
    chance = ((usual * (1 - usual) / len(classes)).sqrt().sum() / 2).item()
    if float((new - usual).abs().sum()) / 2 < _OTHER_MIX + chance:
        return None
    top = int((new - usual).argmax())
    name = f"`{vocab[top]}`" if top < len(vocab) else f"class {top}"
    return (
        f"another mix of classes: {new[top]:.0%} are taken for {name}, {usual[top]:.0%} in "
        "training; no drift by itself"
    )
