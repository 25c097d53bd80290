"""BatchNorm over the batches of all processes: each layer is replaced for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from presize.core.errors import TrainingError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def synced_norms(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a SyncBatchNorm in the place of each BatchNorm, with its parameters and buffers.

    The keys of the model's state stay as they are, and so do the parameters that an optimizer has.

    Args:
        model: keeps all other layers.
        device: where it computes; PyTorch's SyncBatchNorm knows accelerators only.

    Raises:
        TrainingError: it computes on a CPU, or has a layer that is more than a BatchNorm.
    """
    if device.type == "cpu":
        raise TrainingError(
            "sync_bn=True needs GPUs: PyTorch's SyncBatchNorm does not compute on a CPU. Leave it "
            "out; each process then normalises its own part of a batch."
        )
    replaced = [
        (parent, name, layer, _synced(f"{path}.{name}".lstrip("."), layer))
        for path, parent in model.named_modules()
        for name, layer in parent.named_children()
        if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm)
    ]
    for parent, name, _, synced in replaced:
        parent.add_module(name, synced)
    try:
        yield
    finally:
        for parent, name, layer, synced in replaced:
            layer.train(synced.training)
            parent.add_module(name, layer)


def _synced(path: str, layer: _BatchNorm) -> nn.Module:
    if type(layer) not in _PLAIN:
        # Such as timm's, which applies its activation as well.
        raise TrainingError(
            f"sync_bn=True replaces BatchNorm layers, but `{path}` is a {type(layer).__name__}, "
            "which may do more. Convert the model before: timm.layers.convert_sync_batchnorm."
        )
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    return converted
