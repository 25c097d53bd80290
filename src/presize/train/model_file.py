"""The model file: one .safetensors file with everything that predicting needs, and no code.

The tensors are the weights, and what a calibration and a reference for drift hold beside their
figures. The metadata holds JSON: the format's version, the architecture, the data's vocabulary and
transforms, the loss, the calibration, the reference, how it was trained, a SHA-256 over all tensors
and one over the rest of the JSON. Reading it builds nothing; what it names is looked up in tables
of known names by whoever loads it.
"""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path as AnyPath
from typing import Any, Self

import torch
from torch import Tensor

from presize.core.errors import ModelFileError
from presize.train.checksums import OF_HEADER, OF_TENSORS, digest, header_digest
from presize.train.state import load_state, save_state

FORMAT = 3
KIND = "presize model"
# What may have tensors beside the weights, and the first format that knows them. Their names begin
# with the part's and a `:`, which no weight has: it would have to be in a layer's name.
BESIDE = {"calibration": 2, "drift": 3}

OPTIONAL = ("calibration", "training", "drift")


@dataclass(kw_only=True)
class ModelFile:
    """What a model file holds.

    `architecture` is the description that `presize.models` can build from, `data` the vocabulary
    and the transforms, `loss` the name of the loss function and `loss_options` its arguments.
    `calibration` is what `Calibration.to_dict` told, `calibration_tensors` its tensors, `drift` and
    `drift_tensors` the same of a `DriftReference`, and `training` what `TrainingRecord.to_dict`
    told; files need not have them.
    """

    architecture: dict[str, Any]
    data: dict[str, Any]
    loss: str | None
    weights: dict[str, Tensor]
    loss_options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    calibration_tensors: dict[str, Tensor] = field(default_factory=dict)
    training: dict[str, Any] | None = None
    drift: dict[str, Any] | None = None
    drift_tensors: dict[str, Tensor] = field(default_factory=dict)

    def write(self, path: AnyPath) -> None:
        """Write the file, whole or not at all."""
        beside = {"calibration": self.calibration_tensors, "drift": self.drift_tensors}
        named = [{f"{part}:{k}": v for k, v in ts.items()} for part, ts in beside.items()]
        tensors = self.weights | named[0] | named[1]
        meta: dict[str, Any] = {
            "kind": KIND,
            # The oldest that holds all of it, so that an older presize can read it.
            "format": max((since for part, since in BESIDE.items() if beside[part]), default=1),
            "architecture": self.architecture,
            "data": self.data,
            "loss": self.loss,
            "loss_options": self.loss_options,
            "versions": {"presize": version("presize"), "torch": torch.__version__},
            OF_TENSORS: digest(tensors),
        }
        for name in OPTIONAL:
            if getattr(self, name) is not None:
                meta[name] = getattr(self, name)
        meta[OF_HEADER] = header_digest(meta)
        save_state(path, tensors=tensors, meta=meta)

    @classmethod
    def read(cls, path: AnyPath) -> Self:
        """Read a file and check that it is whole.

        Raises:
            ModelFileError: not such a file, of a newer format, or changed since it was written.
        """
        tensors, meta = load_state(path)
        check_meta(path, meta)
        if digest(tensors) != meta[OF_TENSORS]:
            raise ModelFileError(_changed(path, "its weights"))
        beside = {part: _taken(tensors, f"{part}:") for part in BESIDE}
        return cls(
            architecture=meta["architecture"],
            data=meta["data"],
            loss=meta.get("loss"),
            loss_options=meta.get("loss_options", {}),
            weights=tensors,
            versions=meta["versions"],
            calibration=meta.get("calibration"),
            calibration_tensors=beside["calibration"],
            training=meta.get("training"),
            drift=meta.get("drift"),
            drift_tensors=beside["drift"],
        )


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the tensors out whose names begin so."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def check_meta(path: AnyPath, meta: dict[str, Any]) -> None:
    """Check the JSON of a model file: its kind, its format, its fields, its checksum.

    Raises:
        ModelFileError: something is wrong; says what.
    """
    if meta.get("kind") != KIND:
        kind = meta.get("kind")
        named = f"{kind:.80}" if isinstance(kind, str) else "safetensors file of another program"
        raise ModelFileError(
            f"{path} is a {named}, not an exported model. Export one with learn.export(...); "
            "weights that learn.save wrote are read with learn.load."
        )
    versions = meta.get("versions")
    if type(meta.get("format")) is int and meta["format"] > FORMAT:
        by = versions.get("presize") if isinstance(versions, dict) else None
        raise ModelFileError(
            f"{path} has the format {meta['format']}, but this presize "
            f"({version('presize')}) reads formats up to {FORMAT}. It was written by presize "
            f"{by!s:.40}: upgrade presize."
        )
    kinds = {"architecture": dict, "data": dict, "versions": dict, OF_TENSORS: str}
    wrong = [] if type(meta.get("format")) is int and meta["format"] > 0 else ["format"]
    wrong += [name for name, kind in kinds.items() if not isinstance(meta.get(name), kind)]
    wrong += [] if isinstance(meta.get("loss", ""), str | None) else ["loss"]
    wrong += [] if isinstance(meta.get("loss_options", {}), dict) else ["loss_options"]
    wrong += [name for name in ("calibration", "drift") if not isinstance(meta.get(name, {}), dict)]
    if wrong:
        raise ModelFileError(
            f"The header of {path} is not valid: it does not say {', '.join(wrong)} as a model "
            "file does. It was changed by hand: get the file again, or export the model again."
        )
    if OF_HEADER in meta and meta[OF_HEADER] != header_digest(meta):  # older files have none
        raise ModelFileError(_changed(path, "its header"))


def _changed(path: AnyPath, what: str) -> str:
    return (
        f"{path} was changed or damaged since it was written: the SHA-256 of {what} is not the one "
        "that it says. Get the file again from where it came, or export the model again."
    )
