"""What an exported file says of itself, by key: text and JSON, for programs without presize."""

import json
from importlib.metadata import version
from typing import Any

from presize.core.errors import ExportError
from presize.data.samples import active
from presize.deploy.exporting.preprocessing import Preprocessing
from presize.deploy.exporting.subject import Subject

INPUT, OUTPUT = "pictures", "probabilities"


def metadata_of(
    subject: Subject, *, preprocessing: bool, quantised: str, check: dict[str, Any]
) -> dict[str, str]:
    """Return the keys of an exported file and their values.

    Args:
        subject: what is exported.
        preprocessing: whether it takes decoded pictures of any size.
        quantised: how, or "none".
        check: what comparing it found.
    """
    learn, network = subject.learn, subject.network
    height, width = subject.pictures.inputs.shape[-2:]
    colour = "RGB" if preprocessing or subject.channels == 3 else "L"
    if preprocessing:
        sides = subject.fixed or ("height", "width")
        takes = {"name": INPUT, "dtype": "uint8", "shape": ["batch", *sides, 3]}
    else:
        shape = ["batch", subject.channels, height, width]
        takes = {"name": INPUT, "dtype": "float32", "shape": shape}
    values: dict[str, Any] = {
        "presize": version("presize"),
        "task": subject.task,
        "vocab": _vocab(learn),
        "input": takes | {"colour": colour},
        "output": {"name": OUTPUT},
        "size": [height, width],
        "normalisation": None if preprocessing else _normalisation(subject),
        "transforms": _transforms(learn),
        "preprocessing": preprocessing,
        "activation": network.kind,
        "temperature": network.temperature,
        "unknown": _unknown(learn),
        "quantised": quantised,
        "check": check,
        "architecture": _architecture(network.network),
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value is not None
    }


def _vocab(learn: Any) -> list[str] | None:
    vocab = getattr(learn.dls, "vocab", None)
    return None if vocab is None else [str(name) for name in vocab]


def _normalisation(subject: Subject) -> dict[str, Any] | None:
    """Return what is done to levels 0..255: (level * scale - mean) / std; None if it is another."""
    size = subject.pictures.inputs.shape[-2], subject.pictures.inputs.shape[-1]
    try:
        made = Preprocessing.of(subject.learn.dls.valid, subject.channels, subject.fixed or size)
    except ExportError:
        return None
    return {"scale": made.scale, "mean": made.mean.tolist(), "std": made.std.tolist()}


def _transforms(learn: Any) -> list[str]:
    """Return the transforms of validation, for a reader."""
    stages = (active(learn.dls.valid.after_item), active(learn.dls.valid.after_batch))
    steps = [f for stage in stages if stage is not None for f in getattr(stage, "fs", [stage])]
    return [repr(f) for f in steps if getattr(f, "split_idx", None) != 0]


def _unknown(learn: Any) -> dict[str, Any] | None:
    """Return from which highest probability on a picture is one of the classes."""
    calibration = learn.calibration
    if calibration is None or calibration.unknown is None:
        return None
    if calibration.unknown != "confidence":
        return {"by": calibration.unknown}  # which is not in the graph
    least = 1 - calibration.threshold
    return {"by": "confidence", "least_probability": least, "coverage": calibration.coverage}


def _architecture(network: Any) -> str:
    spec = getattr(network, "spec", None)
    return str(spec["name"]) if isinstance(spec, dict) else type(network).__qualname__
