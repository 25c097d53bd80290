"""The order of values in memory: channels last, which some networks and devices are faster with."""

from typing import Any

import torch
from torch import Tensor, nn


def in_channels_last(x: Any) -> Any:
    """Return a batch of pictures [N,C,H,W] with its channels last in memory; all else as it is."""
    if isinstance(x, Tensor) and x.ndim == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x


def lay_out(model: nn.Module, *, channels_last: bool) -> None:
    """Put the weights of convolutions in this order, in place; shapes and values stay."""
    form = torch.channels_last if channels_last else torch.contiguous_format
    kernels = [p for p in model.parameters() if p.ndim == 4]
    if not all(p.is_contiguous(memory_format=form) for p in kernels):
        model.to(memory_format=form)
