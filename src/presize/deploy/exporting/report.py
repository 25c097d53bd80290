"""What an export made and how it was checked, for readers and programs."""

from dataclasses import dataclass
from pathlib import Path as AnyPath
from typing import Any, Literal, Self

from presize.deploy.exporting.compare import Agreement

Quantise = Literal["none", "dynamic", "static"]
_KINDS = {"onnx": "ONNX, compared in onnxruntime", "pt2": "torch.export, compared after reloading"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantisation:
    """What 8-bit integers cost and gain.

    Args:
        mode: "dynamic" or "static".
        accuracy_before, accuracy_after: of labelled validation pictures, 0..1; None without labels.
        size_before, size_after: of the model, bytes.
        ms_before, ms_after: milliseconds a picture in onnxruntime, on this machine, one at a time.
        agreement: with the model in float32.
    """

    mode: str
    accuracy_before: float | None
    accuracy_after: float | None
    size_before: int
    size_after: int
    ms_before: float
    ms_after: float
    agreement: Agreement

    @property
    def lost(self) -> float | None:
        """How much accuracy was lost, 0..1; None if there were no labels."""
        if self.accuracy_before is None or self.accuracy_after is None:
            return None
        return self.accuracy_before - self.accuracy_after

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        lost = self.lost
        return {
            "mode": self.mode,
            "accuracy_before": self.accuracy_before,
            "accuracy_after": self.accuracy_after,
            "lost": None if lost is None else round(lost, 6),
            "size_before": self.size_before,
            "size_after": self.size_after,
            "ms_before": round(self.ms_before, 3),
            "ms_after": round(self.ms_after, 3),
            "agreement": self.agreement.to_dict(),
        }

    def __str__(self) -> str:
        judged = "not measured, as there are no labelled validation pictures"
        if self.accuracy_before is not None and self.accuracy_after is not None:
            judged = (
                f"{self.accuracy_before:.4f} -> {self.accuracy_after:.4f} on "
                f"{self.agreement.pictures} validation pictures"
            )
        rows = [
            ("accuracy", judged),
            ("answers", str(self.agreement)),
            ("size", f"{self.size_before / 1e6:.2f} -> {self.size_after / 1e6:.2f} MB"),
            ("time", f"{self.ms_before:.2f} -> {self.ms_after:.2f} ms a picture"),
        ]
        return "\n".join([f"  int8, {self.mode}", *(f"    {k:<16}{v}" for k, v in rows)])


@dataclass(kw_only=True, slots=True)
class Findings:
    """What comparing an export with the model found.

    Args:
        source: where the pictures are from.
        real: the comparison on them with PyTorch.
        random: the comparison on random inputs.
        prepared: with preprocessing in the graph: decoded pictures to the file, against what the
            learner says of them; None without.
        quantisation: what int8 cost and gained; None without. The others are then of the model in
            float32.
        torch_ms, file_ms: milliseconds a picture, one at a time, in PyTorch and of the file.
    """

    source: str
    real: Agreement
    random: Agreement
    prepared: Agreement | None = None
    quantisation: Quantisation | None = None
    torch_ms: float
    file_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it, without the names of pictures."""
        found: dict[str, Any] = {"pictures_from": self.source}
        for name in ("real", "random", "prepared", "quantisation"):
            one = getattr(self, name)
            if one is not None:
                found[name] = _nameless(one.to_dict())
        return found | {"torch_ms": round(self.torch_ms, 3), "file_ms": round(self.file_ms, 3)}

    def lines(self) -> list[str]:
        """Return everything for a reader."""
        rows = [(self.source, str(self.real)), ("random inputs", str(self.random))]
        if self.prepared is not None:
            rows.append(("from the pixels", str(self.prepared)))
        rows.append(("time", f"{self.file_ms:.2f} ms a picture, {self.torch_ms:.2f} in PyTorch"))
        shown = [f"  {name:<18}{text}" for name, text in rows]
        return shown if self.quantisation is None else [*shown, str(self.quantisation)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What was written, and how far it answers as the model does.

    Args:
        path: the file.
        kind: "onnx" or "pt2".
        size: bytes.
        found: what the comparison found.
    """

    path: AnyPath
    kind: str
    size: int
    found: Findings

    @classmethod
    def of(cls, path: AnyPath, kind: str, found: Findings) -> Self:
        """Return the report of a file that was written."""
        return cls(path=path, kind=kind, size=path.stat().st_size, found=found)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        plain = {"path": str(self.path), "kind": self.kind, "size": self.size}
        return plain | {"check": self.found.to_dict()}

    def __str__(self) -> str:
        head = f"{self.path}  ({self.size / 1e6:.2f} MB; {_KINDS[self.kind]})"
        return "\n".join([head, *self.found.lines()])


def _nameless(plain: dict[str, Any]) -> dict[str, Any]:
    """Leave out the names of pictures, which tell of the machine."""
    return {
        key: _nameless(value) if isinstance(value, dict) else value
        for key, value in plain.items()
        if key not in ("where", "differs")
    }
