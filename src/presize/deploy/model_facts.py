"""What `inspect_file` found in a file, as values and as text."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

_SHOWN_CLASSES = 8
_WIDTH = 14


@dataclass(kw_only=True, slots=True)
class ModelFacts:
    """What a file says of itself. What it does not say is None, or empty.

    Args:
        file: its path.
        kind: "presize model", "presize checkpoint", "presize learner" (what learn.save wrote),
            "presize predictions", "weights" (of another program), or "onnx".
        size: in bytes.
        format: the version of the kind's format.
        written_by: versions of presize and PyTorch, by name.
        architecture: what `build_from_spec` would build, as JSON.
        parameters: how many numbers are trained.
        tensors: how many tensors there are, and of which types: {"F32": 122}.
        task: "classification", "multilabel" …
        classes: in the order of the outputs.
        picture_size: (height, width) of what the network sees; None where they stay as they come.
        transforms: name and arguments of what is done to a picture in validation, in order.
        normalisation: "mean" and "std" of each channel.
        loss: the name of the loss.
        calibration: temperature, calibration errors before and after, what tells the unknown.
        drift: what the reference for drift was made of.
        training: "epochs", "metrics" (of the last one), "items" (of each split), "seed", "started",
            "source", "command", "environment".
        checksums: whether they are right, by what they are over: "tensors", "header"; None where
            there is none.
        more: what else the kind has: the progress of a checkpoint, the metadata of an ONNX file.
        warnings: what is wrong with the file.
    """

    file: str
    kind: str
    size: int
    format: int | None = None
    written_by: dict[str, str] = field(default_factory=dict)
    architecture: dict[str, Any] | None = None
    parameters: int | None = None
    tensors: dict[str, int] = field(default_factory=dict)
    task: str | None = None
    classes: list[Any] | None = None
    picture_size: tuple[int, int] | None = None
    transforms: list[dict[str, Any]] = field(default_factory=list)
    normalisation: dict[str, list[float]] | None = None
    loss: str | None = None
    calibration: dict[str, Any] | None = None
    drift: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    checksums: dict[str, bool | None] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong with the file, as far as can be told without building it."""
        return not self.warnings

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which JSON can hold; NaN and infinities as text."""
        found: dict[str, Any] = _json(asdict(self))
        return found

    def __str__(self) -> str:
        rows = [("file", self.file), ("kind", self._kind()), ("size", self._size())]
        rows += [("network", self._network()), ("task", self.task or "")]
        rows += [("classes", self._classes()), ("pictures", self._pictures())]
        rows += [("transforms", self._transforms())]
        rows += [("normalised", self._normalised()), ("loss", self.loss or "")]
        rows += [("calibration", self._calibration()), ("drift", self._drift())]
        rows += self._training()
        rows += [(name, _text(value)) for name, value in self.more.items()]
        rows += [("checksums", self._checksums())]
        rows += [("warning", text) for text in self.warnings]
        return "\n".join(f"{_plain(n):<{_WIDTH}}{_plain(v)}" for n, v in rows if v)

    def _kind(self) -> str:
        by = ", ".join(f"{name} {number}" for name, number in self.written_by.items())
        version = f", format {self.format}" if self.format is not None else ""
        return f"{self.kind}{version}" + (f", written by {by}" if by else "")

    def _size(self) -> str:
        text = f"{self.size / 1e6:,.1f} MB" if self.size >= 1_000_000 else f"{self.size:,} bytes"
        if self.parameters is not None:
            text += f", {self.parameters:,} parameters"
        if self.tensors:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.tensors.items())
            text += f", tensors: {kinds}"
        return text

    def _network(self) -> str:
        spec = self.architecture
        if not spec:
            return ""
        text = f"{spec.get('name')} ({spec.get('source')})"
        head = spec.get("head")
        if isinstance(head, dict):
            hidden = head.get("lin_ftrs")
            text += (
                f", head {'512' if hidden is None else _text(hidden) or 'without hidden layers'}"
            )
        outputs = spec.get("n_out")
        return text + (f", {outputs} outputs" if outputs is not None else "")

    def _classes(self) -> str:
        if self.classes is None:
            return ""
        shown = ", ".join(map(str, self.classes[:_SHOWN_CLASSES]))
        return f"{len(self.classes)}: {shown}" + (
            ", …" if len(self.classes) > _SHOWN_CLASSES else ""
        )

    def _pictures(self) -> str:
        if self.picture_size is None:
            return ""
        return f"{self.picture_size[0]} x {self.picture_size[1]} pixels (height x width)"

    def _transforms(self) -> str:
        return ", ".join(str(one.get("name")) for one in self.transforms)

    def _normalised(self) -> str:
        if self.normalisation is None:
            return ""
        return "; ".join(f"{name} {_text(values)}" for name, values in self.normalisation.items())

    def _calibration(self) -> str:
        found = self.calibration
        if not found:
            return ""
        text = f"temperature {_text(found.get('temperature'))}"
        before, after = (found.get(when) for when in ("before", "after"))
        if isinstance(before, dict) and isinstance(after, dict):
            text += f", calibration error {_text(before.get('ece'))} -> {_text(after.get('ece'))}"
        unknown = found.get("unknown")
        return text + (f", tells the unknown by {unknown}" if unknown else "")

    def _drift(self) -> str:
        found = self.drift
        if not found:
            return ""
        if "without" in found:
            return f"no reference: {found['without']}"
        return f"a reference of {found.get('n_looks')} pictures"

    def _training(self) -> list[tuple[str, str]]:
        found = self.training
        if not found:
            return []
        items = ", ".join(f"{n:,} for {split}" for split, n in found["items"].items())
        epochs = found["epochs"]
        counted = f"{epochs} epoch" + ("s" if epochs != 1 else "")
        trained = ", ".join(part for part in (counted, items, _seeded(found["seed"])) if part)
        metrics = ", ".join(f"{name} {_text(value)}" for name, value in found["metrics"].items())
        rows = [("trained", trained), ("last epoch", metrics)]
        rows += [(name, str(found[name] or "")) for name in ("started", "source", "command")]
        return rows

    def _checksums(self) -> str:
        words = {True: "right", False: "WRONG", None: "none"}
        return ", ".join(f"{name} {words[right]}" for name, right in self.checksums.items())


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _seeded(seed: Any) -> str:
    return "" if seed is None else f"seed {seed}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    return str(value)


def _plain(text: Any) -> str:
    """Return a text that cannot steer a terminal: names in a file are anybody's."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    return shown if len(shown) <= 1000 else f"{shown[:1000]} …"
