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
        file: the file that the picture is from, or its name; None where it has none.
    """

    label: str | tuple[str, ...]
    index: int | tuple[int, ...]
    confidence: float
    probabilities: dict[str, float]
    unknown: bool | None = None
    file: str | None = None

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the `k` most likely classes with their probabilities, the most likely first."""
        ranked = sorted(self.probabilities.items(), key=lambda one: -one[1])
        return ranked[: max(k, 0)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, or labels, as a tuple in any case."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return plain values, which JSON can hold: file, labels, confidence, probabilities.

        And `unknown`, where the model can tell. Labels are a list in any case.

        Args:
            top: keep so many of the likeliest classes; None keeps all, in the order of the
                vocabulary.
        """
        plain: dict[str, Any] = {
            "file": self.file,
            "labels": list(self.labels),
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities if top is None else self.top(top)),
        }
        return plain if self.unknown is None else plain | {"unknown": self.unknown}

    def __repr__(self) -> str:
        said = ", ".join(self.labels) or "none"
        if self.unknown:
            said = f"none of these, nearest {said}"
        others = [one for one in self.top(_SHOWN) if one[0] not in self.labels][:2]
        further = "".join(f", {name} {share:.1%}" for name, share in others)
        where = "" if self.file is None else f" of {self.file}"
        return f"Prediction{where}: {said} ({self.confidence:.1%}{further})"

    def _repr_html_(self) -> str:
        said = escape(", ".join(self.labels) or "none")
        if self.unknown:
            said = f"none of these (nearest: {said})"
        where = "" if self.file is None else f" {escape(self.file)}"
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
        file: the file, or its name; None where it has none.
    """

    error: str
    file: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which JSON can hold: file and error."""
        return {"file": self.file, "error": self.error}


OnError = Literal["raise", "keep"]
"""What becomes of a picture that cannot be read: it is raised, or a `Failed` stands for it."""
