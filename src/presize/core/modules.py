"""Looks at all modules of a model, quickly: it is done for every single prediction."""

from collections.abc import Iterator

from torch import Tensor, nn


def modules_of(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of a model in any order; one that is in it twice may come twice.

    `model.modules()` also makes a name for each: 0.1 ms for a resnet18, this 0.02.
    """
    left = [model]
    while left:
        module = left.pop()
        yield module
        left += [child for child in module._modules.values() if child is not None]


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Yield the parameters and buffers of a model in any order."""
    for module in modules_of(model):
        yield from (weight for weight in module._parameters.values() if weight is not None)
        yield from (buffer for buffer in module._buffers.values() if buffer is not None)
