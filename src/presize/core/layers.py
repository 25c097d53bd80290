"""What a layer is, where several parts of training have to agree on it."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def is_norm(module: nn.Module) -> bool:
    """Tell whether `module` normalises activations (batch, layer, group, RMS norm and the like).

    Norms that libraries write themselves are known by name, if all their weights are vectors.
    """
    if isinstance(module, _NORMS):
        return True
    own = list(module.parameters(recurse=False))
    named = "norm" in type(module).__name__.lower()
    return named and bool(own) and all(param.ndim <= 1 for param in own)
