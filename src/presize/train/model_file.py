"""The model file: one .safetensors file with everything that predicting needs, and no code.

The tensors are the weights. The metadata holds JSON: the format's version, the architecture, the
data's vocabulary and transforms, the loss, and a SHA-256 over all tensors. Reading it builds
nothing; what it names is looked up in tables of known names by whoever loads it.
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

FORMAT = 1
KIND = "presize model"


@dataclass(kw_only=True)
class ModelFile:
    """What a model file holds.

    `architecture` is the description that `presize.models` can build from, `data` the vocabulary
    and the transforms, `loss` the name of the loss function and `loss_options` its arguments.
    """

    architecture: dict[str, Any]
    data: dict[str, Any]
    loss: str | None
    weights: dict[str, Tensor]
    loss_options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def write(self, path: AnyPath) -> None:
        """Write the file, whole or not at all."""
        meta = {
            "kind": KIND,
            "format": FORMAT,
            "architecture": self.architecture,
            "data": self.data,
            "loss": self.loss,
            "loss_options": self.loss_options,
            "versions": {"presize": version("presize"), "torch": torch.__version__},
            "sha256": digest(self.weights),
        }
        save_state(path, tensors=self.weights, meta=meta)

    @classmethod
    def read(cls, path: AnyPath) -> Self:
        """Read a file and check that it is whole.

        Raises:
            ModelFileError: not such a file, of a newer format, or changed since it was written.
        """
        weights, meta = load_state(path)
        if meta.get("kind") != KIND:
            raise ModelFileError(
                f"{path} is a {meta.get('kind') or 'safetensors file of another program'}, not an "
                "exported model. Export one with learn.export(...); weights that learn.save wrote "
                "are read with learn.load."
            )
        if meta["format"] > FORMAT:
            raise ModelFileError(
                f"{path} has the format {meta['format']}, but this presize "
                f"({version('presize')}) reads formats up to {FORMAT}. It was written by presize "
                f"{meta['versions'].get('presize')}: upgrade presize."
            )
        if digest(weights) != meta["sha256"]:
            raise ModelFileError(
                f"{path} was changed or damaged since it was written: the SHA-256 of its weights "
                "is not the one in its header. Get the file again from where it came."
            )
        return cls(
            architecture=meta["architecture"],
            data=meta["data"],
            loss=meta["loss"],
            loss_options=meta.get("loss_options", {}),
            weights=weights,
            versions=meta["versions"],
        )


def digest(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        total.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
