"""The verdict on drift: does what comes in differ from what a model was trained on?"""

from dataclasses import asdict, dataclass
from typing import Any

NEEDED = 30  # pictures: with fewer only the coarsest changes can be told from chance


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One way in which pictures differ from those of training.

    Args:
        what: the figure that differs: "brightness", "features", "confidence" …
        words: how, as in "darker: mean brightness 0.21 where training had 0.47".
        size: how far apart both are, the distance of Kolmogorov and Smirnov: 0 alike, 1 apart.
        p: how likely chance makes a difference so large in any of the figures that are looked at.
    """

    what: str
    words: str
    size: float
    p: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether the pictures that came in differ from those a model was trained on.

    Args:
        drifted: they do: some figure differs by much, and by more than chance can explain.
        n: how many pictures it is about, the latest.
        score: the largest distance of any figure, 0..1. With few pictures chance alone makes it
            some tenths.
        findings: how they differ, the largest difference first.
        needed: how many pictures a verdict takes.
        classes: where the predicted classes come in another mix than in training, in words. That
            alone is no drift: each picture is compared with those of its class.
        compared: how many figures of a picture were compared.
        features: what the network sees was among them. A file without held-out pictures does not
            tell of it, and pictures of other things may then look as usual.
    """

    drifted: bool
    n: int
    score: float = 0.0
    findings: tuple[DriftFinding, ...] = ()
    needed: int = NEEDED
    classes: str | None = None
    compared: int = 0
    features: bool = True

    @property
    def enough(self) -> bool:
        """There were enough pictures for a verdict."""
        return self.n >= self.needed

    def __bool__(self) -> bool:
        return self.drifted

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which JSON can hold."""
        return asdict(self) | {
            "findings": [asdict(finding) for finding in self.findings],
            "summary": self.summary,
        }

    @property
    def summary(self) -> str:
        """The verdict in a sentence."""
        if not self.enough:
            return f"Too few pictures yet for a verdict on drift: {self.n} of {self.needed}."
        if not self.drifted:
            largest = f"(largest difference {self.score:.2f} of 1)"
            if self.features:
                return (
                    f"No drift: the last {self.n:,} pictures are like those of training {largest}."
                )
            return (
                f"No drift in looks: the last {self.n:,} pictures look like those of training "
                f"{largest}; what the network sees of them could not be compared."
            )
        return f"Drift: the last {self.n:,} pictures differ from those of training."

    def __repr__(self) -> str:
        lines = [self.summary]
        lines += [f"  {f.size:.2f}  {f.words}" for f in self.findings]
        if self.classes:
            lines.append(f"  ({self.classes})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<li>{escape(f.words)} ({f.size:.2f} of 1)</li>" for f in self.findings)
        more = f"<p>{escape(self.classes)}</p>" if self.classes else ""
        head = f"<p><b>{escape(self.summary)}</b></p>"
        return head + (f"<ul>{rows}</ul>" if rows else "") + more
