"""What a model says of one picture: `Prediction`, or `Failed` where the picture cannot be read."""

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one picture.

    Args:
        label: the class; of a model that tells several, those with a probability above its
            threshold, in the order of the vocabulary, perhaps none.
        index: the number of the class in the vocabulary; several as the labels are.
        confidence: the probability of the class, 0..1; of several labels, that of the least sure
            one, and without any, of there being none of the most likely one.
        probabilities: of all classes, in the order of the vocabulary.
        unknown: whether the picture is none of the classes; None where the model cannot tell.
        source: the file that the picture is from, or its name; None where it has none.
    """

    label: str | tuple[str, ...]
    index: int | tuple[int, ...]
    confidence: float
    probabilities: dict[str, float]
    unknown: bool | None = None
    source: str | None = None

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the `k` most likely classes with their probabilities, the most likely first."""
        ranked = sorted(self.probabilities.items(), key=lambda one: -one[1])
        return ranked[: max(k, 0)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, or labels, as a tuple in any case."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which JSON can hold; `label` and `index` are lists of several."""
        several = isinstance(self.label, tuple)
        plain: dict[str, Any] = {
            "label": list(self.labels) if several else self.label,
            "index": list(self.index) if isinstance(self.index, tuple) else self.index,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
        }
        if self.unknown is not None:
            plain["unknown"] = self.unknown
        return plain if self.source is None else {"source": self.source} | plain

    def __repr__(self) -> str:
        said = ", ".join(self.labels) or "none"
        if self.unknown:
            said = f"none of these, nearest {said}"
        others = [one for one in self.top(_SHOWN) if one[0] not in self.labels][:2]
        further = "".join(f", {name} {share:.1%}" for name, share in others)
        where = "" if self.source is None else f" of {self.source}"
        return f"Prediction{where}: {said} ({self.confidence:.1%}{further})"

    def _repr_html_(self) -> str:
        said = escape(", ".join(self.labels) or "none")
        if self.unknown:
            said = f"none of these (nearest: {said})"
        where = "" if self.source is None else f" {escape(self.source)}"
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td>{share:.1%}</td>"
            f"<td style='text-align:left'><meter min=0 max=1 value={share:.4f}></meter></td></tr>"
            for name, share in self.top(_SHOWN)
        )
        return f"<b>{said}</b>{where}<table>{rows}</table>"


@dataclass(frozen=True, slots=True)
class Failed:
    """A picture that could not be read.

    Args:
        error: what is wrong with it, in words.
        source: the file, or its name; None where it has none.
    """

    error: str
    source: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which JSON can hold."""
        plain = {"error": self.error}
        return plain if self.source is None else {"source": self.source} | plain


OnError = Literal["raise", "keep"]
"""What becomes of a picture that cannot be read: it is raised, or a `Failed` stands for it."""
