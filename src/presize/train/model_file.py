"""The model file: one .safetensors file with everything that predicting needs, and no code.

The tensors are the weights, and what a calibration holds beside its figures. The metadata holds
JSON: the format's version, the architecture, the data's vocabulary and transforms, the loss, the
calibration, how it was trained, and a SHA-256 over all tensors. Reading it builds nothing; what it
names is looked up in tables of known names by whoever loads it.
"""

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path as AnyPath
from typing import Any, Self

import torch
from torch import Tensor

from presize.core.errors import ModelFileError
from presize.train.state import load_state, save_state

FORMAT = 2  # of a file with tensors beside the weights; all others are still of format 1
KIND = "presize model"
# Before the names of those tensors. No weight has it: a `:` would have to be in a layer's name.
BESIDE = "calibration:"


@dataclass(kw_only=True)
class ModelFile:
    """What a model file holds.

    `architecture` is the description that `presize.models` can build from, `data` the vocabulary
    and the transforms, `loss` the name of the loss function and `loss_options` its arguments.
    `calibration` is what `Calibration.to_dict` told, `calibration_tensors` its tensors, and
    `training` what `TrainingRecord.to_dict` told; files need not have them.
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

    def write(self, path: AnyPath) -> None:
        """Write the file, whole or not at all."""
        beside = {BESIDE + name: value for name, value in self.calibration_tensors.items()}
        tensors = self.weights | beside
        meta: dict[str, Any] = {
            "kind": KIND,
            "format": FORMAT if beside else 1,
            "architecture": self.architecture,
            "data": self.data,
            "loss": self.loss,
            "loss_options": self.loss_options,
            "versions": {"presize": version("presize"), "torch": torch.__version__},
            "sha256": digest(tensors),
        }
        for name in ("calibration", "training"):
            if getattr(self, name) is not None:
                meta[name] = getattr(self, name)
        save_state(path, tensors=tensors, meta=meta)

    @classmethod
    def read(cls, path: AnyPath) -> Self:
        """Read a file and check that it is whole.

        Raises:
            ModelFileError: not such a file, of a newer format, or changed since it was written.
        """
        tensors, meta = load_state(path)
        if meta.get("kind") != KIND:
            raise ModelFileError(
                f"{path} is a {meta.get('kind') or 'safetensors file of another program'}, not an "
                "exported model. Export one with learn.export(...); weights that learn.save wrote "
                "are read with learn.load."
            )
        if isinstance(meta.get("format"), int) and meta["format"] > FORMAT:
            raise ModelFileError(
                f"{path} has the format {meta['format']}, but this presize "
                f"({version('presize')}) reads formats up to {FORMAT}. It was written by presize "
                f"{meta['versions'].get('presize')}: upgrade presize."
            )
        _check_header(path, meta)
        if digest(tensors) != meta["sha256"]:
            raise ModelFileError(
                f"{path} was changed or damaged since it was written: the SHA-256 of its weights "
                "is not the one in its header. Get the file again from where it came."
            )
        beside = {name for name in tensors if name.startswith(BESIDE)}
        return cls(
            architecture=meta["architecture"],
            data=meta["data"],
            loss=meta["loss"],
            loss_options=meta.get("loss_options", {}),
            weights={name: t for name, t in tensors.items() if name not in beside},
            versions=meta["versions"],
            calibration=meta.get("calibration"),
            calibration_tensors={name.removeprefix(BESIDE): tensors[name] for name in beside},
            training=meta.get("training"),
        )


def _check_header(path: AnyPath, meta: dict[str, Any]) -> None:
    kinds = {"format": int, "architecture": dict, "data": dict, "versions": dict, "sha256": str}
    wrong = [name for name, kind in kinds.items() if not isinstance(meta.get(name), kind)]
    if wrong:
        raise ModelFileError(
            f"The header of {path} is not valid: it does not say {', '.join(wrong)} as a model "
            "file does. It was changed by hand: get the file again, or export the model again."
        )


def digest(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        total.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
